"""A server that removed log which the slot still needed: the stream cannot go on, and a person, a new slot and a scan make
up for what is missing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.core.slots import Phase
from shared.poller import session
from tests.streams.processes import Processes
from tests.streams.world import SECONDS, Streaming, later, until

pytestmark = pytest.mark.slow

GONE = ("thing 5", "thing 6")


@pytest.fixture
def settled(processes: Processes) -> Processes:
    """The definition streams, and both sides are equal. Two deletes at once are asked about."""
    processes.live(guards={"max_deletes": 1})
    with processes.running():
        processes.scan()
        processes.caught_up()
    processes.messages()
    assert processes.equal()
    return processes


@contextmanager
def little_log(live: Streaming) -> Iterator[None]:
    """The server keeps a megabyte of log for slots."""
    live.world.sql("alter system set max_slot_wal_keep_size = '1MB'")
    live.world.sql("select pg_reload_conf()")
    try:
        yield
    finally:
        live.world.sql("alter system reset max_slot_wal_keep_size")
        live.world.sql("select pg_reload_conf()")


def outgrown(live: Streaming) -> bool:
    """Another segment of log is written; whether the slot is lost by now."""
    live.world.sql("select pg_logical_emit_message(false, 'syncbridge test', 'x'), pg_switch_wal()")
    live.world.sql("checkpoint")
    return live.world.sql("select wal_status from pg_replication_slots where slot_name = 'arcore_slot'") == [("lost",)]


def change(live: Streaming) -> None:
    live.world.sql("update app.things set note = 'changed' where id <= 3")
    live.world.sql("insert into app.things values (100, 'new', 1, 'n')")
    live.world.sql("delete from app.things where id in (5, 6)")


@contextmanager
def stopped(live: Processes) -> Iterator[None]:
    """A poller that finds out as it starts that it cannot go on; its process ends with the block."""
    poller = live.start()
    try:
        until(lambda: live.slot().phase is Phase.BROKEN, live.slot)
        yield
        assert poller.poll() is None, "it waits for a person"
        poller.send_signal(signal.SIGTERM)
        assert poller.wait(SECONDS) == 0
    finally:
        poller.kill()
        poller.wait()


def test_what_a_server_no_longer_has_for_a_slot_is_found_by_a_scan_after_a_person_has_looked_and_a_new_slot_is_made(
    settled: Processes,
):
    live, streams = settled, settled.world.engine.stores.streams
    old, before = live.slot().identity, live.items()
    with little_log(live):
        change(live)
        until(lambda: outgrown(live))

    with stopped(live):
        hold = live.holds()["STREAM_BROKEN"]
        assert hold["details"] == {"reason": "slot_lost", "slot": "arcore_slot"}
        assert "max_slot_wal_keep_size" in hold["explanation"]
        assert "release this hold" in hold["explanation"]
        assert live.world.run(live.definition)["status"] == "HELD"
        assert live.world.engine.look_after_streams() == []
        assert live.messages() == []
        assert (live.items(), live.slot().identity) == (before, old), "nothing is written before that"

    live.release("STREAM_BROKEN")
    later(live)
    assert live.world.engine.look_after_streams() == [], "the slot comes first"
    with live.running():
        assert live.slot().identity != old
        assert streams.unscanned() == [live.id()]
        live.world.sql("update app.things set note = 'between slot and scan' where id = 7")
        live.scan()
        assert live.items() == live.rows() | {name: before[name] for name in GONE}, "the deletes wait under their guard"
        path = f"/sync-definitions/{live.definition}/awaiting-approval"
        assert len(live.world.get(path)) == len(GONE)
        live.world.post(f"{path}/approve", {"all": True})
        assert live.world.run(live.definition)["deleted"] == len(GONE)
        assert live.equal()

        live.caught_up()
        written = live.writes()
        live.deliver()
        assert live.writes() == written, "the new slot's changes were scanned before"
        live.world.sql("update app.things set note = 'streams again' where id = 8")
        live.caught_up()
        live.deliver()
    assert live.equal()
    assert live.holds() == {}


def test_a_slot_that_is_lost_while_it_is_read_stops_the_stream(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    """The queue takes nothing, so that nothing is confirmed; the server ends the reader to be rid of the log."""
    monkeypatch.setattr(session, "BEAT", 0.05)
    with live.streaming(), little_log(live):
        live.scan()
        live.queue.away = True
        change(live)
        until(lambda: outgrown(live))
        until(lambda: live.slot().phase is Phase.BROKEN, live.slot)
        assert live.holds()["STREAM_BROKEN"]["details"]["reason"] == "slot_lost"
        assert live.world.run(live.definition)["status"] == "HELD"
    live.queue.away = False
    live.release("STREAM_BROKEN")
    later(live)
    with live.streaming():
        live.scan()
        assert live.equal()
