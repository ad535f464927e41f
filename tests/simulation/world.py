"""One seed's world: a fresh list, an empty table, an empty metastore, and those who act on them."""

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.adapters.graph.client import GraphClient, user_agent
from shared.adapters.graph.items import SharePointLists
from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.scans import ScanStore
from shared.captures.command import mark_keys
from shared.captures.scan import ScanReport, scan
from shared.core.backlog import Lane, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
    DefinitionState,
    FieldKind,
    FieldMapping,
    GuardSettings,
    SourceSpec,
    SyncDefinition,
    SyncMode,
    TargetList,
)
from shared.core.draft import DraftDefinition
from shared.core.guards import GuardKind
from shared.core.ids import (
    ConnectionId,
    DefinitionId,
    FieldNo,
    Identity,
    InstanceId,
    ListId,
    RunId,
    identity_hash,
    identity_of,
    sync_key,
)
from shared.core.mapping import mapping_fingerprint
from shared.core.source import KeyStrategy, RelationKind, SourceKey, TableRef
from shared.ports import HoldRequest
from shared.settle.job import Job, Limits, PageResult, Tools
from shared.settle.page import settle_page
from tests.simulation.model import COLUMNS, FIELDS, KEY, NOTE, Model, Seen, Value, canonical
from tests.simulation.stage import INSTANCE, Stage

Worker = Generator[Boundary, None, Any]

LEASE, REQUEST_TIMEOUT, SURFACE, LATEST = 60, 5, 290, 200
"""Seconds: how long claims and requests live, and how late an effect may come (less than SURFACE - LEASE)."""
KINDS = {"a": FieldKind.TEXT, "b": FieldKind.TEXT, "n": FieldKind.NUMBER}


