"""The poller with everything behind it: changes become messages, and nothing is confirmed that is not in the queue."""

import json
import threading
import time
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.postgres import replication
from shared.core import gathering
from shared.core.changes import unpack
from shared.core.replication import parse_lsn
from shared.core.slots import BudgetAction, Phase
from shared.engine.streams import QUEUE
from shared.poller import outbox, session
from shared.poller.care import Care, Watching
from shared.poller.health import HealthServer
from shared.poller.poller import Poller
from shared.process import SystemClock
from tests.streams.world import Streaming, later, until

NEW, CHANGED, GONE = "I", "U", "D"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source, the queue and the budget are looked at with every beat."""
    monkeypatch.setattr(session, "CARE", 0.0)
    monkeypatch.setattr(session, "BEAT", 0.05)


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


class MovableClock(SystemClock):
    """The time, and what a test adds to it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def test_a_slot_read_by_sql_is_streamed_once_that_is_allowed(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    clock, tries, stream = MovableClock(), list[float](), replication.Stream
    live.world.engine.clock = clock

    def refused(*_: object, **__: object) -> None:
        tries.append(clock.ahead)
        raise replication._NoStreamError

    with monkeypatch.context() as patch:
        patch.setattr(replication, "Stream", refused)
        with live.streaming() as poller:
            assert beats(live), "it has begun to read, and knows when it is to try again"
            clock.ahead = 200.0
            assert beats(live)
            assert set(tries) == {0.0}, "not all the time"
            clock.ahead = 400.0
            until(lambda: 400.0 in tries)
            assert beats(live)
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


# ---------------------------------------------------------------- what is confirmed


def test_nothing_is_confirmed_while_the_queue_is_away_and_everything_comes_when_it_is_back(live: Streaming):
    with live.streaming():
        live.caught_up()
        live.queue.away = True
        live.world.sql("update app.things set note = 'changed'")
        ((committed,),) = live.world.sql("select pg_current_wal_insert_lsn()")
        until(lambda: live.queue.refusals > 1)
        assert live.slot().queued < parse_lsn(committed)
        until(lambda: live.slot().problem_code == "queue_unavailable")
        live.queue.away = False
        live.caught_up()
        assert len(live.keys()) == 12
        until(lambda: live.slot().problem_code is None)


def test_a_poller_that_has_more_than_the_queue_will_take_still_listens(
    live: Streaming, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outbox, "MOST", 1)
    monkeypatch.setattr(gathering, "MOST_PENDING", 10)
    with live.streaming() as poller:
        live.caught_up()
        live.messages()
        live.queue.away = True
        live.world.sql("insert into app.things select n, 'x ' || n from generate_series(1000, 1999) n")
        until(lambda: live.slot().problem_code == "queue_unavailable", live.slot)
        assert beats(live)
        live.world.post(f"/ops/slots/{live.instance}/pause", {"reason": "the queue is away"})
        live.queue.away = False
        until(lambda: poller.ready()[1]["slots"][0]["state"] == "PAUSED")
        live.world.post(f"/ops/slots/{live.instance}/resume", {"reason": "it is back"})
        live.caught_up()
    assert len(live.keys()) == 1000


def test_a_message_whose_answer_was_lost_is_sent_again(live: Streaming):
    with live.streaming():
        live.queue.lossy = 1
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.caught_up()
        first, second = live.messages()
    assert first == second


def test_a_poller_that_is_stopped_finishes_what_it_has_read(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    put, asked_for, goes_on = live.queue.put, threading.Event(), threading.Event()
    drain = session.Session._drain

    def slow(*arguments: Any, **named: Any) -> None:
        asked_for.set()
        assert goes_on.wait(60)
        put(*arguments, **named)

    def drained(self: session.Session, *arguments: Any) -> None:
        goes_on.set()  # not before it has seen that it is to stop
        drain(self, *arguments)

    with live.streaming() as poller:
        live.caught_up()
        live.messages()
        before = live.slot().queued
        monkeypatch.setattr(session.Session, "_drain", drained)
        monkeypatch.setattr(live.queue, "put", slow)
        live.world.sql(
            "do $$ begin for n in 1000..1299 loop insert into app.things values (n, 'x ' || n); commit; end loop; end $$"
        )
        assert asked_for.wait(60)
        poller.stop()
    first, stopped = set(live.keys()), live.slot()
    assert first
    assert stopped.queued > before
    assert not stopped.alive
    with live.streaming("second"):
        live.caught_up()
    second = set(live.keys())
    assert len(first | second) == 300
    assert len(first & second) <= 1, "but for a transaction that was not read to its end, nothing comes again"


def test_a_second_poller_goes_on_where_the_first_one_stopped(live: Streaming):
    with live.streaming("first"):
        live.world.sql("update app.things set note = 'one' where id = 1")
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}
    live.world.sql("update app.things set note = 'two' where id = 2")
    with live.streaming("second"):
        live.caught_up()
        assert live.keys() == {'["2"]': CHANGED}


def test_of_two_pollers_one_waits_and_takes_over(live: Streaming):
    with live.poller("standby") as standby:
        until(lambda: live.slot().alive if live.world.engine.stores.streams.slots() else False)
        holder = live.slot().holder
        with live.poller("other") as other:
            until(lambda: other.ready()[1]["slots"] and other.ready()[1]["slots"][0]["state"] == "WAITING")
            assert live.slot().holder == holder
            standby.stop()
            until(lambda: live.slot().holder == "other")
            until(lambda: other.ready()[0])
            live.world.sql("update app.things set note = 'changed' where id = 1")
            live.caught_up()
            found = live.keys()
            assert '["1"]' in found


def test_a_poller_that_was_overtaken_confirms_nothing(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    with live.streaming("old") as poller:
        live.caught_up()
        before = live.slot()
        live.queue.away = True
        live.world.sql("update app.things set note = 'changed' where id = 1")
        until(lambda: live.queue.refusals > 0)
        # It is to learn of it by what it wants to confirm, and not by its next beat: that one is far away from here on.
        with monkeypatch.context() as patched:
            patched.setattr(session, "BEAT", 3600.0)
            far, (reader,) = time.monotonic(), poller._readers.values()
            until(lambda: reader.seen.at > far)
        # As if it had slept beyond its lease, and another one had come and gone.
        live.world.metastore(
            "update syncbridge.stream_slots set epoch = epoch + 5, holder = 'new', leased_until = null"
        )
        live.queue.away = False
        until(lambda: live.slot().epoch > before.epoch + 5 and live.slot().holder == "old", live.slot)
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}
        assert live.holds() == {}, "the server has not been told more than is on record"


def test_log_of_other_tables_is_not_kept_for_us(live: Streaming):
    with live.streaming():
        live.world.sql("create table app.noise (x text)")
        live.world.sql("insert into app.noise select repeat('z', 1000) from generate_series(1, 3000)")
        live.caught_up()
        until(lambda: live.slot().lag is not None and (live.slot().behind or 0) < 1_000_000, live.slot)
        assert live.messages() == []


# ---------------------------------------------------------------- what people want


def test_a_paused_stream_lets_go_of_the_slot_and_misses_nothing(live: Streaming):
    with live.streaming() as poller:
        path = f"/ops/slots/{live.instance}"
        shown = live.world.post(f"{path}/pause", {"reason": "maintenance"})
        assert shown["paused"] == "maintenance"
        until(lambda: poller.ready()[1]["slots"][0]["state"] == "PAUSED")
        assert poller.ready()[0]
        until(
            lambda: (
                live.world.sql("select active from pg_replication_slots where slot_name = 'arcore_slot'") == [(False,)]
            )
        )
        live.world.sql("update app.things set note = 'changed' where id = 1")
        live.world.post(f"{path}/resume", {"reason": "done"})
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}


