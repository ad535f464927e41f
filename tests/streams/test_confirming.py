"""Nothing is confirmed that is not in the queue, whoever reads the slot and whatever becomes of them."""

import threading
from typing import Any

import pytest

from shared.core import gathering
from shared.core.replication import parse_lsn
from shared.poller import outbox, session
from tests.streams.world import CHANGED, Streaming, beats, until

pytestmark = pytest.mark.usefixtures("quick")


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
        assert beats(poller)
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
    silent = threading.Event()

    def no_beat(*_: object) -> bool:
        silent.set()
        return True

    with live.streaming("old"):
        live.caught_up()
        before = live.slot()
        live.queue.away = True
        live.world.sql("update app.things set note = 'changed' where id = 1")
        until(lambda: live.queue.refusals > 0)
        # It is to learn of it by what it wants to confirm, and not by its next beat.
        with monkeypatch.context() as patched:
            patched.setattr(session.Session, "_beat", no_beat)
            assert silent.wait(60), "it has no beat any more, and is in none"
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
