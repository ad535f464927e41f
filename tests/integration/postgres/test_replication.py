"""A real slot, read through libpq and by SQL: every message, kept alive, confirmed, refused with a reason."""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from infra.local.postgres import PostgresServer, start
from shared.adapters.postgres import replication, slots
from shared.adapters.postgres.address import connection_arguments
from shared.adapters.postgres.replication import Polling, Stream
from shared.adapters.postgres.slots import SlotAdmin
from shared.core.changes import Operation
from shared.core.errors import PermissionMissing, SourceUnavailable, StreamBroken
from shared.core.gathering import Gatherer, TroubleKind
from shared.core.pgoutput import UNCHANGED, Begin, Commit, Decoder, Delete, Insert, Relation, Truncate, Type, Update
from shared.core.replication import MESSAGE, PAYLOAD, Lsn
from shared.core.slots import PUBLICATION, BreakKind, Membership
from shared.core.source import RelationKind, TableRef
from shared.ports import ChangeFeed
from shared.process import SystemClock
from tests.fixtures.crashing import started_again
from tests.integration.postgres.conftest import Source, address_of, admit_all
from tests.integration.postgres.streams import Slot, slot_name

ORDERS = TableRef(schema="public", name="orders")
NEW, CHANGED, GONE = Operation.INSERT, Operation.UPDATE, Operation.DELETE


@pytest.fixture
def orders(source: Source) -> Slot:
    source.run("create table orders (id bigint primary key, note text)")
    return Slot(source, source.spec("orders"))


@pytest.fixture(params=["stream", "poll"])
def either(request, monkeypatch) -> str:
    """Both ways to read a slot."""
    if request.param == "poll":

        def refused(*_: object, **__: object) -> None:
            raise replication._NoStreamError

        monkeypatch.setattr(replication, "Stream", refused)
    return request.param


def test_both_ways_are_what_they_say(orders, either):
    with orders.feed() as feed:
        assert isinstance(feed, Stream if either == "stream" else Polling)
        assert feed.streaming is (either == "stream")


def test_inserts_updates_deletes_and_changed_keys_name_their_keys(orders, either):
    orders.source.run(
        "insert into orders values (1, 'a'), (2, 'b'), (3, 'c')",
        "update orders set note = 'x' where id = 1",
        "update orders set id = 20 where id = 2",
        "delete from orders where id = 3",
    )
    with orders.feed() as feed:
        assert orders.keys(feed) == {'["1"]': CHANGED, '["2"]': GONE, '["20"]': NEW, '["3"]': GONE}


def test_every_message_of_a_table_with_a_full_identity_and_types_of_its_own_is_read(source, either):
    source.run(
        "create type mood as enum ('fine', 'so-so')",
        "create table t (id int primary key, m mood, big text)",
        "alter table t alter big set storage external, replica identity full",
    )
    slot = Slot(source, source.spec("t"))
    source.run(
        "insert into t values (1, 'fine', repeat('x', 10000))",
        "update t set m = 'so-so'",
        "delete from t",
        "truncate t",
    )
    with slot.feed() as feed:
        events = slot.events(feed)
    kinds = [type(event) for event in events if not isinstance(event, (Type, Relation))]
    assert kinds == [Begin, Insert, Commit, Begin, Update, Commit, Begin, Delete, Commit, Begin, Truncate, Commit]
    assert [type(event) for event in events][:4] == [Begin, Type, Relation, Insert]
    update = next(event for event in events if isinstance(event, Update))
    assert update.old is not None
    assert update.old.values() == ["1", "fine", "x" * 10000]
    assert update.new.values() == ["1", "so-so", UNCHANGED]


def test_a_value_that_an_update_did_not_touch_is_not_sent_and_not_null(source, either):
    source.run("create table t (id int primary key, n int, big text)", "alter table t alter big set storage external")
    source.run("insert into t values (1, 1, repeat('x', 10000))")
    slot = Slot(source, source.spec("t"))
    source.run("update t set n = null")
    with slot.feed() as feed:
        (update,) = (event for event in slot.events(feed) if isinstance(event, Update))
    assert update.new.values() == ["1", None, UNCHANGED]


