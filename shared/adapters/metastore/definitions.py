"""Definitions: every change is a version, made from the version before by compare-and-set, and audited."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from shared.adapters.metastore.audit import record as audit
from shared.adapters.metastore.codec import dumps, jsonable, read
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.catalog import AuditEntry
from shared.core.definition import DefinitionState, Direction, FieldKind, FieldMapping
from shared.core.draft import DraftDefinition
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, ListId, SiteId
from shared.core.paused import Pause
from shared.core.record import DefinitionRecord, TargetRecord
from shared.core.source import RelationKind, SourceColumn, SourceKey, TableRef
from shared.core.terms import Terms

SQL = load("definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolved:
    key: SourceKey
    soft_delete_column: SourceColumn | None = None
    cursor_column: SourceColumn | None = None


class DefinitionStore:
    """Satisfies the port Definitions."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def add(self, record: DefinitionRecord, *, actor: str) -> DefinitionRecord:
        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                connection.execute(
                    SQL["add"],
                    _written(record)
                    | {
                        "state": record.state.value,
                        "schema": record.table.schema,
                        "table": record.table.name,
                    },
                )
                connection.execute(SQL["add_source"], {"id": record.id, "instance": record.instance_id})
                connection.execute(
                    SQL["add_target"],
                    {
                        "id": record.id,
                        "connection": record.target.connection_id,
                        "site": record.target.site_id,
                        "list_name": record.target.list_name,
                    },
                )
            except errors.UniqueViolation:
                raise Conflicting(f"there is another definition named {record.name!r}") from None
            except errors.ForeignKeyViolation:
                raise NotFound("the database instance or the SharePoint connection is not there any more") from None
            self._fields(connection, record)
            self._version(connection, record, 1, "added", actor)

        self._metastore.transact(work)
        return self.get(record.id)

    def get(self, definition: DefinitionId) -> DefinitionRecord:
        found = self._read(SQL["columns"] + SQL["by_id"], {"id": definition})
        if not found:
            raise NotFound(f"there is no definition {definition}")
        return found[0]

    def list(self, *, deleted: bool = False) -> Sequence[DefinitionRecord]:
        return self._read(SQL["columns"] + SQL["all"], {"deleted": deleted})

    def save(self, record: DefinitionRecord, *, actor: str, wants_run: bool = False) -> DefinitionRecord:
        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                values = _written(record) | {"version": record.version, "wants_run": wants_run}
                saved = connection.execute(SQL["save"], values).rowcount
                if saved != 1:
                    raise Conflicting(f"definition {record.name!r} was changed by somebody else: read it again")
                connection.execute(
                    SQL["save_target"],
                    {
                        "id": record.id,
                        "list": record.target.list_id,
                        "key_column": record.target.key_column,
                        "keeps_versions": record.target.keeps_versions,
                        "provisioned_at": record.target.provisioned_at,
                    },
                )
            except errors.UniqueViolation as error:
                if error.diag.constraint_name == "sync_targets_one_definition":
                    raise Conflicting(f"the list of {record.name!r} belongs to another definition") from None
                raise Conflicting(f"there is another definition named {record.name!r}") from None
            self._fields(connection, record)
            if record.state in (DefinitionState.ACTIVE, DefinitionState.PAUSED):
                _refuse_rivals(connection, record.id)
            self._version(connection, record, record.version + 1, "changed", actor)

        self._metastore.transact(work)
        return self.get(record.id)

    def set_state(
        self, definition: DefinitionId, *, was: DefinitionState, state: DefinitionState, reason: str | None, actor: str
    ) -> DefinitionRecord:
        def work(connection: psycopg.Connection[TupleRow]) -> None:
            moved = connection.execute(
                SQL["set_state"], {"id": definition, "was": was.value, "state": state.value, "reason": reason}
            ).rowcount
            if moved != 1:
                raise Conflicting("the definition's state was changed by somebody else: read it again")
            if state is DefinitionState.DELETED:
                connection.execute(SQL["free_list"], {"id": definition})
            if state is DefinitionState.ACTIVE:
                _refuse_rivals(connection, definition)
            audit(
                connection,
                AuditEntry(
                    actor=actor,
                    action="state",
                    subject_kind="sync_definition",
                    subject_id=str(definition),
                    before={"state": was.value},
                    after={"state": state.value, "reason": reason},
                ),
            )

        self._metastore.transact(work)
        return self.get(definition)

    def versions(self, definition: DefinitionId) -> Sequence[Mapping[str, Any]]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["versions"], {"id": definition}).fetchall()
        return [
            {"version": version, "document": document, "changed_by": by, "changed_at": at}
            for version, document, by, at in rows
        ]

    def due(self, now: datetime) -> Sequence[DefinitionRecord]:
        return self._read(SQL["columns"] + SQL["due"], {"now": now})

    def want_run(self, definition: DefinitionId) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["want_run"], {"id": definition})

    def set_marked_fields(self, definition: DefinitionId, fields: bytes) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["set_marked_fields"], {"id": definition, "fields": fields})

    def set_scan_seconds(self, definition: DefinitionId, seconds: float) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["set_scan_seconds"], {"id": definition, "seconds": seconds})

    def agree_scope(self, definition: DefinitionId, fingerprint: bytes, *, actor: str) -> None:
        def work(connection: psycopg.Connection[TupleRow]) -> None:
            connection.execute(SQL["agree_scope"], {"id": definition, "fingerprint": fingerprint})
            audit(
                connection,
                AuditEntry(
                    actor=actor, action="scope agreed", subject_kind="sync_definition", subject_id=str(definition)
                ),
            )

        self._metastore.transact(work)

    def agree_terms(self, definition: DefinitionId, terms: str, *, actor: str) -> None:
        def work(connection: psycopg.Connection[TupleRow]) -> None:
            connection.execute(SQL["agree_terms"], {"id": definition, "terms": terms})
            audit(
                connection,
                AuditEntry(
                    actor=actor,
                    action="terms agreed",
                    subject_kind="sync_definition",
                    subject_id=str(definition),
                    after=json.loads(terms),
                ),
            )

        self._metastore.transact(work)

    def owner_of(self, list_id: ListId) -> DefinitionId | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["owner_of"], {"list": list_id}).fetchall()
        return DefinitionId(rows[0][0]) if rows else None

    def field_ids(self, definition: DefinitionId) -> Mapping[FieldNo, UUID]:
        """The ids that the API knows the definition's fields by."""
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["field_ids"], {"id": definition}).fetchall()
        return {FieldNo(no): field_id for no, field_id in rows}

    def field_owner(self, field_id: UUID) -> tuple[DefinitionId, FieldNo]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["field_owner"], {"id": field_id}).fetchall()
        if not rows:
            raise NotFound(f"there is no field mapping {field_id}")
        return DefinitionId(rows[0][0]), FieldNo(rows[0][1])

    # ---- inside

    def _read(self, statement: Any, values: Mapping[str, Any]) -> Sequence[DefinitionRecord]:
        with self._metastore.connection() as connection, connection.transaction():
            rows = connection.execute(statement, values).fetchall()
            fields = defaultdict(list)
            for row in connection.execute(SQL["fields"], {"ids": [row[0] for row in rows]}).fetchall():
                fields[row[0]].append(_field(row))
        return [_record(row, tuple(fields[row[0]])) for row in rows]

    def _fields(self, connection: psycopg.Connection[TupleRow], record: DefinitionRecord) -> None:
        connection.execute(SQL["drop_fields"], {"id": record.id, "numbers": [mapping.no for mapping in record.fields]})
        for position, mapping in enumerate(record.fields):
            connection.execute(
                SQL["put_field"],
                {
                    "id": record.id,
                    "no": mapping.no,
                    "position": position,
                    "source_name": mapping.source.name,
                    "source": dumps(mapping.source),
                    "target_name": mapping.target_column_name,
                    "target_id": mapping.target_column_id,
                    "display_name": mapping.target_display_name,
                    "kind": mapping.kind.value,
                    "direction": mapping.direction.value,
                    "system": mapping.is_system_field,
                    "transform": mapping.transform_rule,
                    "group": mapping.group,
                    "choices": list(mapping.choices),
                    "required": mapping.required,
                    "indexed": mapping.indexed,
                    "paused": None if mapping.paused is None else mapping.paused.reason,
                    "paused_since": None if mapping.paused is None else mapping.paused.since,
                    "paused_by": None if mapping.paused is None else mapping.paused.seen_by,
                },
            )

    def _version(
        self, connection: psycopg.Connection[TupleRow], record: DefinitionRecord, version: int, action: str, actor: str
    ) -> None:
        document = jsonable(replace(record, version=version))
        connection.execute(
            SQL["put_version"],
            {"id": record.id, "version": version, "document": dumps(document), "actor": actor},
        )
        audit(
            connection,
            AuditEntry(
                actor=actor,
                action=action,
                subject_kind="sync_definition",
                subject_id=str(record.id),
                after={"version": version},
            ),
        )


