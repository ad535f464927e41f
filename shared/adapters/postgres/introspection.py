"""What the catalog says about a source's tables, as snapshots."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.core.errors import NotFound
from shared.core.snapshot import Constraint, ConstraintKind, Index, ReplicaIdentity, RowSecurity, TableSnapshot
from shared.core.source import RelationKind, SourceColumn, SourceType, TableRef

_FILE: Final = "introspection.sql"
_HEADER_BYTES: Final = 4
"""varchar(n), char(n) and numeric keep their modifiers as n + 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableListing:
    """One line of a database's table list."""

    table: TableRef
    kind: RelationKind
    estimated_rows: int | None
    comment: str | None


def list_tables(database: SourceDatabase) -> tuple[TableListing, ...]:
    """Tables, views and foreign tables of the schemas that the role may use, by schema and name."""
    with database.transaction("the list of tables") as connection:
        rows = connection.execute(queries(_FILE)["tables"]).fetchall()
    return tuple(
        TableListing(
            table=TableRef(schema=schema, name=name), kind=RelationKind(kind), estimated_rows=estimate, comment=comment
        )
        for schema, name, kind, estimate, comment in rows
    )


def introspect(database: SourceDatabase, table: TableRef) -> TableSnapshot:
    """One table as it is now, from one transaction. Raises NotFound; names are matched exactly, case included."""
    # A change between two of the statements would show a table that never was.
    with database.transaction(table, one_snapshot=True) as connection:
        return snapshot_of(connection, table)


def snapshot_of(connection: Connection, table: TableRef) -> TableSnapshot:
    """The same within a transaction of the caller's, under pinned settings."""
    oid, kind, replica, replica_index, comment, *security = _relation(connection, table)
    estimate = connection.execute(queries(_FILE)["estimated_rows"], [oid]).fetchone()
    return TableSnapshot(
        table=table,
        kind=RelationKind(kind),
        columns=tuple(_column(*row) for row in connection.execute(queries(_FILE)["columns"], [oid])),
        constraints=tuple(_constraint(*row) for row in connection.execute(queries(_FILE)["constraints"], [oid])),
        indexes=tuple(_index(*row) for row in connection.execute(queries(_FILE)["indexes"], [oid])),
        replica_identity=ReplicaIdentity(replica),
        replica_identity_index=replica_index,
        estimated_rows=estimate[0] if estimate else None,
        row_security=RowSecurity(enabled=security[0], forced=security[1], applies=security[2]),
        comment=comment,
    )


def columns_of(connection: Connection, table: TableRef) -> TableSnapshot:
    """Of its columns alone, as of now."""
    oid, kind, *_ = _relation(connection, table)
    columns = tuple(_column(*row) for row in connection.execute(queries(_FILE)["columns"], [oid]))
    return TableSnapshot(table=table, kind=RelationKind(kind), columns=columns)


def relation_oid(connection: Connection, table: TableRef) -> int:
    """The table's oid. Raises NotFound."""
    oid: int = _relation(connection, table)[0]
    return oid


def base_types(connection: Connection, table: TableRef) -> Mapping[str, str]:
    """Column name -> base type's name as in SourceType.name, as of now."""
    oid = relation_oid(connection, table)
    return {row[0]: row[2] for row in connection.execute(queries(_FILE)["columns"], [oid])}


def _relation(connection: Connection, table: TableRef) -> tuple[Any, ...]:
    named = not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in table.schema + table.name)
    found = connection.execute(queries(_FILE)["relation"], [table.schema, table.name]) if named else None
    row = found.fetchone() if found is not None else None
    if row is None:
        raise NotFound(
            f"there is no table {table}, or this role may not see it: names are matched exactly, upper and lower case"
            " included",
            code="no_table",
        )
    return row


def _column(
    name: str,
    declared: str,
    base: str,
    typmod: int,
    is_array: bool,
    is_enum: bool,
    domain: str | None,
    nullable: bool,
    generated: bool,
    identity: bool,
    has_default: bool,
    position: int,
    comment: str | None,
    deterministic: bool,
    labels: list[str],
) -> SourceColumn:
    length, precision, scale = _modifiers(base, typmod)
    return SourceColumn(
        name=name,
        type=SourceType(
            name=base,
            declared=declared,
            is_array=is_array,
            is_enum=is_enum,
            enum_labels=tuple(labels),
            domain=domain,
            length=length,
            precision=precision,
            scale=scale,
            deterministic_collation=deterministic,
        ),
        nullable=nullable,
        generated=generated,
        identity=identity,
        has_default=has_default,
        position=position,
        comment=comment,
    )


def _modifiers(base: str, typmod: int) -> tuple[int | None, int | None, int | None]:
    """(length, precision, scale) of a type modifier. A numeric's scale may be negative from PostgreSQL 15 on."""
    if typmod < _HEADER_BYTES:
        return None, None, None
    bare = typmod - _HEADER_BYTES
    match base:
        case "varchar" | "bpchar":
            return bare, None, None
        case "numeric":
            # 11 bits, two's complement: numeric_typmod_scale() in PostgreSQL's numeric.c.
            return None, (bare >> 16) & 0xFFFF, ((bare & 0x7FF) ^ 1024) - 1024
        case _:
            return None, None, None


def _constraint(
    name: str,
    kind: str,
    columns: list[str],
    definition: str,
    schema: str | None,
    referenced: str | None,
    referenced_columns: list[str],
    validated: bool,
    deferrable: bool,
) -> Constraint:
    return Constraint(
        name=name,
        kind=ConstraintKind(kind),
        columns=tuple(columns),
        definition=definition,
        references=TableRef(schema=schema, name=referenced) if schema and referenced else None,
        referenced_columns=tuple(referenced_columns),
        validated=validated,
        deferrable=deferrable,
    )


def _index(
    name: str,
    columns: list[str | None],
    unique: bool,
    primary: bool,
    valid: bool,
    partial: bool,
    method: str,
    nulls_not_distinct: bool,
    definition: str,
) -> Index:
    return Index(
        name=name,
        columns=tuple(columns),
        unique=unique,
        primary=primary,
        valid=valid,
        partial=partial,
        method=method,
        nulls_not_distinct=nulls_not_distinct,
        definition=definition,
    )