def test_a_toasted_key_that_an_update_did_not_touch_is_known(source, either):
    source.run(
        "create table t (id text not null, note text, n int)",
        "alter table t alter id set storage external, replica identity full",
        "insert into t values (repeat('k', 5000), repeat('x', 5000), 1)",
    )
    slot = Slot(source, source.spec("t"))
    source.run("update t set n = 2")
    with slot.feed() as feed:
        assert slot.keys(feed) == {f'["{"k" * 5000}"]': CHANGED}


def test_changes_of_partitions_come_under_the_partitioned_table(source, either):
    source.run(
        "create table t (id int, region text, note text, primary key (id, region)) partition by list (region)",
        "create table t_eu partition of t for values in ('eu')",
        "create table t_us partition of t for values in ('us')",
    )
    spec = source.spec("t", key=["id", "region"])
    slot = Slot(source, spec)
    source.run(
        "insert into t values (1, 'eu', 'a'), (2, 'us', 'b')",
        "update t set note = 'x' where id = 1",
        "update t set region = 'us' where id = 1",
        "delete from t_us where id = 2",
    )
    with slot.feed() as feed:
        assert slot.keys(feed) == {'["1", "eu"]': GONE, '["1", "us"]': NEW, '["2", "us"]': GONE}


def test_generated_columns_and_wide_rows_are_no_matter(source, either):
    wide = ", ".join(f"c{n} text default repeat('w', 100)" for n in range(400))
    source.run(f"create table t (id int primary key, a int, b int generated always as (a * 2) stored, {wide})")
    slot = Slot(source, source.spec("t", columns=["id", "a", "b"]))
    source.run("insert into t (id, a) select g, g from generate_series(1, 20) g", "update t set a = 0 where id = 7")
    with slot.feed() as feed:
        assert slot.keys(feed) == {f'["{n}"]': CHANGED if n == 7 else NEW for n in range(1, 21)}


def test_a_truncate_is_told(orders, either):
    orders.source.run("truncate orders")
    with orders.feed() as feed:
        assert TroubleKind.TRUNCATED in {trouble.kind for trouble in orders.gather(feed).troubles}


def test_a_transaction_that_rolls_back_says_nothing(orders, either):
    orders.source.run("begin", "insert into orders values (1, 'a')", "rollback", "insert into orders values (2, 'b')")
    with orders.feed() as feed:
        assert orders.keys(feed) == {'["2"]': NEW}


def test_what_was_not_confirmed_comes_again_and_what_lies_before_the_beginning_does_not(orders, either):
    orders.source.run("insert into orders values (1, 'a')", "insert into orders values (2, 'b')")
    for _ in range(2):
        with orders.feed() as feed:
            assert len(commits(feed, 2)) == 2
    orders.at = Lsn(commits_of(orders)[0])
    with orders.feed() as feed:
        assert orders.keys(feed) == {'["2"]': NEW}


def commits(feed: ChangeFeed, count: int) -> list[Commit]:
    """So many transactions, none of which is confirmed."""
    decoder, seen = Decoder(), list[Commit]()
    while len(seen) < count:
        events = [decoder.decode(frame, PAYLOAD) for frame in feed.read(100, 1.0) if frame[0] == 119]
        seen += [event for event in events if isinstance(event, Commit)]
    return seen


def commits_of(slot: Slot) -> list[int]:
    with slot.feed() as feed:
        return [commit.end_lsn for commit in commits(feed, 2)]


def test_a_confirmed_position_is_the_servers(orders, either):
    orders.source.run("insert into orders values (1, 'a')")
    with orders.feed() as feed:
        batch = orders.gather(feed)
        feed.confirm(batch.complete)
        until(orders, feed, lambda: orders.state().confirmed >= batch.complete)


def test_an_idle_slot_keeps_no_log_of_other_tables(orders, either):
    with orders.feed() as feed:
        orders.source.run(
            "create table noise (x text)", "insert into noise select repeat('z', 1000) from generate_series(1, 3000)"
        )
        written = orders.now()
        gatherer, decoder = Gatherer(watches={}, complete=orders.at), Decoder()

        def idle() -> bool:
            for frame in feed.read(1000, 0.1):
                if frame[0] == MESSAGE:  # PostgreSQL 14 tells of transactions that have nothing for us
                    gatherer.feed(decoder.decode(frame, PAYLOAD))
                else:
                    gatherer.idle(replication.decode_frame(frame).server_end)
            feed.confirm(gatherer.complete)
            return orders.state().confirmed >= written

        until(orders, feed, idle, read=False)
        assert orders.state().behind < 1_000_000


