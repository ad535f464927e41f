"""Crash points: a worker process is killed with SIGKILL at each, what it left is looked at, a second worker goes on.

The second worker must end with equal sides, one item each, nothing left to do; and a third must find nothing to write.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.core.boundaries import Boundary
from tests.fixtures.postgres import Databases
from tests.simulation.ground import LEASE, SURFACE
from tests.simulation.stage import Stage, borrowed_stage
from tests.simulation.world import World

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Left:
    """What a dead worker left behind about row 1."""

    state: str | None
    intents: tuple[str, ...]
    values: str | None
    """Field a of the live item; None: there is no item."""
    marked: bool


@dataclass(frozen=True, slots=True)
class Point:
    """`before`: brings the world to where the fatal work begins."""

    id: str
    before: Callable[[World], None]
    die: dict[str, Any]
    left: Left
    work: tuple[str, ...] = ("scan", "settle")


def new_row(world: World) -> None:
    world.put("1", 0, a="new", b="b", n=1)


def pushed(world: World) -> None:
    for key in ("1", "2", "3"):
        world.put(key, 0, a="old", b=f"b{key}", n=int(key))
    scan_and_settle(world)


def changed(world: World) -> None:
    pushed(world)
    world.put("1", 1, a="new")


def contested(world: World) -> None:
    changed(world)
    [seen] = [seen for seen in world.items() if seen.key == "1"]
    world.person_edits(seen, "a", "typed", fresh=True)


def deleted(world: World) -> None:
    pushed(world)
    world.remove("1", 1)


def renamed(world: World) -> None:
    pushed(world)
    world.rename("1", "4", 1, a="new")
    drive(world.streamer([("1", "4")]))


def doubtful(world: World) -> None:
    """A first worker has died with the create on record."""
    new_row(world)
    kill(world, ("scan", "settle"), at(Boundary.INTENDED))
    world.stage.advance(LEASE + 1)


def at(boundary: Boundary, nth: int = 1) -> dict[str, Any]:
    return {"boundary": boundary.value, "nth": nth}


UNKNOWN = Left(None, (), None, marked=False)
POINTS = (
    Point("scan-loaded", new_row, at(Boundary.SCAN_LOADED), UNKNOWN, ("scan",)),
    Point("scan-compared", new_row, at(Boundary.SCAN_COMPARED), UNKNOWN, ("scan",)),
    Point("scan-marked", new_row, at(Boundary.SCAN_MARKED), Left(None, (), None, marked=True), ("scan",)),
    Point("claimed", new_row, at(Boundary.CLAIMED), Left(None, (), None, marked=True)),
    Point("create-intended", new_row, at(Boundary.INTENDED), Left("CREATING", ("CREATE_ITEM",), None, marked=True)),
    Point(
        "create-probed",
        doubtful,
        at(Boundary.ITEMS_READ),
        Left("CREATING", ("CREATE_ITEM",), None, marked=True),
        ("settle",),
    ),
    Point("create-accepted", new_row, {"answer": "POST"}, Left("CREATING", ("CREATE_ITEM",), "new", marked=True)),
    Point("create-answered", new_row, at(Boundary.SENT), Left("CREATING", ("CREATE_ITEM",), "new", marked=True)),
    Point("create-confirmed", new_row, at(Boundary.CONFIRMED), Left("SETTLED", (), "new", marked=False)),
    Point("update-read", changed, at(Boundary.ROWS_READ), Left("SETTLED", (), "old", marked=True)),
    Point("update-intended", changed, at(Boundary.INTENDED), Left("SETTLED", ("PATCH_ITEM",), "old", marked=True)),
    Point("update-accepted", changed, {"answer": "PATCH"}, Left("SETTLED", ("PATCH_ITEM",), "new", marked=True)),
    Point("update-refused", contested, at(Boundary.SENT), Left("SETTLED", ("PATCH_ITEM",), "typed", marked=True)),
    Point("update-confirmed", changed, at(Boundary.CONFIRMED), Left("SETTLED", (), "new", marked=False)),
    Point("delete-intended", deleted, at(Boundary.INTENDED), Left("SETTLED", ("DELETE_ITEM",), "old", marked=True)),
    Point("delete-accepted", deleted, {"answer": "DELETE"}, Left("SETTLED", ("DELETE_ITEM",), None, marked=True)),
    Point("delete-confirmed", deleted, at(Boundary.CONFIRMED), Left("TOMBSTONE", (), None, marked=False)),
    Point("rename-followed", renamed, at(Boundary.RENAMED), Left("TOMBSTONE", (), "old", marked=True), ("settle",)),
    Point("rename-accepted", renamed, {"answer": "PATCH"}, Left("TOMBSTONE", (), None, marked=True), ("settle",)),
)


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with borrowed_stage(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.id)
def test_a_second_worker_finishes_what_a_killed_one_left(stage: Stage, point: Point):
    world = World(stage, 1)
    point.before(world)
    items_before = {seen.item for seen in world.items()}
    kill(world, point.work, point.die)
    assert left_behind(world) == point.left
    stage.advance(LEASE + 1)
    scan_and_settle(world)
    stage.advance(SURFACE + 20)
    scan_and_settle(world)
    items = world.items()
    assert point.before is not renamed or {seen.item for seen in items} == items_before
    assert world.model.differences(items) == []
    assert world.model.lost(items, world.logged()) == []
    assert world.logged("PENDING") == set()
    assert world.backlog_rows() == []
    _, number = world.writes_since(0)
    scan_and_settle(world)
    assert world.writes_since(number)[0] == 0


def kill(world: World, work: tuple[str, ...], where: dict[str, Any]) -> None:
    """Runs a worker process until it kills itself."""
    document = {
        "addresses": world.stage.addresses,
        "list": world.list_id,
        "definition": str(world.definition.id),
        "seed": 1000 + len(world.history),
        "work": work,
        "die": where,
    }
    world.note("killed")
    command = [sys.executable, "-m", "tests.scenarios.worker", json.dumps(document)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stderr[-2000:]}"


def left_behind(world: World) -> Left:
    entries = {entry[0]: entry for entry in world.agreements()}
    entry = entries.get('["1"]')
    values = [seen.values["a"] for seen in world.items() if seen.key == "1"]
    assert len(values) <= 1, "two items stand for one row"
    return Left(
        state=entry[1] if entry else None,
        intents=tuple(intent["kind"] for intent in entry[6]) if entry else (),
        values=str(values[0]) if values else None,
        marked='["1"]' in [row[0] for row in world.backlog_rows()],
    )


def scan_and_settle(world: World) -> None:
    drive(world.scanner())
    while (result := drive(world.settler())).claimed:
        assert result.hold is None


def drive(steps: Any) -> Any:
    """To its end, as production does."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
