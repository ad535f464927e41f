"""Sync definitions: drafted, checked, planned, provisioned, and moved through their life."""

from dataclasses import asdict, replace
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter

from functions.api.at_once import at_once
from functions.api.deps import Actor, TheEngine
from functions.api.schemas import (
    DefinitionIn,
    DefinitionOut,
    FieldMappingIn,
    FieldMappingOut,
    GuardsIn,
    PauseOut,
    PoliciesOut,
    StateChange,
)
from shared.core.definition import DefinitionState, GuardSettings
from shared.core.draft import DraftDefinition, DraftField
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import ConnectionId, DefinitionId, InstanceId, SiteId
from shared.core.paused import Pause
from shared.core.policies import policies_of
from shared.core.problems import Problem
from shared.core.record import DefinitionRecord
from shared.core.source import TableRef
from shared.engine import Engine
from shared.usecases import definitions as life
from shared.usecases.health import health_of

Fate = Literal["keep", "forget"]

router = APIRouter(prefix="/sync-definitions", tags=["sync definitions"])
fields_router = APIRouter(tags=["sync definitions"])


@router.post("", status_code=201)
def create(body: DefinitionIn, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """Checks the draft against the table as it is now. A definition that cannot work is refused, with all problems at
    once; `warnings` are what a person should know."""
    instance = engine.stores.instances.get(InstanceId(body.source_instance_id))
    engine.stores.connections.get(ConnectionId(body.sharepoint_connection_id))
    wish = life.Wish(
        draft=_draft(body),
        instance_id=instance.id,
        table=TableRef(schema=body.source_schema, name=body.source_table_name),
        connection_id=ConnectionId(body.sharepoint_connection_id),
        site_id=SiteId(body.site_id),
        list_name=body.list_name,
    )
    record, warnings = life.create(
        wish,
        DefinitionId(engine.ids.uuid()),
        source=engine.sources.admin(instance),
        snapshots=engine.stores.snapshots,
        definitions=engine.stores.definitions,
        actor=actor,
    )
    return _shown(engine, record) | {"warnings": _problems(warnings)}


@router.get("")
def definitions(engine: TheEngine, *, deleted: bool = False) -> list[dict[str, Any]]:
    return [_shown(engine, record) for record in engine.stores.definitions.list(deleted=deleted)]


@router.get("/{definition_id}")
def definition(definition_id: UUID, engine: TheEngine) -> dict[str, Any]:
    return _shown(engine, engine.stores.definitions.get(DefinitionId(definition_id)))


@router.put("/{definition_id}")
def change(definition_id: UUID, body: DefinitionIn, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """A new version. Source, site and list stay; where fields are new or changed, their columns are made in the list, and the
    next run looks at every row again. If that fails no run starts before the list is provisioned again. A changed filter or
    key holds the next run until a person has released it."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    fixed = {
        "source_instance_id": (body.source_instance_id, record.instance_id),
        "source_schema": (body.source_schema, record.table.schema),
        "source_table_name": (body.source_table_name, record.table.name),
        "sharepoint_connection_id": (body.sharepoint_connection_id, record.target.connection_id),
        "site_id": (body.site_id, record.target.site_id),
        "list_name": (body.list_name, record.target.list_name),
    }
    moved = tuple(f"{name} cannot change: make another definition" for name, (new, old) in fixed.items() if new != old)
    if moved:
        raise Conflicting(moved[0], problems=moved)
    return _change(engine, record, _draft(body), actor)


@router.delete("/{definition_id}")
def delete(
    definition_id: UUID,
    engine: TheEngine,
    actor: Actor,
    ledger: Fate = "keep",
    runs: Fate = "keep",
) -> dict[str, Any]:
    """A definition is deactivated first; its name is free again then. `ledger` and `runs` say what becomes of what it
    remembers; its list is never deleted. The answer says what became of each."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    deleted = life.set_state(
        record, DefinitionState.DELETED, reason=None, definitions=engine.stores.definitions, actor=actor
    )
    gone = engine.stores.retention.forget(record.id, ledger=ledger == "forget", runs=runs == "forget")
    return {
        "id": str(record.id),
        "state": deleted.state,
        "list": f"The list {record.target.list_name!r} and its items stay as they are: delete it in SharePoint if nobody "
        "needs it. Another definition takes it once it is empty and its description does not name this one any more."
        if record.target.list_id
        else "No list was provisioned.",
        "ledger": f"{gone['ledger']:,} entries were forgotten." if ledger == "forget" else "The ledger is kept.",
        "runs": f"{gone['runs']:,} runs were forgotten."
        if runs == "forget"
        else "The runs are kept until their retention is over.",
    }


@router.get("/{definition_id}/versions")
def versions(definition_id: UUID, engine: TheEngine) -> list[dict[str, Any]]:
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    return [dict(version) for version in engine.stores.definitions.versions(record.id)]


@router.post("/{definition_id}/plan")
def make_plan(definition_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """What the next runs would do: counts for both sides, conflicts with who would win, samples, RU, minutes at this
    tenant's tier, what the guards would say. Writes to neither side. Also for a draft, whose list is not there yet."""
    kept = engine.plan(DefinitionId(definition_id), actor=actor)
    return {"id": str(kept.id), **kept.document}


@router.get("/{definition_id}/plans/{plan_id}")
def a_plan(definition_id: UUID, plan_id: UUID, engine: TheEngine) -> dict[str, Any]:
    kept = engine.stores.plans.get(plan_id)
    if kept.definition != definition_id:
        raise NotFound(f"definition {definition_id} has no plan {plan_id}")
    return {
        "id": str(kept.id),
        "created_by": kept.created_by,
        "created_at": kept.created_at,
        "applied_at": kept.applied_at,
        **kept.document,
    }


@router.post("/{definition_id}/provision")
def provision(definition_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """Makes the list what the definition needs. Repeating it changes nothing; after a crash it goes on."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    admin = engine.graphs.admin(engine.connection_of(record))
    provisioned, made = life.provision(
        record, sharepoint=admin, definitions=engine.stores.definitions, now=engine.clock.now(), actor=actor
    )
    return _shown(engine, provisioned) | {
        "created": made.created,
        "changes": list(made.changes),
        "web_url": made.web_url,
    }


@router.post("/{definition_id}/activate")
def activate(definition_id: UUID, engine: TheEngine, actor: Actor, body: StateChange | None = None) -> dict[str, Any]:
    """Checks the rights on both sides first; each missing one is named with the SQL or the grant that gives it. One that was
    paused goes on at once, every other one with the next schedule tick: `run` says when."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    shown = _move(engine, record, DefinitionState.ACTIVE, body, actor)
    if record.state is DefinitionState.PAUSED:
        return shown | {"run": at_once(engine, record.id, push=True)}
    return shown | {"run": {"starts": "NEXT_TICK", "why": "the schedule tick starts its first run"}}


@router.post("/{definition_id}/pause")
def pause(definition_id: UUID, engine: TheEngine, actor: Actor, body: StateChange | None = None) -> dict[str, Any]:
    """A run that is under way stops at its next page. Marks go on being kept."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    return _move(engine, record, DefinitionState.PAUSED, body, actor)


@router.post("/{definition_id}/deactivate")
def deactivate(definition_id: UUID, engine: TheEngine, actor: Actor, body: StateChange | None = None) -> dict[str, Any]:
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    return _move(engine, record, DefinitionState.DEACTIVATED, body, actor)


@router.get("/{definition_id}/field-mappings")
def field_mappings(definition_id: UUID, engine: TheEngine) -> list[FieldMappingOut]:
    return _fields(engine, engine.stores.definitions.get(DefinitionId(definition_id)))


@router.post("/{definition_id}/field-mappings", status_code=201)
def add_field(definition_id: UUID, body: FieldMappingIn, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    return _change(engine, record, replace(record.draft, fields=(*_drafted(record), _field(body))), actor)


@router.get("/{definition_id}/paused-fields")
def paused_fields(definition_id: UUID, engine: TheEngine) -> list[FieldMappingOut]:
    """Fields whose columns are not what they were: written on neither side, while the others go on."""
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    return [field for field in _fields(engine, record) if field.paused is not None]


@fields_router.post("/field-mappings/{field_id}/resume")
def resume_field(field_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """A paused field goes on; refused while its column is not what it was. It goes on by itself where the same column is as
    it was again. One that was made anew counts as mapped now: nothing was agreed about it, and whichever side has a value
    gives it to the other. The run that settles it begins at once: `run` says when."""
    definition_id, no = engine.stores.definitions.field_owner(field_id)
    resumed = engine.resume_field(definition_id, no, actor=actor)
    return _shown(engine, resumed) | {"run": at_once(engine, definition_id, push=True)}


@fields_router.get("/field-mappings/{field_id}")
def field_mapping(field_id: UUID, engine: TheEngine) -> FieldMappingOut:
    definition_id, _ = engine.stores.definitions.field_owner(field_id)
    return next(f for f in _fields(engine, engine.stores.definitions.get(definition_id)) if f.id == field_id)


@fields_router.put("/field-mappings/{field_id}")
def change_field(field_id: UUID, body: FieldMappingIn, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    definition_id, no = engine.stores.definitions.field_owner(field_id)
    record = engine.stores.definitions.get(definition_id)
    numbers = [mapping.no for mapping in record.fields]
    fields = list(_drafted(record))
    fields[numbers.index(no)] = _field(body)
    return _change(engine, record, replace(record.draft, fields=tuple(fields)), actor)


@fields_router.delete("/field-mappings/{field_id}")
def remove_field(field_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """The list column and what it holds stay; it is not written any more."""
    definition_id, no = engine.stores.definitions.field_owner(field_id)
    record = engine.stores.definitions.get(definition_id)
    kept = tuple(drafted for drafted, mapping in zip(_drafted(record), record.fields, strict=True) if mapping.no != no)
    return _change(engine, record, replace(record.draft, fields=kept), actor)


def _change(engine: Engine, record: DefinitionRecord, draft: DraftDefinition, actor: str) -> dict[str, Any]:
    sharepoint = engine.graphs.admin(engine.connection_of(record))
    changed, warnings = life.change(
        record,
        draft,
        source=engine.sources.admin(engine.instance_of(record)),
        sharepoint=sharepoint,
        snapshots=engine.stores.snapshots,
        definitions=engine.stores.definitions,
        actor=actor,
    )
    if changed.target.list_id is not None and not changed.target.provisioned:
        changed, _ = life.provision(
            changed, sharepoint=sharepoint, definitions=engine.stores.definitions, now=engine.clock.now(), actor=actor
        )
    return _shown(engine, changed) | {"warnings": _problems(warnings)}


def _move(
    engine: Engine, record: DefinitionRecord, state: DefinitionState, body: StateChange | None, actor: str
) -> dict[str, Any]:
    activating = state is DefinitionState.ACTIVE
    moved = life.set_state(
        record,
        state,
        reason=body.reason if body else None,
        definitions=engine.stores.definitions,
        actor=actor,
        source=engine.sources.admin(engine.instance_of(record)) if activating else None,
        sharepoint=engine.graphs.admin(engine.connection_of(record)) if activating else None,
    )
    engine.definition_moved(moved.id)
    return _shown(engine, moved)


def _draft(body: DefinitionIn) -> DraftDefinition:
    return DraftDefinition(
        name=body.name,
        key_strategy=body.key_strategy,
        key_columns=body.key_columns,
        fields=tuple(_field(field) for field in body.field_mappings),
        mode=body.sync_mode,
        conflict_policy=body.conflict_policy,
        change_detection=body.change_detection,
        cursor_column=body.cursor_column,
        row_filter=body.row_filter,
        left_scope=body.left_scope,
        soft_delete_column=body.soft_delete_column,
        row_deleted=body.row_deleted,
        item_deleted=body.item_deleted,
        foreign_items=body.foreign_items,
        guards=GuardSettings(**body.guards.model_dump()),
        schedule=body.schedule,
        schedule_zone=body.schedule_zone,
        site_zone=body.site_zone,
        settle_concurrency=body.settle_concurrency,
        poll_interval=body.poll_interval,
        debounce=body.debounce,
    )


def _field(body: FieldMappingIn) -> DraftField:
    return DraftField(
        source_column_name=body.source_column_name,
        target_column_name=body.target_column_name,
        target_display_name=body.target_display_name,
        kind=body.field_kind,
        direction=body.sync_direction,
        transform_rule=body.transform_rule,
        group=body.group,
        choices=body.choices,
        required=body.required,
        indexed=body.indexed,
    )


def _drafted(record: DefinitionRecord) -> tuple[DraftField, ...]:
    """The fields as they are, to be changed: in the order of the record's mappings."""
    return tuple(
        DraftField(
            source_column_name=mapping.source.name,
            target_column_name=mapping.target_column_name,
            target_display_name=mapping.target_display_name,
            kind=mapping.kind,
            direction=mapping.direction,
            transform_rule=mapping.transform_rule,
            group=mapping.group,
            choices=mapping.choices,
            required=mapping.required,
            indexed=mapping.indexed,
            no=mapping.no,
        )
        for mapping in record.fields
    )


def _fields(engine: Engine, record: DefinitionRecord) -> list[FieldMappingOut]:
    ids = engine.stores.definitions.field_ids(record.id)
    return [
        FieldMappingOut(
            id=ids[mapping.no],
            field_no=mapping.no,
            source_column_name=mapping.source.name,
            source_type=mapping.source.type.declared,
            target_column_name=mapping.target_column_name,
            target_display_name=mapping.target_display_name,
            field_kind=mapping.kind,
            sync_direction=mapping.direction,
            is_system_field=mapping.is_system_field,
            transform_rule=mapping.transform_rule,
            group=mapping.group,
            choices=mapping.choices,
            required=mapping.required,
            indexed=mapping.indexed,
            paused=_pause(mapping.paused),
        )
        for mapping in record.fields
    ]


def _pause(pause: Pause | None) -> PauseOut | None:
    return None if pause is None else PauseOut(reason=pause.reason, since=pause.since, seen_by=pause.seen_by)


def _shown(engine: Engine, record: DefinitionRecord) -> dict[str, Any]:
    draft = record.draft
    return DefinitionOut(
        id=record.id,
        name=record.name,
        version=record.version,
        state=record.state,
        state_reason=record.state_reason,
        source_instance_id=record.instance_id,
        source_schema=record.table.schema,
        source_table_name=record.table.name,
        sharepoint_connection_id=record.target.connection_id,
        site_id=record.target.site_id,
        list_id=record.target.list_id,
        list_name=record.target.list_name,
        key_strategy=record.key.strategy,
        key_columns=tuple(column.name for column in record.key.columns),
        field_mappings=tuple(_fields(engine, record)),
        sync_mode=draft.mode,
        conflict_policy=draft.conflict_policy,
        change_detection=draft.change_detection,
        cursor_column=draft.cursor_column,
        row_filter=draft.row_filter,
        left_scope=draft.left_scope,
        soft_delete_column=draft.soft_delete_column,
        row_deleted=draft.row_deleted,
        item_deleted=draft.item_deleted,
        foreign_items=draft.foreign_items,
        in_force=PoliciesOut(**asdict(policies_of(draft))),
        guards=GuardsIn(**{name: getattr(draft.guards, name) for name in GuardsIn.model_fields}),
        schedule=draft.schedule,
        schedule_zone=draft.schedule_zone,
        site_zone=draft.site_zone,
        settle_concurrency=draft.settle_concurrency,
        poll_interval=draft.poll_interval,
        debounce=draft.debounce,
        health=(
            *engine.standing_of(record.id),
            *health_of(record, surface=engine.settings.surface, untold=engine.untold(record)),
            *engine.watch_health(record),
            *engine.stream_health(record),
        ),
    ).model_dump(mode="json")


def _problems(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [
        {"code": p.code, "where": p.where, "message": p.message, "severity": p.severity, "remedy": p.remedy}
        for p in problems
    ]
