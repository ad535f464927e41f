"""Names of transactions and what was committed outlive a crash of the server; a new primary knows neither."""

from contextlib import closing
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.postgres.fates import parse_name
from shared.adapters.postgres.writing import PostgresWriter
from shared.core.errors import SourceUnavailable
from shared.core.ids import identity_of
from shared.core.source import InsertRow, TransactionFate
from tests.integration.postgres.conftest import Ids, ManualClock, Opener, Opening, Source
from tests.integration.postgres.test_standby import Pair, pair

__all__ = ["pair"]

# The log is written by nobody but who commits: what is only in memory is lost, every time.
LAZY = {"wal_writer_delay": "10000", "checkpoint_timeout": "1h"}
MINIMAL = LAZY | {"wal_level": "minimal", "max_wal_senders": "0"}


@pytest.mark.parametrize("settings", [LAZY, MINIMAL], ids=["logical log", "minimal log"])
def test_the_name_of_a_transaction_outlives_a_crash_and_is_not_given_again(
    crashing, open_source: Opener, desk: Opening, settings
):
    server = crashing(settings)
    before = open_source(server.server.dsn())
    before.run("create table t (id int primary key, a text)", "checkpoint")
    here = desk("t", of=before, spec=before.spec("t"))
    transaction = here.begin()
    transaction.apply([here.insert("1", a="x")])
    name = parse_name(transaction.transaction)
    before.admin.close()
    server.crash()
    after = open_source(server.server.dsn())
    there = desk("t", of=after, spec=here.spec)
    assert there.writer.fate([str(name)]) == {str(name): TransactionFate.ABORTED}
    later = there.begin()
    assert parse_name(later.transaction).xid > name.xid
    assert (parse_name(later.transaction).system, parse_name(later.transaction).timeline) == (
        name.system,
        name.timeline,
    )
    later.close()
    transaction.close()


def test_an_id_that_was_never_flushed_is_given_again_after_a_crash(crashing, open_source: Opener):
    """What the flush is for."""
    server = crashing(LAZY)
    before = open_source(server.server.dsn())
    before.run("checkpoint")
    with closing(psycopg.connect(server.server.dsn())) as open_one:
        (lost,) = open_one.execute("select pg_current_xact_id()::text").fetchone()
        before.admin.close()
        server.crash()
    after = open_source(server.server.dsn())
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        after.admin.execute("select pg_xact_status(%s::text::xid8)", [lost])
    (again,) = after.admin.execute("select pg_current_xact_id()::text").fetchone()
    assert int(again) <= int(lost)


def test_a_name_whose_log_was_flushed_on_another_server_is_not_told(crashing, open_source: Opener, desk: Opening):
    """A pool's address may lead elsewhere, in the middle of a failover."""
    one, other = open_source(crashing(LAZY).server.dsn()), open_source(crashing(LAZY).server.dsn())
    one.run("create table t (id int primary key)")
    spec = one.spec("t")
    writer = PostgresWriter(one.database, flusher=other.database, clock=ManualClock(), ids=Ids())
    with pytest.raises(SourceUnavailable) as refused:
        writer.begin(spec)
    assert refused.value.code == "not_flushed"
    desk("t", of=one, spec=spec).begin().close()


def test_what_was_committed_outlives_a_crash_even_if_the_role_commits_without_waiting(
    crashing, open_source: Opener, desk: Opening
):
    server = crashing(LAZY)
    before = open_source(server.server.dsn())
    before.run(
        "create table t (id int primary key, a text)",
        "insert into t values (1, 'old')",
        "checkpoint",
        "alter role postgres set synchronous_commit = off",
    )
    here = desk("t", of=before, spec=before.spec("t"))
    transaction = here.begin()
    transaction.apply([here.update("1", a="new"), here.insert("2")])
    transaction.commit()
    before.admin.close()
    server.crash()
    after = open_source(server.server.dsn())
    there = desk("t", of=after, spec=here.spec)
    assert there.row("1").values["a"] == "new"
    assert there.row("2") is not None
    assert there.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.COMMITTED}


def test_keys_that_were_reserved_are_not_reserved_again_after_a_crash(crashing, open_source: Opener, desk: Opening):
    server = crashing(LAZY)
    before = open_source(server.server.dsn())
    before.run(
        "create table t (id int generated always as identity primary key)",
        "alter role postgres set synchronous_commit = off",
        "checkpoint",
    )
    here = desk("t", of=before, spec=before.spec("t"))
    # Somebody has the sequence put numbers into the log ahead, and does not commit.
    with closing(psycopg.connect(server.server.dsn())) as other:
        other.execute("select nextval('t_id_seq')")
        reserved = here.writer.reserve(here.spec, 3)
        before.admin.close()
        server.crash()
    there = desk("t", of=open_source(server.server.dsn()), spec=here.spec)
    assert not set(there.writer.reserve(here.spec, 3)) & set(reserved)


def test_a_standby_takes_no_writes_and_tells_no_fates_and_a_new_primary_knows_no_old_names(
    pair: Pair, open_source: Opener, desk: Opening
):
    primary, standby = open_source(pair.primary.dsn()), open_source(pair.standby.dsn())
    primary.run("create table t (id int primary key, a text)")
    here = desk("t", of=primary, spec=primary.spec("t"))
    transaction = here.begin()
    transaction.apply([here.insert("1", a="x")])
    transaction.commit()
    old = transaction.transaction
    pair.catch_up()
    there = desk("t", of=standby, spec=here.spec)
    with pytest.raises(SourceUnavailable):
        there.begin()
    with pytest.raises(SourceUnavailable):
        there.writer.fate([old])

    standby.run("select pg_promote()")
    assert there.writer.fate([old]) == {old: TransactionFate.UNKNOWN}
    second = there.begin()
    assert parse_name(second.transaction).timeline == 2
    second.apply([InsertRow(op=uuid4(), identity=identity_of(["2"]), values={"a": "y"})])
    second.commit()
    assert there.writer.fate([second.transaction]) == {second.transaction: TransactionFate.COMMITTED}


def test_fates_that_are_too_old_are_unknown(source: Source, desk: Opening):
    source.run("create table t (id int primary key)")
    here = desk("t")
    transaction = here.begin()
    name = parse_name(transaction.transaction)
    transaction.close()
    ancient = f"{name.system}/{name.timeline}/3"
    assert here.writer.fate([ancient]) == {ancient: TransactionFate.UNKNOWN}
