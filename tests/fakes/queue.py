"""A queue in memory that keeps the promises of the port: at least once, any order, and sometimes away."""

import threading
from collections import defaultdict

from shared.core.errors import QueueUnavailable


class MemoryQueue:
    """`away`: takes nothing. `lossy`: takes a message and says that it did not."""

    def __init__(self) -> None:
        self.away = False
        self.lossy = 0
        self.kept: dict[str, list[str]] = defaultdict(list)
        self.later: list[tuple[str, str, float]] = []
        self.refusals = 0
        self._lock = threading.Lock()

    def put(self, name: str, message: str, *, delay: float = 0.0) -> None:
        with self._lock:
            if self.away:
                self.refusals += 1
                raise QueueUnavailable(f"queue {name} took no message: it is away")
            if delay:
                self.later.append((name, message, delay))
            else:
                self.kept[name].append(message)
            if self.lossy:
                self.lossy -= 1
                raise QueueUnavailable(f"queue {name} took no message: no answer")

    def depth(self, name: str) -> int:
        with self._lock:
            return len(self.kept[name])

    def take(self, name: str) -> list[str]:
        """Everything that waits there now."""
        with self._lock:
            taken, self.kept[name] = self.kept[name], []
        return taken

    def close(self) -> None:
        pass
