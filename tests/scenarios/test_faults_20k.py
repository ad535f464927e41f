"""A large push while a quarter of all writes fails, a quarter of those after their effect.

ROWS=3000 in the environment runs a smaller push.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.metastore.scans import ScanStore
from shared.core.ids import identity_hash, sync_key
from tests.fixtures.postgres import Databases
from tests.simulation.ground import LEASE, SURFACE, identity
from tests.simulation.model import COLUMNS, KEY
from tests.simulation.stage import borrowed_stage
from tests.simulation.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = int(os.environ.get("ROWS", "20000"))
WRITES = {"inner": True, "method": "POST,PATCH,DELETE"}
RULES = (
    # Of what the first rule leaves over, the second takes its share: together a quarter of all writes.
    ({**WRITES, "rate": 0.0625}, {"kind": "status", "status": 504, "when": "after"}),
    ({**WRITES, "rate": 0.1}, {"kind": "status", "status": 502, "when": "before"}),
    ({**WRITES, "rate": 0.1111}, {"kind": "status", "status": 429, "retry_after": 1}),
)


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    with borrowed_stage(databases, tmp_path) as stage:
        made = World(stage, 1)
        made.scans = ScanStore(stage.metastore)
        yield made


def test_a_push_through_many_faults_ends_equal_without_doubles_and_the_next_one_is_silent(world: World):
    stage = world.stage
    stage.rows.execute(
        "insert into public.people_rows select n, 'title ' || n, 'bee ' || n, n from generate_series(1, %s) as n",
        [ROWS],
    )
    rules = [{"match": match, "fault": fault} for match, fault in RULES]
    stage.ask("PUT", "faults", {"seed": 20, "rules": rules})
    push(world)
    fired = [rule["fired"] for rule in stage.ask("GET", "faults")["rules"]]
    stage.ask("DELETE", "faults")
    assert fired[0] > ROWS * 0.05, "too few writes failed after their effect"
    assert sum(fired) > ROWS * 0.22, "too few writes failed"
    assert live(world) == wanted()
    stage.advance(SURFACE + LEASE)
    _, number = world.writes_since(0)
    push(world)
    assert world.writes_since(number)[0] == 0
    assert live(world) == wanted()
    assert world.logged() == set()


def push(world: World) -> None:
    """Scan, then settle until the backlog is empty; time passes when nothing is due."""
    drive(world.scanner())
    for _ in range(ROWS):
        result = drive(world.settler(page=200))
        assert result.hold is None
        if result.claimed == 0:
            if not world.backlog_rows():
                return
            world.stage.advance(20)
        elif result.wait:
            world.stage.advance(result.wait)
    raise AssertionError("the backlog does not get empty")


def drive(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def live(world: World) -> list[tuple[str, str, str, float]]:
    """Key and values of every live item, in the order of their numbers."""
    found: list[dict[str, Any]] = []
    while page := world.stage.ask("GET", f"people/lists/{world.list_id}/items?top=1000&skip={len(found)}")["items"]:
        found += page
    rows = [item["fields"] for item in found]
    return sorted(
        ((row[KEY], row[COLUMNS["a"]], row[COLUMNS["b"]], row[COLUMNS["n"]]) for row in rows), key=lambda row: row[3]
    )


def wanted() -> list[tuple[str, str, str, float]]:
    return [(sync_key(identity_hash(identity(str(n)))), f"title {n}", f"bee {n}", float(n)) for n in range(1, ROWS + 1)]