def test_a_throttled_stream_reads_no_faster_than_it_may(live: Streaming):
    clock = live.world.engine.clock = MovableClock()
    with live.streaming():
        live.caught_up()
        live.messages()
        live.world.post(f"/ops/slots/{live.instance}/throttle", {"reason": "gently", "most_per_second": 1})
        until(lambda: live.slot().most_per_second == 1)
        assert beats(live)
        live.world.sql("insert into app.things select n, 'x ' || n from generate_series(1000, 1099) n")
        until(lambda: live.slot().changes >= 1)
        for read in (2, 3):
            assert beats(live)
            clock.ahead += 1.0
            until(lambda read=read: live.slot().changes >= read)
        assert live.slot().changes < 20, "seconds have passed, and not a hundred"
        live.world.post(f"/ops/slots/{live.instance}/throttle", {"reason": "freely", "most_per_second": None})
        live.caught_up()
        assert len(live.keys()) == 100
        assert live.slot().most_per_second is None


def test_a_long_queue_is_not_made_longer(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    with live.streaming():
        live.caught_up()
        live.messages()
        monkeypatch.setattr(live.queue, "depth", lambda _: 10_000)
        assert beats(live), "the poller has seen the long queue: it reads nothing that is written from now on"
        live.world.sql("update app.things set note = 'changed' where id = 1")
        assert beats(live)
        assert live.messages() == []
        monkeypatch.setattr(live.queue, "depth", lambda _: 0)
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}


