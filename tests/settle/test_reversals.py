"""A value that lost a conflict is brought back: as a new edit, on both sides, whatever happens on the way."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy, Direction
from shared.core.errors import Conflicting
from shared.core.ids import FieldNo, Identity, ItemId
from tests.fakes.lists import Answer, lost_after, lost_before
from tests.fakes.writer import CommitFault
from tests.settle.two_way import one, pull, quiet, two_way, values_of
from tests.settle.world import World

pytestmark = pytest.mark.slow

A, B = FieldNo(1), FieldNo(2)


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore, **two_way())
    yield made
    made.close()


def lost(world: World) -> tuple[UUID, Identity, ItemId]:
    """A row and its item that agree on "user", since "person" lost against it."""
    identity, item = one(world, a="x", b="y")
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", a="user", b="y")
    pull(world, item)
    [conflict] = world.log.list(world.definition.id, limit=10)
    return conflict["id"], identity, item


def log(world: World) -> list[tuple[Any, ...]]:
    """Column, losing value, winner, policy and state, in the order of the log."""
    names = ("column", "losing_value", "winner", "policy", "state")
    return [tuple(row[name] for name in names) for row in reversed(world.log.list(world.definition.id, limit=50))]


def equal(world: World) -> bool:
    return world.expected() == world.items()


def test_a_value_that_lost_comes_back_on_both_sides_and_what_it_overwrites_is_logged(world: World):
    conflict, _, _ = lost(world)
    assert world.log.wish(conflict, [A], actor="ann") == [conflict]
    world.settle()
    assert values_of(world, "1") == {"a": "person", "b": "y"}
    assert equal(world)
    assert log(world) == [
        ("a", '"person"', "ROW", "SOURCE_WINS", "REVERSED"),
        ("a", '"user"', "ITEM", "REVERSAL", "FINAL"),
    ]
    shown = world.log.get(conflict)
    assert (shown["reversal_by"], shown["reversal_note"]) == ("ann", None)
    assert shown["reversed_at"] >= shown["reversal_asked_at"]
    quiet(world)


def test_a_reversal_can_be_reversed(world: World):
    conflict, _, _ = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    world.settle()
    reversal = world.log.list(world.definition.id, state="FINAL", limit=10)[0]["id"]
    world.log.wish(reversal, [A], actor="bob")
    world.settle()
    assert values_of(world, "1")["a"] == "user"
    assert equal(world)
    assert log(world)[-1] == ("a", '"person"', "ROW", "REVERSAL", "FINAL")
    quiet(world)


@pytest.mark.parametrize(
    ("boundary", "nth"),
    [
        (Boundary.CLAIMED, 1),
        (Boundary.ROWS_BEGUN, 1),
        (Boundary.ROWS_INTENDED, 1),
        (Boundary.ROWS_WRITTEN, 1),
        (Boundary.ROWS_COMMITTED, 1),
        (Boundary.INTENDED, 1),
        (Boundary.SENT, 1),
    ],
    ids=str,
)
def test_a_worker_that_dies_on_the_way_leaves_a_reversal_that_the_next_one_completes(
    world: World, boundary: Boundary, nth: int
):
    conflict, _, _ = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    world.die_at(boundary, nth)
    world.rows.drop_connections()
    world.wait(61)
    world.settle()
    assert values_of(world, "1")["a"] == "person"
    assert equal(world)
    assert log(world)[0][-1] == "REVERSED"
    assert [row for row in log(world) if row[3] == "REVERSAL" and row[-1] == "FINAL"] == [
        ("a", '"user"', "ITEM", "REVERSAL", "FINAL")
    ]
    world.wait(600)
    world.settle()
    quiet(world)


def test_an_edit_that_is_under_way_is_merged_first_and_then_overwritten_with_a_trace(world: World):
    conflict, _, item = lost(world)
    world.lists.edit(item, {"A": "newer", "B": "other"})
    world.log.wish(conflict, [A], actor="ann")
    pull(world, item)
    assert values_of(world, "1") == {"a": "person", "b": "other"}
    assert equal(world)
    assert log(world)[-1] == ("a", '"newer"', "ITEM", "REVERSAL", "FINAL")
    quiet(world)


def test_an_edit_between_the_two_halves_meets_the_value_that_came_back_in_an_ordinary_conflict(world: World):
    conflict, _, item = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    for passed in world.worker():
        if passed is Boundary.ROWS_COMMITTED:
            world.lists.edit(item, {"A": "racer"})
    world.settle()
    assert equal(world)
    assert values_of(world, "1")["a"] == "person"
    assert ("a", '"racer"', "ROW", "SOURCE_WINS", "FINAL") in log(world)
    quiet(world)


def test_a_group_comes_back_as_one_value(metastore: str):
    grouped = tuple(replace(field, group="state") for field in two_way()["fields"])
    world = World(metastore, **two_way(fields=grouped))
    _, item = one(world, a="open", b="nobody")
    world.lists.edit(item, {"A": "closed"})
    world.source.put("1", a="open", b="Ann")
    pull(world, item)
    [first, second] = world.log.list(world.definition.id, limit=10)
    assert sorted(world.log.wish(first["id"], [A, B], actor="ann")) == sorted([first["id"], second["id"]])
    world.settle()
    assert values_of(world, "1") == {"a": "closed", "b": "nobody"}
    assert equal(world)
    quiet(world)
    world.close()


def test_a_value_is_brought_back_once_at_a_time(world: World):
    conflict, _, _ = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    with pytest.raises(Conflicting):
        world.log.wish(conflict, [A], actor="bob")
    world.settle()
    with pytest.raises(Conflicting):
        world.log.wish(conflict, [A], actor="bob")
    assert not world.backlog_rows()


def test_a_wish_that_is_withdrawn_changes_nothing(world: World):
    conflict, _, _ = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    world.log.withdraw(conflict, actor="ann")
    world.settle()
    assert values_of(world, "1")["a"] == "user"
    assert log(world) == [("a", '"person"', "ROW", "SOURCE_WINS", "FINAL")]
    assert world.log.get(conflict)["reversal_note"] == "withdrawn by ann"
    quiet(world)


def test_a_value_of_a_row_that_is_gone_does_not_bring_it_back(metastore: str):
    world = World(metastore, **two_way(row_deleted=DeletePolicy.PROPAGATE))
    conflict, _, _ = lost(world)
    world.source.delete("1")
    world.push()
    world.log.wish(conflict, [A], actor="ann")
    world.settle()
    assert not world.source.rows
    assert not world.items()
    shown = world.log.get(conflict)
    assert (shown["state"], shown["reversal_note"]) == ("FINAL", "the row or its item is gone")
    assert not world.backlog_rows()
    world.close()


def test_a_field_that_flows_one_way_by_now_does_not_come_back(world: World):
    conflict, _, _ = lost(world)
    world.log.wish(conflict, [A], actor="ann")
    narrowed = tuple(
        replace(field, direction=Direction.PUSH_ONLY) if field.no == A else field for field in world.definition.fields
    )
    world.definition = replace(world.definition, fields=narrowed)
    world.settle()
    assert values_of(world, "1")["a"] == "user"
    assert "both ways" in world.log.get(conflict)["reversal_note"]
    assert not world.backlog_rows()


def test_a_value_that_the_database_refuses_is_parked_and_holds_up_no_edit(world: World):
    conflict, _, item = lost(world)
    world.rows.refuse = {"1": ("check", "the check a_is_not_person of t refuses this row")}
    world.log.wish(conflict, [A], actor="ann")
    world.settle()
    [(_, state, code, *_)] = world.backlog_rows()
    assert (state, code) == ("PARKED", "check")
    world.source.put("1", a="user", b="changed")
    world.scan()
    world.settle()
    assert world.lists.items[item].versions[-1]["B"] == "changed"
    world.rows.refuse = {}
    world.log.withdraw(conflict, actor="ann")
    world.settle()
    assert values_of(world, "1") == {"a": "user", "b": "changed"}
    quiet(world)


@pytest.mark.parametrize("fault", ["lost_after", "lost_before", "late", "serialization"])
def test_a_reversal_whose_commit_gets_no_answer_is_carried_out_once(world: World, fault: CommitFault):
    conflict, _, _ = lost(world)
    world.rows.script.append(fault)
    world.log.wish(conflict, [A], actor="ann")
    world.settle()
    world.rows.land_late()
    world.wait(61)
    world.settle()
    assert values_of(world, "1")["a"] == "person"
    assert equal(world)
    assert [row[-1] for row in log(world) if row[3] == "SOURCE_WINS"] == ["REVERSED"]
    assert [row[1] for row in log(world) if row[3] == "REVERSAL" and row[-1] == "FINAL"] == ['"user"']
    world.wait(600)
    world.settle()
    quiet(world)


@pytest.mark.parametrize("answer", [lost_after, lost_before])
def test_a_reversal_whose_item_gives_no_answer_is_carried_out_once(world: World, answer: Answer):
    conflict, _, _ = lost(world)
    world.lists.script.append(answer)
    world.log.wish(conflict, [A], actor="ann")
    world.settle()
    world.wait(61)
    world.settle()
    assert values_of(world, "1")["a"] == "person"
    assert equal(world)
    assert [row[-1] for row in log(world) if row[3] == "SOURCE_WINS"] == ["REVERSED"]
    assert [row[1] for row in log(world) if row[-1] == "FINAL"] == ['"user"']
    world.wait(600)
    world.settle()
    quiet(world)
