"""Keeps the parts of a stack together: when one ends, all end, and somebody is told why."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from infra.local.processes import Child

_POLL_SECONDS = 0.2
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(BaseException):
    """Somebody asked the stack to stop. Not an Exception: nothing on the way may take it for a failure."""


class Supervisor:
    """Holds running children in the order of their start."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def add(self, child: Child) -> None:
        """Take a child into custody."""
        self._children.append(child)

    def first_ended(self) -> Child | None:
        """A child that has ended, or None."""
        return next((child for child in self._children if child.exit_code is not None), None)

    def watch(self) -> Child:
        """Block until a child ends, and answer it."""
        pause = threading.Event()
        while (ended := self.first_ended()) is None:
            pause.wait(_POLL_SECONDS)
        return ended

    def stop_all(self) -> None:
        """Stop the last started first: each part finds what it leans on until it is gone."""
        while self._children:
            self._children.pop().stop()


@contextmanager
def supervised() -> Iterator[Supervisor]:
    """A supervisor whose children are stopped at the end, however the end comes about.

    SIGINT, SIGTERM and SIGHUP raise StopRequestedError in the main thread, once; while stopping they are ignored.
    """

    def request(number: int, frame: FrameType | None) -> None:
        del number, frame
        for name in _STOPPING:
            signal.signal(name, signal.SIG_IGN)
        raise StopRequestedError

    before = {number: signal.signal(number, request) for number in _STOPPING}
    supervisor = Supervisor()
    try:
        yield supervisor
    finally:
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)
        supervisor.stop_all()
        for number, handler in before.items():
            signal.signal(number, handler)
