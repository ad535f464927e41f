"""Connections: pinned settings end with their transaction, the pool explains itself, nothing stays in a session."""

import threading
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from shared.adapters.postgres.address import Limits
from shared.adapters.postgres.connection import PINNED, SourceDatabase
from shared.adapters.secrets import Secret
from shared.core.errors import ConfigurationError, InvariantViolated, SourceUnavailable
from tests.integration.postgres.conftest import address_of, admit_all
from tests.integration.postgres.stamps import scan

QUICK = Limits(connections=1, connect=timedelta(seconds=10), wait=timedelta(seconds=2))
STATE = (
    "select (select array_agg(name || '=' || setting order by name) from pg_settings),"
    " (select count(*) from pg_prepared_statements), (select count(*) from pg_locks where locktype = 'advisory'),"
    " (select count(*) from pg_cursors), (select count(*) from pg_class where relpersistence = 't'),"
    " (select count(*) from pg_listening_channels())"
)


def test_every_transaction_runs_under_the_pinned_settings(source):
    with source.database.transaction("a test") as connection:
        found = {
            name: (connection.execute("select current_setting(%s)", [name]).fetchone() or ("",))[0] for name in PINNED
        }
        (read_only,) = connection.execute("select current_setting('transaction_read_only')").fetchone() or ("",)
    assert found == dict(PINNED)
    assert read_only == "on"


def test_nothing_stays_in_a_session_behind_a_pooler(open_source):
    source = open_source(limits=Limits(connections=1))
    source.run("create table t (id int primary key, u timestamptz default now())", "insert into t values (1)")
    with source.database.connection("a test") as connection:
        pid, before = connection.info.backend_pid, connection.execute(STATE).fetchone()
    spec = source.spec("t", cursor="u")
    for _ in range(7):  # beyond psycopg's own threshold for prepared statements
        assert scan(source.tables, spec)
        assert source.tables.read_rows(spec, ['["1"]'])
        bound = source.tables.watermark_bound(spec)
        source.tables.watermark_page(spec, None, limit=5, bound=bound, overlap=timedelta(0))
        source.tables.select_identities(spec, 1, None)
        source.tables.server_identity()
    with source.database.connection("a test") as connection:
        assert connection.info.backend_pid == pid
        assert connection.execute(STATE).fetchone() == before


def test_time_outs_are_the_limits(open_source):
    source = open_source(limits=Limits(statement=timedelta(seconds=3), lock=timedelta(seconds=2)))
    with source.database.transaction("a test") as connection:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        values = [(connection.execute("select current_setting(%s)", [name]).fetchone() or ("",))[0] for name in names]
    assert values == ["3s", "2s", "1min"]


def test_a_statement_that_takes_too_long_is_something_to_try_again(open_source):
    source = open_source(limits=Limits(statement=timedelta(milliseconds=50)))
    with pytest.raises(SourceUnavailable, match="57014"), source.database.transaction("a test") as connection:
        connection.execute("select pg_sleep(5)")


def test_a_busy_pool_says_that_it_is_busy(open_source):
    source = open_source(limits=QUICK)
    with (
        source.database.connection("a test"),
        pytest.raises(SourceUnavailable) as raised,
        source.database.connection("another test"),
    ):
        pytest.fail("there was only one connection")
    assert raised.value.code == "pool_exhausted"


@pytest.mark.parametrize("wait", [timedelta(seconds=2), timedelta(hours=1)], ids=["short", "long"])
def test_a_wrong_password_is_said_by_the_pool_too_and_is_not_retried_for_ever(pg_dsn, caplog, wait):
    limits = replace(QUICK, wait=wait)
    with (
        SourceDatabase(address_of(pg_dsn, password="wrong-and-secret"), admit=admit_all, limits=limits) as database,
        pytest.raises(ConfigurationError, match="the password or the token is wrong"),
        database.connection("x"),
    ):
        pytest.fail("connected")
    assert "wrong-and-secret" not in caplog.text


def test_a_server_that_is_not_there_is_something_to_try_again(pg_dsn):
    from infra.local.ports import free_port

    gone = pg_dsn.replace(f":{address_of(pg_dsn).port}/", f":{free_port()}/")
    with (
        SourceDatabase(address_of(gone), admit=admit_all, limits=QUICK) as database,
        pytest.raises(SourceUnavailable, match="start the server there") as raised,
        database.connection("x"),
    ):
        pytest.fail("connected")
    assert raised.value.code == "connection_refused"


def test_a_host_that_is_not_admitted_is_refused_by_the_pool_without_a_socket(pg_dsn):
    def refuse(host, port):
        raise ConfigurationError(f"{host} is not allowed", code="host_not_allowed")

    with (
        SourceDatabase(address_of(pg_dsn), admit=refuse, limits=QUICK) as database,
        pytest.raises(ConfigurationError, match="is not allowed"),
        database.connection("x"),
    ):
        pytest.fail("connected")


def test_a_password_that_was_rotated_is_taken_up_without_a_restart(pg_dsn, source):
    role = f"rotated_{source.database.address.dbname}"
    source.run(f"create role {role} login password 'first'")
    current = ["first"]
    address = address_of(pg_dsn, user=role)
    object.__setattr__(address, "password", lambda: Secret(current[0]))
    try:
        with SourceDatabase(address, admit=admit_all, limits=Limits(connections=1)) as database:
            with database.connection("x") as connection:
                pid = connection.info.backend_pid
            source.run(f"alter role {role} password 'second'")
            current[0] = "second"
            source.run(f"select pg_terminate_backend({pid}, 5000)")
            with database.connection("x") as connection:
                assert connection.info.backend_pid != pid
    finally:
        source.run(f"drop role {role}")


def test_a_connection_that_died_in_the_pool_is_replaced_before_it_is_used(open_source):
    source = open_source(limits=Limits(connections=1))
    source.run("create table t (id int primary key)", "insert into t values (1)")
    spec = source.spec("t")
    source.run("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'syncbridge'")
    assert source.tables.read_rows(spec, ['["1"]'])


def test_a_pool_before_its_opening_is_a_bug_and_says_so(pg_dsn):
    database = SourceDatabase(address_of(pg_dsn), admit=admit_all, limits=QUICK)
    with pytest.raises(InvariantViolated, match="before it was opened"), database.connection("x"):
        pytest.fail("connected")


def test_connections_are_those_that_the_limits_allow(open_source):
    source = open_source(limits=Limits(connections=2))
    open_at_once, most = [0], [0]
    guard, two = threading.Lock(), threading.Barrier(2)

    def use():
        with source.database.connection("x") as connection:
            with guard:
                open_at_once[0] += 1
                most[0] = max(most[0], open_at_once[0])
            connection.execute("select 1")
            two.wait(60)
            with guard:
                open_at_once[0] -= 1

    users = [threading.Thread(target=use) for _ in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert most == [2]
    (count,) = source.admin.execute(
        "select count(*) from pg_stat_activity where application_name = 'syncbridge' and datname = current_database()"
    ).fetchone() or (None,)
    assert count == 2


def test_a_database_whose_name_looks_like_options_is_just_a_database(databases, source):
    name = "x' options='-crow_security=on' y='"
    databases.admin.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
    address = address_of(source.dsn)
    object.__setattr__(address, "dbname", name)
    try:
        with SourceDatabase(address, admit=admit_all) as database, database.connection("x") as connection:
            assert connection.execute("select current_database()").fetchone() == (name,)
    finally:
        databases.admin.execute(psycopg.sql.SQL("drop database {} with (force)").format(psycopg.sql.Identifier(name)))
