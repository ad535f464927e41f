"""Databases that are not UTF-8 are read as if they were."""

import psycopg
import pytest
from psycopg import sql

from shared.core.errors import SyncError
from shared.core.ids import identity_of
from tests.integration.postgres.stamps import scan


@pytest.fixture
def latin1(databases):
    """A database in LATIN1, whatever the server's default is."""
    name = "latin1_db"
    databases.admin.execute(
        sql.SQL("create database {} template template0 encoding 'LATIN1' locale 'C'").format(sql.Identifier(name))
    )
    dsn = databases.server.dsn(name)
    yield dsn
    databases.drop(dsn)


def test_a_latin1_database_gives_utf_8_everywhere(open_source, latin1):
    source = open_source(latin1)
    with psycopg.connect(latin1, client_encoding="UTF8") as connection:
        connection.execute("create table t (k text primary key, v text)")
        connection.execute("insert into t values ('schön', 'Æ'), ('b', 'ÿ')")
    spec = source.spec("t", key=["k"], scope="v in ('Æ', 'ÿ')")
    stamps = scan(source.tables, spec)
    assert set(stamps) == {identity_of(["schön"]), identity_of(["b"])}
    rows = source.tables.read_rows(spec, [identity_of(["schön"])])
    assert dict(rows[identity_of(["schön"])].values) == {"k": "schön", "v": "Æ"}
    assert rows[identity_of(["schön"])].stamp == stamps[identity_of(["schön"])]


def test_a_character_that_the_database_cannot_hold_is_an_error_in_words(open_source, latin1):
    source = open_source(latin1)
    with psycopg.connect(latin1) as connection:
        connection.execute("create table t (k text primary key)")
    with pytest.raises(SyncError, match=r"public\.t: "):
        scan(source.tables, source.spec("t", key=["k"], scope="k = '語'"))


def test_a_key_that_the_database_s_encoding_cannot_hold_is_absent(open_source, latin1):
    source = open_source(latin1)
    with psycopg.connect(latin1) as connection:
        connection.execute("create table t (k text primary key)")
        connection.execute("insert into t values ('a')")
    spec = source.spec("t", key=["k"])
    assert set(source.tables.read_rows(spec, ['["a"]', '["語"]'])) == {'["a"]'}


def test_another_encoding_hashes_other_bytes_and_says_so(open_source, latin1, pg_dsn):
    answers = []
    for dsn in (latin1, pg_dsn):
        source = open_source(dsn)
        source.run("create table t (k text primary key)")
        with source.tables.copy_stamps(source.spec("t", key=["k"])) as stamps:
            answers.append(stamps.hashing())
    assert len(set(answers)) == 2
