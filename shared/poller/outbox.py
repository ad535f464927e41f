"""Messages on their way into the queue: several at a time, each until it is there; what is safe is told in their order."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from shared.core.backoff import CALLS
from shared.core.backoff import wait as delay_of
from shared.core.errors import QueueUnavailable
from shared.core.replication import NO_LSN, Lsn
from shared.core.slots import Progress
from shared.ports import Clock, Queue

SENDERS = 4
MOST = 32
"""Batches on their way at most. Beyond, the log waits in the source."""
_LONGEST = 30.0
"""Seconds between two tries of a message."""


@dataclass(slots=True)
class _Parcel:
    sent: Sequence[Future[datetime]]
    done: Progress
    committed_at: datetime | None


class Outbox:
    """For one thread. `tired`: called with what keeps the queue from taking messages, and with None when it takes them.
    `late`: called with the seconds from a batch's oldest commit to its last message's place in the queue."""

    def __init__(
        self,
        queue: Queue,
        name: str,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        tired: Callable[[QueueUnavailable | None], None],
        late: Callable[[float], None],
    ) -> None:
        self._queue, self._name, self._clock = queue, name, clock
        self._jitter, self._tired, self._late = jitter, tired, late
        self._parcels: deque[_Parcel] = deque()
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="outbox")
        self._closed = threading.Event()

    @property
    def empty(self) -> bool:
        return not self._parcels

    @property
    def room(self) -> bool:
        return len(self._parcels) < MOST

    def put(self, texts: Sequence[str], done: Progress, *, committed_at: datetime | None = None) -> None:
        """`done` is safe once all of these messages and all before them are in the queue."""
        sent = [self._threads.submit(self._send, text) for text in texts]
        self._parcels.append(_Parcel(sent, done, committed_at))

    def safe(self) -> Progress | None:
        """What has become safe since the last call. Raises what a message met that no further try mends."""
        queued, changes, keys, messages = NO_LSN, 0, 0, 0
        while self._parcels and all(future.done() for future in self._parcels[0].sent):
            parcel = self._parcels.popleft()
            arrived = [future.result() for future in parcel.sent]
            if arrived and parcel.committed_at is not None:
                self._late((max(arrived) - parcel.committed_at).total_seconds())
            queued = Lsn(max(queued, parcel.done.queued))
            changes, keys = changes + parcel.done.changes, keys + parcel.done.keys
            messages += parcel.done.messages
        return Progress(queued=queued, changes=changes, keys=keys, messages=messages) if queued else None

    def wait(self, seconds: float) -> None:
        """Until the oldest batch is in the queue, but no longer than this."""
        if self._parcels:
            wait(self._parcels[0].sent, timeout=seconds)

    def close(self) -> None:
        """Gives up what is still on its way. It will be read from the log again."""
        self._closed.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self, text: str) -> datetime:
        """When it was in the queue."""
        attempts = 0
        while True:
            try:
                self._queue.put(self._name, text)
            except QueueUnavailable as error:
                self._tired(error)
                pause = delay_of(CALLS, attempts, self._jitter())
                attempts += 1
                if self._closed.wait(0 if pause is None else min(pause.total_seconds(), _LONGEST)):
                    raise
            else:
                if attempts:
                    self._tired(None)
                return self._clock.now()
