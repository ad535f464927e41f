"""Who may settle a definition in this process: a few at a time. Whoever comes meanwhile leaves word, and goes."""

import threading
from collections import Counter
from collections.abc import Hashable


class Turnstile:
    """Lets a few in for each thing. No word is lost: whoever is inside either sees it, or has left before it was left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[Hashable] = Counter()
        self._asked: set[Hashable] = set()

    def enter(self, what: Hashable, most: int) -> "Pass | None":
        """None: there is no room, and somebody inside will stay a little longer."""
        with self._lock:
            if self._inside[what] >= most:
                self._asked.add(what)
                return None
            self._inside[what] += 1
            return Pass(self, what)

    def stays(self, what: Hashable) -> bool:
        with self._lock:
            if what in self._asked:
                self._asked.discard(what)
                return True
            self._leave(what)
            return False

    def leave(self, what: Hashable) -> None:
        with self._lock:
            self._leave(what)

    def _leave(self, what: Hashable) -> None:
        self._inside[what] -= 1
        if not self._inside[what]:
            del self._inside[what]


class Pass:
    """For one thread."""

    def __init__(self, turnstile: Turnstile, what: Hashable) -> None:
        self._turnstile, self._what, self._inside = turnstile, what, True

    def stays(self) -> bool:
        """False: nobody has come meanwhile, and we have left."""
        self._inside = self._turnstile.stays(self._what)
        return self._inside

    def leave(self) -> None:
        if self._inside:
            self._inside = False
            self._turnstile.leave(self._what)
