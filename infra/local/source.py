"""The databases of a local stack: the metastore, and a business database with its sample and a role for the product."""

import psycopg
from psycopg import sql

from infra.local.errors import LocalStackError
from infra.local.postgres import PostgresServer
from infra.local.sample.generate import Counts, create
from shared.adapters.metastore.migrations import migrate
from shared.core.errors import SyncError

METASTORE = "syncbridge"
SOURCE = "business"
ROLE = "syncbridge_sync"


def prepare_metastore(server: PostgresServer) -> str:
    """The metastore's DSN; the database is made if it is missing, and brought to the newest schema."""
    _create_database(server, METASTORE)
    try:
        migrate(server.dsn(METASTORE), release="local")
    except SyncError as error:
        raise LocalStackError(
            f"The metastore cannot be migrated: {error.message}. If its data may go, `make clean-local` starts afresh."
        ) from error
    return server.dsn(METASTORE)


def prepare_source(server: PostgresServer, *, password: str, counts: Counts) -> bool:
    """Make the business database, its sample rows and the product's role, if they are missing. Whether it did.

    The role may read and write the rows, see other sessions' transactions (for a safe watermark) and read the log; it owns
    nothing, so that publishing a table is for the database's administrator.
    """
    _create_database(server, SOURCE)
    with psycopg.connect(server.dsn(SOURCE)) as connection:
        role = connection.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone()
        statement = (
            "alter role {} replication login password {}" if role else "create role {} replication login password {}"
        )
        connection.execute(sql.SQL(statement).format(sql.Identifier(ROLE), sql.Literal(password)))
        connection.execute(sql.SQL("grant pg_read_all_stats to {}").format(sql.Identifier(ROLE)))
        present = connection.execute("select to_regnamespace('business') is not null").fetchone()
    if present == (True,):
        return False
    create(server.dsn(SOURCE), counts=counts)
    with psycopg.connect(server.dsn(SOURCE)) as connection:
        for grant in (
            "grant usage on schema business to {}",
            "grant select, insert, update, delete on all tables in schema business to {}",
            "grant usage on all sequences in schema business to {}",
        ):
            connection.execute(sql.SQL(grant).format(sql.Identifier(ROLE)))
    return True


def _create_database(server: PostgresServer, name: str) -> None:
    try:
        connection = psycopg.connect(server.dsn(), autocommit=True)
    except psycopg.OperationalError as error:
        raise LocalStackError(
            f"The PostgreSQL of {server.base} does not let us in ({error}): run `make clean-local` to start afresh."
        ) from error
    with connection:
        if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
