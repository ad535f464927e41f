"""Runs orchestrations: messages in, one call of the SDK, one transaction out.

A work item reads the due messages of one instance, lets the SDK replay the history, lets :mod:`replay` decide, and
writes history, activities, timers and messages in one transaction. So a process that dies at any point has either
written the whole episode or none of it. Activities run at least once: their rows stay until their result is written.
"""

import asyncio
import json
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from infra.local.host.clock import Clock, iso
from infra.local.host.durable.calls import ActivityFailed, DurableCalls
from infra.local.host.durable.decision import (
    Answer,
    Completed,
    ContinuedAsNew,
    Decision,
    Failed,
    Running,
    Scheduled,
    Terminated,
    custom_status_error,
    scheduled_event,
)
from infra.local.host.durable.history import Event, EventType, event, execution_started
from infra.local.host.durable.replay import Replay, UnsupportedAction
from infra.local.host.durable.store import DurableStore, Filter, Instance, Message, Parent
from infra.local.host.logs import origin, say
from infra.local.host.settings import DurableConfig

log = logging.getLogger("localhost.durable")


class InstanceExists(Exception):
    """The id belongs to an instance that has not ended."""


class BadRequest(ValueError):
    """What a client asked for cannot be done; the text says why."""


@dataclass(slots=True)
class Counters:
    episodes: int = 0
    activities: int = 0


