"""A field that is mapped after row and item have agreed: nobody's value is lost, whichever side has one."""

from dataclasses import replace

import pytest

from shared.core.backlog import Reason
from shared.core.definition import ConflictPolicy, Direction, FieldMapping, SyncMode
from tests.settle.two_way import BOTH, one, quiet, two_way, values_of
from tests.settle.world import World, mapping

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
    definition = world.definition
    world.definition = replace(definition, fields=(*definition.fields, field), mapping_fingerprint=b"n" * 16)
    for key in world.source.rows:
        world.mark(world.source.put(key), Reason.MAPPING)
    world.settle()


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
