"""Settle both ways: items of rows that are in the table, and not there for the definition."""

from dataclasses import replace

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import ConflictPolicy, DeletePolicy, Direction, ForeignPolicy, LeftScope
from shared.core.ids import identity_of
from tests.settle.two_way import one, pull, quiet, see, two_way, values_of
from tests.settle.world import World, drive, mapping


@pytest.mark.parametrize("marked", [True, False])
def test_where_lists_make_no_rows_an_item_that_comes_back_for_a_row_that_left_waits_for_nobody(
    metastore: str, *, marked: bool
):
    world = World(metastore, **two_way(foreign_items=ForeignPolicy.IGNORE))
    identity, *_ = [world.source.put(key, a="x") for key in ("1", "2", "3", "4")]
    world.push()
    item = next(item for item, row in world.ledger_items().items() if row == identity)
    (world.source.soft_deleted if marked else world.source.out_of_scope).add("1")
    world.push()
    assert item not in world.lists.items
    world.lists.restore(item)
    pull(world, item)
    assert not world.backlog_rows()
    assert item in world.lists.items
    quiet(world)
    world.close()


def test_an_item_that_names_a_row_outside_the_filter_waits_until_the_row_is_back(named: World):
    named.source.put("7", a="row")
    named.source.out_of_scope.add("7")
    item = named.lists.add({"ID_COL": "7", "B": "person"})
    pull(named, item)
    assert [("PARKED", "key_taken")] == [(row[1], row[2]) for row in named.backlog_rows()]
    assert values_of(named, "7") == {"a": "row", "b": None}
    named.source.out_of_scope.clear()
    named.wait(4000)
    named.push()
    assert values_of(named, "7") == {"a": "row", "b": "person"}
    assert list(named.lists.items) == [item]
    quiet(named)


def test_what_was_typed_while_a_person_was_asked_is_in_the_row_when_it_is_back(metastore: str):
    """Nobody looks at an item that waits; so what was seen before the question goes on record with it."""
    world = World(metastore, **two_way(left_scope=LeftScope.ASK))
    _, item = one(world, a="x", b="y")
    world.source.out_of_scope.add("1")
    world.lists.edit(item, {"A": "typed"})
    see(world, item)
    world.push()
    assert ["AWAITING_APPROVAL"] == [row[1] for row in world.backlog_rows()]
    assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 1
    world.source.out_of_scope.clear()
    world.push()
    assert values_of(world, "1") == {"a": "typed", "b": "y"}
    assert world.expected() == world.items()
    quiet(world)
    world.close()


def test_what_the_list_notes_is_in_the_row_when_it_is_back_though_a_person_was_asked_meanwhile(metastore: str):
    noted = replace(mapping(3, "c"), direction=Direction.PULL_ONLY, is_system_field=True, target_column_name="Noted")
    world = World(metastore, **two_way(noted, left_scope=LeftScope.ASK))
    world.source.columns = ("a", "b", "c")
    world.source.put("1", a="x", b="y")
    world.scan()
    drive(world.worker())
    [item] = world.lists.items
    world.lists.items[item].versions[-1]["Noted"] = "12:00"
    world.source.out_of_scope.add("1")
    world.settle()
    assert ["AWAITING_APPROVAL"] == [row[1] for row in world.backlog_rows()]
    world.source.out_of_scope.clear()
    world.mark(identity_of(["1"]), Reason.STREAM)
    world.settle()
    assert values_of(world, "1")["c"] == "12:00"
    world.close()


def test_a_write_that_missed_its_row_is_off_the_record_though_there_is_nothing_left_to_do(metastore: str):
    """The row is marked as deleted between its reading and its write, and where lists make no rows its item is nobody's."""
    world = World(
        metastore,
        **two_way(foreign_items=ForeignPolicy.IGNORE, conflict_policy=ConflictPolicy.DESTINATION_WINS),
    )
    identity, *_ = [world.source.put(key, a="x") for key in ("1", "2", "3", "4")]
    world.push()
    item = next(item for item, row in world.ledger_items().items() if row == identity)
    world.source.soft_deleted.add("1")
    world.push()
    world.lists.restore(item)
    world.lists.edit(item, {"A": "typed"})
    world.source.soft_deleted.clear()
    see(world, item)
    drive(world.worker())  # the item names its row
    for passed in world.worker():
        if passed is Boundary.ROWS_INTENDED:
            world.source.put("1", a="user")
            world.source.soft_deleted.add("1")
    world.settle()
    entry = world.entry(identity)
    assert entry is not None
    assert entry.intents == ()
    assert not world.backlog_rows()
    assert values_of(world, "1")["a"] == "user"
    world.close()


def test_what_was_typed_into_an_item_that_stays_is_logged_before_a_row_that_is_back_writes_over_it(metastore: str):
    """It is in a column that only the row writes, so no row was made of it; nobody agreed on it either."""
    pushed = replace(mapping(3, "c"), direction=Direction.PUSH_ONLY)
    world = World(metastore, **two_way(pushed, row_deleted=DeletePolicy.KEEP))
    world.source.columns = ("a", "b", "c")
    identity, item = one(world, a="x", b="y", c="row")
    world.source.delete("1")
    world.lists.edit(item, {"C": "typed"})
    see(world, item)
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    assert list(world.lists.items) == [item]
    world.mark(world.source.put("1", a="x", b="y", c="back"), Reason.STREAM)
    world.settle()
    assert world.expected() == world.items()
    assert [("c", '"typed"', "FINAL", "ROW")] == world.conflicts()
    quiet(world)
    world.close()
