"""A world whose table streams: a poller in a thread, a queue in memory, and whoever takes messages from it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from shared.core.changes import ChangeMessage, unpack
from shared.core.ids import DefinitionId, InstanceId
from shared.core.slots import SlotRecord
from shared.engine.streams import QUEUE
from shared.poller.poller import Poller
from shared.process import SystemClock
from tests.api.world import World
from tests.fakes.queue import MemoryQueue

SECONDS = 120.0
"""After which what is waited for is taken to be never: long, for it costs time only where it fails."""
CHANGED, GONE = "U", "D"
"""What became of a key, as messages say it."""


def until(holds: Callable[[], Any], what: object = None) -> Any:
    """What `holds` answers once it is true."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what() if callable(what) else what}"
        time.sleep(0.01)


class Streaming:
    """What a test does with a world that streams."""

    def __init__(self, world: World) -> None:
        self.world, self.queue = world, MemoryQueue()
        world.engine.queue = self.queue
        self.definition = ""
        self._number = 0

    # ---- set-up

    def may_replicate(self) -> None:
        """As a database administrator would: the role replicates, and the table is published."""
        self.world.sql(f"alter role {self.world.role} replication")
        self.world.sql(
            "create publication arcore_publication for table app.things with (publish_via_partition_root = true)"
        )

    def live(self, **changes: Any) -> str:
        """An active definition of app.things that streams."""
        self.definition = self.world.live(change_detection="STREAM", **changes)
        return self.definition

    @property
    def instance(self) -> InstanceId:
        return InstanceId(UUID(self.world.get("/database-instances")[0]["id"]))

    # ---- the poller

    @contextmanager
    def poller(self, holder: str = "poller-1") -> Iterator[Poller]:
        """One that runs until the end of the block."""
        self._number += 1
        poller = Poller(self.world.engine, holder=holder, jitter=lambda: 0.0)
        thread = threading.Thread(target=poller.run, name=holder, daemon=True)
        thread.start()
        try:
            yield poller
        finally:
            poller.stop()
            thread.join(SECONDS)
            assert not thread.is_alive()

    @contextmanager
    def streaming(self, holder: str = "poller-1") -> Iterator[Poller]:
        """The same, once it is ready and what the stream began with has been scanned."""
        with self.poller(holder) as poller:
            until(lambda: poller.ready()[0] and poller.ready()[1]["slots"], poller.ready)
            yield poller
        self.unread()

    def unread(self) -> None:
        """Nobody reads a slot of this source: a server notices only after a while that who read it has gone, and until then
        the slot can be neither dropped nor read by others."""
        until(
            lambda: (
                self.world.sql(
                    "select count(*) from pg_replication_slots where database = current_database() and active"
                )
                == [(0,)]
            )
        )

    def slot(self) -> SlotRecord:
        found = self.world.engine.stores.streams.slot(self.instance)
        assert found is not None
        return found

    def caught_up(self) -> None:
        """Everything that was written until now is in the queue."""
        ((end,),) = self.world.sql("select pg_current_wal_insert_lsn()")
        until(
            lambda: (
                self.world.metastore(
                    "select queued_lsn >= %s::pg_lsn from syncbridge.stream_slots where instance_id = %s",
                    end,
                    self.instance,
                )
                == [(True,)]
            ),
            self.slot,
        )

    # ---- the other end of the queue

    def messages(self) -> list[str]:
        return self.queue.take(QUEUE)

    def keys(self) -> dict[str, str]:
        """Keys of the messages that wait, with what became of them; they are taken away."""
        found = {}
        for text in self.messages():
            message = unpack(text)
            assert isinstance(message, ChangeMessage)
            for table in message.tables:
                found |= {identity: operation.value for identity, operation in table.operations.items()}
        return found

    def deliver(self) -> int:
        """What the queue's trigger does, for every message that waits; how many."""
        taken = self.messages()
        for text in taken:
            self.world.engine.take_message(text)
        return len(taken)

    def scan(self) -> None:
        """What the schedule tick does: the runs that the stream asks for, driven to their end."""
        for run in self.world.engine.look_after_streams():
            self.world.drive(run)

    # ---- both sides

    def rows(self) -> dict[str, tuple[Any, ...]]:
        return {name: (qty, note) for name, qty, note in self.world.sql("select name, qty, note from app.things")}

    def items(self) -> dict[str, tuple[Any, ...]]:
        found = self.world.items(self.definition)
        return {title: (item["fields"].get("qty"), item["fields"].get("note")) for title, item in found.items()}

    def item_ids(self) -> dict[str, str]:
        """By title, which is the row's name."""
        return {title: str(item["id"]) for title, item in self.world.items(self.definition).items()}

    def equal(self) -> bool:
        return self.rows() == self.items()

    def holds(self) -> dict[str, dict[str, Any]]:
        return {hold["kind"]: hold for hold in self.world.get("/holds", definition_id=self.definition)}

    def release(self, kind: str) -> None:
        self.world.post(f"/holds/{self.holds()[kind]['id']}/release", {"reason": "looked at it"})

    def backlog(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(f"/sync-definitions/{self.definition}/backlog")
        return found

    def writes(self) -> int:
        """Requests that would have changed something in the list, those inside of batches included."""
        listed = self.world.get(f"/sync-definitions/{self.definition}")["list_id"]
        found = self.world.sim("GET", f"/_sim/requests?list={listed}&limit=100000")["requests"]
        each = [answer for request in found for answer in request["inner"] or [request]]
        return sum(1 for request in each if request["method"] in ("POST", "PATCH", "DELETE"))

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.world.source, autocommit=True) as connection:
            yield connection

    def id(self) -> DefinitionId:
        return DefinitionId(UUID(self.definition))


def later(live: Streaming) -> None:
    """As if the runs there were had been a while ago: the next scan may start."""
    live.world.metastore("update syncbridge.sync_runs set queued_at = queued_at - interval '1 hour'")


def beats(poller: Poller) -> bool:
    """The poller has looked at everything since, from the first to the last: it has begun to twice. (The heartbeat on record
    says less: progress is one too.)"""
    for _ in range(2):
        before = _looks(poller)
        until(lambda before=before: _looks(poller) != before)
    return True


def _looks(poller: Poller) -> list[float]:
    return [reader.seen.at for reader in list(poller._readers.values())]


class MovableClock(SystemClock):
    """The time, and what a test adds to it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead
