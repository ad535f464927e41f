"""Database instances: registered, tested, introspected."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from functions.api.deps import Actor, TheEngine
from functions.api.schemas import Document, Identifier, InstanceIn, InstanceOut
from shared.core.catalog import DatabaseInstance, InstanceAuth, InstanceRole, KeptSecret
from shared.core.columns import default_column
from shared.core.ids import InstanceId
from shared.core.snapshot import TableSnapshot
from shared.core.snapshot_changes import Change, changes
from shared.core.source import TableRef
from shared.handles import INSTANCES

router = APIRouter(prefix="/database-instances", tags=["databases"])


class IntrospectIn(Document):
    """Which tables: one, those of a schema, or all that the role can see."""

    schema_name: Identifier | None = Field(default=None, alias="schema")
    table: Identifier | None = None


@router.post("", status_code=201)
def register(body: InstanceIn, engine: TheEngine, actor: Actor) -> InstanceOut:
    instance = _instance(engine, InstanceId(engine.ids.uuid()), body, None)
    engine.sources.address(instance)  # refuses what libpq must never see
    engine.stores.instances.add(instance, actor=actor)
    return _out(engine.stores.instances.get(instance.id))


@router.get("")
def instances(engine: TheEngine) -> list[InstanceOut]:
    return [_out(instance) for instance in engine.stores.instances.list()]


@router.get("/{instance_id}")
def instance(instance_id: UUID, engine: TheEngine) -> InstanceOut:
    return _out(engine.stores.instances.get(InstanceId(instance_id)))


@router.put("/{instance_id}")
def replace(instance_id: UUID, body: InstanceIn, engine: TheEngine, actor: Actor) -> InstanceOut:
    """Without `secret` the one that is kept stays."""
    before = engine.stores.instances.get(InstanceId(instance_id))
    changed = _instance(engine, before.id, body, before.secret)
    engine.sources.address(changed)
    engine.stores.instances.replace(changed, actor=actor)
    return _out(engine.stores.instances.get(before.id))


@router.delete("/{instance_id}", status_code=204)
def remove(instance_id: UUID, engine: TheEngine, actor: Actor) -> Response:
    engine.stores.instances.remove(InstanceId(instance_id), actor=actor)
    return Response(status_code=204)


@router.post("/{instance_id}/test")
def test(instance_id: UUID, engine: TheEngine) -> InstanceOut:
    """Connects once and says in a sentence what is wrong, if something is."""
    found = engine.stores.instances.get(InstanceId(instance_id))
    engine.stores.instances.record_check(found.id, engine.sources.admin(found).health())
    return _out(engine.stores.instances.get(found.id))


@router.post("/{instance_id}/introspect")
def introspect(instance_id: UUID, body: IntrospectIn, engine: TheEngine) -> dict[str, Any]:
    """Reads the catalog and keeps a snapshot of every table that differs from the last one. `changes` says in what: null
    for a table that was not seen before."""
    found = engine.stores.instances.get(InstanceId(instance_id))
    admin = engine.sources.admin(found)
    tables = [
        table
        for table in admin.tables()
        if body.schema_name in (None, table.schema) and body.table in (None, table.name)
    ]
    shown = []
    for table in tables:
        before, snapshot = engine.stores.snapshots.latest(found.id, table), admin.introspect(table)
        changed = engine.stores.snapshots.save(found.id, snapshot)
        different = None if before is None else [_change(change) for change in changes(before, snapshot)]
        shown.append(_table(snapshot) | {"changed": changed, "changes": different})
    return {"tables": shown}


@router.get("/{instance_id}/tables")
def tables(instance_id: UUID, engine: TheEngine) -> list[dict[str, str]]:
    found = engine.stores.instances.get(InstanceId(instance_id))
    return [{"schema": table.schema, "table": table.name} for table in engine.stores.snapshots.tables(found.id)]


@router.get("/{instance_id}/tables/{schema}/{table}")
def table(instance_id: UUID, schema: str, table: str, engine: TheEngine) -> dict[str, Any]:
    """The table as it is now."""
    found = engine.stores.instances.get(InstanceId(instance_id))
    return _table(engine.sources.admin(found).introspect(TableRef(schema=schema, name=table)))


def _instance(engine: TheEngine, row_id: InstanceId, body: InstanceIn, kept: KeptSecret | None) -> DatabaseInstance:
    secret = kept or KeptSecret()
    if body.secret is not None and body.secret.value is not None:
        secret = engine.secrets.seal(INSTANCES, row_id, body.secret.value.get_secret_value())
    elif body.secret is not None:
        secret = KeptSecret(reference=body.secret.reference)
    return DatabaseInstance(
        id=row_id,
        name=body.name,
        host=body.host,
        port=body.port,
        db_name=body.db_name,
        db_user=body.db_user,
        secret=secret,
        auth_method=InstanceAuth(body.auth_method),
        tls_mode=body.tls_mode,
        role=InstanceRole(body.role),
        priority=body.priority,
    )


def _out(instance: DatabaseInstance) -> InstanceOut:
    return InstanceOut(
        id=instance.id,
        name=instance.name,
        host=instance.host,
        port=instance.port,
        db_name=instance.db_name,
        db_user=instance.db_user,
        secret=instance.secret.describe(),
        auth_method=instance.auth_method,
        tls_mode=instance.tls_mode,
        role=instance.role,
        priority=instance.priority,
        health=instance.checked.health,
        health_details=dict(instance.checked.details),
        health_checked_at=instance.checked.at,
    )


def _change(change: Change) -> dict[str, Any]:
    return {"part": change.part, "name": change.name, "kind": change.kind, "details": list(change.details)}


def _table(snapshot: TableSnapshot) -> dict[str, Any]:
    return {
        "schema": snapshot.table.schema,
        "table": snapshot.table.name,
        "kind": snapshot.kind.name,
        "estimated_rows": snapshot.estimated_rows,
        "primary_key": list(snapshot.primary_key),
        "replica_identity": snapshot.replica_identity.name,
        "row_level_security": snapshot.row_security.applies,
        "columns": [
            {
                "name": column.name,
                "type": column.type.declared,
                "nullable": column.nullable,
                "generated": column.generated,
                "default_list_column": kind.value if (kind := default_column(column.type).kind) else None,
                "notes": default_column(column.type).notes,
            }
            for column in snapshot.columns
        ],
        "constraints": [
            {"name": c.name, "kind": c.kind.name, "columns": list(c.columns), "definition": c.definition}
            for c in snapshot.constraints
        ],
        "indexes": [
            {"name": i.name, "columns": list(i.columns), "unique": i.unique, "definition": i.definition}
            for i in snapshot.indexes
        ],
    }
