"""Runs: what was done, what it cost, what failed and why; progress while one is under way."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from functions.api.deps import Actor, TheEngine
from functions.api.schemas import RunOut
from shared.core.ids import DefinitionId, RunId

router = APIRouter(prefix="/runs", tags=["runs"])


@router.get("")
def runs(
    engine: TheEngine,
    definition_id: UUID | None = None,
    status: Annotated[str | None, Query(pattern="^[A-Z_]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RunOut]:
    wanted = None if definition_id is None else DefinitionId(definition_id)
    return [RunOut(**engine.run_view(record)) for record in engine.stores.runs.list(wanted, status=status, limit=limit)]


@router.get("/{run_id}")
def run(run_id: UUID, engine: TheEngine) -> RunOut:
    """With the backlog and an estimate of the time left while it is under way. `notes` say why it did what it did."""
    return RunOut(**engine.run_view(engine.stores.runs.get(RunId(run_id)), progress=True))


@router.get("/{run_id}/failures")
def failures(
    run_id: UUID, engine: TheEngine, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """The subjects that this run set aside, each with its reason."""
    return [dict(failure) for failure in engine.stores.runs.failures(RunId(run_id), limit=limit)]


@router.post("/{run_id}/cancel")
def cancel(run_id: UUID, engine: TheEngine, actor: Actor) -> RunOut:
    """The run stops at its next page; what is left stays in the backlog for the next one."""
    return RunOut(**engine.run_view(engine.cancel_run(RunId(run_id), actor=actor)))
