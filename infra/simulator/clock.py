"""The simulator's own time: real with an offset, or virtual and moved by hand.

Budgets, token life, delta retention, late effects and notifications follow it; the wire (slow and silent answers) does not.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache

from infra.simulator.errors import Unfit


@lru_cache(maxsize=4096)
def iso(seconds: int) -> str:
    """Epoch seconds as SharePoint prints them: UTC, whole seconds, Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_iso(text: str) -> float:
    """Epoch seconds of an ISO 8601 text; no offset means UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Clock:
    def __init__(self) -> None:
        self.mode = "real"
        self._offset = 0.0
        self._frozen = 0.0
        self._skew = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Epoch seconds."""
        base = self._frozen if self.mode == "virtual" else time.time() + self._offset
        return base + self._skew

    def second(self) -> int:
        return int(self.now())

    def text(self) -> str:
        return iso(self.second())

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arm()

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        """Run `action` when this clock reaches `moment`, never before the caller returns."""
        heapq.heappush(self._timers, (moment, next(self._order), action))
        self._arm()

    def pending(self) -> int:
        return len(self._timers)

    def use(self, mode: str) -> None:
        """`real` or `virtual`; time does not jump at the change. Raises ValueError."""
        if mode not in ("real", "virtual"):
            raise Unfit("mode is real or virtual")
        now = self.now()
        self.mode = mode
        self._frozen, self._offset = now, now - time.time()
        self._arm()

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` (negative: back) and run what has become due."""
        self._frozen += seconds
        self._offset += seconds
        self.fire()

    def move_to(self, moment: float) -> None:
        self.advance(moment - self.now())

    def fire(self) -> None:
        """Run every timer that is due now; timers they set for a due moment run too."""
        due = self.now()
        while self._timers and self._timers[0][0] <= due:
            _, _, action = heapq.heappop(self._timers)
            action()
        self._arm()

    @contextmanager
    def skewed(self, seconds: float) -> Iterator[None]:
        """While inside, the service believes that it is `seconds` later."""
        self._skew = seconds
        try:
            yield
        finally:
            self._skew = 0.0

    def reset(self) -> None:
        """Back to real time, without timers."""
        self.mode, self._offset, self._frozen, self._skew = "real", 0.0, 0.0, 0.0
        self._timers.clear()
        self._arm()

    def saved(self) -> dict[str, float | str]:
        return {"mode": self.mode, "offset": self._offset, "frozen": self._frozen}

    def restore(self, state: dict[str, float | str]) -> None:
        self.mode = str(state["mode"])
        self._offset = float(state["offset"])
        self._frozen = float(state["frozen"])

    def _arm(self) -> None:
        if self._loop is None:
            return
        if self._wake:
            self._wake.cancel()
            self._wake = None
        if self._timers and (self.mode == "real" or self._timers[0][0] <= self.now()):
            self._wake = self._loop.call_later(max(0.0, self._timers[0][0] - self.now()), self.fire)
