"""The poller with everything behind it: what users write becomes messages, and the list becomes equal."""

import threading

import pytest

from shared.adapters.postgres import replication
from shared.core.changes import unpack
from tests.streams.world import CHANGED, GONE, MovableClock, Streaming, beats, until

pytestmark = pytest.mark.usefixtures("quick")


def test_inserts_updates_and_deletes_reach_the_list(live: Streaming):
    with live.streaming():
        live.scan()
        assert live.equal()
        live.caught_up()
        live.messages()
        live.world.sql("insert into app.things values (100, 'new', 1, 'n')")
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.world.sql("delete from app.things where id = 2")
        live.caught_up()
        assert live.deliver() >= 1
        assert live.equal()
        assert live.backlog()["due"] == 0


def test_a_slot_read_by_sql_is_as_good(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise replication._NoStreamError

    monkeypatch.setattr(replication, "Stream", refused)
    with live.streaming() as poller:
        assert poller.ready()[1]["slots"][0]["state"] == "POLLING"
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}
        live.world.sql("delete from app.things where id = 1")
        live.caught_up()
        assert live.keys() == {'["1"]': GONE}


def test_a_slot_read_by_sql_is_streamed_once_that_is_allowed(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    clock, tries, stream = MovableClock(), list[float](), replication.Stream
    live.world.engine.clock = clock

    def refused(*_: object, **__: object) -> None:
        tries.append(clock.ahead)
        raise replication._NoStreamError

    with monkeypatch.context() as patch:
        patch.setattr(replication, "Stream", refused)
        with live.streaming() as poller:
            assert beats(poller), "it has begun to read, and knows when it is to try again"
            clock.ahead = 100.0
            assert beats(poller)
            assert set(tries) == {0.0}, "not all the time"
            clock.ahead = 400.0
            until(lambda: 400.0 in tries)
            assert beats(poller)
            patch.setattr(replication, "Stream", stream)
            live.world.sql("update app.things set note = 'changed' where id = 1")
            clock.ahead = 800.0
            until(lambda: poller.ready()[1]["slots"][0]["state"] == "STREAMING", poller.ready)
            live.world.sql("update app.things set note = 'changed' where id = 2")
            live.caught_up()
    assert live.keys() == {'["1"]': CHANGED, '["2"]': CHANGED}


def test_rows_whose_keys_change_keep_their_items(live: Streaming):
    with live.streaming():
        live.scan()
        before = live.item_ids()
        live.world.sql("update app.things set id = id + 500 where id <= 9")
        live.caught_up()  # two messages at once may change places, and then who 503 was is not known
        live.world.sql("update app.things set id = 600, note = 'twice' where id = 503")
        live.caught_up()
        live.deliver()
        assert live.equal()
        assert live.item_ids() == before
        assert live.backlog()["due"] == 0
        writes = live.writes()
        live.world.run(live.definition)  # a scan has nothing to add
        assert (live.item_ids(), live.writes()) == (before, writes)


def test_a_message_names_its_slot_and_no_value_but_keys_and_the_log_not_even_those(
    live: Streaming, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    with live.streaming():
        live.world.sql("insert into app.things values (918273645, 'a thing', 1, 'a secret')")
        live.caught_up()
        texts = live.messages()
    live.world.engine.take_message(texts[0])
    live.world.engine.take_message(texts[0][:-2])
    assert "918273645" in texts[0]
    assert {"reading", "message_parked"} <= {getattr(record, "action", None) for record in caplog.records}
    assert not any(word in str(record.__dict__) for record in caplog.records for word in ("918273645", "secret"))
    assert texts
    assert not any("secret" in text or "thing" in text.replace("things", "") for text in texts)
    message = unpack(texts[0])
    record = live.slot()
    assert getattr(message, "slot") == record.identity  # noqa: B009  one of two kinds
    assert (record.changes, record.keys, record.messages) == (1, 1, 1)


def test_what_streams_is_refused_with_the_sql_that_lets_it(world):
    live = Streaming(world)
    problem = world.refused("POST", "/sync-definitions", world.body(change_detection="STREAM"), status=422)
    said = " ".join(problem["problems"])
    assert "alter role" in said
    assert 'create publication "arcore_publication"' in said
    live.may_replicate()
    assert live.live()


def test_a_table_that_cannot_be_published_keeps_no_other_one_back(live: Streaming):
    world = live.world
    with live.streaming():
        world.sql("create table app.secret (id integer primary key, name text)")
        world.sql(f"grant select on app.secret to {world.role}")
        world.sql("alter publication arcore_publication add table app.secret")
        world.live(
            name="Secret",
            list_name="Secret",
            source_table_name="secret",
            field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}],
            change_detection="STREAM",
        )
        until(lambda: all(d["watched"] for d in world.get(f"/ops/slots/{live.instance}")["definitions"]))
        world.sql("alter publication arcore_publication drop table app.secret")
        until(lambda: live.slot().problem_code == "publication_denied", live.slot)
        shown = world.get(f"/ops/slots/{live.instance}")
        assert 'alter publication "arcore_publication" add table only "app"."secret"' in shown["problem"]["detail"]
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}


def test_one_definition_that_cannot_be_read_or_whose_table_is_gone_keeps_no_other_one_back(live: Streaming):
    world = live.world
    with live.streaming():
        live.scan()
        for name in ("gone", "spoiled"):
            world.sql(f"create table app.{name} (id integer primary key, name text)")
            world.sql(f"grant select on app.{name} to {world.role}")
            world.sql(f"alter publication arcore_publication add table app.{name}")
            world.live(
                name=name,
                list_name=name,
                source_table_name=name,
                field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}],
                change_detection="STREAM",
            )
        world.sql("drop table app.gone")
        # As a release that knows more than this one may have left it.
        world.metastore(
            "update syncbridge.sync_definitions set version = version + 1,"
            " draft = jsonb_set(draft, '{row_filter}', '\"no filter at all\"') where name = 'spoiled'"
        )
        until(lambda: live.slot().problem_code is not None, live.slot)
        world.sql("update app.things set note = 'changed' where id = 1")
        live.caught_up()
        live.deliver()
        assert live.equal()


def test_nothing_is_missing_between_the_first_scan_and_the_stream(streaming: Streaming):
    """Rows are written all the time while the definition becomes active, its slot is made and its first scan runs."""
    done = threading.Event()
    with streaming.connection() as writer:

        def write() -> None:
            n = 0
            while not done.is_set():
                n += 1
                writer.execute("insert into app.things values (%s, %s, %s)", [1000 + n, f"w {n}", n])
                writer.execute("update app.things set qty = %s where id = %s", [-n, 1000 + n // 2])
                writer.execute("delete from app.things where id = %s", [1000 + n // 3])
                done.wait(0.005)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            streaming.live(guards={"max_delete_share": 1.0, "max_deletes": 1_000_000})
            streaming.world.run(streaming.definition)
            with streaming.streaming():
                streaming.world.metastore("update syncbridge.sync_runs set queued_at = queued_at - interval '1 hour'")
                streaming.scan()
                streaming.deliver()
                done.set()
                thread.join()
                streaming.caught_up()
                streaming.deliver()
                assert streaming.world.engine.stores.streams.unscanned() == []
        finally:
            done.set()
            thread.join()
    assert streaming.equal()