def beats(live: Streaming) -> bool:
    """The poller has looked at everything twice since."""
    for _ in range(2):
        before = live.slot().heartbeat_at
        until(lambda before=before: live.slot().heartbeat_at != before)
    return True


def test_changes_are_gathered_while_the_budget_is_used_up(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "LONGEST_GATHERING", 1.0)
    with live.streaming():
        live.caught_up()
        record = live.world.engine.stores.definitions.get(live.id())
        connection = live.world.engine.connection_of(record)
        from shared.handles import ceiling_of

        live.world.engine.graphs.budget(connection, ceiling_of(connection)).penalize(3600)
        assert beats(live)
        for n in range(20):
            live.world.sql("update app.things set note = %s where id = 1", f"note {n}")
        live.caught_up()
        assert len(live.messages()) <= 5


def test_a_dropped_slot_stays_dropped_until_somebody_wants_it_again(live: Streaming):
    with live.streaming() as poller:
        live.scan()
        path = f"/ops/slots/{live.instance}"
        assert live.world.post(f"{path}/drop", {"reason": "no more"})["phase"] == "DROPPED"
        assert live.world.sql("select count(*) from pg_replication_slots where slot_name = 'arcore_slot'") == [(0,)]
        until(lambda: poller.ready()[1]["slots"][0]["state"] == "DROPPED")
        live.world.sql("update app.things set note = 'unseen' where id = 1")
        live.world.call("POST", f"{path}/create", {"reason": "again"}, expect=202)
        until(lambda: live.slot().phase is Phase.STREAMING)
        later(live)
        live.scan()
        assert live.equal(), "a scan found what was written without a slot"


def test_a_slot_that_was_moved_on_by_a_person_is_followed_by_a_scan(live: Streaming):
    with live.streaming():
        live.scan()
        live.caught_up()
        path = f"/ops/slots/{live.instance}"
        live.world.post(f"{path}/pause", {"reason": "maintenance"})
        until(lambda: not live.slot().alive)
        live.world.sql("update app.things set note = 'passed over' where id = 1")
        moved = live.world.post(f"{path}/advance", {"reason": "a poisoned transaction"})
        assert moved["queued_lsn"]
        live.world.refused("POST", f"{path}/advance", {"reason": "back", "lsn": "0/1"}, status=400)
        live.world.post(f"{path}/resume", {"reason": "done"})
        live.world.sql("update app.things set note = 'seen' where id = 2")
        live.caught_up()
        assert live.keys() == {'["2"]': CHANGED}
        assert not live.holds()
        later(live)
        live.scan()
        assert live.equal()


def test_a_slot_that_nobody_needs_any_more_is_dropped(live: Streaming):
    with live.streaming():
        live.world.post(f"/sync-definitions/{live.definition}/deactivate")
        until(lambda: live.world.engine.stores.streams.slots() == [])
        until(
            lambda: (
                live.world.sql("select count(*) from pg_replication_slots where slot_name = 'arcore_slot'") == [(0,)]
            )
        )
        live.world.post(f"/sync-definitions/{live.definition}/activate")
        until(lambda: live.world.engine.stores.streams.slots() and live.slot().phase is Phase.STREAMING)


# ---------------------------------------------------------------- the source's disk


def test_a_slot_beyond_its_budget_is_said_or_given_up(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "LEASE", timedelta(seconds=1))  # half of it is waited for a queue that is away
    with live.streaming():
        live.scan()
        live.world.post(
            f"/ops/slots/{live.instance}/budget", {"reason": "small disk", "bytes": 1 << 20, "action": "ALERT"}
        )
        live.queue.away = True
        live.world.sql(
            "insert into app.things select n, 'x ' || n, n, repeat('z', 500) from generate_series(1000, 6000) n"
        )
        until(lambda: live.slot().over_budget)
        assert live.slot().phase is Phase.STREAMING
        before = live.slot().identity
        live.world.post(f"/ops/slots/{live.instance}/budget", {"reason": "smaller", "bytes": 1 << 20, "action": "DROP"})
        until(lambda: live.slot().phase is Phase.STREAMING and live.slot().identity != before, live.slot)
        assert not live.slot().over_budget
        later(live)
        live.world.sql("delete from app.things where id > 1010")
        live.scan()
        assert live.equal()


