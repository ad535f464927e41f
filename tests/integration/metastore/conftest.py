from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql as composed

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.migrations import migrate
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.scans import CHECKSUMS_FROM, ScanStore
from shared.core.ids import DefinitionId
from tests.fixtures.postgres import Databases
from tests.integration.metastore.support import definition_id


@pytest.fixture(scope="session")
def one_metastore(databases: Databases) -> Iterator[str]:
    dsn = databases.create(databases.template("metastore", migrate))
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def metastore(one_metastore: str) -> Iterator[str]:
    """The same migrated metastore for every test here, emptied after each: a database per test takes a second."""
    yield one_metastore
    with psycopg.connect(one_metastore, autocommit=True) as connection:
        names = connection.execute(
            "select c.relname, c.relpersistence from pg_class c"
            " where c.relnamespace = 'syncbridge'::regnamespace and c.relkind = 'r' and c.relname <> 'schema_migrations'"
        ).fetchall()
        tables = [(composed.Identifier("syncbridge", name), kind) for name, kind in names]
        statements = [
            composed.SQL("drop table {}" if kind == "u" else "delete from {}").format(table) for table, kind in tables
        ]
        if statements:
            connection.execute(
                composed.SQL("begin; set local session_replication_role = replica; {}; commit").format(
                    composed.SQL(";").join(statements)
                )
            )


@pytest.fixture
def store(metastore: str) -> Iterator[Metastore]:
    """A pool on an empty, migrated metastore."""
    with Metastore(metastore, max_size=8) as opened:
        yield opened


@pytest.fixture
def backlog(store: Metastore) -> BacklogStore:
    return BacklogStore(store, chunk=50)


@pytest.fixture
def ledger(store: Metastore) -> LedgerStore:
    return LedgerStore(store)


@pytest.fixture(params=[CHECKSUMS_FROM, 0], ids=["every-row", "checksums"])
def scans(store: Metastore, request: pytest.FixtureRequest) -> ScanStore:
    """One that pipes in every row of so few, and one that compares checksums first."""
    return ScanStore(store, chunk=7, checksums_from=request.param)


@pytest.fixture
def definition() -> DefinitionId:
    """An id only: ledger and backlog do not ask for the definition's row."""
    return definition_id()


@pytest.fixture
def sql(metastore: str) -> Iterator[psycopg.Connection]:
    """A connection of its own, to look behind the stores and to make time pass."""
    with psycopg.connect(metastore, autocommit=True) as connection:
        yield connection
