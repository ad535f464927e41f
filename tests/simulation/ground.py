"""What every simulated world stands on: seeded identifiers, an open budget, the real stores, the production workers."""

import hashlib
from collections.abc import Collection, Generator, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.adapters.graph.client import GraphClient, user_agent
from shared.adapters.graph.items import SharePointLists
from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.renames import RenameStore
from shared.adapters.metastore.scans import CHECKSUMS_FROM, ScanStore
from shared.captures.command import mark_keys
from shared.captures.scan import ScanReport, scan
from shared.captures.stream import stream
from shared.core.backlog import Lane, Observation, Reason
from shared.core.boundaries import Boundary
from shared.core.changes import ChangeMessage, Operation, SlotIdentity, TableChanges
from shared.core.definition import SourceSpec, SyncDefinition
from shared.core.draft import DraftDefinition
from shared.core.guards import GuardKind
from shared.core.ids import DefinitionId, Identity, RunId, identity_of
from shared.core.renames import KeyChange
from shared.core.replication import Lsn
from shared.core.source import KeyStrategy, TransactionFate
from shared.ports import HoldRequest, RowTransaction, RowWriter
from shared.settle.job import Job, Limits, PageResult, Tools
from shared.settle.page import settle_page
from tests.fakes.budget import OpenBudget
from tests.simulation.stage import Stage

Worker = Generator[Boundary, None, Any]

LEASE, REQUEST_TIMEOUT, SURFACE, LATEST = 60, 5, 290, 200
"""Seconds: how long claims and requests live, and how late an effect may come (less than SURFACE - LEASE)."""


