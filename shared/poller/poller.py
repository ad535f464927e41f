"""All readers of this process: one per source from which a definition streams, started and forgotten as those come and go."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from shared.core.errors import SyncError
from shared.core.ids import InstanceId
from shared.core.replication import lsn_text
from shared.engine import Engine
from shared.poller.reader import Reader
from shared.poller.session import LEASE, State

log = logging.getLogger("syncbridge.poller")

LOOK = 2.0
"""Seconds between two looks for sources that became, or are not any more, of interest."""
HUNG = 300.0
"""Seconds. A slot that waits for a transaction to end takes one minute, a queue or a database that is away less."""
_FINE = frozenset({State.STREAMING, State.POLLING, State.PAUSED, State.DROPPED})


class Poller:
    """`holder`: what other pollers see of this one. One thread runs it; `stop` is for signal handlers."""

    def __init__(self, engine: Engine, *, holder: str, jitter: Callable[[], float]) -> None:
        self._engine, self._holder, self._jitter = engine, holder, jitter
        self._stop = threading.Event()
        self._readers: dict[InstanceId, Reader] = {}
        self._problem: str | None = "starting"
        self._looked = math.inf

    def stop(self) -> None:
        """What was read is put into the queue and confirmed; then everything ends."""
        self._stop.set()

    def run(self) -> None:
        """Until it is stopped. A metastore that is away is waited for."""
        while not self._stop.is_set():
            self._looked = self._engine.clock.monotonic()
            try:
                self._look()
                self._problem = None
            except SyncError as error:
                self._problem = error.message
                log.warning("the metastore is waited for", extra={"action": "no_metastore", "code": error.code})
            self._stop.wait(LOOK)
        for reader in list(self._readers.values()):
            reader.join(LEASE.total_seconds())
        log.info("the poller ends", extra={"action": "ended"})

    def live(self) -> tuple[bool, dict[str, Any]]:
        """False: something has hung for so long that the process is better begun anew."""
        now = self._engine.clock.monotonic()
        hung = [str(reader.instance) for reader in list(self._readers.values()) if now - reader.seen.at > HUNG]
        if now - self._looked > HUNG:
            hung.append("the metastore")
        return not hung, {"status": "hangs", "at": hung} if hung else {"status": "ok"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every slot is read here, or rests because a person wants it to."""
        readers = list(self._readers.values())
        good = self._problem is None and all(reader.seen.state in _FINE for reader in readers)
        slots = [
            {
                "instance": str(reader.instance),
                "state": reader.seen.state.value,
                "code": reader.seen.code,
                "queued": lsn_text(reader.seen.queued),
                "commit_to_queue": percentiles(list(reader.seen.late)),
            }
            for reader in readers
        ]
        return good, {"status": "ready" if good else "not ready", "problem": self._problem, "slots": slots}

    def _look(self) -> None:
        streams = self._engine.stores.streams
        wanted = {found.instance for found in streams.streamed()} | {record.instance for record in streams.slots()}
        for instance in wanted:
            reader = self._readers.get(instance)
            if reader is None or not reader.alive:
                reader = Reader(self._engine, instance, holder=self._holder, stop=self._stop, jitter=self._jitter)
                self._readers[instance] = reader
                reader.start()
        for instance in [instance for instance, reader in self._readers.items() if not reader.alive]:
            del self._readers[instance]


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    """p50 and p99, in seconds; None: nothing was measured."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return {
        "p50_s": round(ordered[len(ordered) // 2], 4),
        "p99_s": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 4),
        "batches": len(ordered),
    }
