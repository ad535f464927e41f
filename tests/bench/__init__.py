"""`make bench`: what the product costs, always beside a raw limit or a rival in the same run."""