class SeededIds:
    """UUIDs from a seed."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def uuid(self) -> UUID:
        return UUID(int=self._dice.getrandbits(128), version=4)


class OpenBudget:
    """Grants everything: what pacing does is tested elsewhere."""

    def take(self, ru: int, lane: Lane) -> float:
        return 0.0

    def charge(self, ru: int) -> None:
        pass

    def penalize(self, seconds: float) -> None:
        pass

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        pass


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


@dataclass
class World:
    stage: Stage
    seed: int
    unique: bool = True
    """The list's key column enforces unique values."""
    joins: tuple[str, str] | None = None
    """Another process' list and definition, instead of new ones."""
    history: list[str] = field(default_factory=list)
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        self.ids = SeededIds(Random(f"{self.seed}/ids"))
        self.keeps_versions = Random(f"{self.seed}/versions").random() < 0.8
        self.unique_values = 0
        if self.joins is None:
            self.stage.clear()
            self.definition = self._definition(self._list(), DefinitionId(self.ids.uuid()))
            self._register()
        else:
            self.list_id, known = self.joins
            self.definition = self._definition(self.list_id, DefinitionId(UUID(known)))
        store = self.stage.metastore
        self.backlog, self.ledger, self.scans = (
            BacklogStore(store, chunk=2),
            LedgerStore(store),
            ScanStore(store, chunk=2),
        )

    def _register(self) -> None:
        draft = DraftDefinition(name="simulation", key_strategy=KeyStrategy.PRIMARY_KEY, fields=())
        self.stage.sql.execute(
            "insert into syncbridge.sync_definitions"
            " (id, source_schema, source_table_name, source_relation, draft, resolved)"
            " values (%s, 'public', 'people_rows', 'r', %s, '{}')",
            [self.definition.id, dumps(draft)],
        )

    def _list(self) -> str:
        columns = [
            {"name": KEY, "text": {}, "hidden": True, "indexed": True, "enforceUniqueValues": self.unique},
            {"name": COLUMNS["b"], "text": {}},
            {"name": COLUMNS["n"], "number": {}},
            {"name": NOTE, "text": {}},
        ]
        self.stage.worlds += 1
        name = f"world {self.stage.worlds}"
        made = self.stage.ask("POST", "people/lists", {"site": "/sites/hr", "displayName": name, "columns": columns})
        self.list_id = str(made["id"])
        if not self.keeps_versions:
            self.stage.ask("PATCH", f"people/lists/{self.list_id}", {"versioning": False})
        return self.list_id

    def _definition(self, list_id: str, known_as: DefinitionId) -> SyncDefinition:
        columns = self.stage.columns
        fields = tuple(
            FieldMapping(
                no=FieldNo(no),
                source=columns[name],
                target_column_name=COLUMNS[name],
                target_display_name=COLUMNS[name],
                kind=KINDS[name],
            )
            for no, name in enumerate(FIELDS, start=1)
        )
        return SyncDefinition(
            id=known_as,
            name="simulation",
            version=1,
            state=DefinitionState.ACTIVE,
            mode=SyncMode.ONE_WAY_PUSH,
            conflict_policy=ConflictPolicy.SOURCE_WINS,
            source=SourceSpec(
                instance_id=InstanceId(INSTANCE),
                table=TableRef(schema="public", name="people_rows"),
                relation=RelationKind.TABLE,
                key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(columns["id"],)),
                columns=tuple(mapping.source for mapping in fields),
            ),
            target=TargetList(
                connection_id=ConnectionId(UUID(int=2)),
                site_id=self.stage.site,
                list_id=ListId(list_id),
                key_column=KEY,
                keeps_versions=self.keeps_versions,
            ),
            fields=fields,
            mapping_fingerprint=mapping_fingerprint(fields, "UTC"),
            scope_fingerprint=b"s" * 16,
            guards=GuardSettings(max_writes_per_row=100_000),
        )

    # ---- workers: the production generators

    def tools(self) -> Tools:
        client = GraphClient(
            http=self.stage.http,
            cloud=self.stage.endpoints,
            tokens=self.stage.tokens,
            budget=OpenBudget(),
            lane=Lane.PUSH,
            clock=self.stage.clock,
            ids=self.ids,
            agent=user_agent("Simulation", "1"),
            timing=self.stage.timing,
            sleep=_never,
        )
        return Tools(
            source=self.stage.source,
            lists=SharePointLists(client, [COLUMNS[name] for name in FIELDS]),
            backlog=self.backlog,
            ledger=self.ledger,
            holds=PatientPerson(),
            clock=self.stage.clock,
            ids=self.ids,
            jitter=lambda: 0.5,
        )

    def settler(self, *, page: int = 50, confirm_every: int = 100) -> Generator[Boundary, None, PageResult]:
        limits = Limits(
            page=page,
            confirm_every=confirm_every,
            lease=timedelta(seconds=LEASE),
            request_timeout=timedelta(seconds=REQUEST_TIMEOUT),
            surface=timedelta(seconds=SURFACE),
        )
        return settle_page(Job(definition=self.definition, run=None, limits=limits), self.tools())

    def scanner(self) -> Generator[Boundary, None, ScanReport]:
        run = RunId(self.ids.uuid())
        return scan(self.definition, run, source=self.stage.source, scans=self.scans, holds=PatientPerson())

    def marker(self, keys: Sequence[str], reason: Reason) -> Generator[Boundary, None, int]:
        identities = [identity(key) for key in keys]
        return mark_keys(self.definition, identities, backlog=self.backlog, reason=reason, lane=Lane.PEOPLE)

    # ---- users of the table

    def put(self, key: str, step: int, **values: object) -> None:
        """Insert or update; a new row gets no value where none is given."""
        full = dict.fromkeys(FIELDS) | self.model.rows.get(key, {}) | values
        self.stage.rows.execute(
            "insert into public.people_rows (id, a, b, n) values (%s, %s, %s, %s)"
            " on conflict (id) do update set a = excluded.a, b = excluded.b, n = excluded.n",
            [int(key), full["a"], full["b"], full["n"]],
        )
        self.model.put(key, full, step)

    def remove(self, key: str, step: int) -> None:
        self.stage.rows.execute("delete from public.people_rows where id = %s", [int(key)])
        self.model.remove(key, step)

    # ---- people at the list

    def items(self) -> list[Seen]:
        found = self.stage.ask("GET", f"people/lists/{self.list_id}/items?top=1000")["items"]
        return sorted((self._seen(item) for item in found), key=lambda seen: seen.item)

    def recycled(self) -> list[Seen]:
        found = self.stage.ask("GET", f"people/lists/{self.list_id}/recycle-bin")["items"]
        return sorted((self._seen(item) for item in found), key=lambda seen: seen.item)

    def person_edits(self, seen: Seen, name: str, value: Value, *, fresh: bool) -> None:
        body = {"fields": {COLUMNS[name]: value}}
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{seen.item}", body)
        self.model.person_typed(seen.item, seen.key, name, value, fresh=fresh)

    def person_remarks(self, seen: Seen, text: str) -> None:
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{seen.item}", {"fields": {NOTE: text}})
        self.model.remarks[seen.item] = text

    def person_deletes(self, seen: Seen) -> None:
        self.stage.ask("DELETE", f"people/lists/{self.list_id}/items/{seen.item}")
        self.model.person_deleted(seen.item, seen.key)

    def person_restores(self, seen: Seen) -> bool:
        done = self.stage.tried("POST", f"people/lists/{self.list_id}/recycle-bin/{seen.item}/restore")
        if done is not None:
            self.model.person_restored(seen.item, seen.key, seen.values)
        return done is not None

    def person_adds(self, values: dict[str, Value]) -> None:
        fields = {COLUMNS[name]: value for name, value in values.items()}
        item = int(self.stage.ask("POST", f"people/lists/{self.list_id}/items", {"fields": fields})["id"])
        self.model.foreign[item] = dict(values)

    def _seen(self, item: dict[str, Any]) -> Seen:
        fields = item["fields"]
        return Seen(
            item=int(item["id"]),
            key=self._row_of(fields.get(KEY)),
            values={name: canonical(fields.get(COLUMNS[name])) for name in FIELDS},
            remark=fields.get(NOTE),
        )

    def _row_of(self, hexadecimal: str | None) -> str | None:
        """The row key behind a sync key."""
        if not hexadecimal:
            return None
        for key in self.model.ever:
            if sync_key(identity_hash(identity(key))) == hexadecimal:
                return key
        return "?"

    # ---- what can be seen

    def fresh(self, side: str, name: str) -> Value:
        """A value that nobody has used before."""
        self.unique_values += 1
        return self.unique_values if name == "n" else f"{side}{self.unique_values}"

    def logged(self, state: str = "FINAL") -> set[tuple[str, str, Value]]:
        found = self.stage.sql.execute(
            "select source_identity, source_column_name, losing_value from syncbridge.conflicts where state = %s",
            [state],
        ).fetchall()
        return {
            (json.loads(who)[0], column, _number(column, canonical(None if value is None else json.loads(value))))
            for who, column, value in found
        }

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


def _number(column: str, value: Value) -> Value:
    return int(value) if column == "n" and value is not None else value


def _never(seconds: float) -> None:
    raise AssertionError(f"a simulated worker slept for {seconds} seconds")
