"""Statements of change data capture that name a slot, a publication or a customer's tables, composed as in `statements`.

The replication protocol knows no parameters: names are quoted as identifiers, values as literals.
"""

from collections.abc import Sequence

from psycopg import sql

from shared.adapters.postgres.statements import identifier, shown
from shared.core.replication import Lsn, lsn_text
from shared.core.source import RelationKind, TableRef


def start_replication(slot: str, publication: str, at: Lsn) -> bytes:
    """Protocol version 1, text, without streaming of open transactions: what arrives is committed, memory stays flat."""
    position = lsn_text(at)  # hexadecimal digits and a slash
    command = sql.SQL("START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {})").format(
        identifier(slot), sql.SQL(position), sql.Literal(identifier(publication).as_string(None))
    )
    return command.as_string(None).replace("%%", "%").encode()


def create_publication(publication: str) -> sql.Composed:
    """Of no table yet. A partitioned table's changes come under its own name, whatever partition they are in."""
    return sql.SQL(
        "create publication {} with (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)"
    ).format(identifier(publication))


def add_table(publication: str, table: TableRef, relation: RelationKind) -> sql.Composed:
    return sql.SQL("alter publication {} add table {}").format(identifier(publication), _published(table, relation))


def drop_table(publication: str, table: TableRef, relation: RelationKind) -> sql.Composed:
    return sql.SQL("alter publication {} drop table {}").format(identifier(publication), _published(table, relation))


def _published(table: TableRef, relation: RelationKind) -> sql.Composed:
    only = sql.SQL("only ") if relation is RelationKind.TABLE else sql.SQL("")
    return sql.SQL("{}{}.{}").format(only, identifier(table.schema), identifier(table.name))


# ---------------------------------------------------------------- remedies: SQL that a person runs


def publish(publication: str, tables: Sequence[tuple[TableRef, RelationKind]], *, exists: bool) -> str:
    """What makes these tables part of the publication, for somebody who may."""
    made = [] if exists else [shown(create_publication(publication))]
    return " ".join([*made, *(shown(add_table(publication, table, relation)) for table, relation in tables)])


def publish_whole(publication: str) -> str:
    """What makes a publication that somebody narrowed publish everything again."""
    return shown(
        sql.SQL(
            "alter publication {} set (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)"
        ).format(identifier(publication))
    )


def publish_again(publication: str, table: TableRef, relation: RelationKind) -> str:
    """What publishes a table whole that was published in part."""
    return f"{shown(drop_table(publication, table, relation))} {shown(add_table(publication, table, relation))}"


def replica_identity_index(table: TableRef, index: str) -> str:
    return shown(
        sql.SQL("alter table {}.{} replica identity using index {}").format(
            identifier(table.schema), identifier(table.name), identifier(index)
        )
    )


def full_replica_identity(table: TableRef) -> str:
    return shown(
        sql.SQL("alter table {}.{} replica identity full").format(identifier(table.schema), identifier(table.name))
    )
