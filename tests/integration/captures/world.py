"""A list, in memory or behind Graph, and the real metastore, for what only marks."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import uuid4

import psycopg

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.pool import Metastore
from shared.captures.delta import DeltaReport, DeltaState, delta_page
from shared.captures.enumeration import EnumerationReport, enumerate_list
from shared.core.backlog import Lane, Mark, Observation, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
    DefinitionState,
    DeletePolicy,
    FieldMapping,
    ForeignPolicy,
    SourceSpec,
    SyncDefinition,
    SyncMode,
    TargetList,
)
from shared.core.ids import (
    DefinitionId,
    ETag,
    InstanceId,
    ItemId,
    ItemSubject,
    RunId,
    Subject,
    identity_hash,
    sync_key,
)
from shared.core.items import CreateItem, DeltaPage, Item, ItemWrite, Landed, Look, Outcome
from shared.core.ledger import EntryState
from shared.core.runs import DeltaCursor
from shared.core.source import KeyStrategy, RelationKind, SourceKey, TableRef
from shared.ports import Confirmation, ListStore
from shared.usecases.steps import drive
from tests.contract.lists.conftest import Bench
from tests.fakes.holds import FakeHolds
from tests.integration.metastore.support import claim, entry, identity, keep_definition, row
from tests.settle.world import column

T = TypeVar("T")


@dataclass
class Watched:
    """A list store whose pages can be preceded by what people and fate do. Counts what was asked for."""

    inner: ListStore
    before_delta: Callable[[str | None], None] = lambda _token: None
    before_page: Callable[[str | None], None] = lambda _token: None
    deltas: list[str | None] = field(default_factory=list)
    pages: list[str | None] = field(default_factory=list)

    def delta(self, target: TargetList, token: str | None) -> DeltaPage:
        self.deltas.append(token)
        self.before_delta(token)
        return self.inner.delta(target, token)

    def enumerate(self, target: TargetList, token: str | None) -> DeltaPage:
        self.pages.append(token)
        self.before_page(token)
        return self.inner.enumerate(target, token)

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        return self.inner.look(target, items)

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        return self.inner.find(target, sync_keys)

    def reserve(self, writes: int) -> None:
        self.inner.reserve(writes)

    def release(self) -> None:
        self.inner.release()

    def write(self, target: TargetList, writes: Sequence[ItemWrite]) -> Mapping[Any, Outcome]:
        return self.inner.write(target, writes)

    def versions_since(self, target: TargetList, item: ItemId, etag: ETag) -> Sequence[Item] | None:
        return self.inner.versions_since(target, item, etag)

    def drift(self, target: TargetList, fields: Sequence[FieldMapping]) -> tuple[str, ...]:
        return self.inner.drift(target, fields)


class World:
    """Captures are driven to their end, or dropped on the way: a worker that died."""

    def __init__(self, bench: Bench, metastore: Metastore, sql: psycopg.Connection, **changes: Any) -> None:
        self.bench, self.sql = bench, sql
        self.lists = Watched(bench.lists)
        self.backlog, self.ledger = BacklogStore(metastore), LedgerStore(metastore)
        self.cursors, self.enumerations = CursorStore(metastore), EnumerationStore(metastore, chunk=4)
        self.holds = FakeHolds()
        self.run = RunId(uuid4())
        self.definition = SyncDefinition(
            **{
                "id": DefinitionId(uuid4()),
                "name": "test",
                "version": 1,
                "state": DefinitionState.ACTIVE,
                "mode": SyncMode.TWO_WAY,
                "conflict_policy": ConflictPolicy.SOURCE_WINS,
                "item_deleted": DeletePolicy.PROPAGATE,
                "foreign_items": ForeignPolicy.INSERT,
                "source": SourceSpec(
                    instance_id=InstanceId(uuid4()),
                    table=TableRef(schema="public", name="t"),
                    relation=RelationKind.TABLE,
                    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(column("id"),)),
                    columns=(),
                ),
                "target": bench.target,
                "fields": (),
                "mapping_fingerprint": b"m" * 16,
                "scope_fingerprint": b"s" * 16,
                **changes,
            }
        )
        keep_definition(sql, self.definition.id)

    # ---- captures

    def delta(self) -> Generator[Boundary, None, DeltaReport]:
        return delta_page(
            self.definition, lists=self.lists, cursors=self.cursors, backlog=self.backlog, ledger=self.ledger
        )

    def enumeration(self, run: RunId | None = None, **options: Any) -> Generator[Boundary, None, EnumerationReport]:
        return enumerate_list(
            self.definition,
            run or self.run,
            lists=self.lists,
            enumerations=self.enumerations,
            cursors=self.cursors,
            backlog=self.backlog,
            holds=self.holds,
            **options,
        )

    def enumerate_all(self, **options: Any) -> EnumerationReport:
        return drive(self.enumeration(RunId(uuid4()), **options))

    def changes(self) -> list[DeltaReport]:
        """Pages until there is nothing more."""
        reports = []
        for _ in range(100):
            reports.append(drive(self.delta()))
            if reports[-1].state is not DeltaState.MORE:
                return reports
        raise AssertionError("the changes do not end")

    def begin(self) -> DeltaCursor:
        """The list has been read; everything that follows is told by its changes."""
        report = self.enumerate_all()
        assert report.stored
        self.changes()
        self.sql.execute("delete from syncbridge.sync_backlog")
        return self.token()

    def token(self) -> DeltaCursor:
        found = self.cursors.get_delta(self.definition.id, self.bench.target.list_id)
        assert found is not None
        return found

    def forgotten(self) -> bool:
        return self.cursors.get_delta(self.definition.id, self.bench.target.list_id) is None

    # ---- what the engine wrote and agreed

    def create(self, n: int, **fields: Any) -> Landed:
        """An item of ours for row n; the ledger does not know it yet."""
        key = sync_key(identity_hash(identity(n)))
        write = CreateItem(op=uuid4(), fields={self.bench.target.key_column: key, "Title": f"row {n}", **fields})
        outcome = self.bench.lists.write(self.bench.target, [write])[write.op]
        assert isinstance(outcome, Landed)
        return outcome

    def agree(self, n: int, item_id: ItemId | None, etag: ETag | None, state: EntryState = EntryState.SETTLED) -> None:
        """Settles row n."""
        self.mark(row(n))
        page = claim(self.backlog, self.definition.id)
        [claimed] = [one for one in page.subjects if one.subject == row(n)]
        self.backlog.release(self.definition.id, page.token, [one for one in page.subjects if one != claimed])
        made = replace(
            entry(n, state, item_id=item_id, stamp=None if state is EntryState.TOMBSTONE else n),
            list_id=None if item_id is None else self.bench.target.list_id,
            etag=etag,
        )
        done = Confirmation(claimed=claimed, entry=made)
        assert self.ledger.confirm(self.definition.id, page.token, [done], run=None)

    def settled(self, n: int, **fields: Any) -> Landed:
        """Row n and its item, agreed."""
        landed = self.create(n, **fields)
        self.agree(n, landed.item_id, landed.etag)
        return landed

    def mark(self, subject: Subject, reason: Reason = Reason.COMMAND) -> None:
        mark = Mark(subject=subject, reasons=frozenset({reason}), lane=Lane.PUSH)
        self.backlog.mark(self.definition.id, [mark])

    # ---- what can be seen

    def nobodys(self, item_id: ItemId) -> ItemSubject:
        return ItemSubject(list_id=self.bench.target.list_id, item_id=item_id)

    def due(self) -> dict[Subject, tuple[frozenset[Reason], ETag | None]]:
        """What is due now; nothing is kept of it."""
        page = claim(self.backlog, self.definition.id, limit=1000)
        self.backlog.release(self.definition.id, page.token, page.subjects)
        return {claimed.subject: (claimed.reasons, claimed.news) for claimed in page.subjects}

    def marked(self, *, gone: bool = False) -> set[Subject]:
        wanted = Reason.ITEM_GONE if gone else Reason.ITEM
        return {subject for subject, (reasons, _) in self.due().items() if wanted in reasons}


def observed(reports: Sequence[DeltaReport]) -> dict[bytes, Observation]:
    """The observations of several pages; of a subject that repeats, the last."""
    found: dict[bytes, Observation] = {}
    for report in reports:
        found |= report.observations
    return found


def drop_after(steps: Generator[Boundary, None, Any], boundary: Boundary, nth: int = 1) -> None:
    """A worker that dies right after it has passed `boundary` for the nth time."""
    seen = 0
    for passed in steps:
        seen += passed is boundary
        if seen == nth:
            steps.close()
            return
    raise AssertionError(f"the worker never passed {boundary}")
