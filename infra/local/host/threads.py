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
        self._surplus = 0
        for _ in range(size):
            self._grow()

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        self._jobs.put((future, call))
        return future

    def write_off(self) -> None:
        """One thread is stuck in user code: another takes its place, and it ends when it ever comes back."""
        with self._lock:
            self._surplus += 1
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
            except BaseException as error:  # the future carries it to whoever waits, SystemExit too
                future.set_exception(error)
            else:
                future.set_result(result)
            with self._lock:
                if self._surplus:
                    self._surplus -= 1
                    return
