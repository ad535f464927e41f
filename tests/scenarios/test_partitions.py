"""Rows that move to another partition, while the engine is just about to write them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from psycopg import sql

from shared.adapters.postgres import write_statements
from shared.adapters.postgres.writing import PostgresRowTransaction
from shared.core.errors import SyncError
from tests.scenarios.case import Case, Maker

pytestmark = pytest.mark.slow

PARTITIONED = """
create table public.staff (id integer primary key, name text, city text, age bigint) partition by range (id);
create table public.present partition of public.staff for values from (0) to (100);
create table public.former partition of public.staff for values from (100) to (200);
create function public.goes_on() returns boolean language plpgsql as $$ begin
    perform pg_advisory_xact_lock_shared(1);
    while not pg_try_advisory_xact_lock_shared(2) loop
        perform pg_sleep(0.001);
    end loop;
    return true;
end $$
"""


@contextmanager
def a_user_between_snapshot_and_lock(case: Case, statement: str) -> Iterator[list[Any]]:
    """The engine's next statement that locks rows has begun, and looks at no row before a user has done this. Yields the
    SQLSTATEs of the transactions that did not get through."""
    lock_rows, apply, seen = write_statements.lock_rows, PostgresRowTransaction.apply, list[Any]()

    def slowly(spec, lock):
        text = lock_rows(spec, lock).as_string(None)
        return sql.SQL(text.replace(f" for {lock} of ", f" where (select public.goes_on()) for {lock} of "))

    def noted(self, changes):
        try:
            return apply(self, changes)
        except SyncError as refused:
            seen.append(refused.context.get("sqlstate"))
            raise

    def act(user: psycopg.Connection) -> None:
        begun = "select true from pg_locks where locktype = 'advisory' and objid = 1 and granted"
        while user.execute(begun).fetchone() is None:
            pass
        user.execute(statement)
        user.execute("select pg_advisory_unlock(2)")

    with (
        psycopg.connect(case.stage.addresses["source"], autocommit=True) as user,
        patch.object(write_statements, "lock_rows", slowly),
        patch.object(PostgresRowTransaction, "apply", noted),
        ThreadPoolExecutor(1) as pool,
    ):
        user.execute("select pg_advisory_lock(2)")
        done = pool.submit(act, user)
        yield seen
        done.result(20)


MOVED = "update public.staff set id = 101 where id = 1;"
BACK = "update public.staff set id = 1, city = 'Rome' where id = 101;"


@pytest.mark.parametrize(
    ("statement", "rows", "lost"),
    [
        (MOVED + BACK, {"1": ("Rome", 42), "2": ("Oslo", 53)}, []),
        # The edit outlives the row that is gone under its key, and the row with the new key is a row like any other.
        (MOVED, {"1": ("Oslo", 42), "2": ("Oslo", 53), "101": ("Oslo", 41)}, [("1", "age", None, "ITEM")]),
    ],
    ids=["and back", "for good"],
)
def test_a_row_that_a_user_moves_to_another_partition_just_before_it_is_locked(
    new_case: Maker, statement: str, rows: dict, lost: list
):
    case = new_case(PARTITIONED)
    case.user_inserts(1, name="Ann", city="Oslo", age=41)
    case.user_inserts(2, name="Bob", city="Oslo", age=52)
    case.push()
    case.pull()
    case.begins()
    case.person_edits("1", age=42)
    case.person_edits("2", age=53)
    with a_user_between_snapshot_and_lock(case, statement) as refused:
        pulled = case.pull()
    assert (refused, pulled.status) == (["40001"], "COMPLETED")
    case.push()
    assert {key: (row["city"], row["age"]) for key, row in case.agreed().items()} == rows
    assert (case.conflicts(), case.holds()) == (lost, {})
    case.quiet()
    case.golden()
