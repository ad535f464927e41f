"""Whether a draft's fields fit the table, the list, and one another."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from shared.core.columns import LOOKUPS, NOT_INDEXABLE, SINGLE_LINE, carries, default_kind, one_way_reason, refusal
from shared.core.definition import Direction, FieldKind, FieldMapping, ForeignPolicy, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.families import Family, element_family, family_of
from shared.core.list_columns import SYSTEM_COLUMNS, ListColumn
from shared.core.naming import SYNC_KEY_COLUMN, SYSTEM_NAMES, is_internal_name
from shared.core.policies import policies_of
from shared.core.problems import Problem, Severity
from shared.core.snapshot import TableSnapshot
from shared.core.values.choices import SEPARATOR
from shared.core.values.texts import units

MAX_LOOKUPS = 12
"""Lookup and person columns of one query: https://learn.microsoft.com/graph/api/resources/fieldvalueset."""
MAX_INDEXES = 20
"""https://learn.microsoft.com/office365/servicedescriptions/sharepoint-online-service-description/sharepoint-online-limits"""


def unknown_column(name: str, snapshot: TableSnapshot, where: str) -> Problem:
    close = get_close_matches(name, [column.name for column in snapshot.columns], n=1)
    if len(name.encode("utf-8", "replace")) > 63:
        hint = "; PostgreSQL cuts names at 63 bytes: write the name as the catalog has it"
    else:
        hint = f"; did you mean {close[0]}?" if close else ""
    return Problem(code="unknown_column", message=f"{snapshot.table} has no column {name}{hint}", where=where)


def field_problems(
    draft: DraftDefinition,
    fields: Sequence[FieldMapping],
    snapshot: TableSnapshot,
    list_columns: Sequence[ListColumn],
) -> Iterator[Problem]:
    """`fields`: what `fields_of` made of the draft."""
    if not draft.fields:
        yield Problem(code="no_fields", message="a definition needs at least one field", where="fields")
    for drafted in draft.fields:
        column = snapshot.column(drafted.source_column_name)
        where = f"fields.{drafted.source_column_name}"
        if column is None:
            yield unknown_column(drafted.source_column_name, snapshot, where)
        elif drafted.kind is None and drafted.target_column_name is None and default_kind(column.type) is None:
            reason = refusal(column.type, FieldKind.TEXT)
            yield Problem(code="type_refused", message=f"{column.name} ({column.type.declared}): {reason}", where=where)
    existing = {column.name: column for column in list_columns}
    key = set(draft.key_columns or snapshot.primary_key)
    inserts = policies_of(draft).foreign_items is ForeignPolicy.INSERT
    for field in fields:
        yield from _pair(field)
        yield from _direction(field, draft.mode, key, inserts=inserts)
        yield from _target(field, existing)
        yield from _choices(field)
        yield from _shape(field)
    yield from _together(fields, list_columns)
    yield from _groups(fields, draft.mode, key)


