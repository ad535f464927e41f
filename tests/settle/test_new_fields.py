"""A field that is mapped after row and item have agreed: nobody's value is lost, whichever side has one."""

from dataclasses import replace

import pytest

from shared.captures.fields import mark_other_fields
from shared.core.backlog import Lane, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import ConflictPolicy, DeletePolicy, Direction, FieldMapping, SyncMode
from shared.core.ids import FieldNo
from tests.settle.two_way import BOTH, one, pull, quiet, two_way, values_of
from tests.settle.world import World, drive, mapping

pytestmark = pytest.mark.slow

C = replace(mapping(3, "c"), direction=BOTH)


@pytest.fixture
def world(metastore: str):
    made = World(metastore, **two_way())
    made.source.columns = ("a", "b", "c")
    yield made
    made.close()


def add(world: World, field: FieldMapping) -> None:
    """The field is mapped, and what follows from it has happened."""
    become(world, *world.definition.fields, field)
    world.settle()


def become(world: World, *fields: FieldMapping) -> int:
    """Other fields; how many rows are marked for it."""
    world.definition = replace(world.definition, fields=fields, mapping_fingerprint=b"n" * 16)
    return drive(mark_other_fields(world.definition, ledger=world.ledger, backlog=world.backlog, lane=Lane.PUSH))


def moved(world: World) -> tuple[FieldMapping, FieldMapping]:
    """Field b goes to the list column C, and no column of the table is another one."""
    a, b = world.definition.fields
    return a, replace(b, no=FieldNo(3), target_column_name="C")


@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_a_new_list_column_is_filled_from_the_rows_whoever_wins_conflicts(metastore: str, policy):
    world = World(metastore, **two_way(conflict_policy=policy))
    world.source.columns = ("a", "b", "c")
    one(world, a="x", b="y", c="z")
    add(world, C)
    assert values_of(world, "1")["c"] == "z"
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)
    world.close()


def test_what_people_have_typed_into_a_column_that_is_mapped_now_fills_an_empty_row(world: World):
    _, item = one(world, a="x", b="y")
    world.lists.edit(item, {"C": "typed"})
    add(world, C)
    assert values_of(world, "1")["c"] == "typed"
    assert not world.conflicts()
    quiet(world)


def test_two_values_in_a_new_field_are_a_conflict_and_the_loser_is_logged(world: World):
    _, item = one(world, a="x", b="y", c="row")
    world.lists.edit(item, {"C": "typed"})
    add(world, C)
    assert values_of(world, "1")["c"] == "row"
    assert world.expected() == world.items()
    assert [("c", '"typed"', "FINAL", "ROW")] == world.conflicts()
    quiet(world)


def test_a_field_that_is_only_pulled_starts_from_what_the_row_has(world: World):
    one(world, a="x", b="y", c="row")
    add(world, replace(C, direction=Direction.PULL_ONLY))
    assert values_of(world, "1")["c"] == "row"
    assert world.expected() == world.items()
    quiet(world)


def test_a_field_that_is_only_pulled_takes_what_people_have_typed(world: World):
    _, item = one(world, a="x", b="y", c="row")
    world.lists.edit(item, {"C": "typed"})
    add(world, replace(C, direction=Direction.PULL_ONLY))
    assert values_of(world, "1")["c"] == "typed"
    assert [("c", '"row"', "FINAL", "ITEM")] == world.conflicts()
    quiet(world)


def test_in_a_list_that_is_only_pushed_a_new_field_costs_no_reading(metastore: str):
    world = World(metastore)
    world.source.columns = ("a", "b", "c")
    assert world.definition.mode is SyncMode.ONE_WAY_PUSH
    one(world, a="x", b="y", c="row")
    looked = world.lists.reads
    add(world, replace(C, direction=Direction.PUSH_ONLY))
    assert world.expected() == world.items()
    assert world.lists.reads == looked
    world.close()


@pytest.mark.parametrize("mode", [SyncMode.ONE_WAY_PUSH, SyncMode.TWO_WAY])
def test_a_field_that_goes_to_another_list_column_fills_it_from_rows_that_have_not_changed(
    metastore: str, mode: SyncMode
):
    """No stamp says so, and no eTag."""
    world = World(metastore, **two_way(mode=mode))
    for key in ("1", "2"):
        world.source.put(key, a="x", b="y")
    world.push()
    assert become(world, *moved(world)) == 2
    world.settle()
    assert [(item["B"], item["C"]) for item in world.items().values()] == [("y", "y"), ("y", "y")]
    assert become(world, *world.definition.fields) == 0, "they are agreed on under these fields now"
    assert not world.conflicts()
    quiet(world)
    world.close()


def test_a_field_that_is_pulled_from_another_list_column_fills_rows_whose_items_have_not_changed(metastore: str):
    world = World(metastore, **two_way(mode=SyncMode.ONE_WAY_PULL))
    pull(world, world.lists.add({"A": "x", "B": "y", "C": "other"}))
    become(world, *moved(world))
    world.settle()
    [row] = world.source.rows.values()
    assert row["b"] == "other"
    world.close()


def test_a_row_that_is_made_meanwhile_under_the_former_fields_is_looked_at_again(world: World):
    world.source.put("1", a="x", b="y")
    world.scan()
    under_way = world.worker()
    assert next(under_way) is Boundary.CLAIMED
    assert become(world, *moved(world)) == 1
    drive(under_way)
    [item] = world.items().values()
    assert "C" not in item
    world.settle()
    [item] = world.items().values()
    assert item["C"] == "y"
    quiet(world)


@pytest.mark.parametrize("side", ["row", "item"])
def test_what_stays_without_its_other_side_stays_so_under_other_fields(metastore: str, side: str):
    world = World(metastore, **two_way(item_deleted=DeletePolicy.KEEP, row_deleted=DeletePolicy.KEEP))
    identity, item = one(world, a="x", b="y")
    if side == "row":
        world.lists.remove(item)
        pull(world, item)
    else:
        world.source.delete("1")
        world.mark(identity, Reason.ROW_GONE)
        world.settle()
    assert become(world, *moved(world)) == 0
    world.settle()
    assert (len(world.source.rows), len(world.items())) == ((1, 0) if side == "row" else (0, 1))
    world.close()