def test_while_the_poller_is_dead_the_tick_looks_at_the_budget(live: Streaming):
    with live.streaming():
        live.scan()
        live.world.post(
            f"/ops/slots/{live.instance}/budget", {"reason": "small", "bytes": 1 << 20, "action": "PAUSE_OTHERS"}
        )
    live.world.sql("insert into app.things select n, 'x ' || n, n, repeat('z', 500) from generate_series(1000, 6000) n")
    live.world.engine.look_after_streams()
    assert not live.slot().over_budget, "a poller was there a moment ago"
    live.world.metastore("update syncbridge.stream_slots set heartbeat_at = heartbeat_at - interval '1 hour'")
    live.world.engine.look_after_streams()
    record = live.slot()
    assert record.over_budget
    assert record.action is BudgetAction.PAUSE_OTHERS
    assert live.world.engine.stores.streams.pressed() == {live.instance}
    live.world.live(name="Other", list_name="Other", schedule="PT5M")
    due = live.world.engine.start_due_runs()
    assert {str(run.definition) for run in due} == {live.definition}, "the scan that streams stand on waits for nothing"
    live.world.post(f"/ops/slots/{live.instance}/budget", {"reason": "small", "bytes": 1 << 20, "action": "DROP"})
    live.world.engine.look_after_streams()
    assert live.slot().phase is Phase.WANTED
    assert live.world.sql("select count(*) from pg_replication_slots where slot_name = 'arcore_slot'") == [(0,)]
    live.world.sql("delete from app.things where id in (5, 6) or id > 1010")
    with live.streaming():
        for run in due:
            live.world.drive(run)
        assert live.world.engine.stores.streams.unscanned() == []
        assert live.equal()


# ---------------------------------------------------------------- set-up, health, hand-over


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
        assert live.deliver() == 1
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


def test_the_probe_says_whether_the_slot_is_read(live: Streaming):
    with live.streaming() as poller:
        health = HealthServer(("127.0.0.1", 0), live=poller.live, ready=poller.ready)
        health.start()
        try:
            assert asked(health, "/healthz") == (200, {"status": "ok"})
            status, body = asked(health, "/readyz")
            assert (status, body["status"], body["slots"][0]["state"]) == (200, "ready", "STREAMING")
            assert asked(health, "/else")[0] == 404
            live.world.sql(f"alter role {live.world.role} noreplication")
            live.world.sql(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = 'arcore_slot'"
            )
            until(lambda: asked(health, "/readyz")[0] == 503)
        finally:
            health.close()


def test_a_poller_that_hangs_is_not_live(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    clock, hung, goes_on = MovableClock(), threading.Event(), threading.Event()
    live.world.engine.clock = clock
    look = Care.look

    def hangs(self: Care) -> Watching:
        hung.set()
        assert goes_on.wait(60)
        return look(self)

    with live.streaming() as poller:
        assert poller.live() == (True, {"status": "ok"})
        with monkeypatch.context() as patch:
            patch.setattr(Care, "look", hangs)
            try:
                assert hung.wait(60)
                clock.ahead = 100.0
                assert poller.live()[0]
                clock.ahead = 400.0
                until(lambda: poller.live() == (False, {"status": "hangs", "at": [str(live.instance)]}), poller.live)
            finally:
                goes_on.set()
        until(lambda: poller.live()[0])


def asked(health: HealthServer, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{health.port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_definition_says_whether_its_stream_moves(live: Streaming):
    def health() -> list[str]:
        found: list[str] = live.world.get(f"/sync-definitions/{live.definition}")["health"]
        return [sentence for sentence in found if "poller" in sentence or "stream" in sentence]

    assert "No poller has read this database yet" in health()[0]
    with live.streaming():
        until(lambda: health() == [], health)
    live.world.metastore("update syncbridge.stream_slots set heartbeat_at = heartbeat_at - interval '1 hour'")
    assert "No poller reads the replication slot" in health()[0]


def test_a_metastore_that_is_away_is_waited_for(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    from shared.core.errors import MetastoreUnavailable

    poller = Poller(live.world.engine, holder="p", jitter=lambda: 0.0)

    def away() -> None:
        poller.stop()
        raise MetastoreUnavailable("the metastore did not answer")

    monkeypatch.setattr(live.world.engine.stores.streams, "streamed", away)
    poller.run()
    assert poller.ready() == (
        False,
        {"status": "not ready", "problem": "the metastore did not answer", "slots": []},
    )
    assert QUEUE == "cdc-changes"