def _problem(field: FieldMapping, code: str, message: str, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(code=code, message=message, where=f"fields.{field.source.name}", severity=severity)


def _pair(field: FieldMapping) -> Iterator[Problem]:
    column, declared = field.source.name, field.source.type
    if carries(declared, field.kind) is None:
        reason = refusal(declared, field.kind)
        yield _problem(
            field, "type_pair", f"{column} ({declared.declared}) cannot be kept in a {field.kind} list column: {reason}"
        )
        return
    reason_one_way = one_way_reason(declared, field.kind, field.direction)
    if reason_one_way is not None:
        yield _problem(
            field, "type_direction", f"{column} ({declared.declared}) cannot be {field.direction}: {reason_one_way}"
        )


def _direction(field: FieldMapping, mode: SyncMode, key: set[str], *, inserts: bool) -> Iterator[Problem]:
    column = field.source.name
    if field.is_system_field and field.direction is not Direction.PULL_ONLY:
        yield _problem(
            field,
            "system_field",
            f"{field.target_column_name} is written by SharePoint alone: make the field of {column} PULL_ONLY",
        )
    elif field.pulls and mode is SyncMode.ONE_WAY_PUSH:
        yield _problem(
            field,
            "mode_direction",
            f"the field of {column} is {field.direction}, and the mode ONE_WAY_PUSH never writes rows: make it PUSH_ONLY or "
            "choose the mode TWO_WAY",
        )
    if field.pushes and mode is SyncMode.ONE_WAY_PULL:
        yield _problem(
            field,
            "mode_direction",
            f"the field of {column} is {field.direction}, and the mode ONE_WAY_PULL never writes items: make it PULL_ONLY or "
            "choose the mode TWO_WAY",
        )
    if field.pulls and field.source.generated:
        yield _problem(
            field,
            "generated_pulled",
            f"{column} is a generated column, which cannot be written: make its field PUSH_ONLY",
        )
    elif field.pulls and field.source.identity and column not in key:
        yield _problem(
            field,
            "identity_pulled",
            f"{column} gets its numbers from a sequence: make its field PUSH_ONLY",
        )
    if field.pulls and column in key:
        yield from _pulled_key(field, mode, inserts=inserts)


def _pulled_key(field: FieldMapping, mode: SyncMode, *, inserts: bool) -> Iterator[Problem]:
    """A key is taken from an item once, when it becomes a new row; the list goes on showing it."""
    column = field.source.name
    if mode is SyncMode.TWO_WAY and not field.pushes:
        yield _problem(
            field,
            "key_pull_only",
            f"{column} is part of the key, which is never written into a row that is there: make its field BIDIRECTIONAL, "
            "so that new items give the key and the list shows it, or PUSH_ONLY",
        )
    elif mode is not SyncMode.ONE_WAY_PUSH and not inserts:
        yield _problem(
            field,
            "key_pulled",
            f"{column} is part of the key, which is taken from the list for new rows only, and foreign_items IGNORE makes "
            "none",
            Severity.WARNING,
        )


def _target(field: FieldMapping, existing: Mapping[str, ListColumn]) -> Iterator[Problem]:
    name, column = field.target_column_name, existing.get(field.target_column_name)
    if name.lower() == SYNC_KEY_COLUMN.lower():
        yield _problem(field, "target_reserved", f"{SYNC_KEY_COLUMN} holds the sync keys: choose another list column")
    elif column is None and name != "Title" and name not in SYSTEM_COLUMNS:
        if name.lower() in SYSTEM_NAMES:
            yield _problem(
                field, "target_system", f"{name} is one of SharePoint's own columns: choose another list column"
            )
        elif not is_internal_name(name):
            yield _problem(
                field,
                "target_name",
                f"{name!r} is no name that SharePoint keeps as it is: accepted are a letter and then letters, digits and "
                "underscores, 32 characters at most",
            )
    elif column is not None and not field.is_system_field:
        yield from _existing(field, column)
    if name == "Title" and field.kind is not FieldKind.TEXT:
        yield _problem(
            field, "title_kind", f"Title is a single line of text: the field of {field.source.name} has to be TEXT"
        )


def _existing(field: FieldMapping, column: ListColumn) -> Iterator[Problem]:
    if column.kind is not field.kind:
        yield _problem(
            field,
            "target_kind",
            f'the list column "{column.display_name}" is {column.kind}, and the field of {field.source.name} says '
            f"{field.kind}: say {column.kind}, or choose another list column",
        )
    if column.multiple:
        yield _problem(
            field,
            "target_multiple",
            f'the list column "{column.display_name}" holds several ids: only single ones are kept',
        )
    if column.read_only and field.pushes:
        yield _problem(
            field, "target_read_only", f'the list column "{column.display_name}" is read-only: make its field PULL_ONLY'
        )
    if column.max_length is not None and column.max_length < SINGLE_LINE and field.pushes:
        yield _problem(
            field,
            "target_short",
            f'the list column "{column.display_name}" takes {column.max_length} characters: longer rows are refused',
            Severity.WARNING,
        )


def _choices(field: FieldMapping) -> Iterator[Problem]:
    if field.kind not in {FieldKind.CHOICE, FieldKind.MULTICHOICE}:
        return
    column = field.source.name
    if not field.choices:
        yield _problem(
            field,
            "no_choices",
            f"{column} ({field.source.type.declared}) as {field.kind} needs its choices named; or choose another list column",
        )
    if any(not choice or units(choice) > SINGLE_LINE or SEPARATOR in choice for choice in field.choices):
        yield _problem(
            field,
            "choices",
            f'the choices of {column} are texts of 1 to {SINGLE_LINE} characters without "{SEPARATOR}"',
        )
    if len({choice.casefold() for choice in field.choices}) < len(field.choices):
        yield _problem(
            field, "choices", f"two choices of {column} differ by case alone or not at all: SharePoint keeps one"
        )
    if element_family(field.source.type) is Family.ENUM and field.choices and field.pushes:
        missing = [label for label in field.source.type.enum_labels if label not in field.choices]
        if missing:
            yield _problem(
                field,
                "choices_missing",
                f"{len(missing)} labels of {column} are no choices of the list column: rows with them are refused until they "
                "are added",
                Severity.WARNING,
            )


def _shape(field: FieldMapping) -> Iterator[Problem]:
    column, declared = field.source.name, field.source.type
    if field.transform_rule is not None:
        yield _problem(
            field,
            "transform",
            f"{column} has a transform_rule, and there are none yet: leave it out, and compute the value in a view or a "
            "generated column",
        )
    if field.indexed and field.kind in NOT_INDEXABLE:
        yield _problem(
            field, "not_indexable", f"a {field.kind} list column cannot be indexed: leave the index of {column} out"
        )
    long = declared.length is None or declared.length > SINGLE_LINE
    if field.pushes and field.kind in {FieldKind.TEXT, FieldKind.CHOICE} and family_of(declared) in _LONG and long:
        yield _problem(
            field,
            "may_be_cut",
            f"{column} ({declared.declared}) may hold more than {SINGLE_LINE} characters: longer rows are refused; NOTE keeps "
            "63,999",
            Severity.WARNING,
        )
    if field.pulls and not field.is_system_field and not field.source.nullable and family_of(declared) in _NEEDS_VALUE:
        yield _problem(
            field,
            "not_null",
            f"{column} is NOT NULL: an item whose {field.target_display_name} is emptied is parked",
            Severity.WARNING,
        )


_LONG = frozenset({Family.TEXT, Family.CHAR, Family.JSON, Family.JSONB, Family.OTHER, Family.ARRAY})
_NEEDS_VALUE = frozenset(Family) - {Family.TEXT, Family.CHAR, Family.ARRAY, Family.BOOLEAN}


def _together(fields: Sequence[FieldMapping], list_columns: Sequence[ListColumn]) -> Iterator[Problem]:
    for name in _repeated(field.target_column_name.lower() for field in fields):
        yield Problem(code="target_twice", message=f"two fields write the list column {name}", where="fields")
    for name in _repeated(field.target_display_name.lower() for field in fields):
        yield Problem(
            code="display_twice", message=f'two fields are shown as "{name}": give them different names', where="fields"
        )
    for name in _repeated(field.source.name for field in fields if field.pulls):
        yield Problem(
            code="source_twice", message=f"two fields are pulled into {name}: one of them may be", where="fields"
        )
    for number in _repeated(str(field.no) for field in fields):
        yield Problem(code="number_twice", message=f"two fields have the number {number}", where="fields")
    lookups = sum(field.kind in LOOKUPS for field in fields)
    if lookups > MAX_LOOKUPS:
        yield Problem(
            code="too_many_lookups",
            message=f"{lookups} fields are lookups or persons, and SharePoint reads {MAX_LOOKUPS} at once: leave some out",
            where="fields",
        )
    yield from _indexes(fields, list_columns)


def _indexes(fields: Sequence[FieldMapping], list_columns: Sequence[ListColumn]) -> Iterator[Problem]:
    indexed = {column.name for column in list_columns if column.indexed} | {SYNC_KEY_COLUMN}
    indexed |= {field.target_column_name for field in fields if field.indexed}
    if len(indexed) > MAX_INDEXES:
        yield Problem(
            code="too_many_indexes",
            message=f"{len(indexed)} list columns would be indexed, the sync key among them, and a list has {MAX_INDEXES} "
            "indexes: leave some out",
            where="fields",
        )


def _groups(fields: Sequence[FieldMapping], mode: SyncMode, key: set[str]) -> Iterator[Problem]:
    groups: dict[str, list[FieldMapping]] = {}
    for field in fields:
        if field.group is not None:
            groups.setdefault(field.group, []).append(field)
    for name, members in groups.items():
        if len({member.direction for member in members}) > 1:
            yield Problem(
                code="group_direction",
                message=f"the fields of group {name} are merged as one value: give them one direction",
                where="fields",
            )
        elif mode is not SyncMode.ONE_WAY_PUSH and any(member.source.name in key for member in members):
            yield Problem(
                code="group_key",
                message=f"the group {name} has a field of the key, which is never written into a row that is there: leave it "
                "out of the group",
                where="fields",
            )
        if len(members) == 1:
            yield Problem(
                code="group_single",
                message=f"the group {name} has one field: it changes nothing",
                where="fields",
                severity=Severity.WARNING,
            )


def _repeated(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
