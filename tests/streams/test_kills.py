"""Pollers and triggers killed with SIGKILL between any two of their steps; the next one goes on, and nothing is missing."""

import contextlib
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.local.azurite import Azurite
from infra.local.azurite import start as start_azurite
from infra.local.postgres import start
from shared.core.replication import lsn_text
from shared.core.slots import Phase
from tests.api.world import PASSWORD, THINGS, World
from tests.fixtures.crashing import started_again
from tests.streams.processes import Processes
from tests.streams.world import SECONDS, later, until

pytestmark = pytest.mark.slow


@pytest.fixture
def settled(processes: Processes) -> Processes:
    """The definition streams, and both sides are equal."""
    processes.live(guards={"max_delete_share": 1.0, "max_deletes": 1_000_000, "max_writes_per_row": 1_000_000})
    with processes.running():
        processes.scan()
        processes.caught_up()
    processes.unread()
    processes.messages()
    assert processes.equal()
    return processes


CHANGES = (
    "update app.things set note = 'changed' where id <= 3",
    "insert into app.things values (100, 'new', 1, 'n')",
    "delete from app.things where id = 5",
)


def change(live: Processes) -> None:
    for statement in CHANGES:
        live.world.sql(statement)


def finished(live: Processes) -> None:
    """The next poller, and the next trigger, bring both sides together."""
    with live.running():
        live.caught_up()
        live.deliver()
    live.deliver()
    assert live.equal()
    assert live.backlog()["due"] == 0


@pytest.mark.parametrize("where", ["read", "queued", "marked", "confirmed"])
def test_a_poller_that_is_killed_between_two_steps_loses_nothing(settled: Processes, where: str):
    before = settled.slot().queued
    change(settled)
    settled.dies(where)
    waiting = settled.client.get_queue_properties().approximate_message_count
    moved = settled.slot().queued > before
    # What the dead one left: its messages once they were sent, its mark once that was moved.
    assert (bool(waiting), moved and settled.slot().changes > 0) == {
        "read": (False, False),
        "queued": (True, False),
        "marked": (True, True),
        "confirmed": (True, True),
    }[where]
    finished(settled)


def test_a_trigger_that_is_killed_after_its_marks_leaves_them_due(settled: Processes):
    with settled.running():
        change(settled)
        settled.caught_up()
    text, *rest = settled.messages()
    settled.dies("taken", message=text)
    assert settled.backlog()["due"] > 0
    for again in (text, *rest):  # the host gives the message again when its time of invisibility is over
        settled.world.engine.take_message(again)
    assert settled.equal()


@pytest.mark.parametrize("where", ["making", "made"])
def test_a_poller_that_is_killed_while_it_makes_the_slot_leaves_none_behind(processes: Processes, where: str):
    processes.live()
    processes.dies(where)
    slots = "select count(*) from pg_replication_slots where database = current_database()"
    assert processes.world.sql(slots) == [(1 if where == "made" else 0,)]
    assert processes.slot().phase is Phase.WANTED
    with processes.running():
        processes.scan()
        change(processes)
        processes.caught_up()
        processes.deliver()
        assert processes.equal()
    assert processes.world.sql(slots) == [(1,)]


def test_a_poller_that_is_killed_while_it_stops_for_a_break_leaves_the_holds(settled: Processes):
    settled.world.sql("select pg_drop_replication_slot('arcore_slot')")
    settled.dies("holding")
    assert "STREAM_BROKEN" in settled.holds()
    assert settled.slot().phase is Phase.STREAMING
    process = settled.start()
    try:
        until(lambda: settled.slot().phase is Phase.BROKEN, settled.slot)
        assert list(settled.holds()) == ["STREAM_BROKEN"]
    finally:
        process.kill()
        process.wait()


def test_a_frozen_poller_is_overtaken_and_confirms_nothing_when_it_wakes(settled: Processes):
    frozen = settled.start()
    try:
        until(lambda: settled.reads(frozen), settled.slot)
        epoch = settled.slot().epoch
        frozen.send_signal(signal.SIGSTOP)
        change(settled)
        settled.lapse()
        # Its session still holds the slot: the next one ends it.
        with settled.running():
            assert settled.slot().epoch > epoch
            settled.caught_up()
            holder = settled.slot().holder
            frozen.send_signal(signal.SIGCONT)
            settled.deliver()
            assert settled.equal()
            assert settled.slot().holder == holder
    finally:
        frozen.kill()
        frozen.wait()


