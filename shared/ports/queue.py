"""Durable queues."""

from typing import Protocol


class Queue(Protocol):
    """Durable queues: a message arrives at least once, in any order, and waits until somebody takes it."""

    def put(self, name: str, message: str, *, delay: float = 0.0) -> None:
        """`message`: JSON of identifiers, never of row values; at most 48 KiB in UTF-8. Returns once it is durable; nobody
        sees it for `delay` seconds (at most 7 days).

        Raises QueueUnavailable (it may have arrived all the same), ConfigurationError, PermissionMissing."""

    def depth(self, name: str) -> int:
        """How many messages wait there, roughly, those that are being worked on among them. Raises as `put` does."""

    def close(self) -> None: ...
