"""Readings of a list, without a host: what starts one, and that a notice is answered by one, whenever it comes."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.core.ids import DefinitionId
from shared.core.runs import ActiveRun, RunStatus, RunType
from tests.api.world import World

pytestmark = pytest.mark.slow


def read(world: World, run: ActiveRun) -> None:
    """A reading to its end, as its orchestration drives it."""
    begin(world, run)
    finish(world, run)


def begin(world: World, run: ActiveRun) -> None:
    assert run.type is RunType.INGRESS
    assert world.engine.begin_run(run.definition, run.id) is not None


def finish(world: World, run: ActiveRun) -> None:
    while world.engine.capture_list(run.definition, run.id, workers=1).more:
        pass
    while world.engine.settle(run.definition, run.id).more:
        pass
    assert world.engine.finish_run(run.definition, run.id, held=False, error=None, patient=True) is None


def readings(world: World, definition: DefinitionId) -> int:
    return len(
        [run for run in world.engine.stores.runs.list(definition, status=None, limit=500) if run.type == "INGRESS"]
    )


@pytest.fixture
def live(world: World) -> DefinitionId:
    """Pushed once, read once; nothing is due."""
    definition = world.live(poll_interval="P1D")
    world.run(definition)
    found = DefinitionId(UUID(definition))
    (first,) = world.engine.start_due_readings()
    read(world, first)
    assert world.engine.start_due_readings() == []
    return found


def test_a_first_reading_is_due_at_once_and_the_next_after_the_poll_interval(world: World, live: DefinitionId) -> None:
    watched = world.engine.stores.watches.seen(live)
    assert watched.next_poll_at is not None
    left = watched.next_poll_at - world.engine.clock.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)


def test_a_notice_starts_a_reading_at_once(world: World, live: DefinitionId) -> None:
    run = world.engine.notice(live)
    assert run is not None
    read(world, run)
    shown = world.seen(run.id)
    assert (shown["run_type"], shown["trigger"], shown["status"]) == ("INGRESS", "NOTICE", "COMPLETED")
    assert shown["notes"] == ["The list has not changed since it was last read."]
    assert shown["ru"] == 1
    assert not world.engine.wants_reading(live)


@pytest.mark.parametrize("count", [1, 200])
def test_notices_during_a_reading_cause_exactly_one_more(world: World, live: DefinitionId, count: int) -> None:
    before = readings(world, live)
    first = world.engine.notice(live)
    assert first is not None
    begin(world, first)
    assert [world.engine.notice(live) for _ in range(count)] == [None] * count
    finish(world, first)
    assert world.engine.wants_reading(live)
    second = world.engine.answer_notices(live)
    assert second is not None
    assert world.engine.answer_notices(live) is None
    assert world.engine.start_due_readings() == []
    read(world, second)
    assert not world.engine.wants_reading(live)
    assert world.engine.answer_notices(live) is None
    assert readings(world, live) == before + 2


def test_a_notice_that_only_the_metastore_remembers_is_answered_at_the_next_tick(
    world: World, live: DefinitionId
) -> None:
    """The queue's message was lost, or whoever took it died after it had put the notice on record."""
    world.engine.stores.watches.notice(live)
    (run,) = world.engine.start_due_readings()
    read(world, run)
    assert world.engine.start_due_readings() == []


def test_a_notice_of_a_paused_definition_is_answered_when_it_goes_on(world: World, live: DefinitionId) -> None:
    world.post(f"/sync-definitions/{live}/pause")
    assert world.engine.notice(live) is None
    assert world.engine.start_due_readings() == []
    world.post(f"/sync-definitions/{live}/activate")
    (run,) = world.engine.start_due_readings()
    read(world, run)


def test_a_reading_whose_orchestration_is_lost_is_tried_again_within_a_minute(world: World, live: DefinitionId) -> None:
    run = world.engine.notice(live)
    assert run is not None
    begin(world, run)
    world.engine.abandon_run(live, run.id)
    assert world.seen(run.id)["status"] == RunStatus.FAILED
    next_at = world.engine.stores.watches.seen(live).next_poll_at
    assert next_at is not None
    assert next_at - world.engine.clock.now() <= timedelta(minutes=1)


def test_a_persons_edit_of_a_list_that_is_only_pushed_is_read_written_back_and_logged(
    world: World, live: DefinitionId
) -> None:
    item = world.items(str(live))["thing 3"]
    list_id = world.get(f"/sync-definitions/{live}")["list_id"]
    world.sim("PATCH", f"/_sim/people/lists/{list_id}/items/{item['id']}", {"fields": {"Title": "mine"}})
    run = world.engine.notice(live)
    assert run is not None
    read(world, run)
    assert "thing 3" in world.items(str(live))
    shown = world.seen(run.id)
    assert (shown["updated"], shown["conflicts"], shown["captured"]["marked"]) == (1, 1, 1)


def test_a_list_that_is_gone_holds_the_definition_and_nothing_reads_it_until_a_person_has_looked(
    world: World, live: DefinitionId
) -> None:
    list_id = world.get(f"/sync-definitions/{live}")["list_id"]
    world.sim("DELETE", f"/_sim/people/lists/{list_id}")
    run = world.engine.notice(live)
    assert run is not None
    begin(world, run)
    assert world.engine.capture_list(live, run.id, workers=1).held
    world.engine.finish_run(live, run.id, held=True, error=None)
    assert world.seen(run.id)["status"] == "HELD"
    assert world.engine.notice(live) is None
    assert world.engine.start_due_readings() == []


def test_health_says_what_polling_costs(world: World) -> None:
    definition = world.live(poll_interval="PT10S")
    assert any("8,640 RU a day" in said for said in world.get(f"/sync-definitions/{definition}")["health"])


@pytest.mark.parametrize("interval", ["PT9S", "P1DT1S", "-PT60S", "soon"])
def test_a_poll_interval_is_ten_seconds_to_a_day(world: World, interval: str) -> None:
    problem = world.refused("POST", "/sync-definitions", world.body(poll_interval=interval), status=422)
    assert "poll_interval" in problem["detail"]
