"""What change data capture needs of a source: its log, a role that may read it, a publication, a replica identity.

Each finding names what is missing and the SQL that mends it. Nothing here writes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from shared.adapters.postgres import statements, stream_statements
from shared.adapters.postgres.connection import Connection
from shared.adapters.postgres.foreign import foreign_partition
from shared.adapters.postgres.introspection import relation_oid
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.role import Role
from shared.core.definition import SourceSpec
from shared.core.errors import InvariantViolated
from shared.core.problems import Problem, Severity
from shared.core.slots import DEFAULT_SLOT, FAILOVER_SINCE, PUBLICATION
from shared.core.snapshot import TableSnapshot
from shared.core.source import RelationKind, TableRef

_FILE: Final = "replication.sql"
_STREAMED: Final = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED})


def stream_problems(connection: Connection, spec: SourceSpec, snapshot: TableSnapshot, role: Role) -> Iterator[Problem]:
    if spec.relation not in _STREAMED:
        yield _problem(
            "not_streamed",
            f"{spec.table} is a view or a foreign table, whose changes are not in this server's log: find them by scan",
        )
        return
    elsewhere = foreign_partition(connection, relation_oid(connection, spec.table))
    if elsewhere is not None:
        yield _problem(
            "not_streamed",
            f"{spec.table} has the foreign table {elsewhere} as a partition, whose changes are not in this server's log:"
            " find them by scan",
        )
        return
    yield from _server(connection, role)
    yield from _identity(connection, spec, snapshot)
    yield from _publication(connection, spec, role.name)


def _server(connection: Connection, role: Role) -> Iterator[Problem]:
    level, slots_left, ours, senders, keep, version, standby = _one(connection, "stream_settings", DEFAULT_SLOT)
    if standby:
        yield _problem(
            "stream_standby", "this server is a standby, where nothing can be published: stream from the primary"
        )
    if level != "logical":
        yield _problem(
            "wal_level",
            f"the server writes its log at wal_level={level}, which change data capture cannot read",
            remedy="alter system set wal_level = 'logical'; -- then restart the server",
        )
    if not role.replicates:
        yield _problem(
            "replication_missing",
            f"the role {role.name} may not replicate, which change data capture needs",
            remedy=statements.allow(role.name, "replication"),
        )
    if not ours and slots_left < 1:
        yield _problem(
            "slots_used_up",
            "the server has no replication slot left: drop one that nobody reads, or allow more",
            remedy="alter system set max_replication_slots = '20'; -- then restart the server",
        )
    if senders < 1:
        yield _problem(
            "no_senders",
            "the server allows no replication connection (max_wal_senders is 0): changes are asked for by SQL, which is"
            " slower and later",
            severity=Severity.WARNING,
            remedy="alter system set max_wal_senders = '10'; -- then restart the server",
        )
    if keep < 0:
        yield _problem(
            "slot_unbounded",
            "nothing in the server bounds the log that it keeps for a slot (max_slot_wal_keep_size): if SyncBridge is away"
            " altogether, so that its own byte budget is not looked at, the disk can fill",
            severity=Severity.WARNING,
            remedy="alter system set max_slot_wal_keep_size = '20GB'; select pg_reload_conf();",
        )
    if version < FAILOVER_SINCE:
        yield _problem(
            "slot_failover",
            f"before PostgreSQL {FAILOVER_SINCE} a slot does not live on at a standby that is promoted, unless the extension"
            " pg_failover_slots is installed: after a failover the stream stops, and a scan makes up for it",
            severity=Severity.WARNING,
        )


def _identity(connection: Connection, spec: SourceSpec, snapshot: TableSnapshot) -> Iterator[Problem]:
    generated = [column.name for column in spec.key.columns if column.generated]
    if generated:
        yield _problem(
            "key_generated",
            f"the key of {spec.table} has a generated column ({', '.join(generated)}), which the log does not hold:"
            " choose another key, or find changes by scan",
            where="key",
        )
        return
    key = [column.name for column in spec.key.columns]
    oid = relation_oid(connection, spec.table)
    relations = connection.execute(queries(_FILE)["relations"], [oid]).fetchall()
    unlogged = [f"{schema}.{name}" for schema, name, persistence, *_ in relations if persistence != "p"]
    if unlogged:
        yield _problem(
            "unlogged",
            f"{', '.join(unlogged)} is unlogged or temporary: what is not in the log cannot be streamed",
        )
    narrow = [
        TableRef(schema=schema, name=name)
        for schema, name, _, _, identity in relations
        if identity is not None and not set(key) <= set(identity)
    ]
    if narrow:
        names = ", ".join(map(str, narrow))
        yield _problem(
            "replica_identity",
            f"the replica identity of {names} does not hold the key ({', '.join(key)}): the log does not say which row was"
            " updated or deleted",
            remedy=_mended(narrow, key, snapshot),
        )


def _mended(tables: Sequence[TableRef], key: Sequence[str], snapshot: TableSnapshot) -> str:
    """By a unique index that holds the key, where there is one: FULL writes whole old rows into the log."""
    nullable = {column.name for column in snapshot.columns if column.nullable}
    usable = [
        index.name
        for index in snapshot.indexes
        if index.unique
        and index.valid
        and not index.partial
        and None not in index.columns
        and set(key) <= set(index.columns)
        and not nullable & set(index.columns)
        and index.name not in {constraint.name for constraint in snapshot.constraints if constraint.deferrable}
    ]
    if usable and list(tables) == [snapshot.table] and snapshot.kind is RelationKind.TABLE:
        return stream_statements.replica_identity_index(snapshot.table, usable[0])
    return " ".join(map(stream_statements.full_replica_identity, tables))


def _publication(connection: Connection, spec: SourceSpec, role: str) -> Iterator[Problem]:
    found = connection.execute(queries(_FILE)["publication"], [PUBLICATION]).fetchone()
    tables = {
        TableRef(schema=schema, name=name): not (filtered or narrowed)
        for schema, name, filtered, narrowed, _ in connection.execute(queries(_FILE)["published"], [PUBLICATION])
    }
    oid = relation_oid(connection, spec.table)
    may_create, owns_publication, owns_table, _ = _one(connection, "may_publish", PUBLICATION, oid)
    if found is not None and not all(found):
        yield _problem(
            "publication_narrow",
            f"the publication {PUBLICATION} does not publish every operation, or not under the partitions' root",
            remedy=stream_statements.publish_whole(PUBLICATION),
        )
    if spec.table in tables and not tables[spec.table]:
        yield _problem(
            "publication_filtered",
            f"the publication {PUBLICATION} leaves out rows or columns of {spec.table}",
            remedy=stream_statements.publish_again(PUBLICATION, spec.table, spec.relation),
        )
    if spec.table not in tables and not (owns_table and (may_create if found is None else owns_publication)):
        yield _problem(
            "publication_missing",
            f"{spec.table} is not published by {PUBLICATION}, and the role {role} may not publish it: that takes the owner"
            " of the table, and of the publication or the right to make one",
            remedy=stream_statements.publish(PUBLICATION, [(spec.table, spec.relation)], exists=found is not None),
        )


def _problem(
    code: str, message: str, *, where: str = "change_detection", severity: Severity = Severity.ERROR, remedy: str = ""
) -> Problem:
    return Problem(code=code, message=message, where=where, severity=severity, remedy=remedy or None)


def _one(connection: Connection, name: str, *values: object) -> tuple[Any, ...]:
    row = connection.execute(queries(_FILE)[name], values).fetchone()
    if row is None:
        raise InvariantViolated("the server did not answer what it always answers")
    return row
