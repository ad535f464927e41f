"""What people want of a stream: paused, throttled, moved on, dropped, made again; and what it spares by itself."""

import pytest

from shared.core.slots import Phase
from shared.handles import ceiling_of
from shared.poller import session
from tests.streams.world import CHANGED, MovableClock, Streaming, beats, later, until

pytestmark = pytest.mark.usefixtures("quick")


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
    with live.streaming() as poller:
        live.caught_up()
        live.messages()
        live.world.post(f"/ops/slots/{live.instance}/throttle", {"reason": "gently", "most_per_second": 1})
        assert live.slot().most_per_second == 1
        assert beats(poller)
        begun = clock.monotonic()
        live.world.sql("insert into app.things select n, 'x ' || n from generate_series(1000, 1099) n")
        until(lambda: live.slot().changes >= 1)
        for read in (2, 3):
            assert beats(poller)
            clock.ahead += 1.0
            until(lambda read=read: live.slot().changes >= read)
        assert live.slot().changes <= 1 + clock.monotonic() - begun, "one at first, and one in each second after it"
        live.world.post(f"/ops/slots/{live.instance}/throttle", {"reason": "freely", "most_per_second": None})
        live.caught_up()
        assert len(live.keys()) == 100
        assert live.slot().most_per_second is None


def test_a_long_queue_is_not_made_longer(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    with live.streaming() as poller:
        live.caught_up()
        live.messages()
        monkeypatch.setattr(live.queue, "depth", lambda _: 10_000)
        assert beats(poller), "the poller has seen the long queue: it reads nothing that is written from now on"
        live.world.sql("update app.things set note = 'changed' where id = 1")
        assert beats(poller)
        assert live.messages() == []
        monkeypatch.setattr(live.queue, "depth", lambda _: 0)
        live.caught_up()
        assert live.keys() == {'["1"]': CHANGED}


def test_changes_are_gathered_while_the_budget_is_used_up(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "LONGEST_GATHERING", 1.0)
    clock = live.world.engine.clock
    with live.streaming() as poller:
        live.caught_up()
        record = live.world.engine.stores.definitions.get(live.id())
        connection = live.world.engine.connection_of(record)
        live.world.engine.graphs.budget(connection, ceiling_of(connection)).penalize(3600)
        assert beats(poller)
        begun = clock.monotonic()
        live.world.sql(
            "do $$ begin for n in 1..200 loop update app.things set note = 'note ' || n where id = 1; commit; end loop; end $$"
        )
        live.caught_up()
        assert 1 <= len(live.messages()) <= clock.monotonic() - begun, "each message has gathered for a second"


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
