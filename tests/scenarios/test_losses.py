"""What becomes of a person's value when the write that replaced it got no answer."""

from collections.abc import Callable, Iterator

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.ids import identity_hash, sync_key
from shared.core.items import ItemWrite, Outcome
from tests.fakes.lists import lost_after, lost_before
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    yield made
    made.close()


def happens(write: ItemWrite, happen: Callable[[], Outcome]) -> Outcome:
    """Nothing goes wrong."""
    return happen()


def edited(world: World) -> None:
    """One pushed row, whose item a person has edited since, and whose row has changed too."""
    world.source.put("1", a="x", b="y")
    world.push()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    world.source.put("1", b="z")


@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
def test_a_loss_by_a_patch_whose_answer_was_lost_is_final_in_the_log(world: World, history: bool):
    world.lists.history = history
    edited(world)
    world.scan()
    world.lists.script += [happens, lost_after]  # the first write meets the person's edit and is refused
    world.settle()
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL", "ROW")] == world.conflicts()


def test_a_loss_by_a_patch_that_never_landed_is_logged_once(world: World):
    edited(world)
    world.scan()
    world.lists.script += [happens, lost_before]
    world.settle()
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL"), ("a", '"person"', "VOID")] == sorted(row[:3] for row in world.conflicts())
    assert not world.backlog_rows()


def test_a_loss_by_a_delete_whose_answer_was_lost_is_final_in_the_log(world: World):
    for n in range(3):
        world.source.put(str(n), a="x")
    world.push()
    gone = world.source.delete("1")
    entry = world.entry(gone)
    assert entry is not None
    assert entry.item_id is not None
    world.lists.edit(entry.item_id, {"A": "person"})
    world.mark(gone, Reason.DRIFT)
    world.lists.script.append(lost_after)
    world.settle()
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert [("a", '"person"', "FINAL", "ROW")] == world.conflicts()


def test_a_refused_write_leaves_no_undecided_loss_when_the_next_worker_dies(world: World):
    edited(world)
    world.scan()
    world.die_at(Boundary.INTENDED, 2)
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert "PENDING" not in {row[2] for row in world.conflicts()}


def test_a_ghost_that_a_person_edited_is_left_alone_and_nothing_stays_in_doubt(world: World):
    identity = world.source.put("1", a="x")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.source.delete("1")
    world.wait(61)
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    world.lists.land_late()
    [item] = world.lists.items
    world.lists.edit(item, {"A": "person"})
    for _ in range(3):
        world.wait(400)
        world.settle()
    assert [{"A": "person"}] == list(world.items().values())
    entry = world.entry(identity)
    assert entry is not None
    assert not entry.intents
    assert not world.backlog_rows()


def test_a_patch_of_the_former_item_does_not_excuse_a_value_in_the_present_one(world: World):
    identity = world.source.put("1", a="x", b="y")
    world.push()
    world.source.put("1", a="z")
    world.scan()
    world.die_at(Boundary.INTENDED)
    [former] = world.lists.items
    world.lists.remove(former)
    key = sync_key(identity_hash(identity))
    world.lists.add({world.lists.target.key_column: key, "A": "z", "B": "y"})
    world.source.put("1", a="later")
    world.wait(61)
    world.settle()
    assert world.expected() == world.items()
    assert ("a", '"z"', "FINAL", "ROW") in world.conflicts()
