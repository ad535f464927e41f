"""Settle both ways: rows and items that somebody deletes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.definition import (
    DeletePolicy,
    Direction,
)
from shared.core.items import Landed
from tests.fakes.lists import lost_after, lost_before
from tests.settle.two_way import one, pull, quiet, two_way, values_of
from tests.settle.world import World, mapping


def test_an_item_that_a_person_deleted_takes_its_row_with_it(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    [item, *_] = world.lists.items
    world.lists.remove(item)
    pull(world, item)
    assert len(world.source.rows) == 3
    assert world.expected() == world.items()
    quiet(world)


def test_a_ghost_that_lands_after_a_person_deleted_the_item_does_not_bring_it_back(world: World):
    """The row's key finds it; but a row that was settled has the item that it was settled with, and no other one."""
    for key in ("1", "2", "3"):
        world.source.put(key, a="x")
    world.push()
    identity = world.source.put("4", a="x")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.wait(61)
    world.settle()
    entry = world.entry(identity)
    assert entry is not None
    assert entry.item_id is not None
    world.lists.remove(entry.item_id)
    [ghost] = world.lists.land_late()
    assert isinstance(ghost, Landed)
    pull(world, entry.item_id)
    assert sorted(world.source.rows) == ["1", "2", "3"]
    pull(world, ghost.item_id)
    world.wait(400)
    world.settle()
    assert world.expected() == world.items()
    assert len(world.lists.items) == 3
    quiet(world)


