"""What may have lost changes, or is not what a definition was made for, stops it with words; a person lets it go on."""

import contextlib
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus, PGconn

from shared.core.slots import Break, Phase, SlotRecord
from shared.poller import session
from shared.poller.care import Care
from tests.streams.world import Streaming, later, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source, the queue and the budget are looked at with every beat."""
    monkeypatch.setattr(session, "CARE", 0.0)
    monkeypatch.setattr(session, "BEAT", 0.05)


def drop_slot(live: Streaming) -> None:
    """Its reader is ended first, and may be there again before the slot is dropped."""

    def dropped() -> bool:
        live.world.sql(
            "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = 'arcore_slot'"
        )
        with contextlib.suppress(psycopg.errors.ObjectInUse):
            live.world.sql("select pg_drop_replication_slot('arcore_slot')")
            return True
        return False

    until(dropped)


def broken(live: Streaming, reason: str) -> None:
    """The stream stopped for this reason, holds its definition, and makes no new slot by itself."""
    until(lambda: live.slot().phase is Phase.BROKEN, live.slot)
    hold = live.holds()["STREAM_BROKEN"]
    assert hold["details"]["reason"] == reason
    assert "release this hold" in hold["explanation"]
    run = live.world.run(live.definition)
    assert run["status"] == "HELD", "nothing is written before a person has looked"


def mended(live: Streaming) -> None:
    """A person lets it go on: a new slot first, a scan after it, and both sides are equal."""
    live.release("STREAM_BROKEN")
    until(lambda: live.slot().phase is Phase.STREAMING, live.slot)
    later(live)
    live.scan()
    live.caught_up()
    live.deliver()
    assert live.equal()
    live.world.sql("update app.things set note = 'streams again' where id = 5")
    live.caught_up()
    live.deliver()
    assert live.equal()


def test_a_slot_that_is_gone_holds_its_definitions_until_a_person_has_looked(live: Streaming):
    with live.streaming():
        live.scan()
    live.world.sql("select pg_drop_replication_slot('arcore_slot')")
    live.world.sql("update app.things set note = 'never streamed' where id = 1")
    with live.poller() as poller:
        broken(live, "slot_missing")
        assert not poller.ready()[0]
        assert live.messages() == []
        mended(live)


def test_a_slot_that_was_made_anew_by_somebody_is_not_taken_for_ours(live: Streaming):
    with live.streaming():
        live.scan()
    live.world.sql("select pg_drop_replication_slot('arcore_slot')")
    live.world.sql("update app.things set note = 'never streamed' where id = 1")
    live.world.sql("select pg_create_logical_replication_slot('arcore_slot', 'pgoutput')")
    with live.poller():
        broken(live, "slot_recreated")
        mended(live)


def test_a_slot_that_somebody_else_read_from_lacks_changes(live: Streaming):
    with live.streaming():
        live.scan()
    live.world.sql("update app.things set note = 'stolen' where id = 1")
    live.world.sql(
        "select count(*) from pg_logical_slot_get_binary_changes('arcore_slot', null, null, 'proto_version', '1',"
        " 'publication_names', 'arcore_publication')"
    )
    with live.poller():
        broken(live, "slot_recreated")
        mended(live)


def test_a_slot_that_somebody_else_is_reading_is_told_as_busy_and_taken_up_when_they_are_gone(live: Streaming):
    with live.streaming():
        live.scan()
    live.world.sql("update app.things set note = 'waited' where id = 1")
    other = PGconn.connect(make_conninfo(live.world.source, replication="database").encode())
    reading = other.exec_(
        b"START_REPLICATION SLOT arcore_slot LOGICAL 0/0 (proto_version '1', publication_names 'arcore_publication')"
    )
    assert reading.status == ExecStatus.COPY_BOTH, reading.error_message
    with live.poller() as poller:
        until(lambda: live.slot().problem_code == "slot_busy", live.slot)
        assert not poller.ready()[0]
        other.finish()  # it has confirmed nothing
        live.caught_up()
        live.deliver()
    assert live.equal()
    assert live.holds() == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("system_identifier = '7'", "other_server"),
        ("timeline = timeline + 1", "other_timeline"),
        ("queued_lsn = queued_lsn + 1000000000000", "server_rewound"),
    ],
)
def test_another_server_another_timeline_and_one_that_was_set_back_are_told_apart(live: Streaming, change, reason):
    with live.streaming():
        live.scan()
    live.world.metastore(f"update syncbridge.stream_slots set {change}")
    live.world.sql("update app.things set note = 'changed' where id = 1")
    with live.poller():
        broken(live, reason)
        assert live.messages() == []
        mended(live)


def test_a_slot_that_vanishes_while_it_is_read_is_noticed(live: Streaming):
    with live.streaming():
        live.scan()
        drop_slot(live)
        broken(live, "slot_missing")
        mended(live)


def test_a_slot_that_a_person_drops_just_before_its_reader_looks_at_it_holds_nobody(
    live: Streaming, monkeypatch: pytest.MonkeyPatch
):
    with live.streaming():
        live.scan()
    find_break = Care.find_break

    def dropped_before(self: Care, record: SlotRecord) -> Break | None:
        if live.slot().phase is Phase.STREAMING:
            live.world.post(f"/ops/slots/{live.instance}/drop", {"reason": "no more"})
        return find_break(self, record)

    monkeypatch.setattr(Care, "find_break", dropped_before)
    with live.poller() as poller:
        until(lambda: poller.ready()[1]["slots"] and poller.ready()[1]["slots"][0]["state"] == "DROPPED", poller.ready)
    assert live.slot().phase is Phase.DROPPED
    assert live.holds() == {}


def test_a_slot_of_ours_that_this_metastore_does_not_know_is_left_alone(live: Streaming):
    live.world.sql("select pg_create_logical_replication_slot('arcore_slot', 'pgoutput')")
    with live.poller():
        until(lambda: live.world.engine.stores.streams.slots() and live.slot().problem_code == "slot_taken")
        path = f"/ops/slots/{live.instance}"
        live.world.post(f"{path}/drop", {"reason": "a leftover"})
        live.world.call("POST", f"{path}/create", {"reason": "ours now"}, expect=202)
        until(lambda: live.slot().phase is Phase.STREAMING)


def test_a_slot_whose_maker_died_before_it_was_on_record_is_made_again(live: Streaming):
    streams = live.world.engine.stores.streams
    streams.want(live.instance, "arcore_slot")
    epoch = streams.acquire(live.instance, holder="dead", lease=session.LEASE)
    assert epoch is not None
    streams.make(live.instance, epoch, "arcore_slot")
    streams.release(live.instance, epoch)
    live.world.sql("select pg_create_logical_replication_slot('arcore_slot', 'pgoutput')")
    with live.streaming():
        assert live.slot().phase is Phase.STREAMING


def test_another_databases_slot_of_that_name_is_left_alone(live: Streaming, pg_dsn: str):
    with psycopg.connect(pg_dsn, autocommit=True) as other:
        other.execute("select pg_create_logical_replication_slot('arcore_slot', 'pgoutput')")
        with live.streaming():
            assert live.slot().name == f"arcore_slot_{live.instance.hex[:8]}"
            live.world.sql("update app.things set note = 'changed' where id = 1")
            live.caught_up()
            assert live.keys() == {'["1"]': "U"}
        assert other.execute(
            "select count(*) from pg_replication_slots where slot_name = 'arcore_slot'"
        ).fetchone() == (1,)


# ---------------------------------------------------------------- the publication


def test_a_table_that_left_the_publication_for_a_while_is_scanned(live: Streaming):
    with live.streaming():
        live.scan()
        live.caught_up()
        assert live.world.engine.stores.streams.unscanned() == []
        # All in one go, so that the poller sees the table published before and after it.
        live.world.sql(
            "do $$ begin alter publication arcore_publication drop table app.things;"
            " alter publication arcore_publication add table app.things; end $$"
        )
        later(live)
        until(lambda: live.world.engine.stores.streams.unscanned() == [live.id()])
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.scan()
        assert live.equal()


def test_a_definition_that_did_not_stream_for_a_while_is_scanned(live: Streaming):
    """Its table stays published, as where the poller's role may not take it out."""
    streams = live.world.engine.stores.streams
    other = live.world.live(
        name="Other",
        list_name="Other",
        change_detection="STREAM",
        field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}],
    )
    with live.streaming():
        live.scan()
        until(lambda: streams.unscanned() == [])
        live.world.post(f"/sync-definitions/{other}/deactivate")
        until(lambda: live.world.metastore("select count(*) from syncbridge.stream_watches") == [(1,)])
        live.world.post(f"/sync-definitions/{other}/activate")
        later(live)
        until(lambda: streams.unscanned() == [UUID(other)])


