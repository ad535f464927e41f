"""The acts of the demo: each a part of the product that proves itself."""