def test_a_row_that_was_edited_survives_the_delete_of_its_item_and_that_is_logged(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.remove(item)
    world.source.put("1", a="user")
    pull(world, item)
    assert world.expected() == world.items()
    assert [("a", None, "FINAL", "ROW")] == world.conflicts()
    world.wait(200)  # the former item was waited for once: a person may have brought it back
    quiet(world)


def test_an_item_that_was_edited_survives_the_delete_of_its_row_and_that_is_logged(world: World):
    _, item = one(world, a="x", b="y")
    world.source.delete("1")
    world.lists.edit(item, {"A": "person"})
    pull(world, item)
    assert values_of(world, "1") == {"a": "person", "b": "y"}
    assert [("a", None, "FINAL", "ITEM")] == world.conflicts()
    quiet(world)


def test_deletes_of_rows_beyond_the_days_limit_wait_for_a_person(world: World):
    for n in range(10):
        world.source.put(str(n), a="x")
    world.push()
    world.holds.used = 3
    gone = list(world.lists.items)[:4]
    for item in gone:
        world.lists.remove(item)
    pull(world, *gone)
    assert len(world.source.rows) == 8
    assert ["AWAITING_APPROVAL"] * 2 == [row[1] for row in world.backlog_rows()]
    assert ["DELETE_GUARD"] == [hold.kind for hold in world.holds.opened]


@pytest.mark.parametrize(
    ("policy", "rows", "items"),
    [(DeletePolicy.RECREATE, 1, 1), (DeletePolicy.KEEP, 1, 0), (DeletePolicy.APPROVE, 1, 0)],
)
def test_a_deleted_item_goes_by_the_policy(metastore: str, policy, rows, items):
    world = World(metastore, **two_way(item_deleted=policy))
    _, item = one(world, a="x")
    world.lists.remove(item)
    pull(world, item)
    assert (rows, items) == (len(world.source.rows), len(world.lists.items))
    world.push()
    assert (rows, items) == (len(world.source.rows), len(world.lists.items))
    world.close()


@pytest.mark.parametrize("refused", [False, True], ids=["by the policy", "by a person"])
def test_a_row_stays_gone_whose_item_was_made_by_a_create_without_an_answer_and_is_kept(metastore: str, refused: bool):
    """What the create had sent is nobody's edit, not even once the write is off the record."""
    policy = DeletePolicy.APPROVE if refused else DeletePolicy.KEEP
    pushed = replace(mapping(3, "c"), direction=Direction.PUSH_ONLY)
    world = World(metastore, **two_way(pushed, row_deleted=policy))
    world.source.columns = ("a", "b", "c")
    _, former = one(world, a="x", b="y", c="z")
    world.lists.remove(former)
    world.source.put("1", a="user")
    world.lists.script.append(lost_after)  # the edit outlives the delete: an item is made again
    pull(world, former)
    [item] = world.lists.items
    world.source.delete("1")
    world.wait(61)
    world.push()
    if refused:
        assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 1
    world.wait(400)
    world.settle()
    for _ in range(2):
        pull(world, item)
        assert (world.source.rows, world.backlog_rows(), list(world.lists.items)) == ({}, [], [item])
    world.lists.edit(item, {"A": "typed"})
    pull(world, item)
    assert values_of(world, "1")["a"] == "typed", "a person's edit makes a row again"
    world.close()


def test_what_a_person_typed_into_an_item_that_stayed_alone_gives_way_and_is_logged_when_its_row_is_back(
    metastore: str,
):
    """The field is not for the row: nothing happened when it was typed."""
    pushed = replace(mapping(3, "c"), direction=Direction.PUSH_ONLY)
    world = World(metastore, **two_way(pushed, row_deleted=DeletePolicy.KEEP))
    world.source.columns = ("a", "b", "c")
    _, item = one(world, a="x", c="y")
    world.source.delete("1")
    world.push()
    world.lists.edit(item, {"C": "typed"})
    pull(world, item)
    world.source.put("1", a="x", b=None, c="y")
    world.push()
    assert world.lists.items[item].versions[-1]["C"] == "y"
    assert ("c", '"typed"', "FINAL", "ROW") in world.conflicts()
    quiet(world)
    world.close()


def test_who_refused_to_delete_an_item_of_which_little_is_known_is_not_asked_again(metastore: str):
    """Its create got no answer, and when it was found it had to rest."""
    world = World(metastore, **two_way(row_deleted=DeletePolicy.APPROVE, debounce=timedelta(seconds=30)))
    world.source.put("1", a="x", b="y")
    world.lists.script.append(lost_after)
    world.push()
    [item] = world.lists.items
    world.lists.now = world.backlog.now
    world.lists.items[item].modified = world.backlog.now()
    world.wait(61)
    world.settle()  # finds the item, and lets it rest
    world.source.delete("1")
    world.lists.items[item].modified -= timedelta(seconds=31)
    world.wait(31)
    world.settle()
    assert ["AWAITING_APPROVAL"] == [row[1] for row in world.backlog_rows()]
    assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 1
    world.wait(400)
    world.settle()
    pull(world, item)
    assert not world.backlog_rows()
    world.close()


def test_an_item_whose_delete_a_person_refused_is_not_asked_about_again_whatever_becomes_of_it(metastore: str):
    """Unless what people type there is for the row: then there is a row again."""
    pushed = replace(mapping(3, "c"), direction=Direction.PUSH_ONLY)
    world = World(metastore, **two_way(pushed, row_deleted=DeletePolicy.APPROVE))
    world.source.columns = ("a", "b", "c")
    _, item = one(world, a="x", c="y")
    world.source.delete("1")
    world.push()
    assert ["AWAITING_APPROVAL"] == [row[1] for row in world.backlog_rows()]
    assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 1
    world.lists.edit(item, {"C": "typed"})
    pull(world, item)
    assert not world.backlog_rows()
    assert list(world.lists.items) == [item]
    assert not world.source.rows
    world.lists.edit(item, {"A": "typed"})
    pull(world, item)
    assert values_of(world, "1")["a"] == "typed"
    world.close()


def test_a_delete_that_a_person_refuses_while_a_write_is_in_doubt_is_looked_at_once_more(metastore: str):
    """When nothing of it can surface any more."""
    world = World(metastore, **two_way(row_deleted=DeletePolicy.APPROVE))
    identity, item = one(world, a="x", b="y")
    world.source.put("1", a="user")
    world.lists.script.append(lost_before)
    world.push()
    world.source.delete("1")
    world.wait(61)
    world.push()
    assert ["AWAITING_APPROVAL"] == [row[1] for row in world.backlog_rows()]
    assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 1
    assert [("DUE", ["DOUBT"])] == [(row[1], row[3]) for row in world.backlog_rows()]
    world.settle()
    assert list(world.lists.items) == [item]
    world.wait(400)
    world.settle()
    entry = world.entry(identity)
    assert entry is not None
    assert entry.intents == ()
    assert not world.backlog_rows()
    assert list(world.lists.items) == [item]
    world.close()


def test_a_restored_item_brings_its_row_back(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x", b=key)
    world.push()
    [item, *_] = world.lists.items
    world.lists.remove(item)
    pull(world, item)
    assert len(world.source.rows) == 3
    world.lists.restore(item)
    pull(world, item)
    assert len(world.source.rows) == 4
    assert world.expected() == world.items()
    quiet(world)


def test_a_delete_whose_commit_got_no_answer_is_done_once(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    [item, *_] = world.lists.items
    world.lists.remove(item)
    world.rows.script.append("lost_after")
    pull(world, item)
    world.wait(61)
    world.settle()
    assert len(world.source.rows) == 3
    assert world.expected() == world.items()
    quiet(world)


def test_the_value_that_went_with_a_row_whose_delete_got_no_answer_is_in_the_log(metastore: str):
    world = World(metastore, **two_way(replace(mapping(3, "c"), direction=Direction.PULL_ONLY)))
    world.source.columns = ("a", "b", "c")
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x", c="y")
    world.push()
    entry = world.entry(world.source.put("1", c="user"))
    assert entry is not None
    assert entry.item_id is not None
    world.lists.remove(entry.item_id)
    world.rows.script.append("lost_after")
    pull(world, entry.item_id)
    world.wait(61)
    world.settle()
    assert len(world.source.rows) == 3
    assert [("c", '"user"', "FINAL", "ITEM")] == world.conflicts()
    world.close()


def test_a_row_that_is_referred_to_is_not_deleted_and_says_so(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    item = next(i for i, row in world.ledger_items().items() if row == '["1"]')
    world.lists.remove(item)
    world.rows.refuse["1"] = ("row_refused", "the database refused the row by the constraint orders_customer_fkey")
    pull(world, item)
    assert len(world.source.rows) == 4
    assert [("PARKED", "row_refused")] == [(row[1], row[2]) for row in world.backlog_rows()]
