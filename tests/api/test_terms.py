"""What a live definition may write is changed: nothing happens before a person has seen a plan and agreed."""

from typing import Any

import pytest

from tests.api.world import World, written

pytestmark = pytest.mark.slow


def open_hold(world: World, definition: str) -> Any:
    (hold,) = world.get("/holds", definition_id=definition)
    return hold


def test_a_changed_policy_holds_the_next_run_until_a_plan_was_made_and_a_person_agreed(world: World) -> None:
    definition = world.live(row_deleted="KEEP")
    world.run(definition)
    changed = world.change(definition, row_deleted="PROPAGATE")
    world.sql("delete from app.things where id = 3")

    held = world.run(definition)
    hold = open_hold(world, definition)
    early = world.refused("POST", f"/holds/{hold['id']}/release", {"reason": "meant"}, status=409)
    plan = world.post(f"/sync-definitions/{definition}/plan")
    world.post(f"/holds/{hold['id']}/release", {"reason": "meant"})
    run = world.run(definition)

    assert "policy_changed" in [warning["code"] for warning in changed["warnings"]]
    assert (held["status"], held["error_code"], written(held)) == ("HELD", "policy_changed", (0, 0, 0))
    assert "row_deleted was KEEP and is PROPAGATE" in hold["explanation"]
    assert early["code"] == "plan_missing"
    assert plan["counts"]["delete"] == 1
    assert (run["status"], written(run)) == ("COMPLETED", (0, 0, 1))
    (agreed,) = [entry for entry in world.get("/audit", subject_id=definition) if entry["action"] == "terms agreed"]
    assert agreed["after"]["row_deleted"] == "PROPAGATE"


def test_going_back_to_what_was_agreed_needs_nobody(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.change(definition, left_scope="KEEP")
    back = world.change(definition, left_scope="DELETE")

    run = world.run(definition)

    assert "policy_changed" not in [warning["code"] for warning in back["warnings"]]
    assert run["status"] == "COMPLETED"


def test_a_plan_of_an_earlier_version_is_not_enough(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.change(definition, left_scope="KEEP")
    world.post(f"/sync-definitions/{definition}/plan")
    world.change(definition, left_scope="ASK")
    world.run(definition)

    hold = open_hold(world, definition)

    assert world.refused("POST", f"/holds/{hold['id']}/release", {"reason": "x"}, status=409)["code"] == "plan_missing"


@pytest.mark.parametrize(
    ("changes", "code"), [({"row_deleted": "KEEP"}, "policy_changed"), ({"row_filter": "qty > 6"}, "scope_changed")]
)
def test_a_change_while_a_run_is_under_way_stops_its_next_step(
    world: World, changes: dict[str, Any], code: str
) -> None:
    definition = world.live()
    world.run(definition)
    world.sql("delete from app.things where id = 3")
    run = world.start(definition)
    world.engine.begin_run(run.definition, run.id)
    captured = world.engine.capture(run.definition, run.id)
    world.change(definition, **changes)

    settled = world.engine.settle(run.definition, run.id)
    again = world.engine.capture(run.definition, run.id)
    world.engine.finish_run(run.definition, run.id, held=settled.hold is not None, error=None)

    assert captured.numbers["gone"] == 1
    assert (settled.pages, again.held) == (0, True)
    assert (world.seen(run.id)["status"], world.seen(run.id)["error_code"]) == ("HELD", code)
    assert len(world.items(definition)) == 12
