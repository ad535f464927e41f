"""In-memory stand-ins for the engine's ports; each passes the contract suite that the real adapter passes."""
