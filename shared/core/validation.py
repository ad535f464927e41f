"""Whether a drafted definition can work: every problem at once, each a sentence that says what to do next."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.core.definition import ChangeDetection, FieldMapping, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.errors import ConfigurationError
from shared.core.families import Family, family_of
from shared.core.list_columns import ListColumn
from shared.core.problems import Problem, Severity
from shared.core.proposal import fields_of
from shared.core.schedule import parse_schedule, zone_of
from shared.core.scope_check import check
from shared.core.scope_text import parse
from shared.core.snapshot import TableSnapshot
from shared.core.source import RelationKind, SourceColumn, TableRef
from shared.core.validation_fields import field_problems, unknown_column
from shared.core.validation_key import key_problems
from shared.core.validation_policies import policy_problems
from shared.core.watching import LONGEST_POLL, SHORTEST_POLL

WRITABLE = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED})
"""Only these have row versions to write on: views have none, foreign tables give 0 for all."""

_MOMENTS = frozenset({Family.TIMESTAMP, Family.TIMESTAMPTZ})


def validate(
    draft: DraftDefinition, snapshot: TableSnapshot, list_columns: Sequence[ListColumn] = ()
) -> tuple[Problem, ...]:
    """Errors and warnings about a draft, against the table as introspection saw it and the columns of its list, if there
    is one. The database's data and both sides' rights are looked at elsewhere."""
    fields = fields_of(draft, snapshot, list_columns)
    return (
        *key_problems(draft, snapshot),
        *field_problems(draft, fields, snapshot, list_columns),
        *_relation(draft, fields, snapshot),
        *_scope(draft, snapshot),
        *_soft_delete(draft, fields, snapshot),
        *_cursor(draft, fields, snapshot),
        *policy_problems(draft, fields, snapshot),
        *_settings(draft),
    )


def _relation(draft: DraftDefinition, fields: Sequence[FieldMapping], snapshot: TableSnapshot) -> Iterator[Problem]:
    pulls = draft.mode is not SyncMode.ONE_WAY_PUSH or any(field.pulls for field in fields)
    if snapshot.kind not in WRITABLE and pulls:
        yield Problem(
            code="relation_not_writable",
            message=f"{snapshot.table} is a view or a foreign table: its rows have no version to write on, so it is pushed "
            "only; set the mode to ONE_WAY_PUSH and every field to PUSH_ONLY",
            where="sync_mode",
        )
    if snapshot.row_security.applies:
        yield Problem(
            code="rows_hidden",
            message=f"row-level security of {snapshot.table} applies to the reading role: rows that it hides would look "
            "deleted; let the role bypass it, or read through a role that owns the table",
            where="source",
            remedy="alter role <reading role> bypassrls",
        )


def _scope(draft: DraftDefinition, snapshot: TableSnapshot) -> Iterator[Problem]:
    if draft.row_filter is None:
        return
    try:
        scope = parse(draft.row_filter)
    except ConfigurationError as error:
        yield Problem(code=error.code, message=error.message, where="row_filter")
        return
    yield from check(scope, snapshot.columns)


def _soft_delete(draft: DraftDefinition, fields: Sequence[FieldMapping], snapshot: TableSnapshot) -> Iterator[Problem]:
    name = draft.soft_delete_column
    if name is None:
        return
    column = snapshot.column(name)
    where = "soft_delete_column"
    if column is None:
        yield unknown_column(name, snapshot, where)
    elif family_of(column.type) not in {Family.BOOLEAN, Family.DATE, *_MOMENTS}:
        yield Problem(
            code="soft_delete_type",
            message=f"the soft-delete column {name} is {column.type.declared}: accepted are boolean (true is deleted) and "
            "date or timestamp (a value is deleted)",
            where=where,
        )
    elif family_of(column.type) is not Family.BOOLEAN and not column.nullable:
        yield Problem(
            code="soft_delete_type",
            message=f"the soft-delete column {name} is NOT NULL: a date or timestamp has to be null for rows that are there",
            where=where,
        )
    elif column.generated and draft.mode is not SyncMode.ONE_WAY_PUSH:
        yield Problem(
            code="soft_delete_generated",
            message=f"the soft-delete column {name} is generated: a row cannot be marked as deleted when its item is; choose "
            "another column, or the mode ONE_WAY_PUSH",
            where=where,
        )
    if any(field.source.name == name and field.pulls for field in fields):
        yield Problem(
            code="soft_delete_pulled",
            message=f"the soft-delete column {name} is written from the list by a field: make that field PUSH_ONLY",
            where=where,
        )


def _cursor(draft: DraftDefinition, fields: Sequence[FieldMapping], snapshot: TableSnapshot) -> Iterator[Problem]:
    where = "cursor_column"
    if draft.cursor_column is None:
        if draft.change_detection is ChangeDetection.WATERMARK:
            yield Problem(
                code="cursor_missing",
                message="change detection WATERMARK needs a cursor column: name a timestamp that every write moves "
                "forward, or choose SCAN or AUTO",
                where=where,
            )
        return
    column = snapshot.column(draft.cursor_column)
    if column is None:
        yield unknown_column(draft.cursor_column, snapshot, where)
        return
    if any(field.source.name == column.name and field.pulls for field in fields):
        yield Problem(
            code="cursor_pulled",
            message=f"the cursor column {column.name} is written from the list by a field, and might go back in time: make "
            "that field PUSH_ONLY",
            where=where,
        )
    family = family_of(column.type)
    if family not in _MOMENTS and column.type.name != "xid8":
        yield Problem(
            code="cursor_type",
            message=f"the cursor column {column.name} is {column.type.declared}: accepted are timestamp, timestamp with time "
            "zone and xid8; numbers from a sequence become visible out of order, so rows would be passed over",
            where=where,
        )
    if family is Family.TIMESTAMP:
        yield Problem(
            code="cursor_zone",
            message=f"the cursor column {column.name} has no time zone and is taken as UTC: local times go back an hour once "
            "a year, and the scheduled scan has to find what was written then",
            where=where,
            severity=Severity.WARNING,
        )
    if column.nullable:
        yield Problem(
            code="cursor_nulls",
            message=f"the cursor column {column.name} may be null: rows without a value are found by the scheduled scan only",
            where=where,
            severity=Severity.WARNING,
            remedy=f"alter table {_quoted(snapshot.table)} alter column {_name(column.name)} set not null",
        )
    if snapshot.kind in WRITABLE | {RelationKind.MATERIALIZED_VIEW}:
        yield from _cursor_index(draft, snapshot, column)


def _cursor_index(draft: DraftDefinition, snapshot: TableSnapshot, column: SourceColumn) -> Iterator[Problem]:
    if snapshot.index_leading_with((column.name,)) is None:
        key = draft.key_columns or snapshot.primary_key
        columns = ", ".join(_name(name) for name in dict.fromkeys((column.name, *key)))
        yield Problem(
            code="cursor_index",
            message=f"no index begins with the cursor column {column.name}: every look for changes reads the whole table",
            where="cursor_column",
            severity=Severity.WARNING,
            # A partitioned table takes no concurrent build.
            remedy=f"create index {'' if snapshot.kind is RelationKind.PARTITIONED else 'concurrently '}"
            f"on {_quoted(snapshot.table)} ({columns})",
        )


def _settings(draft: DraftDefinition) -> Iterator[Problem]:
    if not draft.name.strip() or len(draft.name) > 200:
        yield Problem(code="name", message="a definition's name has 1 to 200 characters", where="name")
    for where, text in (("schedule_zone", draft.schedule_zone), ("site_zone", draft.site_zone)):
        try:
            zone_of(text)
        except ConfigurationError as error:
            yield Problem(code=error.code, message=error.message, where=where)
    try:
        parse_schedule(draft.schedule)
    except ConfigurationError as error:
        yield Problem(code=error.code, message=error.message, where="schedule")
    if not 1 <= draft.settle_concurrency <= 8:
        yield Problem(
            code="concurrency",
            message="settle_concurrency is a number from 1 to 8: more requests at once make SharePoint refuse them",
            where="settle_concurrency",
        )
    if not timedelta(0) <= draft.debounce <= timedelta(days=1):
        yield Problem(code="debounce", message="debounce is between no time and a day", where="debounce")
    if not SHORTEST_POLL <= draft.poll_interval <= LONGEST_POLL:
        yield Problem(
            code="poll_interval",
            message="poll_interval is between 10 seconds and a day: each poll of a list costs a resource unit",
            where="poll_interval",
        )
    yield from _guards(draft)


def _guards(draft: DraftDefinition) -> Iterator[Problem]:
    guards = draft.guards
    for name in ("max_delete_share", "min_rows_share", "max_change_share"):
        if not 0 <= getattr(guards, name) <= 1:
            yield Problem(code="guard", message=f"{name} is a share from 0 to 1", where=f"guards.{name}")
    for name, least in (("max_deletes", 0), ("change_floor", 0), ("max_writes_per_row", 1)):
        if getattr(guards, name) < least:
            yield Problem(code="guard", message=f"{name} is {least} or more", where=f"guards.{name}")
    if guards.loop_window <= timedelta(0):
        yield Problem(code="guard", message="loop_window is longer than no time", where="guards.loop_window")


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _quoted(table: TableRef) -> str:
    return f"{_name(table.schema)}.{_name(table.name)}"