class SeededIds:
    """UUIDs from a seed."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def uuid(self) -> UUID:
        return UUID(int=self._dice.getrandbits(128), version=4)


class NoRows:
    """A push never writes rows."""

    def begin(self, spec: SourceSpec) -> RowTransaction:
        raise AssertionError("a push writes a row")

    def fate(self, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
        raise AssertionError("a push asks for a row transaction")

    def reserve(self, spec: SourceSpec, count: int) -> Sequence[Identity]:
        raise AssertionError("a push reserves keys")

    def identities(self, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> Sequence[Identity | None]:
        raise AssertionError("a push asks for identities")


class PatientPerson:
    """Holds of a person who has looked and says "go on" each time: three rows trip every guard."""

    def open(self, definition: DefinitionId, request: HoldRequest, run: RunId | None) -> UUID:
        raise AssertionError(f"a hold was opened: {request.kind}")

    def blocking(self, definition: DefinitionId) -> list[HoldRequest]:
        return []

    def waived(self, definition: DefinitionId) -> frozenset[str]:
        return frozenset(GuardKind)

    def allow_deletes(self, definition: DefinitionId, wanted: int, *, limit: int) -> int:
        return wanted


class Ground:
    """One seed's ground. `definition` and `list_id` are set by whoever builds on it."""

    definition: SyncDefinition
    list_id: str
    columns: Sequence[str]
    """List columns that are read."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.seed = stage, seed
        self.history: list[str] = []
        self.ids = SeededIds(Random(f"{seed}/ids"))
        store = stage.metastore
        self.renames = RenameStore(store)
        self.backlog, self.ledger, self.scans = (
            BacklogStore(store, chunk=2),
            LedgerStore(store),
            ScanStore(store, chunk=2, checksums_from=Random(f"{seed}/scan").choice([0, CHECKSUMS_FROM])),
        )

    # ---- what a definition needs to be known

    def register(self, definition: DefinitionId, table: str) -> None:
        draft = DraftDefinition(name="simulation", key_strategy=KeyStrategy.PRIMARY_KEY, fields=())
        self.stage.sql.execute(
            "insert into syncbridge.sync_definitions"
            " (id, source_schema, source_table_name, source_relation, draft, resolved)"
            " values (%s, 'public', %s, 'r', %s, '{}')",
            [definition, table, dumps(draft)],
        )

    def make_list(self, columns: Sequence[Mapping[str, Any]], *, versions: bool) -> str:
        body = {"site": "/sites/hr", "displayName": "world", "columns": list(columns)}
        made = str(self.stage.ask("POST", "people/lists", body)["id"])
        if not versions:
            self.stage.ask("PATCH", f"people/lists/{made}", {"versioning": False})
        return made

    # ---- workers: the production generators

    def tools(self) -> Tools:
        return Tools(
            source=self.stage.source,
            rows=self.rows(),
            lists=self.lists(Lane.PUSH),
            backlog=self.backlog,
            ledger=self.ledger,
            holds=PatientPerson(),
            clock=self.stage.clock,
            ids=self.ids,
            jitter=lambda: 0.5,
            renames=self.renames,
        )

    def rows(self) -> RowWriter:
        return NoRows()

    def lists(self, lane: Lane) -> SharePointLists:
        client = GraphClient(
            http=self.stage.http,
            cloud=self.stage.endpoints,
            tokens=self.stage.tokens,
            budget=OpenBudget(),
            lane=lane,
            clock=self.stage.clock,
            ids=self.ids,
            agent=user_agent("Simulation", "1"),
            timing=self.stage.timing,
            sleep=_never,
        )
        return SharePointLists(client, self.columns)

    def settler(
        self,
        *,
        page: int = 50,
        confirm_every: int = 100,
        observations: Mapping[bytes, Observation] | None = None,
        tools: Tools | None = None,
    ) -> Generator[Boundary, None, PageResult]:
        limits = Limits(
            page=page,
            confirm_every=confirm_every,
            lease=timedelta(seconds=LEASE),
            request_timeout=timedelta(seconds=REQUEST_TIMEOUT),
            surface=timedelta(seconds=SURFACE),
        )
        job = Job(definition=self.definition, run=None, limits=limits, observations=observations or {})
        return settle_page(job, tools or self.tools())

    def scanner(self) -> Generator[Boundary, None, ScanReport]:
        run = RunId(self.ids.uuid())
        return scan(self.definition, run, source=self.stage.source, scans=self.scans, holds=PatientPerson())

    def streamer(self, renames: Sequence[tuple[str, str]], others: Sequence[str] = ()) -> Worker:
        """A message of the change stream: which key became which, and what else changed."""
        pairs = [KeyChange(former=identity(key), new=identity(new)) for key, new in renames]
        spec = self.definition.source
        changes = TableChanges(
            table=spec.table,
            key=tuple(column.name for column in spec.key.columns),
            operations={identity(key): Operation.UPDATE for pair in renames for key in pair}
            | {identity(key): Operation.UPDATE for key in others},
            renames=tuple(pairs),
        )
        slot = SlotIdentity(instance=spec.instance_id, system="1", timeline=1, name="slot", created=Lsn(1))
        message = ChangeMessage(
            slot=slot, first=Lsn(2), last=Lsn(3), committed_at=self.stage.clock.now(), tables=(changes,)
        )
        return stream(message, [self.definition], backlog=self.backlog)

    def marker(self, keys: Sequence[str], reason: Reason) -> Generator[Boundary, None, int]:
        identities = [identity(key) for key in keys]
        return mark_keys(self.definition, identities, backlog=self.backlog, reason=reason, lane=Lane.PEOPLE)

    # ---- what can be seen

    def writes_since(self, number: int) -> tuple[int, int]:
        """How many writes to this list were asked for after a request's number, and the newest number."""
        answer = self.stage.ask("GET", f"requests?since={number}&list={self.list_id}")
        methods = [inner["method"] for entry in answer["requests"] for inner in (entry["inner"] or [entry])]
        return sum(method != "GET" for method in methods), int(answer["seq"])

    def agreements(self) -> list[tuple[Any, ...]]:
        """The ledger without its times and numbers."""
        return self.stage.sql.execute(
            "select source_identity, state, sp_item_id, sp_etag, stamp, field_digests, intents, generation"
            " from syncbridge.sync_ledger order by source_identity"
        ).fetchall()

    def backlog_rows(self) -> list[tuple[Any, ...]]:
        return self.stage.sql.execute(
            "select coalesce(source_identity, 'item ' || sp_item_id), state, reasons, reason_code, claim is not null"
            " from syncbridge.sync_backlog order by subject_hash"
        ).fetchall()

    def due(self) -> bool:
        """Whether a settle worker would find work."""
        return self.backlog.counts(self.definition.id).due > 0

    def broken_ledger(self) -> list[str]:
        """What the ledger may never say, at any moment."""
        found = self.stage.sql.execute(
            """
            select 'LEDGER: ' || source_identity || ' is a tombstone with a base' from syncbridge.sync_ledger
             where state = 'TOMBSTONE' and field_digests is not null
            union all
            select 'LEDGER: ' || source_identity || ' is settled without an item or a base' from syncbridge.sync_ledger
             where state = 'SETTLED' and (sp_item_id is null or field_digests is null)
            union all
            select 'LEDGER: item ' || sp_item_id || ' stands for ' || count(*) || ' rows' from syncbridge.sync_ledger
             where sp_item_id is not null and state <> 'TOMBSTONE' group by sp_list_id, sp_item_id having count(*) > 1
            union all
            select 'LEDGER: ' || l.source_identity || ' has a write in doubt and nobody is going to look'
              from syncbridge.sync_ledger l
             where l.intents <> '[]'
               and not exists (select 1 from syncbridge.sync_backlog b where b.subject_hash = l.source_identity_hash)
            """
        ).fetchall()
        return [text for (text,) in found]

    def note(self, text: str) -> None:
        self.history.append(text)

    def digest(self) -> str:
        """Of everything that happened: equal for equal seeds."""
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()[:16]


def identity(key: str) -> Identity:
    return identity_of([key])


def _never(seconds: float) -> None:
    raise AssertionError(f"a simulated worker slept for {seconds} seconds")
