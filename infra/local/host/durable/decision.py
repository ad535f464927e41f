"""What goes into one replay (the SDK's answer) and what comes out of it (what to schedule, and how the instance stands)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from infra.local.host.clock import iso
from infra.local.host.durable.history import Event, EventType

MAX_CUSTOM_STATUS_BYTES = 16 * 1024  # UTF-16, as the extension counts

Kind = Literal["activity", "timer", "sub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """One thing to start: an activity, a timer or a sub-orchestration, under DurableTask's id."""

    id: int
    kind: Kind
    name: str | None = None
    input: Any = None
    instance_id: str | None = None
    version: str | None = None
    fire_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The instance goes on waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    output: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """``reason`` is what the status shows as output; ``details`` goes into the parent's failure event."""

    reason: str
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuedAsNew:
    """The next lap's input, and the external events that it inherits."""

    input: Any
    carried: tuple[Event, ...]


Outcome = Running | Completed | Failed | Terminated | ContinuedAsNew


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    outcome: Outcome
    schedule: tuple[Scheduled, ...] = ()
    suspended: bool = False
    custom_status: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one call of the orchestrator function gave back. ``crash``: it raised without the SDK's envelope."""

    actions: tuple[tuple[Mapping[str, Any], ...], ...] = ((),)
    schema: int = 1
    is_done: bool = False
    output: Any = None
    error: str | None = None
    custom_status: Any = None
    stack: str = ""
    crash: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any], stack: str = "") -> "Answer":
        """The SDK's answer: ``{isDone, actions, schemaVersion, output?, error?, customStatus?}``."""
        return cls(
            actions=tuple(tuple(group) for group in document["actions"]),
            schema=int(document.get("schemaVersion", 0)),
            is_done=bool(document.get("isDone")),
            output=document.get("output"),
            error=document.get("error"),
            custom_status=document.get("customStatus"),
            stack=stack,
        )


def custom_status_error(status: Any) -> str | None:
    """The sentence for a custom status that is too large, else None."""
    if status is None:
        return None
    size = len(json.dumps(status).encode("utf-16-le"))
    if size <= MAX_CUSTOM_STATUS_BYTES:
        return None
    return f"the custom status has {size} bytes as UTF-16, the limit is {MAX_CUSTOM_STATUS_BYTES}"


def scheduled_event(item: Scheduled, timestamp: str) -> Event:
    """The history event that records one scheduled thing."""
    base: Event = {"EventId": item.id, "IsPlayed": False, "Timestamp": timestamp}
    match item.kind:
        case "activity":
            return base | {
                "EventType": int(EventType.TASK_SCHEDULED),
                "Name": item.name,
                "Version": "",
                "Input": item.input,
            }
        case "timer":
            at = iso(item.fire_at) if item.fire_at else None
            return base | {"EventType": int(EventType.TIMER_CREATED), "FireAt": at}
        case "sub":
            return base | {
                "EventType": int(EventType.SUB_ORCHESTRATION_CREATED),
                "Name": item.name,
                "InstanceId": item.instance_id,
                "Input": item.input,
                "Version": item.version,
            }