class OwnSource:
    """A streaming world whose source is a server of its own, which a test may crash and restart. Both sides are equal."""

    def __init__(self, world: World, azurite: Azurite) -> None:
        self.server, self.live = start(), Processes(world, azurite)
        with psycopg.connect(self.server.dsn(), autocommit=True) as admin:
            admin.execute("create database business")
            admin.execute(f"create role {world.role} login password '{PASSWORD}'".encode())
        world.source = self.server.dsn("business")
        with psycopg.connect(world.source, autocommit=True) as source:
            source.execute(THINGS.encode())
            source.execute(f"grant usage on schema app to {world.role}".encode())
            source.execute(f"grant select on all tables in schema app to {world.role}".encode())
        self.live.may_replicate()
        self.live.live()
        with self.live.running():
            self.live.scan()
            self.live.caught_up()
        self.live.messages()

    def start_again(self) -> None:
        self.server = started_again(self.server)


@pytest.fixture
def own(world: World, azurite: Azurite) -> Iterator[OwnSource]:
    there = world.source
    found = OwnSource(world, azurite)
    yield found
    world.engine.sources.close()
    found.live.close()
    world.source = there
    with contextlib.suppress(Exception):
        found.server.remove()


def test_a_source_that_crashes_after_the_confirmation_repeats_nothing_and_loses_nothing(own: OwnSource):
    live = own.live
    live.world.sql("checkpoint")
    on_disk = own.server.base / "data/pg_replslot/arcore_slot/state"
    before = on_disk.read_bytes()
    live.world.sql(";".join(CHANGES))  # one transaction, or how many of them it confirms before it dies is chance
    live.dies("confirmed")
    mark = live.slot().queued
    own.server.child.process.kill()
    own.server.child.process.wait()
    on_disk.write_bytes(before)  # whether the server had saved it meanwhile is chance
    own.start_again()
    forgotten = live.world.sql(
        "select confirmed_flush_lsn < %s::pg_lsn from pg_replication_slots where slot_name = 'arcore_slot'",
        lsn_text(mark),
    )
    assert forgotten == [(True,)], "the server has forgotten what was confirmed last"
    first = live.messages()
    with live.running():
        live.caught_up()
    assert live.messages() == [], "our own mark knew it"
    for text in first:
        live.world.engine.take_message(text)
    assert live.equal()
    assert live.holds() == {}


def breaks(live: Processes) -> None:
    """A poller begins, and stops for a break."""
    process = live.start()
    try:
        until(lambda: live.slot().phase is Phase.BROKEN, live.slot)
    finally:
        process.kill()
        process.wait()


def test_a_source_that_was_promoted_stops_the_stream_although_the_slot_is_there(own: OwnSource):
    """The same files as a standby, and then as a primary again: what a failover comes to, with a slot that outlived it."""
    live = own.live
    own.server.stop()
    (own.server.base / "data/standby.signal").touch()
    own.start_again()
    assert live.world.sql("select pg_promote(), count(*) from pg_replication_slots") == [(True, 1)]
    live.world.sql("update app.things set note = 'written after it' where id = 1")
    breaks(live)
    assert live.holds()["STREAM_BROKEN"]["details"]["reason"] == "other_timeline"
    assert live.messages() == []


def test_a_source_that_was_set_back_to_older_files_stops_the_stream_and_the_list_follows_it_after_a_person_has_looked(
    own: OwnSource,
):
    """A copy of its files that is put back: the same system, the same timeline, and a slot of that name."""
    live, data, kept = own.live, own.server.base / "data", own.server.base / "kept"
    own.server.stop()
    subprocess.run(["cp", "-a", data, kept], check=True)
    own.start_again()
    live.world.sql("select pg_switch_wal()")  # so that the older log ends long before what is read
    with live.running():
        change(live)
        live.caught_up()
        live.deliver()
    assert live.equal()
    newer, old = live.items(), live.slot().identity
    own.server.stop()
    shutil.rmtree(data)
    kept.rename(data)
    own.start_again()

    live.world.sql("update app.things set note = 'written after it' where id = 1")
    breaks(live)
    assert live.holds()["STREAM_BROKEN"]["details"]["reason"] == "server_rewound"
    assert live.messages() == []
    assert live.world.run(live.definition)["status"] == "HELD"
    assert live.items() == newer

    live.release("STREAM_BROKEN")
    later(live)
    with live.running():
        assert live.slot().identity != old
        live.scan()
    assert live.equal()