def test_a_row_whose_key_is_too_long_to_be_told_is_scanned_for(streaming: Streaming):
    world = streaming.world
    world.sql(
        "create table app.long (id text primary key, name text);"
        f" grant select on app.long to {world.role};"
        " alter publication arcore_publication add table app.long"
    )
    streaming.live(
        source_table_name="long", field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}]
    )
    with streaming.streaming():
        streaming.scan()
        until(lambda: world.engine.stores.streams.unscanned() == [])
        world.sql("insert into app.long values (repeat('k', 9000), 'one with a long key')")
        streaming.caught_up()
        assert streaming.messages() == []
        later(streaming)
        assert world.engine.stores.streams.unscanned() == [streaming.id()]
        streaming.scan()
        assert list(streaming.items()) == ["one with a long key"]


def test_a_partition_that_is_truncated_is_scanned_for(streaming: Streaming):
    world = streaming.world
    world.sql(
        "create table app.parts (id integer, region text, primary key (id, region)) partition by list (region);"
        " create table app.parts_eu partition of app.parts for values in ('eu');"
        " create table app.parts_us partition of app.parts for values in ('us');"
        " insert into app.parts values (1, 'eu'), (2, 'eu'), (3, 'us'), (4, 'us'), (5, 'us');"
        f" grant select on all tables in schema app to {world.role};"
        " alter publication arcore_publication add table app.parts"
    )
    streaming.live(
        source_table_name="parts",
        field_mappings=[{"source_column_name": "region", "target_column_name": "Title"}],
    )
    with streaming.streaming():
        streaming.scan()
        assert sorted(streaming.items()) == ["eu", "us"]
        world.sql("truncate app.parts_eu")
        later(streaming)
        until(lambda: world.engine.stores.streams.unscanned() == [streaming.id()])
        streaming.scan()
        assert list(streaming.items()) == ["us"]
        assert streaming.holds() == {}


