"""A definition's life: drafted, checked, provisioned, active, paused, deactivated, deleted."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.control_ports import Definitions, SharePointAdmin, Snapshots, SourceAdmin
from shared.core.days import DayColumn
from shared.core.definition import DefinitionState, FieldKind, FieldMapping
from shared.core.draft import DraftDefinition
from shared.core.drift import drift_of
from shared.core.errors import ConfigurationError, Conflicting
from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, SiteId
from shared.core.lifecycle import check_definition_move
from shared.core.list_columns import ListColumn, made_anew
from shared.core.needs import needs_of
from shared.core.problems import Problem, Severity
from shared.core.proposal import fields_of, propose_fields
from shared.core.provisioning import (
    TITLE_COLUMN,
    CheckedList,
    ColumnPlan,
    ListPlan,
    ProvisionedColumn,
    ProvisionedList,
)
from shared.core.record import (
    DefinitionRecord,
    TargetRecord,
    renumbered,
    scope_fingerprint_of,
    source_spec,
    terms_of_record,
)
from shared.core.snapshot import TableSnapshot
from shared.core.source import KeyStrategy, SourceColumn, SourceKey, TableRef
from shared.core.validation import validate

_SCOPE_CHANGED = Problem(
    code="scope_changed",
    message="the filter or the key changed: the next run is held until a person has looked at a plan and released it",
    where="row_filter",
    severity=Severity.WARNING,
)
_TERMS_CHANGED = Problem(
    code="policy_changed",
    message="what this definition may write changed: the next run is held until a person has made a plan and released it",
    where="sync_mode",
    severity=Severity.WARNING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for: a draft, and between which table and which list."""

    draft: DraftDefinition
    instance_id: InstanceId
    table: TableRef
    connection_id: ConnectionId
    site_id: SiteId
    list_name: str


def create(
    wish: Wish,
    definition: DefinitionId,
    *,
    source: SourceAdmin,
    snapshots: Snapshots,
    definitions: Definitions,
    actor: str,
) -> tuple[DefinitionRecord, tuple[Problem, ...]]:
    """Checks a draft against the table as it is now and keeps it. Answers with the record and its warnings.

    Raises ConfigurationError with all problems at once; nothing is kept then.
    """
    snapshot = source.introspect(wish.table)
    snapshots.save(wish.instance_id, snapshot)
    draft = wish.draft
    if not draft.fields:
        draft = replace(draft, fields=propose_fields(draft, snapshot))
    record, warnings = _checked(
        DefinitionRecord(
            id=definition,
            version=1,
            state=DefinitionState.DRAFT,
            instance_id=wish.instance_id,
            table=wish.table,
            relation=snapshot.kind,
            draft=draft,
            key=SourceKey(strategy=draft.key_strategy, columns=()),
            fields=(),
            next_field_no=1,
            target=TargetRecord(connection_id=wish.connection_id, site_id=wish.site_id, list_name=wish.list_name),
        ),
        snapshot,
        source,
        (),
    )
    return definitions.add(_agreed(record), actor=actor), warnings


def change(
    record: DefinitionRecord,
    draft: DraftDefinition,
    *,
    source: SourceAdmin,
    sharepoint: SharePointAdmin,
    snapshots: Snapshots,
    definitions: Definitions,
    actor: str,
) -> tuple[DefinitionRecord, tuple[Problem, ...]]:
    """Checks the changed draft and keeps it as a new version. A live definition's list has to be provisioned again when
    fields were added; a scope, a key or terms that changed after the draft are agreed to by releasing the next run's hold."""
    snapshot = source.introspect(record.table)
    snapshots.save(record.instance_id, snapshot)
    columns: Sequence[ListColumn] = ()
    if record.target.list_id is not None:
        columns = sharepoint.columns(record.target.site_id, record.target.list_id)
    numbered = _numbered(record, draft, drift_of(record, snapshot).anew | _made_anew(record, columns))
    changed, warnings = _checked(replace(record, draft=numbered), snapshot, source, columns)
    if record.state is DefinitionState.DRAFT:
        changed = _agreed(changed)  # nothing was written under another one
    if changed.agreed_scope != scope_fingerprint_of(changed):
        warnings = (*warnings, _SCOPE_CHANGED)
    if changed.agreed_terms != terms_of_record(changed):
        warnings = (*warnings, _TERMS_CHANGED)
    if record.target.list_id is not None and not set(list_plan(changed).columns) <= set(list_plan(record).columns):
        changed = replace(changed, target=replace(changed.target, provisioned_at=None))
    return definitions.save(changed, actor=actor), warnings


