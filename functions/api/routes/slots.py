"""Operating change streams: slots and what they cost the source, and messages that were set aside."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Query

from functions import names
from functions.api.deps import Actor, TheEngine
from functions.api.schemas import Release, SlotBudget, SlotMove, SlotThrottle, SlotWanted
from shared.core.ids import InstanceId
from shared.core.replication import parse_lsn
from shared.core.slots import ParkedMessage

router = APIRouter(prefix="/ops", tags=["change streams"])

Limit = Query(default=100, ge=1, le=1000)


@router.get("/slots")
def slots(engine: TheEngine) -> list[dict[str, Any]]:
    """Every slot: who reads it, how far behind it is in bytes and in seconds, and which definitions stream through it."""
    return [engine.slot_view(record) for record in engine.stores.streams.slots()]


@router.get("/slots/{instance_id}")
def slot(instance_id: UUID, engine: TheEngine) -> dict[str, Any]:
    return engine.slot_view(engine.slot_of(InstanceId(instance_id)))


@router.post("/slots/{instance_id}/create", status_code=202)
def create(instance_id: UUID, body: SlotWanted, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """A slot that was dropped, or broke, is made anew by the poller; a scan of every definition follows."""
    made = engine.create_slot(InstanceId(instance_id), body.slot, reason=body.reason, actor=actor)
    return engine.slot_view(made)


@router.post("/slots/{instance_id}/drop")
def drop(instance_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """The source keeps nothing for it any more. Nobody makes it again before `create`; scheduled runs scan as before."""
    return engine.slot_view(engine.drop_slot(InstanceId(instance_id), reason=body.reason, actor=actor))


@router.post("/slots/{instance_id}/advance")
def advance(instance_id: UUID, body: SlotMove, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """Changes before the position are passed over by the stream; a scan of every definition follows and finds them."""
    to = None if body.lsn is None else parse_lsn(body.lsn)
    return engine.slot_view(engine.advance_slot(InstanceId(instance_id), to, reason=body.reason, actor=actor))


@router.post("/slots/{instance_id}/pause")
def pause(instance_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """The source keeps its log meanwhile: the byte budget goes on counting."""
    return _controls(engine, instance_id, "stream paused", body.reason, actor, pause=True)


@router.post("/slots/{instance_id}/resume")
def resume(instance_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    return _controls(engine, instance_id, "stream resumed", body.reason, actor, pause=False)


@router.post("/slots/{instance_id}/throttle")
def throttle(instance_id: UUID, body: SlotThrottle, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    return _controls(engine, instance_id, "stream throttled", body.reason, actor, throttle=(body.most_per_second,))


@router.post("/slots/{instance_id}/budget")
def budget(instance_id: UUID, body: SlotBudget, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """ALERT says so; PAUSE_OTHERS lets no other scheduled run start; DROP gives the slot up, and a scan makes up for it."""
    return _controls(
        engine, instance_id, "slot budget", body.reason, actor, budget=body.bytes, budget_action=body.action
    )


@router.get("/queues")
def queues(engine: TheEngine) -> list[dict[str, Any]]:
    """Each queue: how many messages wait, what became of those that failed again and again, and what to do about them."""
    return [engine.queue_view(name) for name in (names.CDC_CHANGES, names.GRAPH_NOTIFICATIONS)]


@router.get("/changes/parked")
def parked(engine: TheEngine, limit: int = Limit, *, decided: bool = False) -> list[dict[str, Any]]:
    """Messages that could not be used, each with its reason."""
    return [_message(found) for found in engine.stores.streams.parked(decided=decided, limit=limit)]


@router.post("/changes/parked/{message_id}/replay", status_code=202)
def replay(message_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """Back into the queue, as it was."""
    engine.replay_message(message_id, reason=body.reason, actor=actor)
    return _message(engine.stores.streams.parked_message(message_id))


@router.post("/changes/parked/{message_id}/discard")
def discard(message_id: UUID, body: Release, engine: TheEngine, actor: Actor) -> dict[str, Any]:
    """It stays on record; the scheduled scan finds what it may have been about."""
    engine.stores.streams.parked_message(message_id)
    engine.stores.streams.decide(message_id, "DISCARDED", reason=body.reason, actor=actor)
    return _message(engine.stores.streams.parked_message(message_id))


def _controls(
    engine: TheEngine, instance_id: UUID, action: str, reason: str, actor: str, **changes: Any
) -> dict[str, Any]:
    record = engine.slot_of(InstanceId(instance_id))
    changed = engine.stores.streams.set_controls(record.instance, reason=reason, actor=actor, action=action, **changes)
    return engine.slot_view(changed)


def _message(found: ParkedMessage) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "queue": found.queue,
        "code": found.code,
        "reason": found.reason,
        "bytes": len(found.body.encode()),
        "parked_at": found.parked_at,
        "state": found.state,
    }
