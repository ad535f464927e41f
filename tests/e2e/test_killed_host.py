"""A push through the Functions host, with the host killed on the way, or the run's activities by the host."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.local.demo import setup
from infra.local.demo.acts.push import push
from infra.local.demo.work import Work, difference
from infra.local.sharepoint import SITE_ZONE
from tests.e2e.stand import AFTER_THE_WRITE, ROWS, WHILE_IT_SCANS, Running, defined
from tests.host.running import until

pytestmark = pytest.mark.slow

EXECUTION_STARTED, EXECUTION_COMPLETED, TASK_SCHEDULED, TASK_COMPLETED, TASK_FAILED = 0, 1, 4, 5, 6
TIMER_CREATED, TIMER_FIRED = 10, 11


def of(history: Sequence[dict[str, Any]], kind: int) -> list[dict[str, Any]]:
    return [event for event in history if event["EventType"] == kind]


def waits_between_activities(history: Sequence[dict[str, Any]]) -> bool:
    """Settled at least once, nothing scheduled is unfinished, and a timer is running."""
    assert not of(history, EXECUTION_COMPLETED), "the run ended before it could be disturbed"
    settled = [event for event in of(history, TASK_SCHEDULED) if event["Name"] == "settle_backlog"]
    idle = len(of(history, TASK_SCHEDULED)) == len(of(history, TASK_COMPLETED))
    return bool(settled) and idle and len(of(history, TIMER_CREATED)) == len(of(history, TIMER_FIRED)) + 1


def is_inside_settle(history: Sequence[dict[str, Any]]) -> bool:
    assert not of(history, EXECUTION_COMPLETED), "the run ended before it could be disturbed"
    done = {event["TaskScheduledId"] for event in of(history, TASK_COMPLETED)}
    return any(
        event["Name"] == "settle_backlog" and event["EventId"] not in done for event in of(history, TASK_SCHEDULED)
    )


def seen(running: Running, instance: str, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while not wanted(history := running.history(instance)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return history


def test_the_schedule_tick_starts_what_is_due_in_the_host(alone):
    work = alone.work()
    definition = defined(alone, work, name="Ticked", list_name="Ticked")
    setup.provision(work, definition)

    alone.tick()

    [run] = [run for run in work.api.get("/runs", definition_id=definition) if run["run_type"] == "PUSH"]
    assert run["trigger"] == "SCHEDULE"
    ended = work.api.finished(run["id"], seconds=120)
    assert (ended["status"], ended["created"]) == ("COMPLETED", ROWS)


def test_a_push_whose_host_is_killed_between_and_inside_activities_ends_equal_with_one_gapless_history(running):
    work = running.work()
    definition = defined(running, work)
    ready = setup.provision(work, definition)

    started = work.api.post(f"/ops/sync/{definition}", direction="push")
    instance = started["orchestration"]["id"]
    before = running.kill_host_where(instance, waits_between_activities)
    running.start_host()

    after = seen(running, instance, lambda history: len(history) > len(before))
    assert after[: len(before)] == before
    assert of(after[len(before) :], TIMER_FIRED), "the wait goes on where it was"

    running.kill_host_where(instance, is_inside_settle)
    running.start_host()

    run = work.api.finished(started["run_id"], seconds=120)
    assert (run["status"], run["items_failed"]) == ("COMPLETED", 0)

    history = running.history(instance)
    scheduled = [event["EventId"] for event in of(history, TASK_SCHEDULED)]
    completed = [event["TaskScheduledId"] for event in of(history, TASK_COMPLETED)]
    assert sorted(completed) == sorted(scheduled) == sorted(set(scheduled))
    assert history[: len(after)] == after
    assert [len(of(history, kind)) for kind in (EXECUTION_STARTED, EXECUTION_COMPLETED)] == [1, 1]
    assert len(of(history, TIMER_CREATED)) == len(of(history, TIMER_FIRED))

    equal_and_quiet(running, work, definition, ready)


def test_activities_that_run_over_their_time_are_done_again_by_the_same_run(alone):
    """The threads that the host gave up go on once the lock is free: one meets the next attempt at the tables of its scan,
    one has made items and confirms them late."""
    work = alone.work()
    definition = defined(alone, work, name="Slow", list_name="Slow")
    ready = setup.provision(work, definition)

    with alone.short_of_time() as ended:
        with alone.held(WHILE_IT_SCANS):
            started = work.api.post(f"/ops/sync/{definition}", direction="push")
            until(lambda: ended("capture_source") and alone.waiting() >= 2)
        with alone.held(AFTER_THE_WRITE):
            until(lambda: ended("settle_backlog"))
        run = work.api.finished(started["run_id"], seconds=120)
    assert (run["status"], run["items_failed"]) == ("COMPLETED", 0)
    assert len(of(alone.history(started["orchestration"]["id"]), TASK_FAILED)) >= 2
    assert work.api.get("/holds", definition_id=definition) == []
    equal_and_quiet(alone, work, definition, ready)


def equal_and_quiet(running: Running, work: Work, definition: str, ready: setup.Ready) -> None:
    """One item per row, and nothing left to write."""
    with closing(work.graph(running.stack.tenant)) as graph:
        found = difference(
            work,
            graph,
            rows="from business.projects",
            site=ready.site,
            list_id=ready.list_id,
            pairs=ready.pairs,
            key=ready.pair("id"),
            zone=ZoneInfo(SITE_ZONE),
        )
    assert found.equal, found
    assert (found.rows, found.items) == (ROWS, ROWS)
    push(work, definition, "a second push writes nothing")
