"""What the Durable extension and DurableTask.Core decide from a history and the SDK's answer. Pure: no I/O, no clock.

The out-of-process shim of the extension invokes every action of the answer again, from the first one, inside an
ordinary DurableTask.Core orchestration, and awaits each before it invokes the next; DurableTask.Core gives out ids in
the order of invocation. This module does the same with generators in place of .NET tasks. Sources:
github.com/Azure/azure-functions-durable-extension (OutOfProcOrchestrationShim.cs, DurableOrchestrationContext.cs) and
github.com/Azure/durabletask (TaskOrchestrationExecutor.cs, TaskOrchestrationContext.cs, RetryInterceptor.cs).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from infra.local.host.clock import parse_iso
from infra.local.host.durable.decision import (
    Answer,
    Completed,
    ContinuedAsNew,
    Decision,
    Failed,
    Kind,
    Outcome,
    Running,
    Scheduled,
    Terminated,
)
from infra.local.host.durable.history import Event, EventType
from infra.local.host.durable.tasks import Future, Steps, TaskError, spawn, when_all, when_any

MAX_SHORT_TIMER = timedelta(days=6)
LONG_TIMER_STEP = timedelta(days=3)

_KIND_OF = {
    EventType.TASK_SCHEDULED: "activity",
    EventType.TIMER_CREATED: "timer",
    EventType.SUB_ORCHESTRATION_CREATED: "sub",
}
_WORDS = {"activity": "an activity task", "timer": "a timer task", "sub": "a sub-orchestration task"}


class ActionType(IntEnum):
    """``actionType`` of the SDK's answer."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    WHEN_ANY = 11
    WHEN_ALL = 12


class _NonDeterminism(Exception):
    """The code does not schedule what the history says it scheduled."""


