"""The watermark capture over a real table: every change is marked, and a run begins where the last one ended."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import psycopg

from shared.captures.watermark import WatermarkReport, watermark
from shared.core.backlog import Mark
from shared.core.definition import SourceSpec, SyncDefinition
from shared.core.ids import Identity, RowSubject, Stamp
from shared.core.runs import WatermarkCursor
from shared.core.untold import INEXACT
from tests.integration.postgres.conftest import Source


@dataclass
class Memory:
    """Cursor, marks and the ledger's stamps of one definition."""

    stored: WatermarkCursor | None = None
    marked: list[str] = field(default_factory=list)
    known: dict[Identity, Stamp] = field(default_factory=dict)

    def get_watermark(self, definition: object, instance: object) -> WatermarkCursor | None:
        return self.stored

    def advance_watermark(
        self,
        definition: object,
        *,
        expected: WatermarkCursor | None,
        new: WatermarkCursor | None,
        marks: Sequence[Mark],
    ) -> bool:
        if self.stored != expected:
            return False
        self.stored = new
        self.marked += [mark.subject.identity for mark in marks if isinstance(mark.subject, RowSubject)]
        return True

    def stamps(self, definition: object, identities: Sequence[Identity]) -> dict[Identity, Stamp]:
        return {identity: self.known[identity] for identity in identities if identity in self.known}


def run(source: Source, spec: SourceSpec, memory: Memory, fingerprint: bytes = b"scope") -> WatermarkReport:
    definition = cast("SyncDefinition", SimpleNamespace(id=UUID(int=1), source=spec, watermark_fingerprint=fingerprint))
    steps: Generator[Any, None, WatermarkReport] = watermark(
        definition, source=source.tables, cursors=cast("Any", memory), ledger=cast("Any", memory)
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("WatermarkReport", end.value)


def old(source: Source) -> SourceSpec:
    source.run(
        "create table t (id int primary key, u timestamptz default now())",
        "insert into t select g, now() - interval '1 day' + g * interval '1 s' from generate_series(1, 12000) g",
    )
    return source.spec("t", cursor="u")


def test_a_second_run_reads_only_what_is_new(source):
    spec, memory = old(source), Memory()
    first = run(source, spec, memory)
    assert (first.read, first.marked, first.exact, first.finished) == (12000, 12000, True, True)
    source.run("insert into t values (12001)")
    second = run(source, spec, memory)
    assert second.read == 1
    assert memory.marked[12000:] == ['["12001"]']


def test_rows_at_the_bound_are_read_again_and_not_marked_again_once_settled(source):
    source.run("create table t (id int primary key, u timestamptz default now())", "insert into t values (1), (2)")
    spec, memory = source.spec("t", cursor="u"), Memory()
    assert run(source, spec, memory).marked == 2
    memory.known = dict(
        source.tables.watermark_page(
            spec, None, limit=9, bound=source.tables.watermark_bound(spec), overlap=timedelta(0)
        ).identities
    )
    again = run(source, spec, memory)
    assert (again.read, again.marked) == (2, 0)


def test_a_changed_scope_begins_anew(source):
    spec, memory = old(source), Memory()
    run(source, spec, memory)
    assert run(source, spec, memory, fingerprint=b"another").read == 12000
    assert run(source, spec, memory, fingerprint=b"another").read <= 1


def test_without_the_right_to_see_open_transactions_the_position_says_that_it_is_not_exact(source):
    spec, memory = old(source), Memory()
    with psycopg.connect(source.dsn) as hidden:
        hidden.execute("set track_activities = off")
        assert not run(source, spec, memory).exact
    assert memory.stored is not None
    assert INEXACT in memory.stored.details
    run(source, spec, memory)
    source.run("insert into t values (12001)")
    assert run(source, spec, memory).exact
    assert memory.stored.details == {}


def test_a_prepared_transaction_is_waited_for_and_its_rows_are_found(source):
    spec, memory = old(source), Memory()
    with psycopg.connect(source.dsn) as writer:
        writer.execute("insert into t values (0)")
        writer.execute("prepare transaction 'late'")
    waiting = run(source, spec, memory)
    assert (waiting.marked, memory.stored) == (12000, None)
    assert "prepared transaction" in waiting.reason
    source.run("commit prepared 'late'")
    run(source, spec, memory)
    assert '["0"]' in memory.marked
