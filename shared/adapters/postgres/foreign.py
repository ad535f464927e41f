"""Rows that are on another server: those of foreign tables, and of partitions that are foreign tables.

They all have the version 0, their changes are not in this server's log, and nobody here sees the transactions that write them.
"""

from typing import Final

from shared.adapters.postgres.connection import Connection
from shared.adapters.postgres.introspection import relation_oid
from shared.adapters.postgres.queries import queries
from shared.core.definition import SourceSpec
from shared.core.source import RelationKind, TableRef

_FILE: Final = "introspection.sql"


def has_foreign_rows(connection: Connection, spec: SourceSpec) -> bool:
    """Within a transaction under pinned settings. Of the tables behind a view this says nothing."""
    match spec.relation:
        case RelationKind.FOREIGN_TABLE:
            return True
        case RelationKind.PARTITIONED:
            return foreign_partition(connection, relation_oid(connection, spec.table)) is not None
        case _:
            return False


def foreign_partition(connection: Connection, oid: int) -> TableRef | None:
    """A partition whose rows are on another server, below whatever partitions."""
    found = connection.execute(queries(_FILE)["foreign_partition"], [oid]).fetchone()
    return None if found is None else TableRef(schema=found[0], name=found[1])
