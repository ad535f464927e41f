"""One reader's time at one slot: from its lease to its end. Frames in, messages out, and only then the position on.

Order is everything here: what was read is put into the queue, then our own mark moves in the metastore (under our epoch),
and only then the server is told that it may forget. A reader that dies between any two of these leaves changes that are
read again, and a reader that was overtaken confirms nothing.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.core.backlog import Lane
from shared.core.changes import ChangeMessage, pack
from shared.core.errors import QueueUnavailable, StreamBroken, Superseded, SyncError
from shared.core.gathering import Gatherer
from shared.core.pgoutput import Decoder
from shared.core.replication import MESSAGE, NO_LSN, PAYLOAD, Lsn, decode_frame
from shared.core.slots import Break, BreakKind, BudgetAction, Measured, Phase, Progress, SlotRecord
from shared.engine import Engine
from shared.engine.streams import QUEUE
from shared.handles import ceiling_of
from shared.poller.care import Care, Watching
from shared.poller.outbox import Outbox
from shared.ports import ChangeFeed

log = logging.getLogger("syncbridge.poller")

LEASE = timedelta(seconds=30)
BEAT = 1.0
"""Seconds between two looks at what people want."""
CARE = 5.0
"""Seconds between two looks at the source's publication and slot, and at the queue and the budget."""
READ = 2_000
"""Frames of one reading at most: between two of them the server hears from us."""
STREAM_AGAIN = 300.0
"""Seconds, more or less a fifth, for which a slot is read by SQL before it is tried whether it may be streamed by now."""
LONGEST_GATHERING = 5.0
"""Seconds that changes are gathered at most while the tenant's budget is used up: one key once, not ten times."""


class State(StrEnum):
    """What a reader is at, for people and for the readiness probe."""

    STARTING = "STARTING"
    STREAMING = "STREAMING"
    POLLING = "POLLING"
    """Streaming is not allowed here; changes are asked for by SQL."""
    WAITING = "WAITING"
    """Another poller reads the slot."""
    PAUSED = "PAUSED"
    DROPPED = "DROPPED"
    BROKEN = "BROKEN"
    TROUBLE = "TROUBLE"


@dataclass(slots=True)
class Seen:
    """What the reader knows of itself."""

    state: State = State.STARTING
    code: str | None = None
    at: float = math.inf
    """When it was last at its work and not in it, by the monotonic clock; infinity: it has not begun."""
    queued: Lsn = NO_LSN
    late: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    """Seconds from a commit to the queue, of the last batches; by the source's clock and ours."""