def _refuse_rivals(connection: psycopg.Connection[TupleRow], definition: DefinitionId) -> None:
    """Two definitions that write the same columns of one table would undo each other's writes for ever."""
    connection.execute(SQL["lock_rivals"], {"id": definition})
    rows = connection.execute(SQL["rivals"], {"id": definition}).fetchall()
    if rows:
        name, columns = rows[0]
        raise Conflicting(
            f"definition {name!r} writes {', '.join(columns)} of the same table too, and the two would undo each other: make "
            "these fields PUSH_ONLY in one of them, or deactivate the other",
            code="rival",
        )


def _written(record: DefinitionRecord) -> dict[str, Any]:
    resolved = _Resolved(
        key=record.key, soft_delete_column=record.soft_delete_column, cursor_column=record.cursor_column
    )
    return {
        "id": record.id,
        "relation": record.relation.value,
        "draft": dumps(record.draft),
        "resolved": dumps(resolved),
        "agreed": record.agreed_scope,
        "terms": None if record.agreed_terms is None else dumps(record.agreed_terms),
        "next_field_no": record.next_field_no,
    }


def _record(row: TupleRow, fields: tuple[FieldMapping, ...]) -> DefinitionRecord:
    resolved = read(_Resolved, row[9])
    return DefinitionRecord(
        id=DefinitionId(row[0]),
        version=row[1],
        state=DefinitionState(row[2]),
        state_reason=row[3],
        instance_id=InstanceId(row[4]),
        table=TableRef(schema=row[5], name=row[6]),
        relation=RelationKind(row[7]),
        draft=read(DraftDefinition, row[8]),
        key=resolved.key,
        fields=fields,
        soft_delete_column=resolved.soft_delete_column,
        cursor_column=resolved.cursor_column,
        next_field_no=row[10],
        target=TargetRecord(
            connection_id=ConnectionId(row[11]),
            site_id=SiteId(row[12]),
            list_name=row[13],
            list_id=None if row[14] is None else ListId(row[14]),
            key_column=row[15],
            keeps_versions=row[16],
            provisioned_at=row[17],
        ),
        agreed_scope=None if row[18] is None else bytes(row[18]),
        scan_seconds=row[19],
        next_run_at=row[20],
        created_at=row[21],
        updated_at=row[22],
        agreed_terms=None if row[23] is None else read(Terms, row[23]),
        run_wanted=row[24],
        marked_fields=None if row[25] is None else bytes(row[25]),
    )


def _field(row: TupleRow) -> FieldMapping:
    return FieldMapping(
        no=FieldNo(row[1]),
        source=read(SourceColumn, row[2]),
        target_column_name=row[3],
        target_display_name=row[4],
        kind=FieldKind(row[5]),
        direction=Direction(row[6]),
        is_system_field=row[7],
        transform_rule=row[8],
        group=row[9],
        choices=tuple(row[10]),
        required=row[11],
        indexed=row[12],
        paused=None if row[13] is None else Pause(reason=row[13], since=row[14], seen_by=row[15]),
        target_column_id=row[16],
    )