def test_a_poller_that_has_to_end_while_the_queue_is_down_hands_over_what_it_has_read_once_it_is_back(
    world: World, tmp_path: Path
):
    """Both for real: the queue's process is killed, and SIGTERM is what a container gets."""
    queue = start_azurite(tmp_path)
    live = Processes(world, queue)
    live.may_replicate()
    live.live()
    process = live.start(patience=SECONDS)
    try:
        until(lambda: live.reads(process), live.world.engine.stores.streams.slots)
        live.scan()
        queue.child.process.kill()
        queue.child.process.wait()
        before = live.slot().changes
        change(live)
        until(lambda: live.slot().problem_code is not None, live.slot)
        assert live.slot().changes == before, "nothing is confirmed that the queue does not have"
        process.send_signal(signal.SIGTERM)
        queue = start_azurite(tmp_path, port=queue.port)
        assert process.wait(2 * SECONDS) == 0
        assert live.slot().changes > before
        live.deliver()
        assert live.equal()
    finally:
        process.kill()
        process.wait()
        live.close()
        queue.stop()


def test_ten_thousand_changes_through_kills_and_lost_messages_end_equal(settled: Processes):
    """A writer with random transactions; pollers are killed, sessions are ended, messages come twice, late, shuffled, or
    (one in a hundred) never. A scan at the end finds what the lost ones were about.

    The writer waits for a kill after each quarter, so that three fall into its work, however fast either of them is."""
    chance, done, written, kills = random.Random(20), threading.Event(), [0], [0]

    def write() -> None:
        keys = range(1, 121)
        with psycopg.connect(settled.world.source) as connection:
            while written[0] < 10_000:
                if written[0] >= 2_500 * (1 + kills[0]):
                    done.wait(0.02)
                    continue
                for _ in range(chance.randint(1, 60)):
                    key, n = chance.choice(keys), written[0]
                    match chance.randint(0, 9):
                        case 0 | 1:
                            connection.execute("delete from app.things where id = %s", [key])
                        case 2:
                            connection.execute(
                                "update app.things t set id = %s where id = %s"
                                " and not exists (select from app.things where id = %s)",
                                [(other := chance.choice(keys)), key, other],
                            )
                        case _:
                            connection.execute(
                                "insert into app.things values (%s, %s, %s, %s) on conflict (id)"
                                " do update set qty = excluded.qty, note = excluded.note",
                                [key, f"k {n}", n, f"note {n}"],
                            )
                    written[0] += 1
                if chance.random() < 0.1:
                    connection.rollback()
                else:
                    connection.commit()
                done.wait(0.02)
        done.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    luck = random.Random(21)
    while not done.is_set():
        process, seen = (
            settled.start(luck.choice(["read", "queued", "marked", "confirmed", "never", "never"])),
            settled.slot(),
        )

        def has_read() -> bool:
            dead = process.poll() is not None  # noqa: B023
            return dead or done.is_set() or settled.slot().changes > seen.changes + 300  # noqa: B023

        until(has_read, settled.slot)
        if luck.random() < 0.3:
            settled.world.sql(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null"
            )
        settled.deliver_somehow(luck, lossy=True)
        process.kill()
        process.wait()
        kills[0] += 1
        settled.lapse()
    writer.join()
    assert written[0] >= 10_000
    assert kills[0] >= 3
    with settled.running():
        settled.caught_up()
        settled.deliver_somehow(luck, lossy=True)
    assert settled.slot().changes > 1000
    settled.deliver_somehow(luck)
    assert settled.lost * 100 >= settled.arrived > 0, settled.arrived
    settled.world.run(settled.definition)
    # More rows came and went than a day's deletes may be: a person approves what waits.
    settled.world.post(f"/sync-definitions/{settled.definition}/awaiting-approval/approve", {"all": True})
    run = settled.world.run(settled.definition)
    assert run["status"] == "COMPLETED"
    assert settled.equal()
    again = settled.world.run(settled.definition)
    assert (again["created"], again["updated"], again["deleted"]) == (0, 0, 0)
