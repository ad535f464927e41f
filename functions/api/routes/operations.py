"""Operating a definition: backlog, parked rows, holds, deletes that wait, conflicts, backfills."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from functions.api.at_once import at_once
from functions.api.deps import Actor, TheEngine
from functions.api.schemas import BackfillIn, Release, SubjectChoice
from shared.core.backlog import Reason, SubjectState
from shared.core.definition import DefinitionState
from shared.core.errors import Conflicting
from shared.core.ids import DefinitionId, Identity, identity_of
from shared.core.scope_text import parse
from shared.engine import Engine

router = APIRouter(tags=["operations"])

ConflictState = Literal["PENDING", "FINAL", "VOID", "REVERSING", "REVERSED"]
Limit = Query(default=100, ge=1, le=1000)


@router.get("/sync-definitions/{definition_id}/backlog")
def backlog(definition_id: UUID, engine: TheEngine) -> dict[str, Any]:
    """What is due, what waits and for what; `oldest_marked_at` is the lag."""
    return engine.backlog_of(DefinitionId(definition_id))


@router.get("/sync-definitions/{definition_id}/parked")
def parked(definition_id: UUID, engine: TheEngine, limit: int = Limit) -> list[dict[str, Any]]:
    """Rows that could not be written, each with its reason and its next try."""
    known = _known(engine, definition_id)
    return _plain(engine.stores.runs.subjects(known, SubjectState.PARKED, limit=limit))


@router.post("/sync-definitions/{definition_id}/parked/retry")
def retry(definition_id: UUID, body: SubjectChoice, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """They are tried again at once: `run` says when."""
    known = _known(engine, definition_id)
    released = engine.stores.holds.release_subjects(
        known,
        SubjectState.PARKED,
        None if body.all else [Identity(text) for text in body.keys],
        approve=False,
        actor=actor,
    )
    return {"due": released, "run": at_once(engine, known) if released else None}


@router.get("/sync-definitions/{definition_id}/awaiting-approval")
def awaiting(definition_id: UUID, engine: TheEngine, limit: int = Limit) -> list[dict[str, Any]]:
    """Deletes that a guard or a policy holds back; they leave by themselves when the row is back."""
    known = _known(engine, definition_id)
    return _plain(engine.stores.runs.subjects(known, SubjectState.AWAITING_APPROVAL, limit=limit))


@router.post("/sync-definitions/{definition_id}/awaiting-approval/approve")
def approve(definition_id: UUID, body: SubjectChoice, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """They are carried out at once: `run` says when."""
    known = _known(engine, definition_id)
    approved = engine.stores.holds.release_subjects(
        known,
        SubjectState.AWAITING_APPROVAL,
        None if body.all else [Identity(text) for text in body.keys],
        approve=True,
        actor=actor,
    )
    return {"approved": approved, "run": at_once(engine, known) if approved else None}


@router.post("/sync-definitions/{definition_id}/awaiting-approval/reject")
def reject(definition_id: UUID, body: SubjectChoice, engine: TheEngine, actor: Actor) -> dict[str, int]:
    """The items stay; a row that comes back is merged with its item."""
    rejected = engine.stores.holds.reject_subjects(
        _known(engine, definition_id), None if body.all else [Identity(text) for text in body.keys], actor=actor
    )
    return {"rejected": rejected}


@router.get("/holds")
def holds(engine: TheEngine, definition_id: UUID | None = None, *, released: bool = False) -> list[dict[str, Any]]:
    """Open holds, each with a plain explanation; a definition with one that is not `deletes_only` writes nothing."""
    wanted = None if definition_id is None else _known(engine, definition_id)
    return _plain(engine.stores.holds.list(wanted, released=released))


@router.post("/holds/{hold_id}/release")
def release(hold_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """Only a person releases a hold. The same guard lets the next run pass, for one hour. That run begins at once: `run`
    says when."""
    released = engine.release_hold(hold_id, reason=body.reason, actor=actor)
    return released | {"run": at_once(engine, DefinitionId(released["definition_id"]), push=True)}


@router.get("/conflicts")
def conflicts(
    engine: TheEngine,
    definition_id: UUID | None = None,
    state: ConflictState | None = None,
    column: Annotated[str, Query(max_length=63)] | None = None,
    winner: Literal["ROW", "ITEM"] | None = None,
    key: Annotated[str, Query(max_length=4000)] | None = None,
    limit: int = Limit,
) -> list[dict[str, Any]]:
    """Values that lost, the newest first: whose, in which column, who won and why, what was agreed before (digests), who
    edited the item and when, the row's own time and the transaction that had written it. `key` is an identity. Without
    `state` those that never happened (VOID) are left out."""
    wanted = None if definition_id is None else _known(engine, definition_id)
    return _plain(
        engine.stores.conflicts.list(wanted, state=state, column=column, winner=winner, identity=key, limit=limit)
    )


@router.get("/conflicts/{conflict_id}")
def conflict(conflict_id: UUID, engine: TheEngine) -> dict[str, Any]:
    return dict(engine.stores.conflicts.get(conflict_id))


@router.post("/conflicts/{conflict_id}/reverse", status_code=202)
def reverse(conflict_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """The value that lost is wanted back: it is written to the row and to the item, as a new edit; `run` says when. What it
    overwrites becomes a conflict of its own. Fields of one group come back together."""
    reversing = [str(changed) for changed in engine.reverse_conflict(conflict_id, actor=actor)]
    definition = DefinitionId(engine.stores.conflicts.get(conflict_id)["definition_id"])
    return {"reversing": reversing, "run": at_once(engine, definition)}


@router.delete("/conflicts/{conflict_id}/reverse")
def withdraw(conflict_id: UUID, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """The value is not wanted back any more; only while it is not back yet."""
    return {"withdrawn": [str(changed) for changed in engine.withdraw_reversal(conflict_id, actor=actor)]}


@router.post("/ops/sync/{definition_id}/backfill", status_code=202)
def backfill(definition_id: UUID, body: BackfillIn, engine: TheEngine) -> dict[str, Any]:
    """Marks rows by hand: by key, by condition, or all of them. The run that settles them begins at once: `run` says when.
    No cursor moves."""
    definition = _live(engine, definition_id)
    if body.keys:
        identities = [identity_of(key) for key in body.keys]
        marked = engine.mark_keys(definition, identities, reason=Reason.BACKFILL)
    else:
        condition = None if body.row_filter is None else parse(body.row_filter)
        marked = engine.mark_rows(definition, condition, reason=Reason.BACKFILL)
    return {"marked": marked, "run": at_once(engine, definition, push=True) if marked else None}


@router.get("/audit")
def audit(engine: TheEngine, subject_id: str | None = None, limit: int = Limit) -> list[dict[str, Any]]:
    """Who changed what in the configuration, the newest first."""
    return [
        {
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "subject_kind": entry.subject_kind,
            "subject_id": entry.subject_id,
            "before": entry.before,
            "after": entry.after,
        }
        for entry in engine.stores.audit.entries(subject_id=subject_id, limit=limit)
    ]


def _known(engine: Engine, definition_id: UUID) -> DefinitionId:
    return engine.stores.definitions.get(DefinitionId(definition_id)).id


def _live(engine: Engine, definition_id: UUID) -> DefinitionId:
    record = engine.stores.definitions.get(DefinitionId(definition_id))
    if record.state is DefinitionState.DELETED:
        raise Conflicting(f"definition {record.name!r} is deleted", code="definition_state")
    return record.id


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