class Engine:
    """All methods run on the host's loop."""

    def __init__(
        self, store: DurableStore, clock: Clock, calls: DurableCalls, config: DurableConfig, *, skip_time: bool = False
    ) -> None:
        self.store, self.clock, self.calls, self.config = store, clock, calls, config
        self.skip_time = skip_time
        self.counters = Counters()
        self._wake = asyncio.Event()
        self._episodes: dict[str, asyncio.Task[None]] = {}
        self._activities: dict[int, asyncio.Task[None]] = {}
        self._orchestrator_slots = asyncio.Semaphore(config.max_orchestrators)
        self._activity_slots = asyncio.Semaphore(config.max_activities)
        self._stopping = False

    # -- what clients ask for --------------------------------------------------------------------------------------

    def start(self, name: str, instance_id: str | None, input_: str | None, version: str | None = None) -> str:
        """Starts an orchestration and returns its id.

        ``input_`` is the JSON text that the client sent. BadRequest on an unknown orchestrator or an illegal id;
        InstanceExists when an instance with this id has not ended (``overridableExistingInstanceStates`` is
        NonRunningStates by default).
        """
        known = self.calls.orchestrator_name(name)
        if known is None:
            raise BadRequest(f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function.")
        instance_id = instance_id or uuid.uuid4().hex
        if (
            instance_id.startswith("@")
            or len(instance_id) > 100
            or any(c in "/\\#?" or ord(c) < 32 for c in instance_id)
        ):
            raise BadRequest(
                "Orchestration instance ids must not start with @, contain /, \\, #, ? or control characters, "
                "or be longer than 100 characters."
            )
        existing = self.store.instance(instance_id)
        if existing is not None and not existing.final:
            raise InstanceExists(f"An Orchestration instance with the status {existing.status} already exists.")
        with self.store.transaction():
            self._create(instance_id, known, input_, version or self.config.default_version, None)
        say(log, logging.INFO, "orchestration.started", function=known, instance=instance_id)
        return instance_id

    def send(self, instance_id: str, item: Event) -> None:
        """An external event or a command, for whichever lap of the instance is running."""
        self.store.send(instance_id, None, item, self.clock.now())
        self._wake.set()

    def purge(self, wanted: Filter | str) -> int:
        """Deletes ended instances with all their rows; returns how many."""
        if isinstance(wanted, str):
            one = self.store.instance(wanted)
            found = [] if one is None else [one]
        else:
            found = self.store.instances(wanted)
        ended = [instance for instance in found if instance.final]
        with self.store.transaction():
            for instance in ended:
                self.store.delete(instance.id)
        return len(ended)

    def restart(self, instance_id: str, *, new_id: bool) -> str:
        """Starts the instance's orchestrator again with its original input."""
        instance = self.store.instance(instance_id)
        if instance is None:
            raise BadRequest("InstanceId does not match a valid orchestration instance.")
        return self.start(instance.name, None if new_id else instance_id, instance.input, instance.version)

    def advance(self, span: timedelta) -> None:
        """Moves the durable clock ahead: timers that fall due by that fire now."""
        self.clock.advance(span)
        self.store.state.put("clock:offset", str(self.clock.offset.total_seconds()))
        self._wake.set()

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dispatches until cancelled. Activities that a dead process left behind start again first."""
        for n in self.store.tasks():
            self._launch(n)
        while True:
            self._wake.clear()
            now = self.clock.now()
            for instance_id in self.store.due_instances(now):
                if instance_id not in self._episodes:
                    self._episodes[instance_id] = asyncio.create_task(self._episode(instance_id))
            following = self.store.next_visible(now)
            idle = not self._episodes and not self._activities
            if self.skip_time and idle and following is not None:
                self.advance(following - now)
                continue
            pause = 5.0 if following is None else min(5.0, (following - now).total_seconds())
            try:
                async with asyncio.timeout(max(pause, 0.001)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def drain(self, seconds: float) -> int:
        """Lets running activities and episodes end; returns how many had to be left (they run again at next start)."""
        self._stopping = True
        work = {*self._episodes.values(), *self._activities.values()}
        if not work:
            return 0
        _, left = await asyncio.wait(work, timeout=seconds)
        for task in left:
            task.cancel()
        return len(left)

    # -- episodes --------------------------------------------------------------------------------------------------

    async def _episode(self, instance_id: str) -> None:
        try:
            async with self._orchestrator_slots:
                await self._work_item(instance_id)
        except Exception as error:
            # The messages are still there; a fault of this host must not spin, so the next try waits a second.
            say(
                log, logging.ERROR, "episode.failed", instance=instance_id, error=type(error).__name__, at=origin(error)
            )
            log.debug("stack", exc_info=True)
            await asyncio.sleep(1)
        finally:
            self._episodes.pop(instance_id, None)
            self._wake.set()

    async def _work_item(self, instance_id: str) -> None:
        now = self.clock.now()
        messages = self.store.due_messages(instance_id, now)
        instance = self.store.instance(instance_id)
        usable = [m for m in messages if instance is not None and m.execution in (None, instance.execution)]
        if instance is None or instance.final or not usable:
            with self.store.transaction():
                self.store.take(messages)
            return
        # A carried or raised event may have the very time of the start that it belongs behind.
        usable.sort(key=lambda m: m.event["EventType"] != EventType.EXECUTION_STARTED)
        past = self.store.history(instance_id)
        batch = [event(EventType.ORCHESTRATOR_STARTED), *(m.event for m in usable)]
        for item in past:
            item["IsPlayed"] = True
        for item in batch:
            item["Timestamp"], item["IsPlayed"] = iso(now), False
        answer = await self.calls.orchestrate(instance, past, batch)
        decision = self._decide(instance, answer, past, batch)
        self.counters.episodes += 1
        self._commit(instance, decision, now, taken=messages, batch=batch, at=len(past))

    @staticmethod
    def _decide(instance: Instance, answer: Answer, past: list[Event], batch: list[Event]) -> Decision:
        too_large = custom_status_error(answer.custom_status)
        if too_large is not None:
            answer = replace(answer, crash=too_large, custom_status=None)
        try:
            return Replay(instance.name, instance.execution, answer).run(past, batch)
        except UnsupportedAction as error:
            return Decision(outcome=Failed(reason=f"Orchestrator function '{instance.name}' failed: {error}"))

    def _commit(
        self,
        instance: Instance,
        decision: Decision,
        now: datetime,
        *,
        taken: list[Message],
        batch: list[Event],
        at: int,
    ) -> None:
        """Writes one episode; ``at`` is the length of the history before it."""
        custom = instance.custom if decision.custom_status is None else json.dumps(decision.custom_status)
        launches: list[int] = []
        with self.store.transaction():
            self.store.take(taken)
            if isinstance(decision.outcome, ContinuedAsNew):
                self._next_lap(replace(instance, custom=custom), decision.outcome, now)
            else:
                tail = []
                for item in decision.schedule:
                    tail.append(scheduled_event(item, iso(now)))
                    launches += self._schedule(instance, item, now)
                status, output = self._result(decision)
                if not isinstance(decision.outcome, Running):
                    tail.append(
                        _stamped(event(EventType.EXECUTION_COMPLETED, OrchestrationStatus=status, Result=output), now)
                    )
                    self._tell_parent(instance, decision, output, now)
                tail.append(_stamped(event(EventType.ORCHESTRATOR_COMPLETED), now))
                self.store.append(instance.id, at, [*batch, *tail])
                self.store.update(replace(instance, status=status, output=output, custom=custom, updated=iso(now)))
        for n in launches:
            self._launch(n)
        if not isinstance(decision.outcome, Running | ContinuedAsNew):
            say(log, logging.INFO, "orchestration.ended", function=instance.name, instance=instance.id, status=status)

    def _next_lap(self, instance: Instance, lap: ContinuedAsNew, now: datetime) -> None:
        execution = uuid.uuid4().hex
        text = None if lap.input is None else json.dumps(lap.input)
        self.store.clear_history(instance.id)
        self.store.update(replace(instance, execution=execution, status="Running", input=text, updated=iso(now)))
        started = execution_started(
            instance=instance.id,
            execution=execution,
            name=instance.name,
            input_=text,
            version=instance.version,
            parent=_parent_event(instance.parent),
        )
        for item in (started, *lap.carried):
            self.store.send(instance.id, execution, item, now)

    def _schedule(self, instance: Instance, item: Scheduled, now: datetime) -> list[int]:
        match item.kind:
            case "activity":
                return [self.store.add_task(instance.id, instance.execution, item.id, str(item.name), item.input)]
            case "timer":
                at = item.fire_at or now
                fired = event(EventType.TIMER_FIRED, TimerId=item.id, FireAt=iso(at))
                self.store.send(instance.id, instance.execution, fired, at)
            case "sub":
                self._start_child(instance, item, now)
        return []

    def _start_child(self, instance: Instance, item: Scheduled, now: datetime) -> None:
        parent = Parent(instance=instance.id, execution=instance.execution, name=instance.name, task_id=item.id)
        child_id, known = str(item.instance_id), self.calls.orchestrator_name(str(item.name))
        existing = self.store.instance(child_id)
        if known is None:
            refusal = f"The function '{item.name}' doesn't exist, is disabled, or is not an orchestrator function."
        elif existing is not None and not existing.final:
            refusal = f"An Orchestration instance with the status {existing.status} already exists."
        else:
            text = None if item.input is None else json.dumps(item.input)
            self._create(child_id, known, text, item.version or self.config.default_version, parent)
            return
        failed = event(EventType.SUB_ORCHESTRATION_FAILED, TaskScheduledId=item.id, Reason=refusal, Details=refusal)
        self.store.send(instance.id, instance.execution, failed, now)

    @staticmethod
    def _result(decision: Decision) -> tuple[str, str | None]:
        match decision.outcome:
            case Completed(output=output):
                return "Completed", None if output is None else json.dumps(output)
            case Failed(reason=reason):
                return "Failed", json.dumps(reason)
            case Terminated(output=reason):
                return "Terminated", reason
            case _:
                return ("Suspended" if decision.suspended else "Running"), None

    def _tell_parent(self, instance: Instance, decision: Decision, output: str | None, now: datetime) -> None:
        parent = instance.parent
        if parent is None:
            return
        match decision.outcome:
            case Completed():
                answer = event(EventType.SUB_ORCHESTRATION_COMPLETED, TaskScheduledId=parent.task_id, Result=output)
            case Failed(reason=reason, details=details):
                answer = event(
                    EventType.SUB_ORCHESTRATION_FAILED, TaskScheduledId=parent.task_id, Reason=reason, Details=details
                )
            case _:
                answer = event(
                    EventType.SUB_ORCHESTRATION_FAILED,
                    TaskScheduledId=parent.task_id,
                    Reason=json.loads(output) if output else "terminated",
                    Details="terminated",
                )
        self.store.send(parent.instance, parent.execution, answer, now)

    def _create(
        self, instance_id: str, name: str, input_: str | None, version: str | None, parent: Parent | None
    ) -> None:
        now, execution = self.clock.now(), uuid.uuid4().hex
        self.store.insert(
            Instance(
                id=instance_id,
                execution=execution,
                name=name,
                status="Pending",
                input=input_,
                output=None,
                custom=None,
                created=iso(now),
                updated=iso(now),
                parent=parent,
                version=version,
            )
        )
        started = execution_started(
            instance=instance_id,
            execution=execution,
            name=name,
            input_=input_,
            version=version,
            parent=_parent_event(parent),
        )
        self.store.send(instance_id, execution, started, now)
        self._wake.set()

    # -- activities ------------------------------------------------------------------------------------------------

    def _launch(self, n: int) -> None:
        if not self._stopping:
            self._activities[n] = asyncio.create_task(self._activity(n))

    async def _activity(self, n: int) -> None:
        try:
            async with self._activity_slots:
                task = self.store.task(n)
                if task is None:
                    return
                try:
                    result = await self.calls.activity(task.name, task.input)
                    answer = event(EventType.TASK_COMPLETED, TaskScheduledId=task.task_id, Result=result)
                except ActivityFailed as error:
                    answer = event(
                        EventType.TASK_FAILED, TaskScheduledId=task.task_id, Reason=error.reason, Details=error.details
                    )
                self.counters.activities += 1
                with self.store.transaction():
                    if self.store.finish_task(n):
                        self.store.send(task.instance, task.execution, answer, self.clock.now())
        finally:
            self._activities.pop(n, None)
            self._wake.set()


def _parent_event(parent: Parent | None) -> Event | None:
    if parent is None:
        return None
    return {
        "OrchestrationInstance": {"InstanceId": parent.instance, "ExecutionId": parent.execution},
        "Name": parent.name,
        "TaskScheduleId": parent.task_id,
    }


def _stamped(item: Event, now: datetime) -> Event:
    return item | {"Timestamp": iso(now), "IsPlayed": False}
