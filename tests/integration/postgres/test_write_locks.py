"""Users come first: no write of ours makes one wait for long, be ended for a deadlock, or lose an edit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest

from shared.adapters.postgres.address import Limits
from shared.adapters.postgres.session import WriteLimits
from shared.core.errors import Doubt, InvariantViolated, PreconditionFailed, RowRejected, SourceUnavailable
from shared.core.source import Busy, TransactionFate, Wrote
from tests.integration.postgres.conftest import Opener, Opening, Source


@pytest.fixture
def users(pg_dsn: str) -> Iterator[list[psycopg.Connection]]:
    """Two users' connections, in transactions of their own."""
    with ExitStack() as stack:
        yield [stack.enter_context(psycopg.connect(pg_dsn)) for _ in range(2)]


@pytest.fixture
def table(source: Source) -> Source:
    source.run(
        "create table t (id int primary key, a text, code text unique)",
        "insert into t values (1, 'old', 'x'), (2, 'old', 'y'), (3, 'old', 'z')",
    )
    return source


LOCKS = [
    "update t set a = 'theirs' where id = 1",
    "select from t where id = 1 for update",
    "delete from t where id = 1",
]


@pytest.mark.parametrize("lock", [*LOCKS, "select from t where id = 1 for share"])
def test_a_row_that_a_user_works_on_is_left_alone_and_the_user_notices_nothing(
    table: Source, desk: Opening, users, lock
):
    here = desk("t")
    changes = [here.update("1", a="mine"), here.update("2", a="mine")]
    delete = here.delete("1")
    users[0].execute(lock)
    busy, free = here.apply(*changes)
    assert (busy, type(free)) == (Busy(), Wrote)
    assert here.apply(delete) == [Busy()]
    users[0].commit()


def test_who_only_refers_to_a_row_does_not_keep_it_from_being_updated(table: Source, desk: Opening, users):
    """A foreign key's check holds the row it refers to with FOR KEY SHARE, for as long as the transaction lasts."""
    here = desk("t")
    change, delete = here.update("1", a="mine"), here.delete("1")
    users[0].execute("select from t where id = 1 for key share")
    assert here.apply(delete) == [Busy()]
    (wrote,) = here.write(change)
    assert wrote == Wrote(row=here.row("1"))


def test_a_user_and_a_page_that_want_the_same_rows_in_opposite_order_do_not_deadlock(
    table: Source, desk: Opening, users
):
    here = desk("t")
    changes = [here.update(key, a="mine") for key in ("1", "2", "3")]
    user = users[0]
    user.execute("update t set a = 'theirs' where id = 3")
    transaction = here.begin()
    outcomes = [transaction.apply(changes)[change.op] for change in changes[-1:]]
    assert outcomes == [Busy()]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(user.execute, "update t set a = 'theirs' where id = 1")
        wait_until_blocked(table, user)
        transaction.close()
        waiting.result(20)
    user.commit()
    assert [here.row(key).values["a"] for key in ("1", "2", "3")] == ["theirs", "old", "theirs"]


def test_where_a_lock_cannot_be_skipped_ours_is_given_up_before_anybody_looks_for_a_deadlock(
    table: Source, desk: Opening, users
):
    """We hold row 1 and want the unique code of a user's new row, the user wants row 1: whoever waits for deadlock_timeout
    looks for the circle and is ended. It is never the user, because we do not wait for so long."""
    here = desk("t")
    user = users[0]
    user.execute("set deadlock_timeout = '30s'")  # ours goes by the server's second: there is room for a busy machine
    user.execute("insert into t values (9, 'theirs', 'taken')")
    transaction = here.begin()
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(transaction.apply, [here.update("1", a="mine"), here.update("2", code="taken")])
        theirs = pool.submit(user.execute, "update t set a = 'theirs' where id = 1")
        with pytest.raises(PreconditionFailed):
            ours.result(20)
        theirs.result(20)
    user.commit()
    assert here.row("1").values["a"] == "theirs"
    assert here.row("2").values["code"] == "y"


