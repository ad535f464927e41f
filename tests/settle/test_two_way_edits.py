"""Settle both ways: edits of people on both sides, and what refuses them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
    DeletePolicy,
)
from shared.core.errors import ListGone, SyncError, Throttled
from shared.core.ledger import EntryState, Provenance
from shared.core.source import SourceType
from tests.fakes.lists import lost_after, lost_before
from tests.settle.two_way import BOTH, one, pull, quiet, see, two_way, values_of
from tests.settle.world import World, column, mapping


def test_an_edit_in_the_list_is_written_into_its_row(world: World):
    identity, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    pull(world, item)
    assert values_of(world, "1") == {"a": "person", "b": "y"}
    entry = world.entry(identity)
    assert entry is not None
    assert (EntryState.SETTLED, Provenance.PULL) == (entry.state, entry.provenance)
    assert entry.stamp == world.source.stamp("1")
    assert entry.etag == world.lists.items[item].etag
    assert not entry.intents
    quiet(world)


def test_a_value_that_a_person_empties_is_emptied_in_the_row(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": None})
    pull(world, item)
    assert values_of(world, "1") == {"a": None, "b": "y"}
    quiet(world)


def test_a_column_that_the_list_does_not_have_any_more_empties_no_row(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": None, "B": "person"})
    world.lists.drifted = ("The list has no column A any more.",)
    see(world, item)
    [result] = world.settle()
    assert result.hold is not None
    assert (result.hold.kind, "no column A" in result.hold.explanation) == ("CONFIGURATION", True)
    assert values_of(world, "1") == {"a": "x", "b": "y"}
    assert [('["1"]', "DUE")] == [row[:2] for row in world.backlog_rows()]
    world.lists.drifted = ()
    world.lists.edit(item, {"A": "x"})
    world.settle()
    assert values_of(world, "1") == {"a": "x", "b": "person"}
    quiet(world)


@pytest.mark.parametrize("stop", [Throttled("later", retry_after=7.0), ListGone("gone")], ids=["throttled", "gone"])
def test_while_the_columns_cannot_be_looked_at_no_row_is_emptied(world: World, stop: SyncError):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": None})
    see(world, item)
    world.lists.columns_stop = stop
    [result] = world.settle()
    assert (result.wait, result.hold is None) == ((7.0, True) if isinstance(stop, Throttled) else (None, False))
    assert values_of(world, "1")["a"] == "x"
    world.lists.columns_stop = None
    world.wait(8)
    world.settle()
    assert values_of(world, "1")["a"] is None


def test_an_edit_of_an_item_whose_create_got_no_answer_is_an_edit_and_no_conflict(world: World):
    world.source.put("1", a="x", b="y")
    world.lists.script.append(lost_after)
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "y"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    world.wait(400)
    quiet(world)


def test_what_was_agreed_with_a_former_item_says_nothing_about_its_successor(metastore: str):
    world = World(metastore, **two_way(item_deleted=DeletePolicy.RECREATE))
    _, item = one(world, a="x")
    world.lists.remove(item)
    world.source.put("1", a="user")
    world.lists.script.append(lost_after)
    world.scan()
    see(world, item)
    world.settle()
    [successor] = world.lists.items
    world.lists.edit(successor, {"A": "x"})
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"x"', "FINAL", "ROW")] == [line for line in world.conflicts() if line[1] != "null"]
    world.close()


def test_an_item_that_a_create_without_an_answer_made_is_remembered_while_it_rests(metastore: str):
    policy = ConflictPolicy.DESTINATION_WINS
    world = World(metastore, **two_way(conflict_policy=policy, debounce=timedelta(seconds=30)))
    world.source.put("1", a="x", b="y")
    world.lists.script.append(lost_after)
    world.push()
    [item] = world.lists.items
    world.source.put("1", a="user")
    world.lists.now = world.backlog.now
    world.lists.items[item].modified = world.backlog.now()
    world.wait(61)
    world.settle()  # finds the item, and lets it rest
    world.lists.items[item].modified -= timedelta(seconds=31)
    world.wait(31)
    world.settle()
    assert values_of(world, "1") == {"a": "user", "b": "y"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    world.close()


def test_an_edit_of_an_item_whose_create_got_no_answer_survives_a_worker_that_dies_while_it_pulls_it(world: World):
    world.source.put("1", a="x", b="y")
    world.lists.script.append(lost_after)
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.wait(61)
    world.die_at(Boundary.ROWS_INTENDED)
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "y"}
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_former_item_that_is_restored_while_a_create_got_no_answer_is_not_taken_for_what_the_create_sent(
    world: World,
):
    identity, item = one(world, a="x", b="y")
    world.lists.remove(item)
    pull(world, item)
    assert not world.source.rows
    world.source.put("1", a="new", b="y")
    world.lists.script.append(lost_before)
    world.push()
    world.lists.restore(item)
    world.wait(61)
    world.settle()
    assert values_of(world, "1") == {"a": "new", "b": "y"}
    assert world.expected() == world.items()
    assert [("a", '"x"', "FINAL", "ROW")] == world.conflicts()
    assert world.entry(identity) is not None


def test_a_create_without_an_answer_does_not_speak_for_what_was_agreed_on_since(world: World):
    world.source.put("1", a="old", b="y")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.source.put("1", a="new")
    world.wait(61)
    world.settle()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "old"})
    pull(world, item)
    assert values_of(world, "1") == {"a": "old", "b": "y"}
    assert world.expected() == world.items()
    assert not world.conflicts()


def test_a_former_item_that_comes_back_while_its_successor_is_made_is_set_aside(metastore: str):
    world = World(metastore, **two_way(item_deleted=DeletePolicy.RECREATE))
    identity, item = one(world, a="x")
    world.lists.remove(item)
    see(world, item)
    for passed in world.worker():
        if passed is Boundary.SENT:
            world.lists.restore(item)
            see(world, item)
    world.settle()
    entry = world.entry(identity)
    assert entry is not None
    assert entry.item_id != item
    assert [("PARKED", "second_item")] == [(row[1], row[2]) for row in world.backlog_rows()]
    world.close()


def test_two_people_who_edit_two_fields_of_one_row_both_keep_their_edit(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", b="user")
    world.push()
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)


@pytest.mark.parametrize("policy", [ConflictPolicy.SOURCE_WINS, ConflictPolicy.DESTINATION_WINS])
def test_the_same_field_edited_on_both_sides_goes_by_the_policy_and_the_loser_is_logged(metastore: str, policy):
    world = World(metastore, **two_way(conflict_policy=policy))
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", a="user")
    pull(world, item)
    row_wins = policy is ConflictPolicy.SOURCE_WINS
    assert values_of(world, "1")["a"] == ("user" if row_wins else "person")
    assert world.expected() == world.items()
    loser, winner = ('"person"', "ROW") if row_wins else ('"user"', "ITEM")
    assert [("a", loser, "FINAL", winner)] == world.conflicts()
    quiet(world)
    world.close()


def test_both_sides_edited_alike_is_no_conflict_and_no_write(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "same"})
    world.source.put("1", a="same")
    writes, begun = len(world.lists.writes), world.rows.begun
    pull(world, item)
    assert (writes, begun) == (len(world.lists.writes), world.rows.begun)
    assert not world.conflicts()
    quiet(world)


def test_the_echo_of_a_row_write_is_no_edit(world: World):
    _, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    pull(world, item)
    assert world.scan().result.changed == 0


def test_fields_of_one_group_are_merged_as_one_value(metastore: str):
    grouped = tuple(replace(field, group="state") for field in two_way()["fields"])
    world = World(metastore, **two_way(fields=grouped))
    _, item = one(world, a="open", b="nobody")
    world.lists.edit(item, {"A": "closed"})
    world.source.put("1", b="Ann")
    pull(world, item)
    assert values_of(world, "1") == {"a": "open", "b": "Ann"}
    assert world.expected() == world.items()
    assert [("a", '"closed"'), ("b", '"nobody"')] == sorted(row[:2] for row in world.conflicts())
    world.close()


@pytest.mark.parametrize(("row_time", "winner"), [("2025-12-31T23:59:59", "person"), ("2026-01-01T00:00:00", "user")])
def test_the_later_edit_wins_and_a_tie_goes_to_the_source(metastore: str, row_time, winner):
    cursor = replace(column("t"), type=SourceType(name="timestamptz", declared="timestamptz"))
    world = World(metastore, **two_way(conflict_policy=ConflictPolicy.LATEST_WINS))
    world.definition = replace(world.definition, source=replace(world.definition.source, cursor_column=cursor))
    world.source.columns = ("a", "b", "t")
    world.source.put("1", a="x", t="2025-12-01T00:00:00")
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", a="user", t=row_time)
    pull(world, item)
    assert values_of(world, "1")["a"] == winner
    assert world.expected() == world.items()
    world.close()


def test_a_value_that_a_column_cannot_hold_parks_its_row_and_nobody_elses(metastore: str):
    number = replace(column("n"), type=SourceType(name="int4", declared="integer"))
    field = replace(mapping(3, "n"), source=number, direction=BOTH)
    world = World(metastore, **two_way(field))
    world.source.columns = ("a", "b", "n")
    for key in ("1", "2"):
        world.source.put(key, a="x", n="1")
    world.push()
    first, second = world.lists.items
    world.lists.edit(first, {"N": "many"})
    world.lists.edit(second, {"N": "2"})
    pull(world, first, second)
    assert world.source.rows["2"]["n"] == "2"
    assert [("PARKED", "unrepresentable")] == [(row[1], row[2]) for row in world.backlog_rows()]
    world.close()


def test_a_row_that_the_database_refuses_is_parked_and_the_page_goes_on(world: World):
    for key in ("1", "2", "3", "4", "5"):
        world.source.put(key, a="x")
    world.push()
    for item in world.lists.items:
        world.lists.edit(item, {"A": "person"})
    world.rows.refuse["3"] = ("row_refused", "the database refused the row by the constraint positive")
    pull(world, *world.lists.items)
    assert [("3", "x")] == [(key, row["a"]) for key, row in world.source.rows.items() if row["a"] != "person"]
    assert [('["3"]', "PARKED", "row_refused")] == [row[:3] for row in world.backlog_rows()]
    world.rows.refuse.clear()
    world.wait(3600 * 24)
    world.settle()
    assert world.source.rows["3"]["a"] == "person"
    quiet(world)


def test_a_row_that_somebody_holds_stays_due_and_the_others_are_written(world: World):
    for key in ("1", "2"):
        world.source.put(key, a="x")
    world.push()
    for item in world.lists.items:
        world.lists.edit(item, {"A": "person"})
    world.rows.locked.add("1")
    pull(world, *world.lists.items)
    assert (world.source.rows["1"]["a"], world.source.rows["2"]["a"]) == ("x", "person")
    assert [('["1"]', "DUE")] == [row[:2] for row in world.backlog_rows()]
    world.rows.locked.clear()
    world.wait(6)
    world.settle()
    assert world.source.rows["1"]["a"] == "person"
    quiet(world)


def test_a_row_that_needs_a_lock_somebody_keeps_holds_up_no_other_row(world: World):
    """Not the row's own lock, which is skipped: that of a row it refers to, or of a unique value."""
    for key in ("1", "2", "3", "4", "5"):
        world.source.put(key, a="x")
    world.push()
    for item in world.lists.items:
        world.lists.edit(item, {"A": "person"})
    world.rows.contended.add("3")
    pull(world, *world.lists.items)
    assert {key for key, row in world.source.rows.items() if row["a"] == "person"} == {"1", "2", "4", "5"}
    assert [('["3"]', "DUE")] == [row[:2] for row in world.backlog_rows()]
    world.rows.contended.clear()
    world.wait(60)
    world.settle()
    assert world.source.rows["3"]["a"] == "person"
    quiet(world)


def test_a_user_who_was_faster_is_merged_with_in_the_same_page(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    see(world, item)
    for passed in world.worker():
        if passed is Boundary.ITEMS_READ and values_of(world, "1")["b"] == "y":
            world.source.put("1", b="user")
    assert values_of(world, "1") == {"a": "person", "b": "user"}
    world.settle()
    assert world.expected() == world.items()
    quiet(world)


def test_a_trigger_that_swallows_a_write_parks_the_row(world: World):
    _, item = one(world, a="x")
    world.rows.trigger = lambda key, values: None
    world.lists.edit(item, {"A": "person"})
    pull(world, item)
    assert [("PARKED", "row_not_written")] == [(row[1], row[2]) for row in world.backlog_rows()]


def test_what_a_trigger_makes_of_a_write_goes_back_to_the_list(world: World):
    _, item = one(world, a="x")
    world.rows.trigger = lambda key, values: {**values, "a": (values["a"] or "").upper()}
    world.lists.edit(item, {"A": "person"})
    pull(world, item)
    assert values_of(world, "1")["a"] == "PERSON"
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)