def until(slot: Slot, feed, holds, *, read: bool = True) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if holds():
            return
        if read:
            feed.read(1000, 0.05)
    raise AssertionError(f"never: {slot.state()}")


def test_a_server_that_waits_for_a_word_hears_one_although_nothing_is_read(orders):
    clock = HandClock()
    with orders.feed(clock=clock) as feed:

        def said() -> object:
            with contextlib.closing(orders.source.admin.cursor()) as cursor:
                return cursor.execute(
                    "select reply_time from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid"
                    " where s.slot_name = %s",
                    [orders.name],
                ).fetchone()

        first = said()
        feed.keep()
        clock.seconds += 60
        feed.keep()
        until(orders, feed, lambda: said() != first, read=False)


class HandClock(SystemClock):
    """Monotonic time that moves by hand."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


# ---------------------------------------------------------------- refusals: P12, P13, P14, P15


def test_a_slot_that_somebody_reads_is_busy(orders, either):
    holder = hold(orders)
    try:
        with pytest.raises(SourceUnavailable) as busy, orders.feed() as feed:
            feed.read(1, 0.1)
        assert busy.value.code == "slot_busy"
    finally:
        holder.close()


def hold(slot: Slot) -> Stream:
    arguments = connection_arguments(
        slot.source.database.address, admit=admit_all, application_name=replication.APPLICATION
    )
    return Stream(arguments, clock=SystemClock(), slot=slot.name, at=slot.at)


def test_a_slot_that_is_gone_is_missing(orders, either):
    orders.admin.drop(orders.name)
    with pytest.raises(StreamBroken) as broken, orders.feed() as feed:
        feed.read(1, 0.1)
    assert broken.value.code == BreakKind.SLOT_MISSING


def test_a_publication_that_is_gone_is_an_error_or_shows_once_it_is_back(orders, either):
    before = membership(orders)
    orders.source.run(f"drop publication {PUBLICATION}", "insert into orders values (1, 'a')")
    if orders.admin.server().version < 18:
        with pytest.raises(StreamBroken) as broken, orders.feed() as feed:
            orders.gather(feed)
        assert broken.value.code == BreakKind.PUBLICATION_MISSING
    else:  # the server only warns, in its own log
        with orders.feed() as feed:
            assert orders.keys(feed) == {}
    orders.admin.publish([(ORDERS, RelationKind.TABLE)])
    assert membership(orders).since != before.since


def test_a_table_that_left_the_publication_and_came_back_shows_it(orders):
    before = membership(orders)
    orders.source.run("create table more (id int primary key)")
    orders.admin.publish([(TableRef(schema="public", name="more"), RelationKind.TABLE)])
    assert membership(orders) == before, "another table's coming is no news"
    orders.source.run(f"alter publication {PUBLICATION} drop table orders")
    orders.admin.publish([(ORDERS, RelationKind.TABLE)])
    between = membership(orders)
    assert between.since != before.since
    orders.source.run(
        f"alter publication {PUBLICATION} set (publish = 'insert')",
        f"alter publication {PUBLICATION} set (publish = 'insert, update, delete, truncate')",
    )
    assert membership(orders).since != between.since


def membership(slot: Slot, table: TableRef = ORDERS) -> Membership:
    published = slot.admin.published()
    assert published is not None
    return published.tables[table]


def test_what_becomes_of_whole_partitions_is_not_told_and_shows_in_the_membership(source):
    source.run(
        "create table t (id int, region text, primary key (id, region)) partition by list (region)",
        "create table t_eu partition of t for values in ('eu')",
        "create table t_us partition of t for values in ('us') partition by range (id)",
        "create table t_us_1 partition of t_us for values from (0) to (1000)",
        "create table t_af (id int not null, region text not null, primary key (id, region))",
        "insert into t_af values (7, 'af')",
    )
    table = TableRef(schema="public", name="t")
    slot = Slot(source, source.spec("t", key=["id", "region"]))
    seen = [membership(slot, table).since]
    source.run("insert into t values (1, 'eu'), (2, 'us')", "update t set id = 3 where id = 2")
    assert membership(slot, table).since == seen[0], "rows are told"
    for statement in (
        "truncate t_us_1",
        "alter table t detach partition t_eu",
        "alter table t attach partition t_af for values in ('af')",
    ):
        source.run(statement)
        seen.append(membership(slot, table).since)
    assert len(set(seen)) == 4
    with slot.feed() as feed:
        assert not any(isinstance(event, Truncate) for event in slot.events(feed))
    source.run("truncate t")
    with slot.feed() as feed:
        batch = slot.gather(feed)
    assert [trouble.table for trouble in batch.troubles if trouble.kind is TroubleKind.TRUNCATED] == [table]


def test_a_session_that_is_ended_says_so(orders):
    with orders.feed() as feed:
        orders.admin.end_reader(orders.name)
        with pytest.raises(SourceUnavailable):
            until(orders, feed, lambda: False)


def test_a_role_that_may_not_replicate_is_told(orders, open_source):
    orders.source.run("create role reader login password 'pw'", "grant select on orders to reader")
    try:
        with (
            pytest.raises(PermissionMissing),
            orders.feed(address=address_of(orders.source.dsn, user="reader", password="pw")) as feed,
        ):
            feed.read(1, 0.1)
    finally:
        orders.source.run("drop owned by reader", "drop role reader")


def test_a_role_with_nothing_but_replication_reads_a_slot(orders, either):
    orders.source.run("create role reader login replication password 'pw'")
    try:
        orders.source.run("insert into orders values (1, 'a')")
        with orders.feed(address=address_of(orders.source.dsn, user="reader", password="pw")) as feed:
            assert orders.keys(feed) == {'["1"]': NEW}
    finally:
        orders.source.run("drop role reader")


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may crash, and that removes log as soon as it can."""
    server = start(settings={"max_slot_wal_keep_size": "1MB", "wal_keep_size": "0", "max_wal_size": "32MB"})
    yield server
    server.remove()