def test_we_wait_for_no_lock_as_long_as_the_server_waits_before_it_looks_for_a_deadlock(table: Source, desk: Opening):
    name = table.database.address.dbname
    table.run(
        f"alter database {name} set deadlock_timeout = '100ms'",
        "create function note() returns trigger language plpgsql as $$ begin"
        " new.a := current_setting('lock_timeout'); return new; end $$",
        "create trigger note before update on t for each row execute function note()",
    )
    here = desk("t")
    (wrote,) = here.write(here.update("1", code="q"))
    assert wrote.row.values["a"] == "50ms"


def test_a_new_row_whose_key_a_user_is_just_making_waits_shortly_and_is_given_up(table: Source, desk: Opening, users):
    here = desk("t")
    users[0].execute("insert into t values (7, 'theirs', 'seven')")
    with pytest.raises(PreconditionFailed):
        here.apply(here.insert("7", a="mine"))
    users[0].commit()
    assert here.row("7").values["a"] == "theirs"


def test_a_unique_value_that_a_page_gives_up_is_free_for_its_other_rows(table: Source, desk: Opening):
    here = desk("t")
    outcomes = here.write(
        here.insert("4", code="x"), here.update("2", code="b"), here.delete("1"), here.insert("5", code="y")
    )
    assert all(isinstance(outcome, Wrote) for outcome in outcomes)


def test_as_many_transactions_as_the_pool_has_connections_can_begin_at_once(
    table: Source, open_source: Opener, desk: Opening
):
    """Each needs a second connection for a moment. Out of the same pool nobody would get one."""
    few = open_source(limits=Limits(connections=3, wait=timedelta(seconds=15)))
    here = desk("t", of=few)
    with ThreadPoolExecutor(3) as pool:
        transactions = list(pool.map(lambda _: here.begin(), range(3)))
    assert len({transaction.transaction for transaction in transactions}) == 3
    for transaction in transactions:
        transaction.close()


# ---------------------------------------------------------------- time


def test_a_worker_that_stands_still_loses_its_transaction_and_the_users_get_their_rows(table: Source, desk: Opening):
    here = desk("t", limits=WriteLimits(idle=timedelta(seconds=2)))
    change = here.update("1", a="mine")
    transaction = here.begin()
    transaction.apply([change])
    # Waits for the row, and gets it: the server has ended the transaction.
    table.run("set lock_timeout = '60s'")
    table.run("update t set a = 'theirs' where id = 1")
    with pytest.raises(Doubt):
        transaction.commit()
    assert here.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert here.row("1").values["a"] == "theirs"


def test_a_row_behind_a_slow_trigger_is_refused_as_such_and_holds_up_no_other(table: Source, desk: Opening):
    """A page is cut short by the first of them: without it, the others are written."""
    table.run(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$",
        "create trigger slow before update on t for each row when (old.id = 2) execute function slow()",
    )
    here = desk("t", limits=WriteLimits(statement=timedelta(seconds=1)))
    for changes in ([here.update("2", a="mine")], [here.update("1", a="mine"), here.update("2", a="mine")]):
        with pytest.raises(RowRejected) as refused:
            here.apply(*changes)
        assert refused.value.code == "too_slow"
    here.write(here.update("1", a="mine"))
    assert [here.row(key).values["a"] for key in ("1", "2")] == ["mine", "old"]


@pytest.mark.parametrize("left", [timedelta(seconds=0), timedelta(milliseconds=100)])
def test_what_is_left_of_the_whole_transaction_s_time_bounds_each_statement(table: Source, desk: Opening, left):
    table.run(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$",
        "create trigger slow before update on t for each row execute function slow()",
    )
    limits = WriteLimits(statement=timedelta(hours=1))
    here = desk("t", limits=limits)
    change = here.update("1", a="mine")
    transaction = here.begin()
    here.clock.time += (limits.whole - left).total_seconds()
    with pytest.raises(SourceUnavailable):
        transaction.apply([change])
    assert idle_in_transaction(table) == 0


def test_nothing_is_committed_after_the_transaction_s_time(table: Source, desk: Opening):
    limits = WriteLimits()
    here = desk("t", limits=limits)
    change = here.update("1", a="mine")
    transaction = here.begin()
    transaction.apply([change])
    here.clock.time += limits.whole.total_seconds()
    with pytest.raises(SourceUnavailable):
        transaction.commit()
    assert here.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}