class Session:
    """For one thread; used once. `stop`: set when the process is to end."""

    def __init__(
        self,
        engine: Engine,
        care: Care,
        record: SlotRecord,
        epoch: int,
        *,
        stop: threading.Event,
        seen: Seen,
        jitter: Callable[[], float],
    ) -> None:
        self._engine, self._care, self._epoch = engine, care, epoch
        self._instance, self._record = record.instance, record
        self._streams, self._clock = engine.stores.streams, engine.clock
        self._stop, self._seen = stop, seen
        self._jitter = jitter
        self._watching = Watching()
        self._decoder = Decoder()
        self._gatherer = Gatherer(watches={}, complete=record.queued)
        self._confirmed = record.queued
        self._server_end = record.queued
        self._gathering_since: float | None = None
        self._window = 0.0
        self._full_queue = False
        self._not_before = 0.0
        self._next_beat = self._next_care = self._next_idle = 0.0
        self._stream_again = math.inf
        self._problem: tuple[str, str] | None = None

    def run(self) -> None:
        """Until somebody wants something else of the slot, or the process is to end. Raises what reading raises."""
        self._take_care()
        if self._record.phase is Phase.WANTED:
            self._care.make_slot(self._record, self._epoch)
            self._record = self._streams.renew(self._instance, self._epoch, lease=LEASE, streaming=None)
            self._confirmed = self._gatherer.complete = self._record.queued
        found = self._care.find_break(self._record)
        if found is not None:
            self._stop_for(found)
            return
        self._server_end = self._confirmed
        outbox = Outbox(
            self._engine.queue,
            QUEUE,
            clock=self._clock,
            jitter=self._jitter,
            tired=self._tired,
            late=self._seen.late.append,
        )
        try:
            feed = self._open()
            try:
                self._pump(feed, outbox)
                self._drain(feed, outbox)
            except StreamBroken as error:
                found = self._care.find_break(self._record) or Break(
                    kind=BreakKind(error.code), explanation=f"{error.message}."
                )
                self._stop_for(found)
            finally:
                feed.close()
        finally:
            outbox.close()

    def _stop_for(self, found: Break) -> None:
        """Raises Superseded, and holds nobody, where the slot is not ours any more: a person may have dropped it, and whoever
        reads the next one finds its own breaks."""
        self._record = self._streams.renew(self._instance, self._epoch, lease=LEASE, streaming=None)
        self._care.stop_for(found, self._record, self._epoch)

    # ---- the loop

    def _open(self) -> ChangeFeed:
        instance = self._engine.stores.instances.get(self._instance)
        feed = self._engine.sources.feed(instance, slot=self._record.name, at=self._confirmed)
        self._seen.state = State.STREAMING if feed.streaming else State.POLLING
        if not feed.streaming:
            self._stream_again = self._clock.monotonic() + STREAM_AGAIN * (0.8 + 0.4 * self._jitter())
        self._seen.code = None
        log.info(
            "the slot is read", extra={"action": "reading", "slot": self._record.name, "streaming": feed.streaming}
        )
        return feed

    def _pump(self, feed: ChangeFeed, outbox: Outbox) -> None:
        while not self._stop.is_set():
            now = self._clock.monotonic()
            if now >= self._next_beat and not self._beat(feed, outbox):
                return
            self._confirm(feed, outbox)
            if not outbox.room:
                outbox.wait(0.05)
                feed.keep()
                continue
            if self._full_queue or now < self._not_before:
                self._stop.wait(0.05)
                feed.keep()
                continue
            self._read(feed, outbox)
            if not self._gatherer.empty and self._is_time():
                self._hand_over(outbox)

    def _read(self, feed: ChangeFeed, outbox: Outbox) -> None:
        until_beat = max(0.0, self._next_beat - self._clock.monotonic())
        wait = until_beat if outbox.empty and self._gatherer.empty else min(until_beat, 0.01)
        gatherer, decode = self._gatherer, self._decoder.decode
        frames = feed.read(self._at_once(), wait)
        for frame in frames:
            if frame[0] == MESSAGE:
                gatherer.feed(decode(frame, PAYLOAD))
                if gatherer.full:
                    self._hand_over(outbox)
            else:
                gatherer.idle(decode_frame(frame).server_end)
        if frames:
            self._server_end = max(self._server_end, Lsn(decode_frame(frames[-1]).server_end))

    def _at_once(self) -> int:
        rate = self._record.most_per_second
        return READ if rate is None else max(1, min(READ, rate))

    def _is_time(self) -> bool:
        """Whether what was gathered goes on its way; while the budget is used up it is gathered for a while."""
        if self._gathering_since is None:
            self._gathering_since = self._clock.monotonic()
        return self._clock.monotonic() - self._gathering_since >= self._window

    def _hand_over(self, outbox: Outbox) -> None:
        """Never waits: there was room before this reading, and a reading is bounded. Whoever waits here hears no beat."""
        batch = self._gatherer.take()
        self._gathering_since = None
        self._care.attend(batch.troubles, self._watching)
        texts: list[str] = []
        if batch.tables and batch.committed_at is not None and self._record.identity is not None:
            message = ChangeMessage(
                slot=self._record.identity,
                first=batch.first,
                last=batch.last,
                committed_at=batch.committed_at,
                tables=batch.tables,
            )
            texts = list(pack(message))
        keys = sum(len(table.operations) for table in batch.tables)
        done = Progress(queued=batch.complete, changes=batch.changes, keys=keys, messages=len(texts))
        outbox.put(texts, done, committed_at=batch.committed_at)
        rate = self._record.most_per_second
        if rate is not None:
            self._not_before = max(self._not_before, self._clock.monotonic()) + batch.changes / rate

    def _confirm(self, feed: ChangeFeed, outbox: Outbox) -> None:
        """The mark first, the server after it."""
        done = outbox.safe()
        if done is None and outbox.empty and self._gatherer.empty and self._gatherer.complete > self._confirmed:
            # Nothing of ours lies before it: other tables' log is not kept for us.
            if self._clock.monotonic() < self._next_idle:
                return
            self._next_idle = self._clock.monotonic() + BEAT
            done = Progress(queued=self._gatherer.complete)
        if done is None:
            return
        self._streams.progress(self._instance, self._epoch, done, lease=LEASE)
        self._confirmed = self._seen.queued = max(self._confirmed, done.queued)
        feed.confirm(self._confirmed)

    def _drain(self, feed: ChangeFeed, outbox: Outbox) -> None:
        """What was read goes on its way, and is confirmed, if the queue takes it soon."""
        if not self._gatherer.empty:
            self._hand_over(outbox)
        give_up = self._clock.monotonic() + LEASE.total_seconds() / 2
        while not outbox.empty and self._clock.monotonic() < give_up:
            outbox.wait(0.05)
            feed.keep()
            self._confirm(feed, outbox)

    # ---- what people want, and what the source can bear

    def _beat(self, feed: ChangeFeed, outbox: Outbox) -> bool:
        """False: the slot is not to be read any more, or not by us in this way."""
        self._seen.at = self._clock.monotonic()
        self._next_beat = self._seen.at + BEAT
        self._record = self._streams.renew(self._instance, self._epoch, lease=LEASE, streaming=feed.streaming)
        self._streams.trouble(self._instance, self._epoch, self._problem or self._watching.problem)
        if self._record.paused_reason is not None or self._record.phase is not Phase.STREAMING:
            return False
        if self._clock.monotonic() >= self._stream_again:
            return False  # the next session begins where this one ends, and asks for a stream first
        if self._clock.monotonic() >= self._next_care:
            self._measure(outbox)
            return self._take_care()
        return True

    def _take_care(self) -> bool:
        """False: no definition streams from here any more."""
        self._next_care = self._clock.monotonic() + CARE
        before, self._watching = self._watching, self._care.look()
        if self._watching.watches != before.watches:
            self._gatherer.watch(self._watching.watches)
        self._care.keep(self._watching)
        self._care.tidy(before, self._watching)
        self._weigh()
        return bool(self._streams.streamed(self._instance))

    def _measure(self, outbox: Outbox) -> None:
        """Raises Superseded when the slot was given up, because the server keeps too much log for it."""
        state = self._care.admin.slot(self._record.name)
        if state is None:
            return  # reading will say so
        caught_up = outbox.empty and self._gatherer.empty and self._gatherer.complete >= self._server_end
        self._streams.measure(
            self._instance,
            self._epoch,
            Measured(retained=state.retained, behind=state.behind, caught_up=caught_up),
        )
        if state.retained <= self._record.budget:
            return
        log.warning(
            "the server keeps too much log for the slot",
            extra={"action": "over_budget", "slot": self._record.name, "bytes": state.retained},
        )
        if self._record.action is BudgetAction.DROP and self._engine.give_up_slot(self._record, self._epoch):
            raise Superseded("the slot was given up")

    def _weigh(self) -> None:
        """How long to gather, and whether to read at all: by the length of the queue and the tenants' budgets."""
        try:
            self._full_queue = self._engine.queue.depth(QUEUE) > self._engine.settings.queue_depth
        except SyncError as error:
            log.warning("the queue does not answer", extra={"action": "queue_unknown", "code": error.code})
        waits = [0.0]
        connections = {
            self._engine.stores.definitions.get(definition).target.connection_id for definition in self._watching.specs
        }
        for connection_id in connections:
            connection = self._engine.stores.connections.get(connection_id)
            budget = self._engine.graphs.budget(connection, ceiling_of(connection))
            waits.append(budget.wait(Lane.CDC))
        self._window = min(max(waits), LONGEST_GATHERING)

    def _tired(self, error: QueueUnavailable | None) -> None:
        self._problem = None if error is None else (error.code, error.message)