@dataclass(slots=True)
class Replay:
    """One pass over a history. Make a new one for each episode; ask :meth:`run` once."""

    name: str
    execution_id: str
    answer: Answer
    _next_id: int = 0
    _now: datetime | None = None
    _open: dict[int, Future] = field(default_factory=dict)
    _pending: dict[int, Scheduled] = field(default_factory=dict)
    _waiting: dict[str, list[Future]] = field(default_factory=dict)
    _buffered: dict[str, list[Event]] = field(default_factory=dict)
    _held: list[Event] = field(default_factory=list)
    _carried: list[Event] = field(default_factory=list)
    _suspended: bool = False
    _lap: tuple[Any] | None = None
    _terminated: Event | None = None
    _main: Future | None = None

    def run(self, past: Iterable[Event], new: Iterable[Event]) -> Decision:
        """Past events first, then the new ones; what is then still unscheduled is to be scheduled."""
        try:
            for group in (past, new):
                for item in group:
                    if item["EventType"] == EventType.ORCHESTRATOR_STARTED:
                        self._now = parse_iso(item["Timestamp"])
                    else:
                        self._take(item)
        except _NonDeterminism as error:
            return Decision(outcome=Failed(reason=str(error)))
        outcome = self._outcome()
        final = isinstance(outcome, Failed | Terminated)
        return Decision(
            outcome=outcome,
            schedule=() if final or self._suspended else tuple(self._pending.values()),
            suspended=self._suspended and not final,
            custom_status=self.answer.custom_status,
        )

    # -- events ----------------------------------------------------------------------------------------------------

    def _take(self, item: Event) -> None:
        kind = EventType(item["EventType"])
        if self._suspended and kind not in (EventType.RESUMED, EventType.EXECUTION_TERMINATED):
            self._held.append(item)
            return
        match kind:
            case EventType.EXECUTION_STARTED:
                self._main = spawn(self._run_actions())
            case EventType.TASK_SCHEDULED | EventType.TIMER_CREATED | EventType.SUB_ORCHESTRATION_CREATED:
                self._confirm(kind, item)
            case EventType.TASK_COMPLETED | EventType.SUB_ORCHESTRATION_COMPLETED:
                self._close(item["TaskScheduledId"])
            case EventType.TIMER_FIRED:
                self._close(item["TimerId"])
            case EventType.TASK_FAILED | EventType.SUB_ORCHESTRATION_FAILED:
                self._close(item["TaskScheduledId"], TaskError(item.get("Reason")))
            case EventType.EVENT_RAISED:
                self._raise_event(item)
            case EventType.SUSPENDED:
                self._suspended = True
            case EventType.RESUMED:
                self._suspended = False
                held, self._held = self._held, []
                for one in held:
                    self._take(one)
            case EventType.EXECUTION_TERMINATED:
                self._terminated = item
            case _:
                pass  # markers that decide nothing

    def _confirm(self, kind: EventType, item: Event) -> None:
        wanted = self._pending.pop(item["EventId"], None)
        name = str(item.get("Name") or "")
        if wanted is None or wanted.kind != _KIND_OF[kind] or (wanted.name or "").lower() != name.lower():
            named = f" and name '{name}'" if name else ""
            raise _NonDeterminism(
                "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
                f"{_WORDS[_KIND_OF[kind]]} with sequence ID {item['EventId']}{named}, but the current replay execution "
                "hasn't (yet?) scheduled this task. Was a change made to the orchestrator code after this instance had "
                "already started running?"
            )

    def _close(self, task_id: int, error: TaskError | None = None) -> None:
        future = self._open.pop(task_id, None)
        if future is not None:
            future.settle(error)

    def _raise_event(self, item: Event) -> None:
        waiters = self._waiting.get(item["Name"])
        if self._lap is not None:
            self._carried.append(item)
        elif waiters:
            waiters.pop().settle()  # a stack: the newest waiter first
        else:
            self._buffered.setdefault(item["Name"], []).append(item)

    # -- actions ---------------------------------------------------------------------------------------------------

    def _run_actions(self) -> Steps:
        if self.answer.schema == 0:  # the first schema: each set is left when any of its tasks is done
            for group in self.answer.actions:
                tasks = [self._invoke(action) for action in group]
                if tasks:
                    yield when_any(tasks)
            return
        for action in self.answer.actions[0]:
            task = self._invoke(action)
            try:
                yield task
            except TaskError:
                continue  # the SDK has told the orchestrator's code already

    def _invoke(self, action: Mapping[str, Any]) -> Future:
        try:
            kind = ActionType(action["actionType"])
        except ValueError:
            raise UnsupportedAction(action["actionType"]) from None
        match kind:
            case ActionType.CALL_ACTIVITY:
                return self._activity(action)
            case ActionType.CALL_ACTIVITY_WITH_RETRY:
                return spawn(self._with_retry(lambda: self._activity(action), action["retryOptions"]))
            case ActionType.CALL_SUB_ORCHESTRATOR:
                return self._sub(action)
            case ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY:
                return spawn(self._with_retry(lambda: self._sub(action), action["retryOptions"]))
            case ActionType.CREATE_TIMER:
                return spawn(self._timer(parse_iso(action["fireAt"]), cancelled=bool(action.get("isCanceled"))))
            case ActionType.WAIT_FOR_EXTERNAL_EVENT:
                return self._wait_for_event(action["externalEventName"])
            case ActionType.WHEN_ALL:
                return when_all([self._invoke(child) for child in action["compoundActions"]])
            case ActionType.WHEN_ANY:
                return when_any([self._invoke(child) for child in action["compoundActions"]])
            case ActionType.CONTINUE_AS_NEW:
                self._lap = (action.get("input"),)
                done = Future()
                done.settle()
                return done

    def _schedule(self, kind: Kind, **details: Any) -> Future:
        task_id, future = self._next_id, Future()
        self._next_id += 1
        self._open[task_id] = future
        self._pending[task_id] = Scheduled(id=task_id, kind=kind, **details)
        return future

    def _activity(self, action: Mapping[str, Any]) -> Future:
        return self._schedule("activity", name=action["functionName"], input=action.get("input"))

    def _sub(self, action: Mapping[str, Any]) -> Future:
        return self._schedule(
            "sub",
            name=action["functionName"],
            input=action.get("input"),
            instance_id=action.get("instanceId") or f"{self.execution_id}:{self._next_id}",
            version=action.get("version"),
        )

    def _with_retry(self, start: Callable[[], Future], options: Mapping[str, Any]) -> Steps:
        """DurableTask's RetryInterceptor: a timer follows every failure; after the last one it fires at once."""
        attempts = int(options["maxNumberOfAttempts"])
        pause = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
        last: TaskError | None = None
        for attempt in range(1, attempts + 1):
            task = start()
            try:
                yield task
            except TaskError as error:
                last = error
            else:
                return
            yield self._schedule("timer", fire_at=self._time() if attempt == attempts else self._time() + pause)
        if last is not None:
            raise last

    def _timer(self, fire_at: datetime, *, cancelled: bool) -> Steps:
        """A timer over six days is cut into steps of three, as the Azure Storage provider does."""
        long = fire_at - self._time() > MAX_SHORT_TIMER
        while True:
            task_id = self._next_id
            at = min(fire_at, self._time() + LONG_TIMER_STEP) if long else fire_at
            future = self._schedule("timer", fire_at=at)
            if cancelled:
                self._open.pop(task_id)
                future.settle(TaskError("cancelled"))
            yield future
            if not long or self._time() >= fire_at:
                return

    def _wait_for_event(self, name: str) -> Future:
        future = Future()
        buffered = self._buffered.get(name)
        if buffered:
            buffered.pop(0)
            future.settle()
        else:
            self._waiting.setdefault(name, []).append(future)
        return future

    def _time(self) -> datetime:
        if self._now is None:
            raise ValueError("a history begins with OrchestratorStarted")
        return self._now

    # -- result ----------------------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        answer = self.answer
        if self._terminated is not None:
            return Terminated(output=self._terminated.get("Input"))
        if answer.crash is not None:
            return self._failed(answer.crash)
        # DurableTask.Core completes an instance only when no task is open: a timer left running keeps it Running.
        if self._open or self._suspended or self._main is None or not self._main.done:
            return Running()
        if answer.error is not None:
            return self._failed(answer.error)
        if not answer.is_done:
            return Running()
        if self._lap is not None:
            left = [item for queue in self._buffered.values() for item in queue]
            return ContinuedAsNew(input=self._lap[0], carried=tuple(left + self._carried))
        return Completed(output=answer.output)

    def _failed(self, why: str) -> Failed:
        return Failed(reason=f"Orchestrator function '{self.name}' failed: {why}", details=self.answer.stack)


class UnsupportedAction(Exception):
    """Durable entities and durable HTTP calls are outside this host."""

    def __init__(self, action: object) -> None:
        super().__init__(f"durable action type {action} (entities, durable HTTP) is not supported by the local host")
