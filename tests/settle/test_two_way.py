"""Settle in two-way definitions: rows and items in memory, the real ledger and backlog."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Lane, Mark, Observation, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import (
    ConflictPolicy,
    DeletePolicy,
    Direction,
    FieldMapping,
    ForeignPolicy,
    SyncMode,
)
from shared.core.errors import ListGone, SourceUnavailable, SyncError, Throttled
from shared.core.ids import Identity, ItemId, ItemSubject, RowSubject, identity_hash, identity_of, sync_key
from shared.core.items import Item, Landed, Looked, NotSent, Refused
from shared.core.ledger import EntryState, Provenance
from shared.core.source import SourceType
from shared.usecases.steps import drive
from tests.fakes.lists import answering, lost_after, lost_before
from tests.settle.world import World, column, mapping

BOTH = Direction.BIDIRECTIONAL


def two_way(*extra: FieldMapping, **changes: Any) -> dict[str, Any]:
    fields = (
        replace(mapping(1, "a"), direction=BOTH),
        replace(mapping(2, "b"), direction=BOTH),
        *extra,
    )
    return {
        "mode": SyncMode.TWO_WAY,
        "fields": fields,
        "item_deleted": DeletePolicy.PROPAGATE,
        "foreign_items": ForeignPolicy.INSERT,
        **changes,
    }


def natural(**changes: Any) -> dict[str, Any]:
    """The key is a column of the list, and people fill it in."""
    key = replace(mapping(9, "id"), direction=BOTH, target_column_name="ID_COL")
    return two_way(key, **changes)


@pytest.fixture
def world(metastore: str):
    world = World(metastore, **two_way())
    yield world
    world.close()


@pytest.fixture
def named(metastore: str):
    world = World(metastore, **natural())
    yield world
    world.close()


def pull(world: World, *items: ItemId) -> None:
    """What a delta would mark of these items, then settle."""
    see(world, *items)
    world.settle()


def see(world: World, *items: ItemId) -> None:
    target = world.definition.target
    known = world.ledger.by_items(world.definition.id, target.list_id, list(items))
    marks = []
    for item_id in items:
        item = world.lists.items.get(item_id)
        reason = Reason.ITEM if item else Reason.ITEM_GONE
        subject = (
            RowSubject(identity=known[item_id].identity)
            if item_id in known
            else ItemSubject(list_id=target.list_id, item_id=item_id)
        )
        marks.append(
            Mark(subject=subject, reasons=frozenset({reason}), lane=Lane.PEOPLE, news=item.etag if item else None)
        )
    world.backlog.mark(world.definition.id, marks)


def one(world: World, **values: str | None) -> tuple[Identity, ItemId]:
    """A row that is settled, and its item."""
    identity = world.source.put("1", **values)
    world.push()
    [item] = world.lists.items
    return identity, item


def quiet(world: World) -> None:
    """Another look at everything writes nothing to either side."""
    writes, begun = len(world.lists.writes), world.rows.begun
    for key in list(world.source.rows):
        world.mark(identity_of([key]), Reason.DRIFT)
    world.push()
    pull(world, *world.lists.items)
    assert (writes, begun) == (len(world.lists.writes), world.rows.begun)
    assert not world.backlog_rows()


def values_of(world: World, key: str) -> dict[str, str | None]:
    return {name: value for name, value in world.source.rows[key].items() if name != "id"}


# ---- edits


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


# ---- answers that got lost


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


# ---- deletes


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


# ---- items without a row


def test_a_new_item_becomes_a_row_under_a_reserved_key_and_gets_its_sync_key(world: World):
    item = world.lists.add({"A": "person", "B": "b"})
    pull(world, item)
    [(key, row)] = world.source.rows.items()
    assert (row["a"], row["b"]) == ("person", "b")
    assert world.expected() == world.items()
    entry = world.entry(identity_of([key]))
    assert entry is not None
    assert entry.item_id == item
    assert not world.conflicts()
    quiet(world)


def test_a_new_item_with_a_natural_key_becomes_the_row_that_it_names(named: World):
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "person", "b": None}
    assert len(named.lists.items) == 1
    assert not named.conflicts()
    quiet(named)


def test_a_new_item_that_names_a_row_that_is_there_is_adopted(named: World):
    named.source.put("7", a="row")
    item = named.lists.add({"ID_COL": "7", "B": "person"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "row", "b": "person"}
    assert list(named.lists.items) == [item]
    named.push()
    assert list(named.lists.items) == [item]
    quiet(named)


def test_an_item_that_comes_back_under_the_key_of_a_row_whose_create_was_refused_is_seen(world: World):
    identity = world.source.put("1", a="x")
    world.lists.script.append(answering(Refused(code="row_refused", message="no")))
    world.push()
    entry = world.entry(identity)
    assert entry is not None
    assert (EntryState.CREATING, ()) == (entry.state, entry.intents)
    world.source.delete("1")
    item = world.lists.add({"A": "person", world.definition.target.key_column: sync_key(identity_hash(identity))})
    pull(world, item)
    assert values_of(world, "1")["a"] == "person"
    assert list(world.lists.items) == [item]
    quiet(world)


def test_a_new_item_without_its_key_waits_and_says_what_is_missing(named: World):
    item = named.lists.add({"A": "person"})
    pull(named, item)
    [(_, state, code, _, _)] = named.backlog_rows()
    assert ("PARKED", "key_unusable") == (state, code)
    named.lists.edit(item, {"ID_COL": "7"})
    pull(named, item)
    assert values_of(named, "7")["a"] == "person"
    quiet(named)


def test_a_copy_never_takes_its_originals_row(named: World):
    one_row = named.source.put("7", a="x")
    named.push()
    [original] = named.lists.items
    copy = named.lists.add({"ID_COL": "7", "A": "copy"})
    pull(named, copy)
    assert values_of(named, "7")["a"] == "x"
    entry = named.entry(one_row)
    assert entry is not None
    assert entry.item_id == original
    assert [("PARKED", "second_item")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_an_item_that_is_gone_before_its_creator_has_said_so_is_waited_for(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    before = set(world.lists.items)
    world.source.put("5", a="x")
    world.scan()
    creator = world.worker()
    while next(creator) is not Boundary.SENT:
        pass
    [item] = set(world.lists.items) - before
    world.lists.remove(item)
    pull(world, item)
    for _ in creator:
        pass
    world.wait(121)
    world.settle()
    assert sorted(world.source.rows) == ["1", "2", "3", "4"]
    quiet(world)


def test_two_new_items_with_one_key_make_one_row(named: World):
    first, second = named.lists.add({"ID_COL": "7", "A": "one"}), named.lists.add({"ID_COL": "7", "A": "two"})
    pull(named, first, second)
    assert list(named.source.rows) == ["7"]
    assert [("PARKED", "second_item")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_a_key_that_a_person_edits_in_the_list_goes_back_and_is_logged(named: World):
    named.source.put("7", a="x")
    named.push()
    [item] = named.lists.items
    named.lists.edit(item, {"ID_COL": "8"})
    pull(named, item)
    assert list(named.source.rows) == ["7"]
    assert [("id", '"8"', "FINAL", "ROW")] == named.conflicts()
    quiet(named)


def test_a_foreign_item_is_left_alone_where_the_definition_says_so(metastore: str):
    world = World(metastore, **two_way(foreign_items=ForeignPolicy.IGNORE))
    item = world.lists.add({"A": "person"})
    pull(world, item)
    assert not world.source.rows
    assert not world.backlog_rows()
    world.close()


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
def test_an_insert_whose_commit_got_no_answer_makes_one_row(world: World, fault):
    item = world.lists.add({"A": "person"})
    world.rows.script.append(fault)
    pull(world, item)
    world.wait(61)
    world.settle()
    assert len(world.source.rows) == 1
    assert world.expected() == world.items()
    quiet(world)


def test_an_inserted_row_that_a_user_deletes_before_anybody_noticed_stays_deleted(world: World):
    item = world.lists.add({"A": "person"})
    world.rows.script.append("lost_after")
    pull(world, item)
    [key] = world.source.rows
    world.source.delete(key)
    world.wait(61)
    world.settle()
    assert not world.source.rows
    assert not world.lists.items


def test_a_new_row_that_would_not_be_in_the_filter_is_not_made(named: World):
    named.source.out_of_scope.add("7")
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    pull(named, item)
    assert not named.source.rows
    assert [("PARKED", "out_of_scope")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_a_key_that_is_corrected_before_its_row_was_made_names_the_other_row(named: World):
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    see(named, item)
    named.die_at(Boundary.CONFIRMED)
    named.lists.edit(item, {"ID_COL": "8"})
    pull(named, item)
    assert list(named.source.rows) == ["8"]
    assert list(named.lists.items) == [item]
    quiet(named)


def test_a_restored_item_stays_its_rows_whatever_key_a_person_typed_into_it(named: World):
    for key in ("1", "2", "3", "4"):
        named.source.put(key, a="x")
    named.push()
    [item, *_] = named.lists.items
    named.lists.remove(item)
    pull(named, item)
    named.lists.restore(item)
    named.lists.edit(item, {"ID_COL": "7"})
    pull(named, item)
    assert sorted(named.source.rows) == ["1", "2", "3", "4"]
    assert named.expected() == named.items()
    quiet(named)


# ---- fields that flow one way


def test_a_deleted_row_stays_deleted_although_the_list_noted_our_own_write(metastore: str):
    noted = replace(mapping(3, "c"), direction=Direction.PULL_ONLY, is_system_field=True, target_column_name="Noted")
    world = World(metastore, **two_way(noted))
    world.source.columns = ("a", "b", "c")
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    item = min(world.lists.items)
    world.lists.edit(item, {"Noted": "by the list itself"})
    key = next(key for key in world.source.rows if world.entry(identity_of([key])).item_id == item)
    world.source.delete(key)
    world.scan()
    see(world, item)
    world.settle()
    assert key not in world.source.rows
    assert item not in world.lists.items
    world.close()


def test_a_pull_only_field_starts_from_the_row_and_follows_the_list(metastore: str):
    world = World(metastore, **two_way(replace(mapping(3, "c"), direction=Direction.PULL_ONLY)))
    world.source.columns = ("a", "b", "c")
    _, item = one(world, a="x", c="first")
    assert world.lists.items[item].versions[-1]["C"] == "first"
    world.source.put("1", c="user")
    world.push()
    assert world.source.rows["1"]["c"] == "first"
    assert [("c", '"user"', "FINAL", "ITEM")] == world.conflicts()
    world.lists.edit(item, {"C": "person"})
    pull(world, item)
    assert world.source.rows["1"]["c"] == "person"
    quiet(world)
    world.close()


def test_a_push_only_field_of_a_new_item_is_the_databases(metastore: str):
    world = World(metastore, **two_way(mapping(3, "c")))
    world.source.columns = ("a", "b", "c")
    world.rows.trigger = lambda key, values: {**values, "c": values["c"] or "default"}
    item = world.lists.add({"A": "person"})
    pull(world, item)
    [row] = world.source.rows.values()
    assert (row["a"], row["c"]) == ("person", "default")
    assert world.lists.items[item].versions[-1]["C"] == "default"
    assert not world.conflicts()
    quiet(world)
    world.close()


def test_a_value_that_gives_way_is_logged_although_the_items_half_had_to_wait(metastore: str):
    world = World(metastore, **two_way(mapping(3, "c")))
    world.source.columns = ("a", "b", "c")
    item = world.lists.add({"A": "person", "C": "typed"})
    world.lists.script.append(answering(NotSent(retry_after=1.0)))
    pull(world, item)
    assert [("c", '"typed"', "VOID", "ROW")] == world.conflicts()
    world.wait(2)
    pull(world, item)
    assert "C" not in world.lists.items[item].versions[-1]
    assert [("c", '"typed"', "FINAL", "ROW")] == [logged for logged in world.conflicts() if logged[2] != "VOID"]
    quiet(world)
    world.close()


def test_a_pull_only_definition_never_writes_to_its_list(metastore: str):
    fields = tuple(replace(field, direction=Direction.PULL_ONLY) for field in two_way()["fields"])
    world = World(metastore, **two_way(mode=SyncMode.ONE_WAY_PULL, fields=fields, row_deleted=DeletePolicy.RECREATE))
    item = world.lists.add({"A": "person"})
    pull(world, item)
    [key] = world.source.rows
    world.source.put(key, a="user")
    world.push()
    assert world.source.rows[key]["a"] == "person"
    world.source.delete(key)
    world.push()
    assert world.source.rows[key]["a"] == "person"
    world.lists.edit(item, {"A": "again"})
    pull(world, item)
    assert world.source.rows[key]["a"] == "again"
    assert not world.lists.writes
    world.close()


# ---- what a capture had in hand, and half-typed edits


def test_an_observation_saves_the_reading_when_it_is_still_current(world: World):
    identity, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    since = world.backlog.next_number()
    seen = observed(world, item)
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog").fetchall()[0][0]
    reads = world.lists.reads
    world.observations = {RowSubject(identity=identity).key: Observation(item=seen, number=number, since=since)}
    world.settle()
    assert world.lists.reads == reads
    assert values_of(world, "1")["a"] == "person"


@pytest.mark.parametrize("stale", ["the mark is another one", "the agreement is younger"])
def test_an_observation_that_is_not_current_any_more_is_not_used(world: World, stale):
    identity, item = one(world, a="x")
    since = world.backlog.next_number()
    world.lists.edit(item, {"A": "old news"})
    seen = observed(world, item)
    world.lists.edit(item, {"A": "person"})
    if stale == "the agreement is younger":
        pull(world, item)
        world.lists.edit(item, {"A": "person again"})
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog").fetchall()[0][0]
    if stale == "the mark is another one":
        see(world, item)
    world.observations = {RowSubject(identity=identity).key: Observation(item=seen, number=number, since=since)}
    world.settle()
    assert values_of(world, "1")["a"] != "old news"
    assert world.expected() == world.items()


def observed(world: World, item: ItemId) -> Item:
    look = world.lists.look(world.definition.target, [item])[item]
    assert isinstance(look, Looked)
    assert look.item is not None
    return look.item


def test_an_item_of_ours_that_the_list_tells_before_the_ledger_knows_costs_no_reading(world: World):
    identity = world.source.put("1", a="x")
    world.scan()
    world.die_at(Boundary.SENT)
    [item] = world.lists.items
    since = world.backlog.next_number()
    seen = observed(world, item)
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog where sp_item_id is not null").fetchall()[0][
        0
    ]
    subject = ItemSubject(list_id=world.definition.target.list_id, item_id=item)
    reads = world.lists.reads
    world.observations = {subject.key: Observation(item=seen, number=number, since=since)}
    drive(world.worker())
    assert world.lists.reads == reads
    assert [identity] == [row[0] for row in world.backlog_rows()], "its row is looked at instead"
    world.wait(61)
    world.settle()
    assert list(world.lists.items) == [item]
    world.wait(301)  # until then the create could have surfaced once more
    world.settle()
    quiet(world)


def test_a_half_typed_item_rests_for_the_time_that_the_definition_asks_for(metastore: str):
    world = World(metastore, **two_way(debounce=timedelta(seconds=30)))
    _, item = one(world, a="x")
    world.lists.now = world.backlog.now
    world.lists.edit(item, {"A": "per"})
    pull(world, item)
    assert values_of(world, "1")["a"] == "x"
    assert [("DUE", False)] == [(row[1], row[4]) for row in world.backlog_rows()]
    before = world.lists.items[item].modified
    world.lists.items[item].modified = before - timedelta(seconds=31)
    world.wait(31)
    world.settle()
    assert values_of(world, "1")["a"] == "per"
    world.close()


def test_an_empty_cell_that_was_never_agreed_on_is_filled_from_the_other_side(named: World):
    named.source.put("7", a="row")
    item = named.lists.add({"ID_COL": "7", "B": "list"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "row", "b": "list"}
    assert not named.conflicts()


def test_what_was_written_is_confirmed_although_the_source_goes_away_in_mid_page(world: World):
    first, second = (world.source.put(key, a="x") for key in ("1", "2"))
    world.push()
    moved = next(item for item, row in world.ledger_items().items() if row == second)
    world.lists.edit(moved, {"B": "person"})
    world.source.put("1", a="user")
    world.source.put("2", a="user")
    world.scan()

    def work() -> None:
        for passed in world.worker():
            if passed is Boundary.SENT:
                world.source.failure = SourceUnavailable("restarting")

    with pytest.raises(SourceUnavailable):
        work()
    world.source.failure = None
    entry = world.entry(first)
    assert entry is not None
    assert not entry.intents, "its answer was there"
    assert [(second, False)] == [(row[0], row[4]) for row in world.backlog_rows()], "given back"
    world.settle()
    assert values_of(world, "2") == {"a": "user", "b": "person"}
    quiet(world)
