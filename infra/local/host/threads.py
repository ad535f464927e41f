"""A pool of daemon threads for synchronous user code, from which a thread that hangs can be written off.

The standard pool neither replaces a stuck thread nor lets the process end while one runs.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

_Job = tuple["Future[Any]", Callable[[], Any]]


class ThreadPool:
    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._written_off: set[Future[Any]] = set()
        for _ in range(size):
            self._grow()

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        self._jobs.put((future, call))
        return future

    def write_off(self, future: "Future[Any]") -> None:
        """The thread that runs ``future`` hangs: another takes its place, and it ends if it ever comes back."""
        with self._lock:
            if future.done():
                return
            self._written_off.add(future)
        self._grow()

    def close(self) -> None:
        for _ in range(self.size):
            self._jobs.put(None)

    def _grow(self) -> None:
        threading.Thread(target=self._work, name="user-code", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # the future carries it to whoever waits
                self._settle(future, None, error)
            else:
                self._settle(future, result, None)
            if future in self._written_off:
                self._written_off.discard(future)
                return

    def _settle(self, future: "Future[Any]", result: Any, error: BaseException | None) -> None:
        with self._lock:  # so that a future is either done or written off, never first one and then the other
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
