"""A definition as the control plane keeps it, from the first draft on; `compiled` is what the engine works from."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.definition import DefinitionState, FieldMapping, SourceSpec, SyncDefinition, TargetList
from shared.core.draft import DraftDefinition
from shared.core.errors import ConfigurationError
from shared.core.flows import flows_of
from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, ListId, SiteId
from shared.core.mapping import mapping_fingerprint, scope_fingerprint
from shared.core.paused import agreed_under
from shared.core.policies import policies_of
from shared.core.scope_text import parse
from shared.core.source import RelationKind, SourceColumn, SourceKey, TableRef
from shared.core.terms import Terms, terms_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    connection_id: ConnectionId
    site_id: SiteId
    list_name: str
    list_id: ListId | None = None
    """None until the list is provisioned."""
    key_column: str | None = None
    keeps_versions: bool = True
    provisioned_at: datetime | None = None
    """None while fields want columns that the list may not have yet."""

    @property
    def provisioned(self) -> bool:
        return self.list_id is not None and self.provisioned_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionRecord:
    id: DefinitionId
    version: int
    state: DefinitionState
    state_reason: str | None = None
    instance_id: InstanceId
    """The PRIMARY source."""
    table: TableRef
    relation: RelationKind
    draft: DraftDefinition
    """The choices, by name."""
    key: SourceKey
    """Resolved against the table when the definition was last validated."""
    fields: tuple[FieldMapping, ...]
    """With the list's real internal names once it is provisioned."""
    soft_delete_column: SourceColumn | None = None
    cursor_column: SourceColumn | None = None
    next_field_no: int
    target: TargetRecord
    agreed_scope: bytes | None = None
    """Fingerprint of the scope and key that a person last agreed to."""
    agreed_terms: Terms | None = None
    """What a person last agreed that the definition may write; see shared.core.terms."""
    marked_fields: bytes | None = None
    """Fingerprint of the fields for whose sake rows were last marked."""
    scan_seconds: float | None = None
    """How long the last scan took."""
    next_run_at: datetime | None = None
    run_wanted: bool = False
    """By a person, who waits for it."""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.draft.name


def compiled(record: DefinitionRecord) -> SyncDefinition:
    """Raises ConfigurationError while the definition has no list."""
    draft, target, policies = record.draft, record.target, policies_of(record.draft)
    if target.list_id is None or target.key_column is None:
        raise ConfigurationError(
            f"definition {record.name!r} has no list yet: provision it first", code="not_provisioned"
        )
    return SyncDefinition(
        id=record.id,
        name=record.name,
        version=record.version,
        state=record.state,
        mode=draft.mode,
        conflict_policy=draft.conflict_policy,
        source=source_spec(record),
        target=TargetList(
            connection_id=target.connection_id,
            site_id=target.site_id,
            list_id=target.list_id,
            key_column=target.key_column,
            keeps_versions=target.keeps_versions,
            site_zone=draft.site_zone,
        ),
        fields=record.fields,
        mapping_fingerprint=agreed_under(
            mapping_fingerprint(record.fields, draft.site_zone),
            (mapping.no for mapping in record.fields if mapping.paused is not None),
        ),
        scope_fingerprint=scope_fingerprint_of(record),
        change_detection=draft.change_detection,
        left_scope=draft.left_scope,
        row_deleted=policies.row_deleted,
        item_deleted=policies.item_deleted,
        foreign_items=policies.foreign_items,
        guards=draft.guards,
        schedule=draft.schedule,
        schedule_zone=draft.schedule_zone,
        settle_concurrency=draft.settle_concurrency,
        debounce=draft.debounce,
    )


def renumbered(record: DefinitionRecord, numbers: Collection[FieldNo]) -> DefinitionRecord:
    """With numbers of their own for these fields: what was agreed about them counts no more, and whichever side has a value
    gives it to the other."""
    fresh = dict(zip(sorted(numbers), map(FieldNo, itertools.count(record.next_field_no)), strict=False))
    fields = tuple(replace(mapping, no=fresh.get(mapping.no, mapping.no)) for mapping in record.fields)
    drafted = tuple(
        field if field.no is None else replace(field, no=fresh.get(field.no, field.no)) for field in record.draft.fields
    )
    return replace(
        record,
        fields=fields,
        draft=replace(record.draft, fields=drafted),
        next_field_no=record.next_field_no + len(fresh),
    )


def source_spec(record: DefinitionRecord) -> SourceSpec:
    """What the source adapter needs; there before the list is."""
    columns: dict[str, SourceColumn] = {}
    flows = flows_of(record.fields, record.draft.mode, record.key)
    for mapping in record.fields:
        if mapping.no in flows:
            columns.setdefault(mapping.source.name, mapping.source)
    return SourceSpec(
        instance_id=record.instance_id,
        table=record.table,
        relation=record.relation,
        key=record.key,
        columns=tuple(columns.values()),
        scope=None if record.draft.row_filter is None else parse(record.draft.row_filter),
        soft_delete_column=record.soft_delete_column,
        cursor_column=record.cursor_column,
    )


def scope_fingerprint_of(record: DefinitionRecord) -> bytes:
    scope = None if record.draft.row_filter is None else parse(record.draft.row_filter)
    return scope_fingerprint(record.key, scope, record.soft_delete_column)


def terms_of_record(record: DefinitionRecord) -> Terms:
    return terms_of(record.draft, record.fields)


def preview(record: DefinitionRecord) -> SyncDefinition:
    """As `compiled`, also before there is a list: for plans. Nothing can be written with it then."""
    if record.target.list_id is not None and record.target.key_column is not None:
        return compiled(record)
    placeholder = replace(record.target, list_id=ListId("00000000-0000-0000-0000-000000000000"), key_column="-")
    return compiled(replace(record, target=placeholder))
