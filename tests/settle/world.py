"""A small world for settle: a table in memory, a list in memory, the real ledger and backlog."""

import itertools
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.conflicts import ConflictStore
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.renames import RenameStore
from shared.adapters.metastore.scans import ScanStore
from shared.captures.scan import ScanReport, scan
from shared.core.backlog import Lane, Mark, Observation, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
    DefinitionState,
    FieldKind,
    FieldMapping,
    SourceSpec,
    SyncDefinition,
    SyncMode,
)
from shared.core.draft import DraftDefinition
from shared.core.ids import (
    DefinitionId,
    FieldNo,
    Identity,
    InstanceId,
    ItemId,
    RowSubject,
    RunId,
    identity_hash,
    sync_key,
)
from shared.core.ledger import LedgerEntry
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, SourceType, TableRef
from shared.settle.job import Job, Limits, PageResult, Tools
from shared.settle.page import settle_page
from shared.usecases.steps import drive
from tests.fakes.holds import FakeHolds
from tests.fakes.lists import FakeLists
from tests.fakes.source import FakeSource
from tests.fakes.writer import FakeWriter

TEXT = SourceType(name="text", declared="text")


@dataclass
class ManualClock:
    """Moves only when a test says so."""

    time: float = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time


class RandomIds:
    def uuid(self) -> UUID:
        return uuid4()


def column(name: str) -> SourceColumn:
    return SourceColumn(name=name, type=TEXT)


def mapping(no: int, name: str) -> FieldMapping:
    return FieldMapping(
        no=FieldNo(no),
        source=column(name),
        target_column_name=name.upper(),
        target_display_name=name,
        kind=FieldKind.TEXT,
    )