def provision(
    record: DefinitionRecord, *, sharepoint: SharePointAdmin, definitions: Definitions, now: datetime, actor: str
) -> tuple[DefinitionRecord, ProvisionedList]:
    """Makes the list what the definition needs; a second time changes nothing, after a crash it goes on."""
    if record.state is DefinitionState.DELETED:
        raise Conflicting(f"definition {record.name!r} is deleted")
    made = sharepoint.provision(record.target.site_id, list_plan(record))
    owner = definitions.owner_of(made.list_id)
    if owner is not None and owner != record.id:
        raise Conflicting(f"the list {record.target.list_name!r} belongs to another definition ({owner})")
    target = replace(
        record.target,
        list_id=made.list_id,
        key_column=made.key_column,
        keeps_versions=made.keeps_versions,
        provisioned_at=record.target.provisioned_at or now,
    )
    real = {column.wanted: column for column in made.columns}
    fields = tuple(_bound_to(mapping, real.get(mapping.target_column_name)) for mapping in record.fields)
    anew = {
        mapping.no
        for mapping, was in zip(fields, record.fields, strict=True)
        if was.target_column_id not in (None, mapping.target_column_id)
    }
    bound = renumbered(replace(record, target=target, fields=fields), anew)
    if bound == record:
        return record, made
    return definitions.save(bound, actor=actor), made


def _bound_to(mapping: FieldMapping, column: ProvisionedColumn | None) -> FieldMapping:
    if column is None:
        return mapping  # SharePoint's own
    return replace(mapping, target_column_name=column.name, target_column_id=column.id)


def _made_anew(record: DefinitionRecord, columns: Sequence[ListColumn]) -> frozenset[FieldNo]:
    """Fields whose list column is another one by now."""
    there = {column.name: column for column in columns}
    return frozenset(m.no for m in record.fields if made_anew(m, there.get(m.target_column_name)))


def list_plan(record: DefinitionRecord) -> ListPlan:
    """The list that a definition's pushed and pulled fields need; system columns are there anyway."""
    columns = tuple(
        ColumnPlan(
            name=mapping.target_column_name,
            display_name=mapping.target_display_name,
            kind=mapping.kind,
            choices=mapping.choices,
            required=mapping.required,
            indexed=mapping.indexed,
            is_title=mapping.target_column_name == TITLE_COLUMN,
        )
        for mapping in record.fields
        if not mapping.is_system_field
    )
    return ListPlan(
        definition_id=record.id,
        display_name=record.target.list_name,
        columns=columns,
        existing=record.target.list_id,
    )


def set_state(
    record: DefinitionRecord,
    state: DefinitionState,
    *,
    reason: str | None,
    definitions: Definitions,
    actor: str,
    source: SourceAdmin | None = None,
    sharepoint: SharePointAdmin | None = None,
) -> DefinitionRecord:
    """Moves the definition to another state if its life allows it. Activation checks rights on both sides first."""
    if state is DefinitionState.DELETED and record.state in (DefinitionState.ACTIVE, DefinitionState.PAUSED):
        raise ConfigurationError(
            f"definition {record.name!r} is {record.state}: deactivate it before it is deleted", code="definition_state"
        )
    check_definition_move(f"definition {record.name!r}", record.state, state)
    if record.state is state:
        return record
    if state is DefinitionState.ACTIVE:
        if record.target.list_id is None or not record.target.provisioned:
            raise ConfigurationError(
                f"definition {record.name!r} has no list with all its columns yet: provision it before it is activated",
                code="not_provisioned",
            )
        record = _as_the_list_is(record, sharepoint, definitions, actor)
        problems: tuple[Problem, ...] = ()
        if source is not None:
            problems += source.check(source_spec(record), needs_of(record))
        if sharepoint is not None:
            problems += sharepoint.check_rights(record.target.site_id, _probed_list(record))
        _refuse(record.name, problems)
    return definitions.set_state(record.id, was=record.state, state=state, reason=reason, actor=actor)


