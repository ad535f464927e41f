"""A replica that follows delta, and one that enumerates, end up with what the list holds, whatever happens meanwhile."""

import random

import pytest

from infra.simulator.probe.ask import status
from infra.simulator.probe.rig import Rig
from tests.conformance.world import World

Replica = dict[str, tuple[str, str]]
"""Item id -> eTag and Title."""


def _step(world: World, path: str, dice: random.Random, alive: list[str], binned: list[str]) -> None:
    """One change of somebody: create, edit, delete or restore."""
    rig = world.rig
    match dice.choice(("create", "create", "edit", "edit", "delete", "restore")):
        case "create":
            alive.append(rig.add(path, Title=f"t{dice.randrange(10**6)}")["id"])
        case "edit" if alive:
            body = {"Title": f"t{dice.randrange(10**6)}"}
            status(rig.patch(f"{path}/items/{dice.choice(alive)}/fields", body), 200)
        case "delete" if alive:
            item = alive.pop(dice.randrange(len(alive)))
            status(rig.delete(f"{path}/items/{item}"), 204)
            binned.append(item)
        case "restore" if binned:
            item = binned.pop(dice.randrange(len(binned)))
            world.sim.restore(path, item)
            alive.append(item)


def _truth(rig: Rig, path: str) -> Replica:
    items = (one for page in rig.pages(f"{path}/items?$expand=fields&$top=7") for one in page["value"])
    return {one["id"]: (one["eTag"], one["fields"]["Title"]) for one in items}


def _apply(replica: Replica, entries: list[dict]) -> None:
    """Take a page of delta as its documentation asks for: the last occurrence of an item counts."""
    for entry in entries:
        if "deleted" in entry:
            replica.pop(entry["id"], None)
        else:
            replica[entry["id"]] = (entry["eTag"], entry["fields"]["Title"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_replica_that_follows_delta_equals_the_list_once_it_is_quiet(world: World, seed: int) -> None:
    dice = random.Random(seed)
    world.sim.knobs(
        throttling=False,
        delta_repeat_rate=dice.choice((0.0, 0.3)),
        delta_empty_page_rate=dice.choice((0.0, 0.3)),
        delta_unchanged_rate=dice.choice((0.0, 0.2)),
    )
    rig, path = world.rig, world.rig.new_list()
    alive, binned, replica = [], [], {}
    for _ in range(8):
        _step(world, path, dice, alive, binned)

    link = f"{path}/items/delta?$expand=fields($select=Title)&$top={dice.choice((2, 3, 50))}"
    for round_ in range(12):
        for page in rig.pages(link):
            _apply(replica, page["value"])
            if round_ < 11 and dice.random() < 0.6:  # somebody writes while the pages are read
                _step(world, path, dice, alive, binned)
            link = page.get("@odata.deltaLink", link)
        if round_ < 10:
            for _ in range(dice.randrange(6)):
                _step(world, path, dice, alive, binned)

    assert replica == _truth(rig, path)
    assert set(replica) == set(alive)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_old_delta_link_gives_a_replica_of_its_time_everything_that_happened_since(world: World, seed: int) -> None:
    dice = random.Random(100 + seed)
    world.sim.knobs(throttling=False)
    rig, path = world.rig, world.rig.new_list()
    alive, binned = [], []
    snapshots: list[tuple[Replica, str]] = []
    for _ in range(6):
        for _ in range(5):
            _step(world, path, dice, alive, binned)
        entries, link = rig.delta(f"{path}/items/delta?$expand=fields")
        replica: Replica = {}
        _apply(replica, entries)
        snapshots.append((replica, link))

    for replica, link in snapshots:
        _apply(replica, rig.delta(link)[0])
        assert replica == _truth(rig, path)


@pytest.mark.slow
def test_enumerating_a_quiet_list_in_any_page_size_gives_every_item_once(world: World) -> None:
    world.sim.knobs(throttling=False)
    rig, path = world.rig, world.rig.new_list()
    alive, binned, dice = [], [], random.Random(5)
    for _ in range(40):
        _step(world, path, dice, alive, binned)

    for size in (1, 2, 5, 39, 40, 1000):
        ids = [one["id"] for page in rig.pages(f"{path}/items?$select=id&$top={size}") for one in page["value"]]
        assert sorted(ids, key=int) == sorted(alive, key=int)
