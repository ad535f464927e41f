"""What stops the host from starting, in words for the person who started it."""


class HostError(Exception):
    """One sentence that names the thing that is wrong and what to do next; shown without a stack."""