def _probed_list(record: DefinitionRecord) -> CheckedList | None:
    """The list, with a column that keeps days, if there is one: what it keeps depends on the site's zone."""
    if record.target.list_id is None or record.target.key_column is None:
        return None
    names = [mapping.target_column_name for mapping in record.fields if mapping.kind is FieldKind.DATE]
    days = DayColumn(name=names[0], zone=ZoneInfo(record.draft.site_zone)) if names else None
    return CheckedList(list_id=record.target.list_id, key_column=record.target.key_column, days=days)


def _as_the_list_is(
    record: DefinitionRecord, sharepoint: SharePointAdmin | None, definitions: Definitions, actor: str
) -> DefinitionRecord:
    """Somebody may have switched the list's versions on or off since it was looked at."""
    if sharepoint is None or record.target.list_id is None:
        return record
    kept = sharepoint.keeps_versions(record.target.site_id, record.target.list_id)
    if kept == record.target.keeps_versions:
        return record
    return definitions.save(replace(record, target=replace(record.target, keeps_versions=kept)), actor=actor)


def _agreed(record: DefinitionRecord) -> DefinitionRecord:
    return replace(record, agreed_scope=scope_fingerprint_of(record), agreed_terms=terms_of_record(record))


def _numbered(record: DefinitionRecord, draft: DraftDefinition, anew: Collection[FieldNo]) -> DraftDefinition:
    """Fields that are as they were keep their numbers; changed and new ones get numbers of their own, so that no digest
    of the old meaning is taken for one of the new. So do those whose column was made anew, on either side."""
    known = {(m.source.name, m.target_column_name, m.kind, m.transform_rule): m.no for m in record.fields}
    by_pair = {(m.source.name, m.target_column_name): m for m in record.fields}
    by_source = {m.source.name: m for m in reversed(record.fields)}
    fields = []
    for field in draft.fields:
        before = by_pair.get((field.source_column_name, field.target_column_name or "")) or (
            by_source.get(field.source_column_name) if field.target_column_name is None else None
        )
        number: FieldNo | None = None
        target = field.target_column_name
        if before is not None:
            target = before.target_column_name
            number = known.get((field.source_column_name, target, field.kind or before.kind, field.transform_rule))
            number = None if number in anew else number
        fields.append(replace(field, no=number, target_column_name=target))
    return replace(draft, fields=tuple(fields))


def _all_numbered(record: DefinitionRecord) -> DraftDefinition:
    """New fields get the numbers that no field of this definition ever had."""
    numbers = itertools.count(record.next_field_no)
    fields = tuple(
        field if field.no is not None else replace(field, no=FieldNo(next(numbers))) for field in record.draft.fields
    )
    return replace(record.draft, fields=fields)


def _checked(
    record: DefinitionRecord, snapshot: TableSnapshot, source: SourceAdmin, columns: Sequence[ListColumn]
) -> tuple[DefinitionRecord, tuple[Problem, ...]]:
    draft = _all_numbered(record)
    problems = validate(draft, snapshot, columns)
    _refuse(draft.name, problems)
    key_names = draft.key_columns or snapshot.primary_key
    fields = fields_of(draft, snapshot, columns, next_no=record.next_field_no)
    checked = replace(
        record,
        draft=draft,
        relation=snapshot.kind,
        key=SourceKey(
            strategy=draft.key_strategy or KeyStrategy.PRIMARY_KEY,
            columns=tuple(_column(snapshot, name) for name in key_names),
        ),
        fields=fields,
        soft_delete_column=_optional(snapshot, draft.soft_delete_column),
        cursor_column=_optional(snapshot, draft.cursor_column),
        next_field_no=max([record.next_field_no, *(mapping.no + 1 for mapping in fields)]),
    )
    found = source.check(source_spec(checked), needs_of(checked))
    _refuse(draft.name, found)
    return checked, tuple(p for p in (*problems, *found) if p.severity is Severity.WARNING)


def _column(snapshot: TableSnapshot, name: str) -> SourceColumn:
    column = snapshot.column(name)
    if column is None:
        raise ConfigurationError(f"table {snapshot.table} has no column {name!r}")
    return column


def _optional(snapshot: TableSnapshot, name: str | None) -> SourceColumn | None:
    return None if name is None else _column(snapshot, name)


def _refuse(name: str, problems: Sequence[Problem]) -> None:
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        texts = tuple(
            f"{problem.where}: {problem.message}" + (f" To mend it: {problem.remedy}" if problem.remedy else "")
            for problem in errors
        )
        raise ConfigurationError(
            f"definition {name!r} cannot work: {texts[0]}", problems=texts, code="invalid_definition"
        )
