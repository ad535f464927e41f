"""Where a case plays: one table, one list, an active definition between them, and what is told of it line by line."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from psycopg import sql

from shared.core.definition import DefinitionState, SyncDefinition, SyncMode
from shared.core.draft import DraftDefinition, DraftField
from shared.core.ids import DefinitionId, ListId
from shared.core.needs import needs_of
from shared.core.problems import Problem, Severity
from shared.core.proposal import fields_of
from shared.core.record import DefinitionRecord, TargetRecord, compiled, scope_fingerprint_of, terms_of_record
from shared.core.source import KeyStrategy, SourceKey, TableRef
from shared.core.validation import validate
from shared.usecases.definitions import change, provision, set_state
from tests.scenarios import golden
from tests.scenarios.staff import AGE, CITY, KEY, NAME, STAFF
from tests.scenarios.theatre import CONNECTION, INSTANCE, LEASE, SURFACE, Theatre


class Setting:
    """`ddl` makes the table. What is left over goes into the draft."""

    def __init__(
        self,
        theatre: Theatre,
        name: str,
        ddl: str = STAFF,
        *,
        fields: Collection[DraftField] = (NAME, CITY, AGE, KEY),
        table: str = "staff",
        zone: str = "UTC",
        mode: SyncMode = SyncMode.TWO_WAY,
        **draft: Any,
    ) -> None:
        self.theatre, self.name, self.table = theatre, name, table
        self.stage, self.engine = theatre.stage, theatre.engine
        self.story: list[str] = []
        theatre.clear(name)
        self.sql(ddl)
        self.grant()
        self.site, site_id = theatre.site(zone)
        snapshot = self.admin.introspect(TableRef(schema="public", name=table))
        wanted = DraftDefinition(
            name="staff",
            key_strategy=KeyStrategy.PRIMARY_KEY,
            fields=tuple(fields),
            mode=mode,
            site_zone=zone,
            **draft,
        )
        self.problems: tuple[Problem, ...] = validate(wanted, snapshot, ())
        mappings = fields_of(wanted, snapshot, next_no=1)
        record = DefinitionRecord(
            id=DefinitionId(theatre.ids.uuid()),
            version=1,
            state=DefinitionState.DRAFT,
            instance_id=INSTANCE,
            table=snapshot.table,
            relation=snapshot.kind,
            draft=wanted,
            key=SourceKey(
                strategy=wanted.key_strategy,
                columns=tuple(c for k in snapshot.primary_key if (c := snapshot.column(k)) is not None),
            ),
            fields=mappings,
            cursor_column=None if wanted.cursor_column is None else snapshot.column(wanted.cursor_column),
            next_field_no=len(mappings) + 1,
            target=TargetRecord(connection_id=CONNECTION, site_id=site_id, list_name="Staff"),
        )
        record = replace(record, agreed_scope=scope_fingerprint_of(record), agreed_terms=terms_of_record(record))
        stores = self.engine.stores
        record = self._provisioned(stores.definitions.add(record, actor="test"))
        found = self.admin.check(compiled(record).source, needs_of(record))
        problems = [problem for problem in found if problem.severity is Severity.ERROR]
        assert not problems, problems
        self.id = set_state(
            record, DefinitionState.ACTIVE, reason=None, definitions=stores.definitions, actor="test"
        ).id
        self._seen = 0
        self._tell()

    def _provisioned(self, record: DefinitionRecord) -> DefinitionRecord:
        stores = self.engine.stores
        sharepoint = self.engine.graphs.admin(stores.connections.get(CONNECTION))
        now = self.theatre.clock.now()
        record, _ = provision(record, sharepoint=sharepoint, definitions=stores.definitions, now=now, actor="test")
        return record

    def provision(self) -> None:
        """Once more, as a person does after a change."""
        self._provisioned(self.record)

    def save(self, **draft: Any) -> None:
        """A person saves the definition again, with these changes of its draft."""
        stores, record = self.engine.stores, self.record
        sharepoint = self.engine.graphs.admin(stores.connections.get(CONNECTION))
        change(
            record,
            replace(record.draft, **draft),
            source=self.admin,
            sharepoint=sharepoint,
            snapshots=stores.snapshots,
            definitions=stores.definitions,
            actor="test",
        )

    def close(self) -> None:
        self.theatre.change_site(self.site, gone=False, read_only=False)

    @property
    def record(self) -> DefinitionRecord:
        return self.engine.stores.definitions.get(self.id)

    @property
    def definition(self) -> SyncDefinition:
        return compiled(self.record)

    @property
    def list_id(self) -> ListId:
        return self.definition.target.list_id

    @property
    def admin(self) -> Any:
        return self.engine.sources.admin(self.engine.stores.instances.get(INSTANCE))

    def column(self, name: str) -> str:
        """The list column of a source column."""
        return next(m.target_column_name for m in self.record.fields if m.source.name == name)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the owner of everything."""
        cursor = self.stage.rows.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []

    def grant(self) -> None:
        role = sql.Identifier(self.theatre.role)
        self.stage.rows.execute(
            sql.SQL("grant select, insert, update, delete on all tables in schema public to {}").format(role)
        )
        self.stage.rows.execute(sql.SQL("grant usage on all sequences in schema public to {}").format(role))

    def people(self, method: str, path: str, body: Any = None) -> Any:
        return self.stage.ask(method, f"people/lists/{self.list_id}{path}", body)

    # ---- time and faults

    def passes(self, seconds: float) -> None:
        self.stage.advance(seconds)

    def time(self) -> datetime:
        return self.stage.clock.now()

    def now(self) -> float:
        return self.stage.clock.monotonic()

    def until_doubts_are_over(self) -> None:
        """No lease is held any more, and nothing that was lost can still surface."""
        self.passes(LEASE + SURFACE + 20)

    @contextmanager
    def faults(self, *rules: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Iterator[None]:
        """While this lasts, requests meet these faults: what matches, and what happens then."""
        self.stage.ask("PUT", "faults", {"rules": [{"match": match, "fault": fault} for match, fault in rules]})
        try:
            yield
        finally:
            self.stage.ask("DELETE", "faults")

    # ---- the story

    def begins(self) -> None:
        """What happened so far is how the story begins, and no part of it."""
        self._tell()
        self.story.clear()

    def golden(self) -> None:
        self._tell()
        golden.check(self.name, self.story)

    def told(self, text: str) -> None:
        """A line of the story, and what was asked of the list up to it."""
        self._tells(text)
        self._tell()

    # ---- requests to the list

    def requests_since(self, number: int) -> list[dict[str, Any]]:
        return list(self.stage.ask("GET", f"requests?since={number}&list={self.list_id}&limit=20000")["requests"])

    def writes_since(self, number: int) -> list[str]:
        """Writes to the list that were asked for, as lines of the log."""
        lines = [line.strip() for line in golden.lines_of(self.requests_since(number))]
        return [line for line in lines if not line.startswith("GET ") and "$batch" not in line]

    def number(self) -> int:
        """The number of the newest request."""
        return self._number()

    # ---- inside

    def _tells(self, text: str) -> None:
        self.story.append(text)

    def _tell(self) -> None:
        number = self._number()
        lines = list(golden.lines_of(self.requests_since(self._seen)))
        self._seen = number
        self.story += lines

    def _number(self) -> int:
        return int(self.stage.ask("GET", "requests?limit=1")["seq"])
