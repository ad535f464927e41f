"""A thread per source: takes the slot when it may, reads it, and tries again after whatever ended that."""

import logging
import threading
from collections.abc import Callable

from shared.core.backoff import CALLS
from shared.core.backoff import wait as delay_of
from shared.core.errors import Superseded, SyncError
from shared.core.ids import InstanceId
from shared.core.slots import DEFAULT_SLOT, Phase
from shared.engine import Engine
from shared.faults import describe
from shared.poller.care import Care
from shared.poller.session import LEASE, Seen, Session, State

log = logging.getLogger("syncbridge.poller")

PATIENCE = 1.0
"""Seconds until it is looked again whether a slot is free, released or to be made."""
LONGEST = 30.0
BUSY_TRIES = 3
"""Tries after which a poller that was overtaken, and still holds the slot's session, is ended."""


class Reader:
    """`holder`: this process' name. `stop`: set when the process is to end."""

    def __init__(
        self, engine: Engine, instance: InstanceId, *, holder: str, stop: threading.Event, jitter: Callable[[], float]
    ) -> None:
        self.instance, self.seen = instance, Seen()
        self._engine, self._holder, self._stop, self._jitter = engine, holder, stop, jitter
        self._care = Care(engine, instance)
        self._thread = threading.Thread(target=self._run, name=f"reader {instance}", daemon=True)
        self._failures = 0

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = self._once()
            if pause is None:
                return
            self._stop.wait(pause)

    def _once(self) -> float | None:
        """One try. Seconds until the next one; None: nothing streams from this source any more."""
        self.seen.at = self._engine.clock.monotonic()
        try:
            pause = self._try()
        except Superseded:
            self.seen.state = State.WAITING
            return PATIENCE
        except SyncError as error:
            return self._failed(error.code, error.message)
        except Exception as error:  # the edge of a thread: it is not to die of one bad moment
            log.error("a reader failed: %s", describe(error), extra={"action": "reader_failed"})  # noqa: TRY400  a traceback ends in the message
            return self._failed("unexpected", f"an unexpected {type(error).__name__}: see the poller's log")
        self._failures = 0
        return pause

    def _try(self) -> float | None:
        streams = self._engine.stores.streams
        streamed = streams.streamed(self.instance)
        record = streams.slot(self.instance)
        if record is None:
            if not streamed:
                return None
            streams.want(self.instance, DEFAULT_SLOT)
            return 0.0
        if record.phase is Phase.BROKEN and streams.resume_released(self.instance):
            return 0.0
        resting = {Phase.BROKEN: State.BROKEN, Phase.DROPPED: State.DROPPED}.get(record.phase)
        if resting is None and record.paused_reason is not None and streamed:
            resting = State.PAUSED
        if resting is not None:
            self.seen.state, self.seen.code = resting, record.problem_code
            return None if resting is State.DROPPED and not streamed else PATIENCE
        epoch = streams.acquire(self.instance, holder=self._holder, lease=LEASE)
        if epoch is None:
            self.seen.state = State.WAITING
            return PATIENCE
        return self._hold(epoch, streamed=bool(streamed))

    def _hold(self, epoch: int, *, streamed: bool) -> float | None:
        streams = self._engine.stores.streams
        record = streams.renew(self.instance, epoch, lease=LEASE, streaming=None)
        try:
            if not streamed:
                if record.identity is not None:
                    self._care.admin.drop(record.name)
                streams.forget(self.instance)
                log.info("a slot is not needed any more", extra={"action": "slot_forgotten", "slot": record.name})
                return None
            session = Session(
                self._engine, self._care, record, epoch, stop=self._stop, seen=self.seen, jitter=self._jitter
            )
            session.run()
        except SyncError as error:
            if error.code == "slot_busy" and self._failures >= BUSY_TRIES:
                # Ours is the newest epoch: a poller that still sits there was overtaken, and can confirm nothing any more.
                self._care.admin.end_own_reader(record.name)
            streams.trouble(self.instance, epoch, (error.code, error.message))
            raise
        finally:
            streams.release(self.instance, epoch)
        return 0.0

    def _failed(self, code: str, message: str) -> float:
        self.seen.state, self.seen.code = State.TROUBLE, code
        pause = delay_of(CALLS, self._failures, self._jitter())
        self._failures += 1
        log.warning("a slot is not read: %s", message, extra={"action": "not_reading", "code": code})
        return LONGEST if pause is None else min(pause.total_seconds(), LONGEST)
