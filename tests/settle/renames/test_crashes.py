"""Keys that change, and workers that die or get no answer meanwhile."""

import pytest

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.errors import RowsHidden, SourceUnavailable
from shared.core.ids import (
    RowSubject,
    identity_hash,
)
from shared.core.items import DeleteItem, PatchItem
from shared.core.renames import KeyChange
from tests.fakes.lists import Answer, lost_after, lost_before
from tests.settle.renames.keys import A, B, calm, item_ids, on_record, pushed, rename, told
from tests.settle.world import World


@pytest.mark.parametrize(
    "boundary", [Boundary.CLAIMED, Boundary.RENAMED, Boundary.ITEMS_READ, Boundary.INTENDED, Boundary.SENT]
)
def test_a_worker_that_dies_while_it_follows_a_key_leaves_one_item(world: World, boundary):
    before = pushed(world, "A")
    rename(world, "A", "B", a="new")
    world.die_at(boundary)
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


def test_a_capture_that_dies_after_its_marks_has_told_the_change(world: World):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    pair = KeyChange(former=A, new=B)
    small = type(world.backlog)(world.store, chunk=1)
    first = min((A, B), key=identity_hash)
    small.mark(
        world.definition.id,
        [Mark(subject=RowSubject(identity=first), reasons=frozenset({Reason.STREAM}), lane=Lane.CDC)],
        [pair],
    )
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
@pytest.mark.parametrize("answer", [lost_after, lost_before], ids=["landed", "did not land"])
def test_a_new_key_whose_write_got_no_answer_is_in_the_item_once(world: World, answer: Answer, history):
    world.lists.history = history
    before = pushed(world, "A")
    rename(world, "A", "B", a="new")
    world.lists.script.append(answer)
    world.settle()
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("kind", [PatchItem, DeleteItem])
@pytest.mark.parametrize("lands", ["before", "after", "never"])
def test_a_write_to_the_item_that_was_in_doubt_goes_over_with_it(world: World, kind, lands):
    """A PATCH or a DELETE of the former row's item may still land, before or after the item has got its new key."""
    before = pushed(world, "A")
    if kind is PatchItem:
        world.source.put("A", a="changed")
    else:
        kept = world.source.rows.pop("A")
    world.lists.script.append(world.lists.astray)
    world.scan()
    world.settle()
    if kind is DeleteItem:
        world.source.put("A", **{name: value for name, value in kept.items() if name != "id"})
    world.source.rename("A", "B")
    told(world, "AB")
    if lands == "before":
        world.lists.land_late()
    world.wait(61)
    world.settle()
    if lands == "after":
        world.lists.land_late()
    world.wait(400)
    world.mark(B, Reason.DRIFT)
    world.settle()
    gone = kind is DeleteItem and lands == "before"
    found = item_ids(world)
    assert list(found) == ["B"]
    assert (found["B"] != before["A"]) is gone
    calm(world, items=1)


def test_hidden_rows_hold_the_definition_and_no_item_goes_over(world: World):
    pushed(world, "A")
    rename(world, "A", "B")
    world.source.failure = RowsHidden("hidden")
    [result] = world.settle()
    assert result.hold is not None
    entry = world.entry(B)
    assert entry is None
    assert on_record(world) == 1


def test_a_source_that_is_away_leaves_the_change_on_record(world: World):
    before = pushed(world, "A")
    rename(world, "A", "B")
    world.source.failure = SourceUnavailable("away")
    with pytest.raises(SourceUnavailable):
        world.settle()
    world.source.failure = None
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)
