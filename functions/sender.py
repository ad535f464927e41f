"""How accepted notices get into the queue: those that come while others are on their way go together, in the next message.

Whoever waits for an answer waits for a message that was sent after the notice came. One that was sent before could be read, and
the list with it, before what the notice tells of had happened.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from functions.messages import ListNotice

_TURNS = 2
"""Messages on their way at a time; not one, so that one that hangs does not keep all others waiting."""


@dataclass(slots=True)
class _Batch:
    """What the next message holds. Each notice once, in the order in which they came."""

    notices: dict[ListNotice, None] = field(default_factory=dict)
    sent: asyncio.Task[float] | None = None


class Sender:
    """Mutable, used on one event loop. `put` blocks until the queue has the notices, may raise, and returns the seconds it took.

    Its threads are its own: those of asyncio.to_thread are few, and queue triggers fill them with work on the metastore,
    behind which an answer would wait."""

    def __init__(self, put: Callable[[list[ListNotice]], float]) -> None:
        self._put = put
        self._threads = ThreadPoolExecutor(max_workers=_TURNS, thread_name_prefix="webhook")
        self._turns = asyncio.Semaphore(_TURNS)
        self._next: _Batch | None = None

    async def send(self, notices: Iterable[ListNotice]) -> float:
        """Returns once the queue has them: the seconds that their message took. Raises what `put` raised for it."""
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
            batch.sent = asyncio.create_task(self._sent(batch))
        batch.notices.update(dict.fromkeys(notices))
        assert batch.sent is not None  # noqa: S101
        return await asyncio.shield(batch.sent)

    async def _sent(self, batch: _Batch) -> float:
        async with self._turns:
            self._next = None  # whoever comes from here on comes too late for this one
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._put, list(batch.notices))
