"""A push through the Functions host, with the host killed on the way."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from infra.local.demo import setup
from infra.local.demo.acts.push import push
from infra.local.demo.http import Api
from infra.local.demo.report import Report
from infra.local.demo.work import Work, difference
from infra.local.sample.generate import Counts
from infra.local.sharepoint import SITE_ZONE
from infra.local.stack import Options, Stack, bring_up, start_host
from infra.local.state import load
from infra.local.supervisor import Supervisor

pytestmark = pytest.mark.slow

EXECUTION_STARTED, EXECUTION_COMPLETED, TASK_SCHEDULED, TASK_COMPLETED, TIMER_CREATED, TIMER_FIRED = 0, 1, 4, 5, 10, 11
COLUMNS = ("id", "code", "name", "status", "budget", "starts_on", "kickoff_at", "notes")
ROWS = 150
# Leases and waits for lost answers that end within the test; what a killed worker held is free again soon.
SETTINGS = {
    "SYNCBRIDGE_LEASE_SECONDS": "8",
    "SYNCBRIDGE_REQUEST_SECONDS": "4",
    "SYNCBRIDGE_SURFACE_SECONDS": "4",
    "SYNCBRIDGE_PAGE_SIZE": "40",
}


@dataclass
class Running:
    """The stack, and its host's life."""

    stack: Stack
    supervisor: Supervisor
    options: Options

    def work(self) -> Work:
        return Work(stack=self.stack, api=Api(self.stack.api_url, self.stack.state.host_key), report=Report())

    def kill_host(self) -> float:
        """When it was dead, as seconds since 1970."""
        self.stack.host.process.kill()
        self.stack.host.process.wait()
        return time.time()

    def start_host(self) -> None:
        host = start_host(self.stack.state, self.stack.settings, self.options)
        self.supervisor.add(host)
        self.stack = replace(self.stack, host=host)

    def history(self, instance: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.stack.host_url}/admin/local/history/{instance}",
            headers={"x-functions-key": self.stack.state.host_key},
        )
        return answer.raise_for_status().json()


@pytest.fixture
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="syncbridge-e2e-") as directory:
        Path(directory).chmod(0o711)
        supervisor = Supervisor()
        # The smallest tier: the run has to wait for its budget, in durable timers between the activities.
        options = Options(durable=False, counts=Counts.for_projects(ROWS), settings=SETTINGS)
        try:
            stack = bring_up(load(Path(directory) / "stack"), supervisor, options, print)
            yield Running(stack, supervisor, options)
        finally:
            supervisor.stop_all()


def of(history: Sequence[dict[str, Any]], kind: int) -> list[dict[str, Any]]:
    return [event for event in history if event["EventType"] == kind]


def waits_between_activities(history: Sequence[dict[str, Any]]) -> bool:
    """Settled at least once, nothing scheduled is unfinished, and a timer is running."""
    settled = [event for event in of(history, TASK_SCHEDULED) if event["Name"] == "settle_backlog"]
    idle = len(of(history, TASK_SCHEDULED)) == len(of(history, TASK_COMPLETED))
    return bool(settled) and idle and len(of(history, TIMER_CREATED)) == len(of(history, TIMER_FIRED)) + 1


def is_inside_settle(history: Sequence[dict[str, Any]]) -> bool:
    done = {event["TaskScheduledId"] for event in of(history, TASK_COMPLETED)}
    return any(
        event["Name"] == "settle_backlog" and event["EventId"] not in done for event in of(history, TASK_SCHEDULED)
    )


def seen(running: Running, instance: str, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while not wanted(history := running.history(instance)):
        assert not of(history, EXECUTION_COMPLETED), "the run ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return history


def defined(running: Running, work: Work) -> str:
    """A definition of the projects; its id."""
    connection = setup.register_sharepoint(work, running.stack.tenant)
    return setup.define(
        work,
        {
            "name": "Projects",
            "source_instance_id": setup.register_database(work),
            "source_schema": "business",
            "source_table_name": "projects",
            "sharepoint_connection_id": connection,
            "site_id": setup.find_site(work, connection),
            "list_name": "Projects",
            "field_mappings": setup.mappings(COLUMNS, title="name"),
        },
    )["id"]


def test_the_schedule_tick_starts_what_is_due_in_the_host(running):
    work = running.work()
    definition = defined(running, work)
    setup.provision(work, definition)

    httpx.post(
        f"{running.stack.host_url}/admin/functions/schedule_tick",
        headers={"x-functions-key": running.stack.state.host_key},
        json={"input": ""},
        timeout=60,
    ).raise_for_status()

    [run] = work.api.get("/runs", definition_id=definition)
    assert run["trigger"] == "SCHEDULE"
    ended = work.api.finished(run["id"], seconds=120)
    assert (ended["status"], ended["created"]) == ("COMPLETED", ROWS)
    work.api.close()


def test_a_push_whose_host_is_killed_between_and_inside_activities_ends_equal_with_one_gapless_history(running):
    work = running.work()
    definition = defined(running, work)
    ready = setup.provision(work, definition)

    started = work.api.post(f"/ops/sync/{definition}")
    instance = started["orchestration"]["id"]
    before = seen(running, instance, waits_between_activities)
    killed_at = running.kill_host()
    running.start_host()

    after = seen(running, instance, lambda history: len(history) > len(before))
    assert after[: len(before)] == before
    fired = of(after[len(before) :], TIMER_FIRED)[0]
    assert datetime.fromisoformat(fired["Timestamp"]).timestamp() > killed_at, "the host died too late"

    seen(running, instance, is_inside_settle)
    running.kill_host()
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

    graph = work.graph(running.stack.tenant)
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
    graph.close()
    assert found.equal, found
    assert (found.rows, found.items) == (ROWS, ROWS)
    push(work, definition, "a second push writes nothing")
    work.api.close()
