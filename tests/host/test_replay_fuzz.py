"""Random orchestrators: the SDK's replay and the host's must give every task the same id, in every episode.

Both sides number tasks by themselves, in the order in which they see them; a completion finds its task by that number.
If the two ever disagree, a result goes to the wrong task. The programs keep to what is sound in the SDK: children of
task_all may fail and be retried, but succeed in the end (a child that fails for good breaks the SDK's own numbering).
"""

import itertools
import json
import random
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.models import DurableOrchestrationContext
from azure.durable_functions.orchestrator import Orchestrator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.host.clock import iso
from infra.local.host.durable.decision import Answer, Completed, Decision, Failed, Running, Scheduled, scheduled_event
from infra.local.host.durable.history import Event, EventType, event, execution_started
from infra.local.host.durable.replay import Replay

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
Step = tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    steps: tuple[Step, ...]

    def orchestrator(self, context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[Any]]:
        results = []
        for step in self.steps:
            match step:
                case ("any", *children):
                    winner = yield context.task_any([self.task(context, child) for child in children])
                    results.append(winner.result)
                case ("timeout", name, seconds):
                    waiting = context.wait_for_external_event(name)
                    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
                    winner = yield context.task_any([waiting, timer])
                    if winner == waiting:
                        timer.cancel()
                    results.append(winner == waiting)
                case ("fails", _, _):
                    try:
                        results.append((yield self.task(context, step)))
                    except Exception as error:
                        results.append("failed" if "failed" in str(error) else str(error))
                case _:
                    results.append((yield self.task(context, step)))
        return results

    def task(self, context: df.DurableOrchestrationContext, step: Step) -> Any:
        match step:
            case ("activity", value):
                return context.call_activity("echo", [value, 0])
            case ("retry", value, failures):
                return context.call_activity_with_retry("echo", df.RetryOptions(1000, failures + 1), [value, failures])
            case ("fails", value, attempts):
                if attempts == 1:
                    return context.call_activity("echo", [value, 1])
                return context.call_activity_with_retry("echo", df.RetryOptions(1000, attempts), [value, attempts])
            case ("sub", value):
                return context.call_sub_orchestrator("echo", [value, 0])
            case ("timer", seconds):
                return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
            case ("event", name):
                return context.wait_for_external_event(name)
            case ("all", *children):
                return context.task_all([self.task(context, child) for child in children])
        raise AssertionError(step)


def names(step: Step) -> list[str]:
    """External events that a step waits for."""
    match step:
        case ("event", name) | ("timeout", name, _):
            return [name]
        case ("all" | "any", *children):
            return [name for child in children for name in names(child)]
    return []


def plausible(step: Step, result: Any) -> bool:
    """Whether a step can have this result."""
    match step:
        case ("activity" | "sub", value) | ("retry", value, _):
            return result == value
        case ("fails", _, _):
            return result == "failed"
        case ("timer", _):
            return result is None
        case ("event", name):
            return result == f"data of {name}"
        case ("all", *children):
            return len(result) == len(children) and all(map(plausible, children, result))
        case ("any", *children):
            return any(plausible(child, result) for child in children)
        case ("timeout", _, _):
            return isinstance(result, bool)
    return False


