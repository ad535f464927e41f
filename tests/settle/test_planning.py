"""A plan says what the next push does, policies included, and writes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from shared.core.definition import DeletePolicy, LeftScope
from shared.core.estimate import Ceiling
from shared.core.ids import RunId
from shared.usecases.planning import Sight, plan
from tests.settle.world import World

pytestmark = pytest.mark.slow
CEILING = Ceiling(per_minute=1_250, per_day=1_200_000)


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    yield made
    made.close()


def planned(world: World) -> dict[str, Any]:
    sight = Sight(
        source=world.source,
        rows=world.rows,
        scans=world.scans,
        ledger=world.ledger,
        backlog=world.backlog,
        cursors=world.cursors,
        lists=world.lists,
    )
    return plan(world.definition, RunId(uuid4()), sight, CEILING)


def some(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def moved(world: World) -> None:
    """Ten rows are pushed; then one is new, two are changed, one is gone, and one cannot be kept by a list."""
    for n in range(10):
        world.source.put(str(n), a=f"x{n}", b="y")
    world.push()
    world.source.put("new", a="n")
    world.source.put("1", a="changed")
    world.source.put("2", b=None)
    world.source.put("3", a="\x00" * 300)
    world.source.delete("4")


def test_a_plan_counts_what_the_next_push_does_and_writes_nothing(world: World):
    moved(world)
    before = (world.items(), world.backlog_rows(), len(world.lists.writes))

    document = planned(world)

    assert some(document["counts"]) == {"create": 1, "update": 2, "delete": 1, "parked": 1, "stays_equal": 6}
    assert document["rows"] == {"in_scope": 10, "known": 10, "new": 1, "changed": 3, "gone": 1}
    assert document["cost"]["ru"] == 2 * (1 + 2 + 1)
    assert (world.items(), world.backlog_rows(), len(world.lists.writes)) == before
    [scans] = world.sql.execute("select count(*) from syncbridge.run_tables").fetchall()
    assert scans == (0,)

    world.push()
    assert len(world.lists.writes) - before[2] == 1 + 2 + 1


def test_samples_show_each_changed_field_as_it_is_and_as_it_will_be(world: World):
    moved(world)
    samples = planned(world)["samples"]
    assert {sample["key"]: sample["fields"] for sample in samples["update"]} == {
        '["1"]': [{"column": "a", "from": "x1", "to": "changed"}],
        '["2"]': [{"column": "b", "from": "y", "to": None}],
    }
    assert [sample["key"] for sample in samples["create"]] == ['["new"]']
    assert [sample["key"] for sample in samples["delete"]] == ['["4"]']
    assert "\x00" not in samples["parked"][0]["reason"]


def test_what_the_guards_would_say_stands_in_the_plan(world: World):
    for n in range(10):
        world.source.put(str(n), a="x")
    world.push()
    for n in range(6):
        world.source.delete(str(n))
    assert [guard["kind"] for guard in planned(world)["guards"]] == ["FEWER_ROWS", "DELETE_GUARD"]


@pytest.mark.parametrize(
    ("policy", "kind"),
    [(DeletePolicy.PROPAGATE, "delete"), (DeletePolicy.KEEP, "unchanged"), (DeletePolicy.APPROVE, "ask")],
)
def test_a_deleted_row_is_planned_as_the_policy_has_it_and_pushed_so(world: World, policy: DeletePolicy, kind: str):
    world.definition = replace(world.definition, row_deleted=policy)
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.delete("1")

    assert some(planned(world)["counts"]) == {kind: 1, "stays_equal": 3}
    world.push()
    assert len(world.items()) == (3 if kind == "delete" else 4)
    assert [row[1] for row in world.backlog_rows()] == (["AWAITING_APPROVAL"] if kind == "ask" else [])


@pytest.mark.parametrize(
    ("policy", "kind"), [(LeftScope.DELETE, "delete"), (LeftScope.KEEP, "unchanged"), (LeftScope.ASK, "ask")]
)
def test_a_row_that_left_the_filter_is_planned_as_the_policy_has_it_and_pushed_so(
    world: World, policy: LeftScope, kind: str
):
    world.definition = replace(world.definition, left_scope=policy)
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    world.source.out_of_scope.add("1")

    assert some(planned(world)["counts"]) == {kind: 1, "stays_equal": 3}
    world.push()
    assert len(world.items()) == (3 if kind == "delete" else 4)
    assert [row[1] for row in world.backlog_rows()] == (["AWAITING_APPROVAL"] if kind == "ask" else [])
    world.push()
    assert len(world.items()) == (3 if kind == "delete" else 4)
