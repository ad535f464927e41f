from dataclasses import replace

import psycopg
import pytest

from infra.local import source
from infra.local.errors import LocalStackError
from infra.local.sample.generate import Counts


@pytest.fixture
def names(monkeypatch, postgres_server):
    """Databases and a role of this test's own, in the shared server."""
    monkeypatch.setattr(source, "METASTORE", "local_metastore")
    monkeypatch.setattr(source, "SOURCE", "local_source")
    monkeypatch.setattr(source, "ROLE", "local_role")
    yield
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("drop database if exists local_metastore with (force)")
        connection.execute("drop database if exists local_source with (force)")
        connection.execute("drop role if exists local_role")


@pytest.mark.usefixtures("names")
def test_the_source_is_made_once_and_its_role_reads_and_writes_rows_and_owns_nothing(postgres_server):
    assert source.prepare_source(postgres_server, password="one", counts=Counts.for_projects(50))
    assert not source.prepare_source(postgres_server, password="two", counts=Counts.for_projects(50))

    dsn = postgres_server.dsn("local_source").replace(f"postgres:{postgres_server.password}", "local_role:two")
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("select count(*) from business.projects").fetchone() == (50,)
        connection.execute("update business.projects set priority = 1 where id = 1")
        connection.execute("delete from business.invoices")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("alter table business.projects add column mine text")


@pytest.mark.usefixtures("names")
def test_the_metastore_is_migrated_and_a_second_time_left_as_it_is(postgres_server):
    dsn = source.prepare_metastore(postgres_server)
    assert source.prepare_metastore(postgres_server) == dsn
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select count(*) > 0 from syncbridge.schema_migrations").fetchone() == (True,)


def test_a_forgotten_password_is_explained_with_a_way_out(postgres_server):
    with pytest.raises(LocalStackError, match=r"does not let us in \(.*\): run `make clean-local` to start afresh"):
        source.prepare_metastore(replace(postgres_server, password="forgotten"))
