"""Creates that cross one another: the unique key column refuses the second, and the first is brought up to date."""

from collections.abc import Iterator

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    yield made
    made.close()


def test_a_create_that_lands_just_before_its_repetition_is_found_and_brought_up_to_date(world: World):
    identity = world.source.put("1", a="old", b="y")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.source.put("1", a="new")
    world.wait(61)
    for passed in world.worker():
        if passed is Boundary.INTENDED:
            world.lists.land_late()
    assert world.expected() == world.items()
    assert not world.conflicts()
    world.wait(400)
    world.settle()
    entry = world.entry(identity)
    assert entry is not None
    assert not entry.intents
    assert not world.backlog_rows()


def test_a_ghost_is_removed_even_when_the_first_worker_that_tries_dies(world: World):
    identity = world.source.put("1", a="x")
    world.lists.script.append(world.lists.astray)
    world.push()
    world.source.delete("1")
    world.wait(61)
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    world.lists.land_late()
    world.wait(400)
    world.die_at(Boundary.INTENDED)
    assert len(world.items()) == 1
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert not world.items()
    assert not world.backlog_rows()
