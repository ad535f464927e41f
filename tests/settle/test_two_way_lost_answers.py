"""Settle both ways: writes to rows and items that got no answer."""

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
)
from shared.core.ids import identity_of
from tests.fakes.lists import lost_after, lost_before
from tests.settle.two_way import one, pull, quiet, see, two_way, values_of
from tests.settle.world import World


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
def test_a_commit_without_an_answer_is_decided_by_its_transaction(world: World, fault):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.rows.script.append(fault)
    pull(world, item)
    assert [row[4] for row in world.backlog_rows()] == [True], "the claim is kept"
    world.source.put("1", b="user")
    world.wait(61)
    world.settle()
    world.push()
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)


def test_a_commit_that_is_under_way_is_waited_for(world: World):
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    world.rows.script.append("late")
    pull(world, item)
    world.wait(61)
    world.settle()
    assert [("DUE", False)] == [(row[1], row[4]) for row in world.backlog_rows()]
    world.rows.land_late()
    world.wait(10)
    world.settle()
    assert values_of(world, "1")["a"] == "person"
    assert world.rows.begun == 1
    quiet(world)


def test_a_person_who_types_the_old_value_again_after_a_lost_commit_keeps_it(world: World):
    _, item = one(world, a="old")
    world.lists.edit(item, {"A": "new"})
    world.rows.script.append("lost_after")
    pull(world, item)
    world.lists.edit(item, {"A": "old"})
    world.wait(61)
    pull(world, item)
    world.push()
    assert values_of(world, "1")["a"] == "old"
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_person_who_types_the_old_value_again_after_a_lost_patch_keeps_it(world: World):
    """The item holds what it held before: only its versions tell that our value was there, and went."""
    _, item = one(world, a="old")
    world.source.put("1", a="new")
    world.lists.script.append(lost_after)
    world.push()
    world.lists.edit(item, {"A": "old"})
    world.wait(61)
    pull(world, item)
    assert values_of(world, "1")["a"] == "old"
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_version_that_cannot_be_read_keeps_its_own_row_only(world: World):
    """Whoever wrote it, it was not the update without an answer."""
    _, item = one(world, a="x")
    world.mark(world.source.put("2", a="x"))
    world.settle()
    world.lists.script.append(lost_before)
    world.mark(world.source.put("1", a="new"))
    world.settle()
    world.lists.edit(item, {"A": 7})
    world.wait(61)
    world.mark(world.source.put("2", a="other"))
    world.settle()
    assert [shown["A"] for shown in world.items().values()] == [7, "other"]
    assert [(state, code) for _, state, code, *_ in world.backlog_rows()] == [("PARKED", "unrepresentable")]


def test_a_user_who_writes_after_a_commit_without_an_answer_makes_no_conflict(world: World):
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    world.rows.script.append("lost_after")
    pull(world, item)
    world.source.put("1", a="user")
    world.wait(61)
    world.settle()
    assert values_of(world, "1")["a"] == "user"
    assert world.expected() == world.items()
    assert not world.conflicts()


@pytest.mark.parametrize("side", ["row", "item"])
def test_a_write_without_an_answer_keeps_its_claim_until_the_lease_is_over(world: World, side: str):
    _, item = one(world, a="x")
    if side == "row":
        world.lists.edit(item, {"A": "person"})
        world.rows.script.append("lost_before")
        pull(world, item)
    else:
        world.source.put("1", a="user")
        world.lists.script.append(lost_before)
        world.push()
    world.mark(identity_of(["1"]), Reason.COMMAND)
    assert [0] == [result.claimed for result in world.settle()]
    world.wait(61)
    assert [1, 0] == [result.claimed for result in world.settle()]


def test_the_value_that_lost_by_a_commit_without_an_answer_is_in_the_log(metastore: str):
    world = World(metastore, **two_way(conflict_policy=ConflictPolicy.DESTINATION_WINS))
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", a="user")
    world.rows.script.append("lost_after")
    pull(world, item)
    assert [("a", '"user"', "PENDING", "ITEM")] == world.conflicts()
    world.wait(61)
    world.settle()
    assert [("a", '"user"', "FINAL", "ITEM")] == world.conflicts()
    world.close()


def test_the_value_that_lost_by_a_commit_without_an_answer_is_in_the_log_although_the_next_worker_dies(metastore: str):
    """It knows that the commit landed, and has not said so anywhere but in the intent that it found."""
    world = World(metastore, **two_way(conflict_policy=ConflictPolicy.DESTINATION_WINS))
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", a="user", b="user")
    world.rows.script.append("lost_after")
    pull(world, item)
    world.wait(61)
    world.die_at(Boundary.INTENDED)
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    assert world.expected() == world.items()
    assert [("a", '"user"', "FINAL", "ITEM")] == world.conflicts()
    world.close()


@pytest.mark.parametrize("mishap", ["locked", "refused"])
def test_the_value_that_lost_in_a_transaction_that_was_tried_again_is_in_the_log(metastore: str, mishap: str):
    world = World(metastore, **two_way(conflict_policy=ConflictPolicy.DESTINATION_WINS))
    for key in ("1", "2"):
        world.source.put(key, a="x")
    world.push()
    for item in world.lists.items:
        world.lists.edit(item, {"A": "person"})
    world.source.put("2", a="user")
    if mishap == "locked":
        world.rows.locked.add("1")
    else:
        world.rows.refuse["1"] = ("row_refused", "the database refused the row by the constraint positive")
    pull(world, *world.lists.items)
    assert world.source.rows["2"]["a"] == "person"
    assert [("a", '"user"', "FINAL", "ITEM")] == [logged for logged in world.conflicts() if logged[2] != "VOID"]
    world.close()


def test_a_transaction_that_another_server_does_not_know_is_judged_by_values(world: World):
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    world.rows.script.append("lost_after")
    pull(world, item)
    world.rows.timeline = 2
    world.wait(61)
    world.settle()
    assert values_of(world, "1")["a"] == "person"
    assert not world.conflicts()
    quiet(world)


@pytest.mark.parametrize(
    "boundary",
    [Boundary.ROWS_BEGUN, Boundary.ROWS_INTENDED, Boundary.ROWS_WRITTEN, Boundary.ROWS_COMMITTED, Boundary.INTENDED],
)
def test_a_worker_that_dies_anywhere_in_a_merge_leaves_nothing_that_the_next_cannot_finish(world: World, boundary):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", b="user")
    see(world, item)
    world.die_at(boundary)
    world.rows.drop_connections()
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)


def test_a_worker_that_slept_past_its_lease_does_not_commit(world: World):
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    see(world, item)
    for passed in world.worker():
        if passed is Boundary.ROWS_WRITTEN:
            world.clock.time += 56
    assert values_of(world, "1")["a"] == "x"


@pytest.mark.parametrize("answer", [lost_after, lost_before])
def test_a_merge_whose_item_half_got_no_answer_is_finished(world: World, answer):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", b="user")
    world.lists.script.append(answer)
    pull(world, item)
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)
