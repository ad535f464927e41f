"""A slot, a publication and a feed on a test's database, and what a scan of the same rows says."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from shared.adapters.postgres.replication import Stream, open_feed
from shared.adapters.postgres.slots import SlotAdmin
from shared.core.changes import Operation
from shared.core.definition import SourceSpec
from shared.core.gathering import Batch, Gatherer, Watch
from shared.core.ids import Identity
from shared.core.pgoutput import Commit, Decoder, Event
from shared.core.replication import PAYLOAD, Keepalive, Lsn, decode_frame, parse_lsn
from shared.ports import ChangeFeed
from shared.process import SystemClock
from tests.integration.postgres.conftest import Source, admit_all

_numbers = itertools.count()


def slot_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"


class Slot:
    """A slot over a database; `at` is where the next feed begins."""

    def __init__(self, source: Source, *specs: SourceSpec, name: str | None = None) -> None:
        self.source, self.name = source, name or slot_name()
        self.admin = SlotAdmin(source.database)
        self.admin.publish([(spec.table, spec.relation) for spec in specs])
        self.at = self.admin.create(self.name)
        self.watches = {spec.table: (Watch(table=spec.table, key=spec.key.columns),) for spec in specs}

    @contextmanager
    def feed(self, **options: object) -> Iterator[ChangeFeed]:
        address = options.pop("address", self.source.database.address)
        clock = options.pop("clock", None) or SystemClock()
        opened = open_feed(address, admit=admit_all, clock=clock, slot=self.name, at=self.at, **options)
        try:
            yield opened
        finally:
            reader = opened._connection.backend_pid if isinstance(opened, Stream) else None
            opened.close()
            self._until_gone(reader)

    def _until_gone(self, reader: int | None) -> None:
        """The server notices only after a while that a reader has gone; until then the slot is busy."""
        reads = "select from pg_replication_slots where active_pid = %s"
        while self.source.admin.execute(reads, [reader]).fetchone() is not None:
            pass

    def state(self):
        found = self.admin.slot(self.name)
        assert found is not None
        return found

    def now(self) -> Lsn:
        """The end of the log: every change that was made is before it."""
        return wal_end(self.source.admin)

    def events(self, feed: ChangeFeed) -> list[Event]:
        """Everything up to now."""
        decoder, events, until = Decoder(), [], self.now()
        for frame in frames(feed, until):
            events.append(decoder.decode(frame, PAYLOAD))
        return events

    def gather(self, feed: ChangeFeed) -> Batch:
        gatherer, decoder, until = Gatherer(watches=self.watches, complete=self.at), Decoder(), self.now()
        for frame in frames(feed, until):
            gatherer.feed(decoder.decode(frame, PAYLOAD))
        return gatherer.take()

    def keys(self, feed: ChangeFeed) -> dict[Identity, Operation]:
        return {key: op for table in self.gather(feed).tables for key, op in table.operations.items()}


def wal_end(connection: psycopg.Connection) -> Lsn:
    row = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return parse_lsn(row[0])


def frames(feed: ChangeFeed, until: Lsn) -> Iterator[bytes]:
    """Frames with messages, until the server says that it has sent everything before `until`."""
    decoder = Decoder()
    while True:
        for frame in feed.read(1000, 1.0):
            head = decode_frame(frame)
            if isinstance(head, Keepalive):
                feed.confirm(Lsn(0))  # asks for nothing, and says that we are there
                if head.server_end >= until:
                    return
                continue
            yield frame
            event = decoder.decode(frame, PAYLOAD)
            if isinstance(event, Commit):
                feed.confirm(Lsn(event.end_lsn))
                if event.end_lsn >= until:
                    return


def scanned(source: Source, spec: SourceSpec) -> Sequence[Identity]:
    return source.tables.select_identities(spec, 10_000, None)