@dataclass
class World:
    """Everything outside the orchestrator: what was scheduled and has not happened, and the history."""

    program: Program
    dice: random.Random
    now: datetime = START
    history: list[Event] = field(default_factory=list)
    pending: list[tuple[datetime, Event]] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    host: Replay | None = None
    sdk: DurableOrchestrationContext | None = None

    def run(self) -> Decision:
        started = execution_started(instance="i", execution="x", name="p", input_=None, version=None, parent=None)
        for name in dict.fromkeys(name for step in self.program.steps for name in names(step)):
            moment = self.now + timedelta(seconds=self.dice.choice([0, 1, 5, 50, 500]))
            self.pending.append((moment, event(EventType.EVENT_RAISED, Name=name, Input=json.dumps(f"data of {name}"))))
        decision = self.episode([started])
        for _ in range(1000):
            if not isinstance(decision.outcome, Running) or not self.pending:
                return decision
            decision = self.episode(self.happen())
        raise AssertionError("endless")

    def happen(self) -> list[Event]:
        """Some of what is pending comes about, in any order that the times allow."""
        self.dice.shuffle(self.pending)
        first = min(at for at, _ in self.pending) if self.dice.random() < 0.5 else self.pending[0][0]
        self.now = max(self.now, first) + timedelta(milliseconds=self.dice.randrange(3))
        due = [one for one in self.pending if one[0] <= self.now]
        taken = due[: self.dice.randint(1, len(due))]
        for one in taken:
            self.pending.remove(one)
        return [item for _, item in taken]

    def episode(self, new: list[Event]) -> Decision:
        past = self.history
        for item in past:
            item["IsPlayed"] = True
        batch = [event(EventType.ORCHESTRATOR_STARTED), *new]
        for item in batch:
            item["Timestamp"], item["IsPlayed"] = iso(self.now), False
        answer = self.ask(past + batch)
        self.host = Replay("p", "x", answer)
        decision = self.host.run(past, batch)
        assert not isinstance(decision.outcome, Failed), decision.outcome
        tail = [scheduled_event(item, iso(self.now)) for item in decision.schedule]
        self.history = [*past, *batch, *tail, event(EventType.ORCHESTRATOR_COMPLETED)]
        self.history[-1] |= {"Timestamp": iso(self.now), "IsPlayed": False}
        for item in decision.schedule:
            self.begin(item)
        self.same_ids()
        again = Replay("p", "x", answer).run(self.history, [])
        assert again.schedule == (), "a decision that is on record is not taken twice"
        return decision

    def ask(self, history: list[Event]) -> Answer:
        document = {
            "history": history,
            "input": None,
            "instanceId": "i",
            "isReplaying": len(history) > 2,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "maximumShortTimerDuration": "6.00:00:00",
        }
        self.sdk = DurableOrchestrationContext.from_json(json.dumps(document))
        with warnings.catch_warnings():
            # "Potential duplicate Task completion": events that come before the code waits for them are ordinary here;
            # and the SDK's advice about typed decoding.
            warnings.simplefilter("ignore")
            return Answer.from_json(json.loads(Orchestrator(self.program.orchestrator).handle(self.sdk)))

    def begin(self, item: Scheduled) -> None:
        """Decides what will become of a scheduled task, and when at the earliest."""
        later = self.now + timedelta(milliseconds=self.dice.randrange(2000))
        if item.kind == "timer":
            assert item.fire_at is not None
            self.pending.append((item.fire_at, event(EventType.TIMER_FIRED, TimerId=item.id, FireAt=iso(item.fire_at))))
            return
        value, failures = json.loads(item.input) if isinstance(item.input, str) else item.input
        tried = self.attempts.get(str(value), 0)
        self.attempts[str(value)] = tried + 1
        sub = item.kind == "sub"
        if tried < failures:
            kind = EventType.SUB_ORCHESTRATION_FAILED if sub else EventType.TASK_FAILED
            result = event(kind, TaskScheduledId=item.id, Reason="it failed", Details="")
        else:
            kind = EventType.SUB_ORCHESTRATION_COMPLETED if sub else EventType.TASK_COMPLETED
            result = event(kind, TaskScheduledId=item.id, Result=json.dumps(value))
        self.pending.append((later, result))

    def same_ids(self) -> None:
        assert self.sdk is not None
        assert self.host is not None
        if self.host.answer.is_done:  # the SDK reads no further than the end of the code
            return
        theirs = {key for key in self.sdk.open_tasks if isinstance(key, int)}
        ours = set(self.host._open)
        # A cancelled timer is closed on the host's side; the SDK never asks for it again.
        cancelled = {
            item["EventId"]
            for item in self.history
            if item["EventType"] == EventType.TIMER_CREATED and item["EventId"] not in ours
        }
        assert ours <= theirs
        assert theirs - ours <= cancelled


def numbered(step: Step, count: Iterator[int]) -> Step:
    """Gives every task its own value and every event its own name, so that a mix-up shows."""
    match step:
        case ("all" | "any" as kind, *children):
            return (kind, *(numbered(child, count) for child in children))
        case ("event",):
            return ("event", f"e{next(count)}")
        case ("timeout", pause):
            return ("timeout", f"t{next(count)}", pause)
        case ("timer", _):
            return step
        case (kind, *rest):
            return (kind, next(count), *rest)
    raise AssertionError(step)


def composite(kind: str, children: st.SearchStrategy[Step], most: int) -> st.SearchStrategy[Step]:
    return st.lists(children, min_size=1, max_size=most).map(lambda drawn: (kind, *drawn))


timers = st.tuples(st.just("timer"), st.integers(0, 100))
simple = st.one_of(st.sampled_from([("activity",), ("sub",)]), timers)
leaf = st.one_of(simple, st.tuples(st.just("retry"), st.integers(0, 3)))
quiet = st.one_of(simple, st.just(("event",)))
whole = st.one_of(
    leaf,
    quiet,
    st.tuples(st.just("fails"), st.integers(1, 3)),
    st.tuples(st.just("timeout"), st.integers(0, 100)),
    composite("all", leaf, 4),
    composite("all", quiet, 3),
    composite("any", quiet, 3),
    composite("all", quiet, 2).map(lambda inner: ("all", inner, ("activity",))),
)
programs = st.lists(whole, min_size=1, max_size=6).map(
    lambda steps: Program(tuple(numbered(step, count) for count in [itertools.count()] for step in steps))
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs, st.integers(0, 2**32))
def test_both_replays_number_tasks_alike_and_the_program_ends_with_its_own_results(program: Program, seed: int):
    world = World(program, random.Random(seed))
    decision = world.run()
    assert isinstance(decision.outcome, Completed), decision
    results = decision.outcome.output
    assert len(results) == len(program.steps)
    for step, result in zip(program.steps, results, strict=True):
        assert plausible(step, result), (step, result)


@settings(max_examples=60, deadline=None)
@given(programs, st.integers(0, 2**32), st.data())
def test_a_history_that_the_code_did_not_write_is_found_out(program: Program, seed: int, data: st.DataObject):
    world = World(program, random.Random(seed))
    world.run()
    scheduled = [item for item in world.history if item["EventType"] == EventType.TASK_SCHEDULED]
    if not scheduled:
        return
    forged = data.draw(st.sampled_from(scheduled))
    forged["Name"] = "something else"
    answer = world.host.answer if world.host else Answer()
    outcome = Replay("p", "x", answer).run(world.history, []).outcome
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("Non-Deterministic workflow detected")