# ---------------------------------------------------------------- the table


def test_a_truncate_holds_the_definition_and_no_item_is_deleted(live: Streaming):
    with live.streaming():
        live.scan()
        live.world.sql("truncate app.things")
        until(lambda: "TRUNCATED" in live.holds())
        live.caught_up()
        live.deliver()
        assert live.world.run(live.definition)["status"] == "HELD"
        assert len(live.items()) == 12
        live.release("TRUNCATED")
        run = live.world.run(live.definition)
        assert run["status"] == "HELD", "an empty table is asked about once more"
        assert len(live.items()) == 12
        assert "EMPTY_SOURCE" in live.holds()


def test_a_column_that_is_gone_or_retyped_pauses_its_field_and_later_changes_are_settled_without_a_person(
    live: Streaming,
):
    sql = live.world.sql
    with live.streaming():
        live.scan()
        before = live.items()
        sql("alter table app.things rename column note to remark")
        sql("update app.things set name = 'renamed', remark = 'new' where id = 1")
        live.caught_up()
        live.deliver()
        assert live.items() == {"renamed" if name == "thing 1" else name: of for name, of in before.items()}
        sql("alter table app.things alter column qty type text using 'n' || qty")
        sql("update app.things set name = 'retyped' where id = 2")
        live.caught_up()
        live.deliver()
        assert live.items()["retyped"] == (2, "note 2")
        paused = live.world.get(f"/sync-definitions/{live.definition}/paused-fields")
        said = {field["source_column_name"]: field["paused"] for field in paused}
        assert {name: pause["seen_by"] for name, pause in said.items()} == {"qty": "stream", "note": "stream"}
        assert "qty was integer and is text now" in said["qty"]["reason"]
        live.world.refused("POST", f"/field-mappings/{paused[0]['id']}/resume", status=409)
        sql("alter table app.things alter column qty type integer using substr(qty, 2)::integer")
        sql("alter table app.things rename column remark to note")
        sql("update app.things set qty = 100 where id = 3")
        live.caught_up()
        live.deliver()
        assert live.world.get(f"/sync-definitions/{live.definition}/paused-fields") == []
        later(live)
        assert live.world.engine.stores.streams.unscanned() == [live.id()]
        live.scan()
        assert live.equal()
        assert live.holds() == {}


def test_a_key_column_that_is_another_one_holds_the_definition_and_changes_no_item(live: Streaming):
    with live.streaming():
        live.scan()
        before = live.items()
        live.world.sql("alter table app.things alter column id type bigint")
        live.world.sql("update app.things set name = name where id < 5")
        until(lambda: "SCHEMA_DRIFT" in live.holds())
        assert "id was integer and is bigint now" in live.holds()["SCHEMA_DRIFT"]["explanation"]
        live.caught_up()
        live.deliver()
        assert live.items() == before


def test_a_new_column_is_no_drift(live: Streaming):
    with live.streaming():
        live.scan()
        live.world.sql("alter table app.things add column more text default 'x'")
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.caught_up()
        live.deliver()
        assert live.equal()
        assert live.holds() == {}


def test_a_replica_identity_that_loses_the_key_holds_the_definition_with_the_sql_that_mends_it(live: Streaming):
    with live.streaming():
        live.scan()
        live.world.sql("create unique index by_name on app.things (name)")
        live.world.sql("alter table app.things replica identity using index by_name")
        live.world.sql("update app.things set id = 500 where id = 1")  # nobody says that it was 1
        until(lambda: "REPLICA_IDENTITY" in live.holds())
        hold = live.holds()["REPLICA_IDENTITY"]["explanation"]
        assert "alter table" in hold
        live.caught_up()  # the hold comes first, and what else is to be done about it after it
        live.world.sql("alter table app.things replica identity default")
        live.release("REPLICA_IDENTITY")
        later(live)
        assert live.world.engine.stores.streams.unscanned() == [live.id()]
        live.scan()
        live.caught_up()
        live.deliver()
        assert live.equal()