def test_a_lost_slot_is_told_and_cannot_be_read(own_server, open_source, either):
    source = open_source(own_server.dsn())
    source.run("create table orders (id bigint primary key)")
    slot = Slot(source, source.spec("orders"))
    for n in range(6):
        source.run(f"insert into orders values ({n})", "select pg_switch_wal()", "checkpoint")
    assert slot.state().lost
    with pytest.raises(StreamBroken) as broken, slot.feed() as feed:
        feed.read(1, 0.1)
    assert broken.value.code == BreakKind.SLOT_LOST


def test_a_crashed_server_repeats_what_was_confirmed_unless_our_own_mark_says_otherwise(own_server, open_source):
    source = open_source(own_server.dsn())
    source.run("create table orders (id bigint primary key)", "checkpoint")
    slot = Slot(source, source.spec("orders"))
    source.run("insert into orders values (1)")
    on_disk = own_server.base / "data/pg_replslot" / slot.name / "state"
    before = on_disk.read_bytes()
    with slot.feed() as feed:
        mark = slot.gather(feed).complete
        feed.confirm(mark)
        until(slot, feed, lambda: slot.state().confirmed >= mark)
    source.database.close()
    own_server.child.process.kill()
    own_server.child.process.wait()
    on_disk.write_bytes(before)  # whether the server had saved it meanwhile is chance
    again = started_again(own_server)
    try:
        source = open_source(again.dsn())
        slot.source, slot.admin = source, SlotAdmin(source.database)
        assert slot.state().confirmed < mark, "the server has forgotten what was confirmed last"
        with slot.feed() as feed:
            assert slot.keys(feed) == {'["1"]': NEW}
        slot.at = mark
        source.run("insert into orders values (2)")
        with slot.feed() as feed:
            assert slot.keys(feed) == {'["2"]': NEW}
    finally:
        source.database.close()
        again.stop()


# ---------------------------------------------------------------- slot and publication


def test_the_server_says_who_it_is_and_how_far_it_is(orders):
    before = orders.admin.server()
    orders.source.run("insert into orders values (1, 'a')")
    after = orders.admin.server()
    assert (before.system, before.timeline) == (after.system, after.timeline)
    assert before.wal_end < after.wal_end
    assert not before.standby
    assert after.version == orders.source.admin.info.server_version // 10_000


def test_a_slot_is_of_its_database_and_kept_by_standbys_where_that_can_be(orders):
    state = orders.state()
    assert (state.plugin, state.database, state.lost) == ("pgoutput", orders.admin.database_name, False)
    assert state.failover is (orders.admin.server().version >= 17)
    assert state.confirmed == orders.at


def test_a_slot_that_is_not_there_is_none(orders):
    assert orders.admin.slot("no_such_slot") is None
    assert orders.admin.drop("no_such_slot") is False


