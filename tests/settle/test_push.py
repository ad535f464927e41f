"""Settle pushes rows to items: what is written, what is not, and what stays behind."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import GuardSettings
from shared.core.errors import GraphUnavailable, ListGone, RowsHidden, Throttled
from shared.core.ids import Identity
from shared.core.items import CreateItem, DeleteItem, NotSent, PatchItem, Refused
from shared.core.ledger import EntryState
from shared.core.source import SourceType
from tests.fakes.lists import answering, lost_after, lost_before
from tests.settle.world import World, column

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    yield made
    made.close()


def writes(world: World, kind: type) -> int:
    return sum(isinstance(write, kind) for write in world.lists.writes)


def test_new_rows_become_items_and_a_second_push_writes_nothing(world: World):
    for n in range(45):
        world.source.put(str(n), a=f"a{n}", b=f"b{n}")
    world.push()
    assert world.expected() == world.items()
    before = len(world.lists.writes)
    results = world.push()
    assert (before, 0) == (len(world.lists.writes), results[0].claimed)
    assert writes(world, CreateItem) == 45
    assert world.lists.reads == 0, "a first push needs no reading of the list"


def test_a_changed_row_is_patched_with_its_changed_fields_only(world: World):
    world.source.put("1", a="x", b="y")
    world.push()
    world.source.put("1", a="z")
    world.push()
    [patch] = [write for write in world.lists.writes if isinstance(write, PatchItem)]
    assert {"A": "z"} == dict(patch.fields)
    assert world.expected() == world.items()


def test_a_deleted_rows_item_is_deleted(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    gone = world.source.delete("1")
    world.push()
    assert world.expected() == world.items()
    entry = world.entry(gone)
    assert entry is not None
    assert (EntryState.TOMBSTONE, None) == (entry.state, entry.base)


def test_a_deleted_row_that_comes_back_gets_a_new_item_of_a_new_generation(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.delete("1")
    world.push()
    back = world.source.put("1", a="again")
    world.push()
    assert world.expected() == world.items()
    entry = world.entry(back)
    assert entry is not None
    assert entry.generation == 2


def test_a_persons_edit_in_a_push_only_list_is_written_back_and_logged(world: World):
    identity = world.source.put("1", a="x", b="y")
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", b="z")
    world.push()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL", "ROW")] == world.conflicts()
    world.mark(identity, Reason.DRIFT)
    before = len(world.lists.writes)
    world.settle()
    assert before == len(world.lists.writes)


def test_an_item_that_a_person_deleted_comes_back(world: World):
    identity = world.source.put("1", a="x")
    world.push()
    [item] = world.lists.items
    world.lists.remove(item)
    world.mark(identity, Reason.ITEM_GONE)
    world.settle()
    assert world.expected() == world.items()


@pytest.mark.parametrize("answer", [lost_after, lost_before], ids=["landed", "lost"])
def test_a_create_without_an_answer_makes_one_item(world: World, answer):
    world.source.put("1", a="x", b="y")
    world.lists.script.append(answer)
    world.push()
    assert world.settle()[0].claimed == 0, "a doubtful write keeps its claim until the lease is over"
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_create_that_lands_late_makes_one_item(world: World):
    world.source.put("1", a="x")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.wait(61)
    world.settle()
    world.lists.land_late()
    world.wait(400)
    world.settle()
    assert world.expected() == world.items()
    assert not world.backlog_rows()


def test_a_create_that_lands_after_its_row_was_deleted_is_removed(world: World):
    identity = world.source.put("1", a="x")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.source.delete("1")
    world.wait(61)
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    world.lists.land_late()
    assert len(world.items()) == 1
    world.wait(400)
    world.settle()
    assert not world.items()
    assert not world.backlog_rows()


def test_a_person_edits_an_item_whose_create_got_no_answer_and_the_edit_is_logged(world: World):
    world.source.put("1", a="x", b="y")
    world.lists.script.append(lost_after)
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL", "ROW")] == world.conflicts()


@pytest.mark.parametrize(
    "error",
    [Throttled("the budget is used up", retry_after=7.0), GraphUnavailable("away")],
    ids=["throttled", "away"],
)
def test_an_item_whose_history_cannot_be_read_now_does_not_keep_the_rest_of_its_page_waiting(world: World, error):
    for n in range(3):
        world.source.put(str(n), a="x", b="y")
    world.push()
    items = {identity: item for item, identity in world.ledger_items().items()}
    for n in range(3):
        world.source.put(str(n), a="z")
    world.lists.script.extend([lost_after] * 3)
    world.push()
    world.wait(61)
    world.lists.history_stop = {items[Identity('["1"]')]: error}
    world.settle()
    assert [row[0] for row in world.backlog_rows()] == ['["1"]'], "the others are settled"
    world.lists.history_stop = {}
    world.wait(61)
    world.settle()
    assert (world.expected(), world.backlog_rows()) == (world.items(), [])


@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
@pytest.mark.parametrize("answer", [lost_after, lost_before], ids=["landed", "lost"])
def test_a_patch_without_an_answer_ends_equal_without_a_conflict(world: World, answer, history):
    world.lists.history = history
    world.source.put("1", a="x")
    world.push()
    world.source.put("1", a="y")
    world.lists.script.append(answer)
    world.push()
    world.source.put("1", a="z")
    world.wait(61)
    world.push()
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_delete_without_an_answer_is_done_once(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.delete("1")
    world.lists.script.append(lost_after)
    world.push()
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()


@pytest.mark.parametrize(
    "boundary",
    [Boundary.CLAIMED, Boundary.ROWS_READ, Boundary.INTENDED, Boundary.SENT, Boundary.CONFIRMED],
)
@pytest.mark.parametrize("change", ["create", "update", "delete"])
def test_a_worker_that_dies_leaves_work_that_the_next_one_finishes(world: World, boundary, change):
    for n in range(30):
        world.source.put(str(n), a="x", b="y")
    if change != "create":
        world.push()
        for n in range(5):
            world.source.put(str(n), a="z") if change == "update" else world.source.delete(str(n))
    world.scan()
    world.die_at(boundary)
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert not world.conflicts()
    before = len(world.lists.writes)
    world.wait(400)
    world.push()
    world.push()
    assert before == len(world.lists.writes), "a quiet system writes nothing"
    assert not world.backlog_rows()


def test_an_old_worker_that_wakes_up_after_a_takeover_writes_nothing(world: World):
    world.source.put("1", a="x")
    world.scan()
    old = world.worker()
    assert next(old) is Boundary.CLAIMED
    assert next(old) is Boundary.ROWS_READ
    world.wait(61)
    world.settle()
    before = len(world.lists.writes)
    for _ in old:
        pass
    assert before == len(world.lists.writes)
    assert world.expected() == world.items()


def test_a_worker_does_not_write_when_its_lease_has_no_room_for_a_request(world: World):
    world.source.put("1", a="x")
    world.scan()
    worker = world.worker()
    for passed in worker:
        if passed is Boundary.INTENDED:
            world.clock.time += 57
    assert not world.lists.writes
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()


def test_a_row_that_changes_while_it_is_settled_stays_due(world: World):
    identity = world.source.put("1", a="x")
    world.scan()
    for passed in world.worker():
        if passed is Boundary.SENT:
            world.source.put("1", a="y")
            world.mark(identity, Reason.STREAM)
    world.settle()
    assert world.expected() == world.items()


def test_a_value_that_a_list_cannot_hold_parks_its_row_and_nobody_elses(world: World):
    world.source.put("1", a="x" * 300)
    world.source.put("2", a="fine")
    world.push()
    assert len(world.items()) == 1
    [(identity, state, code, _, claimed)] = world.backlog_rows()
    assert ('["1"]', "PARKED", "unrepresentable", False) == (identity, state, code, claimed)
    before = world.source.reads
    world.push()
    assert before == world.source.reads, "a scan that sees the same row leaves it parked"
    world.source.put("1", a="short")
    world.push()
    assert world.expected() == world.items()


def test_a_refusal_parks_the_row_with_its_reason(world: World):
    world.source.put("1", a="x")
    world.lists.script.append(answering(Refused(code="invalidRequest", message="the list says no")))
    world.push()
    [(_, state, code, _, _)] = world.backlog_rows()
    assert ("PARKED", "invalidRequest") == (state, code)
    world.wait(86_500)
    world.settle()
    assert world.expected() == world.items()


def test_throttling_gives_everything_back_and_tells_how_long_to_wait(world: World):
    for n in range(30):
        world.source.put(str(n), a="x")
    world.scan()
    world.lists.script.append(answering(NotSent(retry_after=30.0)))
    [result] = world.settle()
    assert result.wait == 30.0
    world.wait(31)
    world.settle()
    assert world.expected() == world.items()
    assert world.lists.reads == 0, "what was certainly not sent needs no looking for"


def test_what_was_certainly_not_sent_is_not_looked_for_although_a_capture_missed_it(world: World):
    """Or a budget that is just enough for looking is spent on that, again and again, and nothing is ever written."""
    identities = [world.source.put(str(n), a="x") for n in range(30)]
    world.scan()
    world.lists.script.append(answering(NotSent(retry_after=30.0)))
    world.settle()
    known = world.ledger.entries(world.definition.id, identities)
    unsent = [identity for identity in identities if known[identity].item_id is None]
    assert len(unsent) == 11
    for identity in unsent:
        world.mark(identity, Reason.ITEM_GONE)
    world.wait(31)
    world.settle()
    assert world.expected() == world.items()
    assert world.lists.reads == 0


def test_a_list_that_is_gone_holds_the_definition_and_deletes_nothing(world: World):
    for n in range(5):
        world.source.put(str(n), a="x")
    world.push()
    world.lists.gone = True
    world.source.put("1", a="y")
    world.scan()
    [result] = world.settle()
    assert result.hold is not None
    assert result.hold.kind == "LIST_GONE"


def test_hidden_rows_hold_the_definition(world: World):
    identity = world.source.put("1", a="x")
    world.push()
    world.source.failure = RowsHidden("a policy hides rows")
    world.mark(identity)
    [result] = world.settle()
    assert result.hold is not None
    assert result.hold.kind == "ROWS_HIDDEN"
    assert len(world.items()) == 1


def test_many_deletes_at_once_wait_for_a_person_and_leave_by_themselves_when_the_rows_are_back(world: World):
    kept = {}
    for n in range(10):
        world.source.put(str(n), a=f"x{n}")
    world.push()
    kept = {key: dict(row) for key, row in world.source.rows.items()}
    for n in range(6):
        world.source.delete(str(n))
    report = world.scan()
    assert ["FEWER_ROWS", "DELETE_GUARD"] == [hold.kind for hold in report.holds]
    world.holds.waivers.add("FEWER_ROWS")
    world.push()
    assert len(world.items()) == 10
    assert {"AWAITING_APPROVAL"} == {row[1] for row in world.backlog_rows()}
    for key, row in kept.items():
        if key not in world.source.rows:
            world.source.put(key, **{name: value for name, value in row.items() if name != "id"})
    world.push()
    assert world.expected() == world.items()
    assert not world.backlog_rows()


def test_an_approved_delete_is_done(world: World):
    world.holds.used = 1000
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.delete("1")
    world.push()
    assert len(world.items()) == 4
    world.sql.execute("update syncbridge.sync_backlog set state = 'DUE', approved = true")
    world.settle()
    assert world.expected() == world.items()


def test_a_soft_deleted_rows_item_is_deleted(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.soft_deleted.add("1")
    world.push()
    assert len(world.items()) == 3
    assert writes(world, DeleteItem) == 1


def test_a_row_that_left_the_scope_loses_its_item_by_default(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.out_of_scope.add("1")
    world.push()
    assert len(world.items()) == 3


def test_a_list_that_is_gone_is_never_an_absent_item(world: World):
    identity = world.source.put("1", a="x")
    world.push()
    world.lists.stop = ListGone("revoked")
    world.mark(identity, Reason.ITEM_GONE)
    [result] = world.settle()
    assert result.hold is not None
    assert world.entry(identity) is not None


def test_another_item_with_a_rows_unique_value_parks_the_row(world: World):
    world.lists.unique = ("A",)
    world.lists.add({"A": "taken"})
    world.source.put("1", a="taken")
    world.push()
    [(_, state, code, _, _)] = world.backlog_rows()
    assert ("PARKED", "unique_value") == (state, code)


def test_a_row_over_which_two_rules_quarrel_is_set_aside(world: World):
    world.definition = replace(world.definition, guards=GuardSettings(max_writes_per_row=10))
    identity = world.source.put("1", a="0")
    world.push()
    [item] = world.lists.items
    for n in range(1, 30):
        world.lists.edit(item, {"A": f"flow {n}"})
        world.mark(identity, Reason.DRIFT)
        world.settle()
    assert ["PARKED"] == [row[1] for row in world.backlog_rows()]
    assert writes(world, PatchItem) < 12
    assert timedelta(minutes=10) == world.definition.guards.loop_window


def test_a_row_that_only_changes_often_is_written_however_often_that_is(world: World):
    world.definition = replace(world.definition, guards=GuardSettings(max_writes_per_row=10))
    world.source.put("1", a="0")
    world.push()
    for n in range(1, 30):
        world.source.put("1", a=str(n))
        world.push()
    assert not world.backlog_rows()
    assert world.expected() == world.items()


@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
def test_a_persons_value_is_in_the_log_when_the_patch_that_overwrote_it_got_no_answer(world: World, history):
    world.lists.history = history
    identity = world.source.put("1", a="x", b="y")
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.mark(identity, Reason.DRIFT)
    world.lists.script.append(lost_after)
    world.settle()
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL", "ROW")] == world.conflicts()


@pytest.mark.parametrize(("text", "shown"), [("2026-01-31 12:00:00.5+00", True), ("infinity", False), (None, False)])
def test_the_ledger_shows_the_rows_own_time_where_it_has_one(metastore: str, text, shown):
    world = World(metastore)
    cursor = replace(column("b"), type=SourceType(name="timestamptz", declared="timestamptz"))
    world.definition = replace(world.definition, source=replace(world.definition.source, cursor_column=cursor))
    identity = world.source.put("1", a="x", b=text)
    world.push()
    entry = world.entry(identity)
    assert entry is not None
    expected = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC) if shown else None
    assert expected == entry.last_source_ts
    world.close()
