"""What the local stack says to the person in front of it."""


class LocalStackError(Exception):
    """Something on this machine is missing or failed. The message is for a person: what is wrong, what to do next."""