def test_dropping_a_slot_ends_its_reader(orders):
    holder = hold(orders)
    assert orders.admin.drop(orders.name) is True
    assert orders.admin.slot(orders.name) is None
    holder.close()


def test_a_reader_that_is_no_poller_is_left_alone(orders):
    assert orders.admin.end_own_reader(orders.name) is False
    arguments = connection_arguments(orders.source.database.address, admit=admit_all, application_name="somebody else")
    other = Stream(arguments, clock=SystemClock(), slot=orders.name, at=orders.at)
    assert orders.admin.end_own_reader(orders.name) is False
    other.close()
    until_free(orders)
    ours = hold(orders)
    assert orders.admin.end_own_reader(orders.name) is True
    assert orders.state().active_pid is None
    ours.close()


def until_free(slot: Slot) -> None:
    while slot.state().active_pid is not None:
        pass


def test_a_slot_that_is_moved_on_forgets_what_lies_before(orders, either):
    orders.source.run("insert into orders values (1, 'a')")
    orders.at = orders.admin.advance(orders.name, orders.now())
    orders.source.run("insert into orders values (2, 'b')")
    with orders.feed() as feed:
        assert orders.keys(feed) == {'["2"]': NEW}


def test_a_slot_does_not_wait_for_ever_for_a_transaction_that_stays_open(source, monkeypatch):
    monkeypatch.setattr(slots, "CREATION", timedelta(milliseconds=50))
    with psycopg.connect(source.dsn) as writing:
        writing.execute("create table t (id int)")
        with pytest.raises(SourceUnavailable, match="waits") as waits:
            SlotAdmin(source.database).create(slot_name())
    assert waits.value.code == "slot_waits"


def test_publishing_is_repeatable_and_keeps_what_is_there(orders):
    orders.source.run("create table more (id int primary key)")
    more = TableRef(schema="public", name="more")
    for _ in range(2):
        orders.admin.publish([(more, RelationKind.TABLE)])
        published = orders.admin.published()
        assert published is not None
        assert published.whole
        assert {table: member.whole for table, member in published.tables.items()} == {ORDERS: True, more: True}
    for _ in range(2):
        orders.admin.unpublish(more, RelationKind.TABLE)
        published = orders.admin.published()
        assert published is not None
        assert more not in published.tables
    orders.source.run("drop table more")
    orders.admin.unpublish(more, RelationKind.TABLE)


def test_a_publication_that_somebody_narrowed_is_seen(orders):
    orders.source.run(f"alter publication {PUBLICATION} set (publish = 'insert')")
    published = orders.admin.published()
    assert published is not None
    assert not published.whole


def test_a_table_of_which_rows_or_columns_are_left_out_is_seen(source):
    if source.admin.info.server_version < 150_000:
        assert SlotAdmin(source.database).published() is None  # filters and lists came with PostgreSQL 15
        return
    source.run(
        "create table a (id int primary key, note text, twice int generated always as (id * 2) stored)",
        "create table b (id int primary key, note text)",
        "create table c (id int primary key, note text)",
        f"create publication {PUBLICATION} for table a, b where (id > 5), c (id)",
    )
    published = SlotAdmin(source.database).published()
    assert published is not None
    assert {table.name: member.whole for table, member in published.tables.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }


def test_who_may_not_publish_is_told_the_sql_that_does(source, open_source):
    source.run(
        "create role reader login replication password 'pw'",
        'create schema "My App"',
        'create table "My App".t (id int primary key)',
        'create table "My App".p (id int primary key) partition by list (id)',
    )
    plain = open_source(user="reader", password="pw")
    try:
        tables = [
            (TableRef(schema="My App", name="t"), RelationKind.TABLE),
            (TableRef(schema="My App", name="p"), RelationKind.PARTITIONED),
        ]
        with pytest.raises(PermissionMissing, match="may not publish") as denied:
            SlotAdmin(plain.database).publish(tables)
        source.run(*denied.value.remedy.split("; "))
        SlotAdmin(plain.database).publish(tables)
        source.run('alter publication arcore_publication drop table "My App".t')
        with pytest.raises(PermissionMissing) as denied:
            SlotAdmin(plain.database).publish(tables)
        source.run(*denied.value.remedy.split("; "))
        SlotAdmin(plain.database).publish(tables)
    finally:
        plain.database.close()
        source.run("drop owned by reader", "drop role reader")
