"""Pauses at random: rows and items that are edited, deleted and made while a field is paused, writes whose answers get lost.
Whatever happens, a paused field is written on neither side, and afterwards every edit is on both sides or in the log."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Reason, SubjectState
from shared.core.definition import GuardSettings
from shared.core.ids import ItemId, identity_hash, identity_of, sync_key
from tests.fakes.lists import lost_after, lost_before
from tests.settle.test_paused_fields import pause, resume
from tests.settle.two_way import natural, quiet, see
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    """No guard counts the deletes."""
    made = World(metastore, **natural(guards=GuardSettings(max_delete_share=1.0, min_rows_share=0.0)))
    made.source.columns = ("a", "b")
    yield made
    made.close()


KEYS = ("1", "2", "3", "4", "5", "6")
MORTAL = {"1": "row", "2": "row", "3": "item"}
"""Which side of them may be deleted; a guard would ask about more."""


@dataclass
class Story:
    """What users and people did to one row and its item."""

    row_b: str | None = None
    item_b: str | None = None
    a: str | None = None
    gone: str = ""
    """The side that was deleted."""


def item_of(world: World, key: str) -> ItemId:
    wanted = sync_key(identity_hash(identity_of([key])))
    return next(item for item, found in world.lists.items.items() if found.versions[-1].get("SyncBridgeKey") == wanted)


def told(world: World, key: str, item: ItemId) -> None:
    world.mark(identity_of([key]), *([] if key in world.source.rows else [Reason.ROW_GONE]))
    see(world, item)


def happens(world: World, rng: random.Random, key: str, item: ItemId, story: Story) -> None:
    """One thing that somebody does, or that goes wrong."""
    n = rng.randrange(10**6)
    match rng.randrange(9):
        case 0 if not story.gone:
            story.row_b = f"user {n}"
            world.source.put(key, b=story.row_b)
        case 1 if not story.gone:
            story.item_b = f"person {n}"
            world.lists.edit(item, {"B": story.item_b})
        case 2 if not story.gone and story.a is None:
            story.a = f"user {n}"
            world.source.put(key, a=story.a)
        case 3 if not story.gone and story.a is None:
            story.a = f"person {n}"
            world.lists.edit(item, {"A": story.a})
        case 4 if not story.gone and key in MORTAL:
            story.gone = MORTAL[key]
            if story.gone == "row":
                world.source.delete(key)
            else:
                world.lists.remove(item)
        case 5:
            world.lists.script.append(rng.choice((lost_after, lost_before)))
        case 6:
            world.rows.script.append(rng.choice(("lost_after", "lost_before")))
        case _:
            if rng.random() < 0.7:
                told(world, key, item)
                world.settle()
            if rng.random() < 0.3:
                world.wait(120)
                world.settle()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_while_a_field_is_paused_no_edit_is_lost_without_a_trace(world: World, seed: int):
    rng = random.Random(seed)
    for key in KEYS:
        world.source.put(key, a=f"a{key}", b=f"b{key}")
    world.push()
    items = {key: item_of(world, key) for key in KEYS}
    pause(world, marked=rng.random() < 0.7)
    stories = {key: Story() for key in KEYS}
    for _ in range(40):
        key = rng.choice(KEYS)
        happens(world, rng, key, items[key], stories[key])
    before = {key: _both(world, key, items[key]) for key in KEYS}
    for key in KEYS:
        told(world, key, items[key])
    world.lists.script.clear()
    world.rows.script.clear()
    for _ in range(4):
        world.settle()
        world.wait(120)
    for key, story in stories.items():
        assert story.gone != "item" or key in world.source.rows, "a person is asked"
        if not story.gone:
            assert _both(world, key, items[key]) == before[key] == (story.row_b or f"b{key}", story.item_b or f"b{key}")
    resume(world)
    for _ in range(4):
        world.settle()
        world.wait(400)
    HoldStore(world.store).release_subjects(
        world.definition.id, SubjectState.AWAITING_APPROVAL, None, approve=True, actor="test"
    )
    world.settle()
    world.push()
    lost = {value for _, value, state, _ in world.conflicts() if state == "FINAL"}
    assert world.expected() == world.items()
    for key, story in stories.items():
        row = world.source.rows.get(key)
        if story.gone == "item":  # what people typed there they have deleted themselves
            assert story.row_b is None or (row is not None and row["b"] == story.row_b), (key, story)
            continue
        if story.gone == "row":
            kept = row["b"] if row else None
            assert story.item_b in (None, kept) or f'"{story.item_b}"' in lost, (key, story)
            continue
        assert row is not None
        assert row["a"] == (story.a or f"a{key}"), (key, story)
        assert row["b"] == (story.row_b or story.item_b or f"b{key}"), (key, story)
        if story.row_b and story.item_b:
            assert f'"{story.item_b}"' in lost, (key, story)
    quiet(world)


def _both(world: World, key: str, item: ItemId) -> tuple[str | None, str | None]:
    row, shown = world.source.rows.get(key), world.lists.items.get(item)
    return (row and row["b"], shown and shown.versions[-1].get("B"))  # type: ignore[return-value]
