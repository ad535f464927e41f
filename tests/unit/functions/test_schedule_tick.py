"""What a tick does about each run that has not ended."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import azure.durable_functions as df
import pytest

from functions import names, timers
from shared.core.ids import DefinitionId, RunId
from shared.core.runs import ActiveRun, RunType

Status = df.OrchestrationRuntimeStatus


@dataclass
class Host:
    """A durable client that knows one instance at most, and the engine, as far as a tick asks them."""

    status: Status | None
    started: list[str] = field(default_factory=list)
    abandoned: list[RunId] = field(default_factory=list)

    async def get_status(self, instance: str) -> Any:
        assert instance == f"run-{UUID(int=7).hex}"
        return SimpleNamespace(runtime_status=self.status)

    async def start_new(self, orchestration: str, instance: str, _: object) -> str:
        assert orchestration == names.SYNC_RUN
        self.started.append(instance)
        return instance

    def abandon_run(self, _: DefinitionId, run: RunId) -> None:
        self.abandoned.append(run)


def looked_after(status: Status | None, *, queued: bool) -> tuple[int, int]:
    """How many orchestrations were started, and how many runs given up."""
    host = Host(status)
    run = ActiveRun(
        id=RunId(UUID(int=7)),
        definition=DefinitionId(UUID(int=1)),
        type=RunType.PUSH,
        queued=queued,
        orchestration_id=None,
    )
    asyncio.run(timers._look_after(cast("Any", host), cast("Any", host), run))
    return len(host.started), len(host.abandoned)


@pytest.mark.parametrize("status", [Status.Running, Status.Pending, Status.ContinuedAsNew, Status.Suspended])
@pytest.mark.parametrize("queued", [True, False])
def test_a_run_whose_orchestration_is_there_is_left_alone(status: Status, *, queued: bool):
    assert looked_after(status, queued=queued) == (0, 0)


def test_a_queued_run_that_the_host_never_heard_of_is_started():
    assert looked_after(None, queued=True) == (1, 0)


def test_a_running_run_whose_orchestration_is_gone_is_given_up():
    assert looked_after(None, queued=False) == (0, 1)


@pytest.mark.parametrize("status", [Status.Completed, Status.Failed, Status.Terminated])
@pytest.mark.parametrize("queued", [True, False])
def test_a_run_whose_orchestration_has_ended_without_it_is_given_up(status: Status, *, queued: bool):
    assert looked_after(status, queued=queued) == (0, 1)


def test_one_runs_trouble_does_not_stop_the_tick_and_is_logged(caplog: pytest.LogCaptureFixture):
    async def trouble() -> None:
        raise ConnectionError("the storage account of contoso")

    asyncio.run(timers._carefully(trouble()))
    [record] = caplog.records
    assert getattr(record, "action") == "tick_failed"  # noqa: B009  mypy knows no extra attributes


def test_the_host_forgets_completed_orchestrations_after_their_time_and_others_when_their_runs_go(
    monkeypatch: pytest.MonkeyPatch,
):
    now = datetime(2026, 3, 10, tzinfo=UTC)
    asked: list[tuple[Any, Any, list[Status]]] = []

    class Client:
        async def purge_instance_history_by(
            self, created_time_from: Any, created_time_to: Any, runtime_status: Any
        ) -> Any:
            asked.append((created_time_from, created_time_to, runtime_status))
            return SimpleNamespace(instances_deleted=3)

    kept = SimpleNamespace(retain_history=timedelta(days=7), retain_runs=timedelta(days=90))
    bridge = SimpleNamespace(settings=kept, clock=SimpleNamespace(now=lambda: now))
    monkeypatch.setattr(timers, "engine", lambda: bridge)
    asyncio.run(timers.purge_history.build().get_user_function().client_function(timer=None, client=Client()))
    assert [(until, kinds) for _, until, kinds in asked] == [
        (now - timedelta(days=7), [Status.Completed]),
        (now - timedelta(days=90), [Status.Failed, Status.Terminated, Status.Canceled]),
    ]
    assert all(since is not None for since, _, _ in asked)  # the client takes no open beginning


@dataclass
class Ticking:
    """The engine and the host as far as a whole tick asks them; each step notes that it came, and one of them fails."""

    done: list[str] = field(default_factory=list)

    def unfinished_runs(self) -> list[ActiveRun]:
        return []

    def start_due_runs(self) -> list[ActiveRun]:
        self.done.append("runs")
        return []

    def start_due_readings(self) -> list[ActiveRun]:
        self.done.append("readings")
        return []

    def look_after_streams(self) -> list[ActiveRun]:
        self.done.append("streams")
        return []

    def look_after_subscriptions(self) -> None:
        self.done.append("subscriptions")
        raise ConnectionError("Graph is away")

    def housekeeping(self) -> None:
        self.done.append("housekeeping")


def test_graph_is_asked_last_its_trouble_stops_nothing_and_what_it_noticed_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
):
    ticking = Ticking()
    monkeypatch.setattr(timers, "engine", lambda: ticking)
    tick = timers.schedule_tick.build().get_user_function()
    asyncio.run(tick.client_function(timer=None, client=ticking))
    assert ticking.done == ["runs", "readings", "streams", "subscriptions", "readings", "housekeeping"]