# ---------------------------------------------------------------- ends


def test_however_a_transaction_ends_its_connection_goes_back_without_it(
    table: Source, open_source: Opener, desk: Opening, caplog
):
    table.run("alter table t add check (a <> 'refused')")
    here = desk("t", of=open_source(limits=Limits(connections=1, wait=timedelta(seconds=10))))
    change = here.update("1", a="refused")
    refused = here.begin()
    with pytest.raises(Exception, match="refused"):
        refused.apply([change])
    dropped = here.begin()
    dropped.apply([])
    dropped.close()
    dead = here.begin()
    end_backend(table, dead._session.connection)
    with pytest.raises(SourceUnavailable):
        dead.apply([change])
    dead.close()
    dead.close()
    misused = here.begin()
    with pytest.raises(InvariantViolated):
        misused.apply([change, change])
    again = here.begin()
    again.apply([])
    again.commit()
    assert idle_in_transaction(table) == 0
    # The pool would do so too, some time later, in a thread of its own.
    assert "rolling back returned connection" not in caplog.text
    assert here.row("1").values["a"] == "old"


def test_a_connection_that_is_lost_before_the_commit_has_written_nothing(table: Source, desk: Opening):
    here = desk("t")
    change = here.update("1", a="mine")
    transaction = here.begin()
    end_backend(table, transaction._session.connection)
    with pytest.raises(SourceUnavailable):
        transaction.apply([change])
    assert here.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}


PUT_OFF = """
create function put_off() returns trigger language plpgsql as $$ begin
    set constraints all deferred; insert into late default values; return null; end $$;
create function wait() returns trigger language plpgsql as $$ begin
    perform pg_advisory_xact_lock(7); return null; end $$;
create table late (n int);
create constraint trigger wait after insert on late deferrable initially deferred for each row execute function wait();
create constraint trigger put_off after update on t deferrable initially deferred for each row execute function put_off();
"""


@pytest.mark.parametrize(("end", "error"), [("pg_terminate_backend", Doubt), ("pg_cancel_backend", SourceUnavailable)])
def test_only_an_error_that_leaves_the_connection_alive_says_that_a_commit_did_not_happen(
    table: Source, desk: Opening, users, end, error
):
    """A session that is ended in COMMIT may have committed, while it waited for a standby."""
    table.run(PUT_OFF)
    table.run(f"alter database {table.database.address.dbname} set deadlock_timeout = '60s'")
    here = desk("t", limits=WriteLimits(lock=timedelta(seconds=20)))
    change = here.update("1", a="mine")
    users[0].execute("select pg_advisory_lock(7)")
    transaction = here.begin()
    transaction.apply([change])
    pid = transaction._session.connection.info.backend_pid
    with ThreadPoolExecutor(1) as pool:
        commit = pool.submit(transaction.commit)
        wait_until_blocked(table, pid)
        table.admin.execute(f"select {end}(%s)", [pid])
        with pytest.raises(error):
            commit.result(20)
    transaction.close()
    assert here.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert idle_in_transaction(table) == 1  # the user's


def test_the_commit_of_a_transaction_that_had_failed_is_not_taken_for_one(table: Source, desk: Opening):
    here = desk("t")
    change = here.update("1", a="mine")
    transaction = here.begin()
    transaction.apply([change])
    with pytest.raises(psycopg.errors.DivisionByZero):
        transaction._session.connection.execute("select 1 / 0")
    with pytest.raises(PreconditionFailed):
        transaction.commit()
    assert here.row("1").values["a"] == "old"


def wait_until_blocked(source: Source, waiting: psycopg.Connection | int) -> None:
    """Until the server shows that this session waits for a lock."""
    pid = waiting if isinstance(waiting, int) else waiting.info.backend_pid
    blocked = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
    for _ in range(100_000):
        if source.admin.execute(blocked, [pid]).fetchone() == (True,):
            return
    pytest.fail("it never waited")


def end_backend(source: Source, connection: psycopg.Connection) -> None:
    source.admin.execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])


def idle_in_transaction(source: Source) -> int:
    counted = source.admin.execute(
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in trans%%'", []
    ).fetchone()
    return counted[0]
