"""The part of .NET tasks that DurableTask's replay stands on, with generators in place of async methods."""

from collections.abc import Callable, Generator
from functools import partial


class TaskError(Exception):
    """A task of the orchestration failed or was cancelled."""


class Future:
    """The part of a .NET task that matters here: done once, with or without an error."""

    __slots__ = ("callbacks", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: Exception | None = None
        self.callbacks: list[Callable[[], None]] = []

    def settle(self, error: Exception | None = None) -> None:
        if not self.done:
            self.done, self.error = True, error
            for callback in self.callbacks:
                callback()

    def then(self, callback: Callable[[], None]) -> None:
        if self.done:
            callback()
        else:
            self.callbacks.append(callback)


Steps = Generator[Future, None, None]


def spawn(steps: Steps) -> Future:
    """Runs a generator that yields futures; the error of a yielded future is raised inside it."""
    whole = Future()

    def advance(previous: Future | None) -> None:
        try:
            while True:
                failed = previous is not None and previous.error is not None
                current = steps.throw(previous.error) if failed else steps.send(None)  # type: ignore[union-attr,arg-type]
                if not current.done:
                    current.callbacks.append(partial(advance, current))
                    return
                previous = current
        except StopIteration:
            whole.settle()
        except TaskError as error:
            whole.settle(error)

    advance(None)
    return whole


def when_all(children: list[Future]) -> Future:
    """Task.WhenAll: waits for every child, then fails if one did. (The SDK's WhenAll fails at the first failure.)"""
    whole, left = Future(), len(children)

    def one() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            whole.settle(next((child.error for child in children if child.error), None))

    if not children:
        whole.settle()
    for child in children:
        child.then(one)
    return whole


def when_any(children: list[Future]) -> Future:
    whole = Future()
    if not children:
        whole.settle()
    for child in children:
        child.then(whole.settle)
    return whole
