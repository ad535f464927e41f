"""Manual runs: an HTTP trigger of their own, because starting an orchestration takes the durable client."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import azure.durable_functions as df
import azure.functions as func

from functions import names
from functions.api.deps import caller
from functions.api.problems import problem
from functions.container import engine
from functions.starting import start_run
from shared.core.errors import ConfigurationError, SyncError
from shared.core.ids import DefinitionId
from shared.core.runs import ActiveRun, RunType
from shared.faults import describe
from shared.usecases.runs import MANUAL

blueprint = df.Blueprint()
log = logging.getLogger("syncbridge.runs")


_DIRECTIONS: Mapping[str, tuple[RunType, ...]] = {
    "push": (RunType.PUSH,),
    "ingress": (RunType.INGRESS,),
    "both": (RunType.PUSH, RunType.INGRESS),
}


@blueprint.route(route="api/v1/ops/sync/{definition}", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.MANUAL_RUN)
async def manual_run(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """202 with each run's id and status URLs; a second start while one is running answers with the running one."""
    return await _started(req, client, req.params.get("direction", "both"))


@blueprint.route(route="api/v1/ops/ingress/{definition}", methods=["POST"])
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.MANUAL_INGRESS)
async def manual_ingress(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """As `manual_run` with the direction ingress."""
    return await _started(req, client, "ingress")


async def _started(req: func.HttpRequest, client: df.DurableOrchestrationClient, direction: str) -> func.HttpResponse:
    try:
        definition = DefinitionId(_uuid(req.route_params.get("definition", "")))
        kinds = _DIRECTIONS.get(direction)
        if kinds is None:
            raise ConfigurationError("direction is push, ingress or both", code="invalid_request")
        runs = [await asyncio.to_thread(_start, definition, kind, _caller(req)) for kind in kinds]
    except SyncError as error:
        return _problem(error)
    shown = [await _shown(client, run, created=created) for run, created in runs]
    # The first run's members stand at the top too, for whoever asked for one direction.
    body = {"definition_id": str(definition), **shown[0], "runs": shown}
    headers = {"Location": shown[0]["status_url"], "Retry-After": "2"}
    return func.HttpResponse(json.dumps(body), status_code=202, mimetype="application/json", headers=headers)


async def _shown(client: df.DurableOrchestrationClient, run: ActiveRun, *, created: bool) -> dict[str, Any]:
    orchestration: dict[str, str] | None = None
    try:
        instance = await start_run(client, run)
        management = client.create_http_management_payload(instance)
        orchestration = {
            "id": instance,
            "status_url": management["statusQueryGetUri"],
            "terminate_url": management["terminatePostUri"],
        }
    except Exception as error:  # the run is queued: the next schedule tick starts what the host did not start now
        log.error("a run waits for the next tick: %s", describe(error), extra={"action": "start_failed"})  # noqa: TRY400  a traceback ends in the message
    return {
        "run_id": str(run.id),
        "run_type": run.type.value,
        "already_running": not created,
        "status_url": f"/api/v1/runs/{run.id}",
        "orchestration": orchestration,
    }


def _start(definition: DefinitionId, kind: RunType, caller: str) -> tuple[ActiveRun, bool]:
    return engine().start_run(definition, trigger=MANUAL, requested_by=caller, run_type=kind)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConfigurationError("the id of a definition is a UUID", code="invalid_request") from None


def _caller(req: func.HttpRequest) -> str:
    return caller(req.headers.get("x-ms-client-principal"), req.headers.get("x-ms-client-principal-name"))


def _problem(error: SyncError) -> func.HttpResponse:
    status, body = problem(error)
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/problem+json")
