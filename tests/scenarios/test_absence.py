"""No evidence of absence: a list that does not answer is never a list whose items are gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.backlog import Reason
from tests.fixtures.postgres import Databases
from tests.simulation.stage import borrowed_stage
from tests.simulation.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    with borrowed_stage(databases, tmp_path) as stage:
        yield World(stage, 1)


def test_a_list_that_answers_404_is_never_an_item_that_is_gone(world: World):
    for key in ("1", "2"):
        world.put(key, 0, a=f"a{key}", b="b", n=1)
    run(world.scanner())
    run(world.settler())
    _, number = world.writes_since(0)
    world.stage.ask(
        "PUT",
        "faults",
        {
            "rules": [
                {
                    "match": {"method": "GET", "path": f"/lists/{world.list_id}"},
                    "fault": {"kind": "status", "status": 404},
                }
            ]
        },
    )
    run(world.marker(["1", "2"], Reason.ITEM_GONE))
    result = run(world.settler())
    assert result.hold is not None
    assert result.hold.kind == "LIST_GONE"
    assert world.writes_since(number)[0] == 0
    assert all(state == "SETTLED" for _, state, *_ in world.agreements())


def run(steps):
    """To its end, as production does."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value
