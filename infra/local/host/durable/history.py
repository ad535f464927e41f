"""History events in the JSON shape that the Durable extension hands to out-of-process workers.

Numbers are DurableTask.Core's ``EventType`` (github.com/Azure/durabletask, src/DurableTask.Core/History/EventType.cs).
"""

from enum import IntEnum
from typing import Any

Event = dict[str, Any]


class EventType(IntEnum):
    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_CREATED = 7
    SUB_ORCHESTRATION_COMPLETED = 8
    SUB_ORCHESTRATION_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_RAISED = 15
    SUSPENDED = 19
    RESUMED = 20


PUBLIC_NAMES = {
    EventType.EXECUTION_STARTED: "ExecutionStarted",
    EventType.EXECUTION_COMPLETED: "ExecutionCompleted",
    EventType.EXECUTION_TERMINATED: "ExecutionTerminated",
    EventType.TASK_SCHEDULED: "TaskScheduled",
    EventType.TASK_COMPLETED: "TaskCompleted",
    EventType.TASK_FAILED: "TaskFailed",
    EventType.SUB_ORCHESTRATION_CREATED: "SubOrchestrationInstanceCreated",
    EventType.SUB_ORCHESTRATION_COMPLETED: "SubOrchestrationInstanceCompleted",
    EventType.SUB_ORCHESTRATION_FAILED: "SubOrchestrationInstanceFailed",
    EventType.TIMER_CREATED: "TimerCreated",
    EventType.TIMER_FIRED: "TimerFired",
    EventType.ORCHESTRATOR_STARTED: "OrchestratorStarted",
    EventType.ORCHESTRATOR_COMPLETED: "OrchestratorCompleted",
    EventType.EVENT_RAISED: "EventRaised",
    EventType.SUSPENDED: "ExecutionSuspended",
    EventType.RESUMED: "ExecutionResumed",
}


def event(kind: EventType, event_id: int = -1, **fields: Any) -> Event:
    """One event. ``Timestamp`` and ``IsPlayed`` are filled in when an episode takes it up."""
    return {"EventType": int(kind), "EventId": event_id, **fields}


def execution_started(
    *, instance: str, execution: str, name: str, input_: str | None, version: str | None, parent: Event | None
) -> Event:
    """The event that begins a lap; the SDK reads ``Version`` without asking whether it is there."""
    return event(
        EventType.EXECUTION_STARTED,
        Name=name,
        Input=input_,
        Version=version,
        Tags=None,
        OrchestrationInstance={"InstanceId": instance, "ExecutionId": execution},
        ParentInstance=parent,
    )


def public_history(events: list[Event], *, outputs: bool) -> list[Event]:
    """What ``showHistory`` answers: scheduling events folded into their completions, bookkeeping events left out.

    Follows DurableOrchestrationStatus of the Durable extension: a completion carries FunctionName and ScheduledTime.
    """
    scheduled = {e["EventId"]: e for e in events if e["EventType"] in _SCHEDULING}
    done = {e.get("TaskScheduledId", e.get("TimerId")) for e in events if e["EventType"] in _COMPLETING}
    answer = []
    for e in events:
        kind = EventType(e["EventType"])
        if kind in _HIDDEN or (kind in _SCHEDULING and e["EventId"] in done):
            continue
        shown = {k: v for k, v in e.items() if k in _SHOWN and (outputs or k not in ("Result", "Output"))}
        shown["EventType"] = PUBLIC_NAMES[kind]
        cause = scheduled.get(e.get("TaskScheduledId", e.get("TimerId"))) if kind in _COMPLETING else None
        if cause is not None:
            shown["ScheduledTime"] = cause.get("Timestamp")
            if cause.get("Name"):
                shown["FunctionName"] = cause["Name"]
        if kind is EventType.EXECUTION_STARTED:
            shown["FunctionName"] = e["Name"]
        answer.append(shown)
    return answer


_SCHEDULING = {EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_CREATED, EventType.TIMER_CREATED}
_COMPLETING = {
    EventType.TASK_COMPLETED,
    EventType.TASK_FAILED,
    EventType.SUB_ORCHESTRATION_COMPLETED,
    EventType.SUB_ORCHESTRATION_FAILED,
    EventType.TIMER_FIRED,
}
_HIDDEN = {EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED}
_SHOWN = {
    "EventType",
    "Timestamp",
    "Name",
    "Result",
    "Reason",
    "Details",
    "FireAt",
    "InstanceId",
    "OrchestrationStatus",
}
