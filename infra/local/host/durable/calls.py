"""The two calls that the engine makes into user code: one episode of an orchestrator, one activity."""

import json
import logging

from azure.functions import meta

from infra.local.host.durable.decision import Answer
from infra.local.host.durable.history import Event
from infra.local.host.durable.replay import LONG_TIMER_STEP, MAX_SHORT_TIMER
from infra.local.host.durable.store import Instance
from infra.local.host.indexing import Function
from infra.local.host.invocation import InvocationFailed, Invoker
from infra.local.host.logs import say
from infra.local.host.spans import format_span

log = logging.getLogger("localhost.durable")
_ENVELOPE = "\n\n$OutOfProcData$:"  # behind it the SDK puts its answer into the text of an exception


class ActivityFailed(Exception):
    """``reason`` and ``details`` as they stand in the TaskFailed event."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(reason)
        self.reason, self.details = reason, details


class DurableCalls:
    """Finds orchestrators and activities by name, case-insensitively, and calls them through the SDK's own wrappers."""

    def __init__(self, invoker: Invoker, functions: list[Function]) -> None:
        self._invoker = invoker
        self._orchestrators = _by_name(functions, "orchestrationTrigger", "orchestration")
        self._activities = _by_name(functions, "activityTrigger", "activity")

    def orchestrator_name(self, name: str) -> str | None:
        """The name as it was registered, or None when there is no such orchestrator."""
        found = self._orchestrators.get(name.lower())
        return None if found is None else str(found.trigger.raw.get("orchestration") or found.name)

    async def orchestrate(self, instance: Instance, past: list[Event], new: list[Event]) -> Answer:
        """One episode: the whole history goes in, the SDK's cumulative actions come out. InvocationFailed: it took too long."""
        function = self._orchestrators.get(instance.name.lower())
        if function is None:
            return Answer(
                crash=f"The function '{instance.name}' doesn't exist, is disabled, or is not an orchestrator function."
            )
        # Keys as in OrchestrationTriggerAttributeBindingProvider.OrchestrationContextToString of the extension.
        context = {
            "history": [*past, *new],
            "input": None if instance.input is None else json.loads(instance.input),
            "instanceId": instance.id,
            "isReplaying": bool(past),
            "parentInstanceId": instance.parent.instance if instance.parent else None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "longRunningTimerIntervalDuration": format_span(LONG_TIMER_STEP),
            "maximumShortTimerDuration": format_span(MAX_SHORT_TIMER),
            "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
        }
        try:
            outcome = await self._invoker.invoke(function, meta.Datum(json.dumps(context), "json"))
        except InvocationFailed as error:
            if error.timed_out:
                raise  # the real host gives the episode up, and tries it again
            message, envelope, state = error.message.partition(_ENVELOPE)
            if envelope:
                return Answer.from_json(json.loads(state), error.stack)
            return Answer(crash=f"{error.kind}: {message}", stack=error.stack)
        return Answer.from_json(json.loads(outcome.value.value if outcome.value else "{}"))

    async def activity(self, name: str, input_: str | None) -> str | None:
        """Runs an activity; its result is JSON text. ActivityFailed carries the texts of the real host."""
        function = self._activities.get(name.lower())
        if function is None:
            reason = f"The function '{name}' doesn't exist, is disabled, or is not an activity function."
            raise ActivityFailed(reason, reason)
        try:
            outcome = await self._invoker.invoke(function, meta.Datum(input_, "json"))
        except InvocationFailed as error:
            say(log, logging.WARNING, "activity.failed", function=name, error=error.kind, at=error.at)
            raise ActivityFailed(f"Activity function '{name}' failed:  {error.text}", error.stack) from None
        return None if outcome.value is None else outcome.value.value


def _by_name(functions: list[Function], kind: str, key: str) -> dict[str, Function]:
    return {str(f.trigger.raw.get(key) or f.name).lower(): f for f in functions if f.trigger.type == kind}