class World:
    """Steps are taken one by one: a generator that is dropped is a worker that died."""

    def __init__(self, metastore: str, **changes: Any) -> None:
        self.store = Metastore(metastore, max_size=4)
        self.store.open()
        self.sql = psycopg.connect(metastore, autocommit=True)
        self.backlog, self.ledger = BacklogStore(self.store), LedgerStore(self.store)
        self.scans, self.log = ScanStore(self.store), ConflictStore(self.store)
        self.cursors, self.renames = CursorStore(self.store), RenameStore(self.store)
        self.source, self.lists, self.holds = FakeSource(), FakeLists(), FakeHolds()
        self.rows = FakeWriter(self.source)
        self.observations: Mapping[bytes, Observation] = {}
        self.clock = ManualClock()
        self.limits = Limits(
            page=50, lease=timedelta(seconds=60), request_timeout=timedelta(seconds=5), surface=timedelta(minutes=5)
        )
        fields: tuple[FieldMapping, ...] = changes.get("fields", (mapping(1, "a"), mapping(2, "b")))
        self.definition = SyncDefinition(
            **{
                "id": DefinitionId(uuid4()),
                "name": "test",
                "version": 1,
                "state": DefinitionState.ACTIVE,
                "mode": SyncMode.ONE_WAY_PUSH,
                "conflict_policy": ConflictPolicy.SOURCE_WINS,
                "source": SourceSpec(
                    instance_id=InstanceId(uuid4()),
                    table=TableRef(schema="public", name="t"),
                    relation=RelationKind.TABLE,
                    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(column("id"),)),
                    columns=tuple(m.source for m in fields if m.source.name != "id"),
                ),
                "target": self.lists.target,
                "fields": fields,
                "mapping_fingerprint": b"m" * 16,
                "scope_fingerprint": b"s" * 16,
                **changes,
            }
        )

        draft = DraftDefinition(name="test", key_strategy=KeyStrategy.PRIMARY_KEY, fields=())
        self.sql.execute(
            "insert into syncbridge.sync_definitions"
            " (id, source_schema, source_table_name, source_relation, draft, resolved)"
            " values (%s, 'public', 't', 'r', %s, '{}')",
            [self.definition.id, dumps(draft)],
        )

    def close(self) -> None:
        self.sql.close()
        self.store.close()

    # ---- what workers do

    def tools(self) -> Tools:
        return Tools(
            source=self.source,
            rows=self.rows,
            lists=self.lists,
            backlog=self.backlog,
            ledger=self.ledger,
            holds=self.holds,
            clock=self.clock,
            ids=RandomIds(),
            jitter=lambda: 0.5,
            wishes=self.log,
            renames=self.renames,
        )

    def worker(self) -> Generator[Boundary, None, PageResult]:
        job = Job(definition=self.definition, run=None, limits=self.limits, observations=self.observations)
        return settle_page(job, self.tools())

    def settle(self) -> list[PageResult]:
        """Pages until nothing is due."""
        results = []
        for _ in range(20):
            results.append(drive(self.worker()))
            if results[-1].claimed == 0 or results[-1].wait or results[-1].hold:
                return results
        raise AssertionError("the backlog does not get empty")

    def scan(self) -> ScanReport:
        return drive(
            scan(
                self.definition, RunId(uuid4()), source=self.source, scans=self.scans, holds=self.holds, lane=Lane.PUSH
            )
        )

    def push(self) -> list[PageResult]:
        self.scan()
        return self.settle()

    def mark(self, identity: Identity, *reasons: Reason) -> None:
        subject = RowSubject(identity=identity)
        self.backlog.mark(
            self.definition.id,
            [Mark(subject=subject, reasons=frozenset(reasons or {Reason.COMMAND}), lane=Lane.PEOPLE)],
        )

    def die_at(self, boundary: Boundary, nth: int = 1) -> None:
        """A worker that dies right after the nth time it has passed `boundary`."""
        seen = itertools.count(1)
        for passed in self.worker():
            if passed is boundary and next(seen) == nth:
                return
        raise AssertionError(f"the worker never passed {boundary}")

    def wait(self, seconds: float) -> None:
        """Time passes, here and in the metastore."""
        self.clock.time += seconds
        self.sql.execute(
            "update syncbridge.sync_backlog set due_at = due_at - make_interval(secs => %(s)s),"
            " claimed_until = claimed_until - make_interval(secs => %(s)s)",
            {"s": seconds},
        )
        self.sql.execute("update syncbridge.sync_renames set told_at = told_at - make_interval(secs => %s)", [seconds])
        self.sql.execute(
            """update syncbridge.sync_ledger set intents = (
                 select jsonb_agg(jsonb_set(i, '{expires_at}',
                          to_jsonb((i ->> 'expires_at')::timestamptz - make_interval(secs => %(s)s))))
                   from jsonb_array_elements(intents) as i)
                where intents <> '[]'""",
            {"s": seconds},
        )

    # ---- what can be seen

    def entry(self, identity: Identity) -> LedgerEntry | None:
        return self.ledger.entries(self.definition.id, [identity]).get(identity)

    def ledger_items(self) -> dict[ItemId, Identity]:
        found = self.sql.execute("select sp_item_id, source_identity from syncbridge.sync_ledger").fetchall()
        return {ItemId(item): Identity(identity) for item, identity in found}

    def items(self) -> dict[str | None, dict[str, Any]]:
        return self.lists.values()

    def expected(self) -> dict[str, dict[str, str]]:
        """What the list has to hold."""
        columns = {mapping.source.name: mapping.target_column_name for mapping in self.definition.fields}
        return {
            sync_key(identity_hash(Identity(f'["{key}"]'))): {
                columns[name]: value for name, value in row.items() if name in columns and value not in (None, "")
            }
            for key, row in self.source.rows.items()
        }

    def backlog_rows(self) -> list[tuple[Any, ...]]:
        return self.sql.execute(
            "select source_identity, state, reason_code, reasons, claim is not null from syncbridge.sync_backlog"
        ).fetchall()

    def conflicts(self) -> list[tuple[Any, ...]]:
        return self.sql.execute(
            "select source_column_name, losing_value, state, winner from syncbridge.conflicts order by detected_at"
        ).fetchall()
