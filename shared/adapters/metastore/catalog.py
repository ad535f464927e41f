"""Databases and SharePoint connections as the control plane keeps them. Every change is audited in its transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from shared.adapters.metastore.audit import record
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.catalog import (
    AuditEntry,
    Checked,
    Cloud,
    ConnectionAuth,
    DatabaseInstance,
    Health,
    InstanceAuth,
    InstanceRole,
    KeptSecret,
    SharePointConnection,
)
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import ConnectionId, InstanceId

SQL = load("catalog")


class InstanceStore:
    """Satisfies the port Instances."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def add(self, instance: DatabaseInstance, *, actor: str) -> None:
        self._put(instance, actor, None)

    def replace(self, instance: DatabaseInstance, *, actor: str) -> None:
        self._put(instance, actor, self.get(instance.id))

    def get(self, instance_id: InstanceId) -> DatabaseInstance:
        found = self._read(SQL["instance_columns"] + SQL["instance_by_id"], {"id": instance_id})
        if not found:
            raise NotFound(f"there is no database instance {instance_id}")
        return found[0]

    def list(self) -> Sequence[DatabaseInstance]:
        return self._read(SQL["instance_columns"] + SQL["instance_by_name"], {})

    def remove(self, instance_id: InstanceId, *, actor: str) -> None:
        instance = self.get(instance_id)

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                connection.execute(SQL["remove_instance"], {"id": instance_id})
            except errors.ForeignKeyViolation:
                raise Conflicting(
                    f"database instance {instance.name!r} is the source of a definition: delete that first"
                ) from None
            record(connection, _entry(actor, "removed", "database_instance", instance.id, _shown(instance), None))

        self._metastore.transact(work)

    def record_check(self, instance_id: InstanceId, checked: Checked) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["check_instance"], _checked(instance_id, checked))

    def _put(self, instance: DatabaseInstance, actor: str, before: DatabaseInstance | None) -> None:
        values = _shown(instance) | {
            "id": instance.id,
            "reference": instance.secret.reference,
            "sealed": instance.secret.sealed,
        }

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                connection.execute(SQL["put_instance"], values)
            except errors.UniqueViolation:
                raise Conflicting(f"there is another database instance named {instance.name!r}") from None
            action = "changed" if before else "added"
            record(
                connection,
                _entry(
                    actor,
                    action,
                    "database_instance",
                    instance.id,
                    _shown(before) if before else None,
                    _shown(instance),
                ),
            )

        self._metastore.transact(work)

    def _read(self, statement: Any, values: Mapping[str, Any]) -> Sequence[DatabaseInstance]:
        with self._metastore.connection() as connection:
            return [_instance(row) for row in connection.execute(statement, values).fetchall()]


class ConnectionStore:
    """Satisfies the port Connections."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def add(self, connection: SharePointConnection, *, actor: str) -> None:
        self._put(connection, actor, None)

    def replace(self, connection: SharePointConnection, *, actor: str) -> None:
        self._put(connection, actor, self.get(connection.id))

    def get(self, connection_id: ConnectionId) -> SharePointConnection:
        found = self._read(SQL["connection_columns"] + SQL["connection_by_id"], {"id": connection_id})
        if not found:
            raise NotFound(f"there is no SharePoint connection {connection_id}")
        return found[0]

    def list(self) -> Sequence[SharePointConnection]:
        return self._read(SQL["connection_columns"] + SQL["connection_by_name"], {})

    def remove(self, connection_id: ConnectionId, *, actor: str) -> None:
        kept = self.get(connection_id)

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                connection.execute(SQL["remove_connection"], {"id": connection_id})
            except errors.ForeignKeyViolation:
                raise Conflicting(
                    f"SharePoint connection {kept.name!r} is the target of a definition: delete that first"
                ) from None
            record(connection, _entry(actor, "removed", "sharepoint_connection", kept.id, _shown(kept), None))

        self._metastore.transact(work)

    def record_check(self, connection_id: ConnectionId, checked: Checked) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["check_connection"], _checked(connection_id, checked))

    def _put(self, kept: SharePointConnection, actor: str, before: SharePointConnection | None) -> None:
        values = _shown(kept) | {"id": kept.id, "reference": kept.secret.reference, "sealed": kept.secret.sealed}

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            try:
                connection.execute(SQL["put_connection"], values)
            except errors.UniqueViolation:
                raise Conflicting(f"there is another SharePoint connection named {kept.name!r}") from None
            action = "changed" if before else "added"
            record(
                connection,
                _entry(
                    actor, action, "sharepoint_connection", kept.id, _shown(before) if before else None, _shown(kept)
                ),
            )

        self._metastore.transact(work)

    def _read(self, statement: Any, values: Mapping[str, Any]) -> Sequence[SharePointConnection]:
        with self._metastore.connection() as connection:
            return [_connection(row) for row in connection.execute(statement, values).fetchall()]


def _instance(row: TupleRow) -> DatabaseInstance:
    return DatabaseInstance(
        id=InstanceId(row[0]),
        name=row[1],
        host=row[2],
        port=row[3],
        db_name=row[4],
        db_user=row[5],
        secret=KeptSecret(reference=row[6], sealed=row[7]),
        auth_method=InstanceAuth(row[8]),
        tls_mode=row[9],
        role=InstanceRole(row[10]),
        priority=row[11],
        checked=Checked(health=Health(row[12]), details=row[13], at=row[14]),
        updated_at=row[15],
    )


def _connection(row: TupleRow) -> SharePointConnection:
    return SharePointConnection(
        id=ConnectionId(row[0]),
        name=row[1],
        tenant_id=row[2],
        client_id=row[3],
        auth_method=ConnectionAuth(row[4]),
        secret=KeptSecret(reference=row[5], sealed=row[6]),
        cloud=Cloud(row[7]),
        graph_url=row[8],
        login_url=row[9],
        licence_count=row[10],
        ru_multiplier=row[11],
        ru_per_minute=row[12],
        ru_per_day=row[13],
        user_agent=row[14],
        checked=Checked(health=Health(row[15]), details=row[16], at=row[17]),
        updated_at=row[18],
    )


def _shown(kept: DatabaseInstance | SharePointConnection) -> dict[str, Any]:
    """Its members by name, as parameters and for the audit: the secret only by where it is."""
    hidden = {"id", "secret", "checked", "updated_at"}
    members = {name: getattr(kept, name) for name in kept.__dataclass_fields__ if name not in hidden}
    return {name: getattr(value, "value", value) for name, value in members.items()} | {
        "secret": kept.secret.describe()
    }


def _checked(row_id: InstanceId | ConnectionId, checked: Checked) -> dict[str, Any]:
    return {"id": row_id, "health": checked.health.value, "details": dumps(checked.details), "at": checked.at}


def _entry(
    actor: str, action: str, kind: str, row_id: Any, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> AuditEntry:
    return AuditEntry(actor=actor, action=action, subject_kind=kind, subject_id=str(row_id), before=before, after=after)
