"""Manual runs name their direction; without one both are started."""

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest

from functions import names, runs
from shared.core.errors import Conflicting
from shared.core.ids import DefinitionId, RunId
from shared.core.runs import ActiveRun, RunType

DEFINITION = UUID(int=1)
NUMBERS = {RunType.PUSH: 7, RunType.INGRESS: 8}


@dataclass
class Bridge:
    """The engine as far as it starts runs, and a durable client."""

    under_way: frozenset[RunType] = frozenset()
    refuses: bool = False
    host_is_away: bool = False
    asked: list[tuple[RunType, str]] = field(default_factory=list)
    orchestrated: list[tuple[str, bool]] = field(default_factory=list)

    def start_run(
        self, definition: DefinitionId, *, trigger: str, requested_by: str, run_type: RunType
    ) -> tuple[ActiveRun, bool]:
        assert requested_by == "function key"
        if self.refuses:
            raise Conflicting("definition 'x' is PAUSED: runs start when it is ACTIVE", code="not_active")
        self.asked.append((run_type, trigger))
        run = ActiveRun(
            id=RunId(UUID(int=NUMBERS[run_type])),
            definition=definition,
            type=run_type,
            queued=True,
            orchestration_id=None,
        )
        return run, run_type not in self.under_way

    async def get_status(self, _: str) -> Any:
        if self.host_is_away:
            raise ConnectionError("the storage account of contoso")
        return SimpleNamespace(runtime_status=None)

    async def start_new(self, orchestration: str, instance: str, order: dict[str, Any]) -> None:
        assert orchestration == names.SYNC_RUN
        self.orchestrated.append((instance, order["ingress"]))

    def create_http_management_payload(self, instance: str) -> dict[str, str]:
        return {"statusQueryGetUri": f"https://host/{instance}", "terminatePostUri": f"https://host/{instance}/end"}


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    made = Bridge()
    monkeypatch.setattr(runs, "engine", lambda: made)
    return made


def post(
    bridge: Bridge, *, ingress: bool = False, definition: str = str(DEFINITION), **query: str
) -> tuple[int, dict[str, Any], Any]:
    trigger = (runs.manual_ingress if ingress else runs.manual_run).build().get_user_function()
    request = func.HttpRequest(method="POST", url="/", params=query, route_params={"definition": definition}, body=b"")
    answer = asyncio.run(trigger.client_function(req=request, client=bridge))
    return answer.status_code, json.loads(answer.get_body()), answer.headers


PUSHED, READ = (f"run-{UUID(int=7).hex}", False), (f"run-{UUID(int=8).hex}", True)


@pytest.mark.parametrize(
    ("query", "kinds", "orchestrated"),
    [
        ({}, [RunType.PUSH, RunType.INGRESS], [PUSHED, READ]),
        ({"direction": "both"}, [RunType.PUSH, RunType.INGRESS], [PUSHED, READ]),
        ({"direction": "push"}, [RunType.PUSH], [PUSHED]),
        ({"direction": "ingress"}, [RunType.INGRESS], [READ]),
    ],
)
def test_a_run_of_each_direction_is_started_and_told_with_its_urls(bridge: Bridge, query, kinds, orchestrated):
    status, body, headers = post(bridge, **query)
    assert status == 202
    assert bridge.asked == [(kind, "MANUAL") for kind in kinds]
    assert bridge.orchestrated == orchestrated
    assert [run["run_type"] for run in body["runs"]] == [kind.value for kind in kinds]
    assert body["definition_id"] == str(DEFINITION)
    for name, value in body["runs"][0].items():
        assert body[name] == value
    assert headers["Location"] == body["runs"][0]["status_url"]
    assert body["runs"][0]["orchestration"]["status_url"] == f"https://host/{orchestrated[0][0]}"


def test_the_route_of_ingress_starts_a_reading_whatever_the_query_says(bridge: Bridge):
    _, body, _ = post(bridge, ingress=True, direction="push")
    assert [run["run_type"] for run in body["runs"]] == ["INGRESS"]


def test_one_that_is_under_way_is_answered_with(bridge: Bridge):
    bridge.under_way = frozenset({RunType.PUSH})
    _, body, _ = post(bridge)
    assert [run["already_running"] for run in body["runs"]] == [True, False]


@pytest.mark.parametrize("query", [{"direction": "PUSH"}, {"direction": ""}, {"direction": "sideways"}])
def test_another_direction_is_refused_with_those_there_are(bridge: Bridge, query):
    status, body, _ = post(bridge, **query)
    assert (status, body["detail"]) == (400, "direction is push, ingress or both")
    assert bridge.asked == []


def test_what_is_no_id_is_refused(bridge: Bridge):
    assert post(bridge, definition="x")[0] == 400


def test_a_definition_that_does_not_run_says_so(bridge: Bridge):
    bridge.refuses = True
    status, body, _ = post(bridge)
    assert (status, body["code"]) == (409, "not_active")


def test_a_host_that_does_not_start_it_now_leaves_it_to_the_next_tick(bridge: Bridge, caplog: pytest.LogCaptureFixture):
    bridge.host_is_away = True
    status, body, _ = post(bridge)
    assert status == 202
    assert [run["orchestration"] for run in body["runs"]] == [None, None]
    assert "contoso" not in caplog.text
