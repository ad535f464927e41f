"""The host's own replay, on histories and answers written by hand: what DurableTask.Core would decide."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.host.clock import iso
from infra.local.host.durable.decision import (
    Answer,
    Completed,
    ContinuedAsNew,
    Decision,
    Failed,
    Running,
    Terminated,
    custom_status_error,
    scheduled_event,
)
from infra.local.host.durable.history import Event, EventType, event
from infra.local.host.durable.replay import Replay, UnsupportedAction

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def activity(name: str = "a") -> dict[str, Any]:
    return {"actionType": 0, "functionName": name, "input": "1"}


def retry(attempts: int, pause: int = 60_000) -> dict[str, Any]:
    options = {"firstRetryIntervalInMilliseconds": pause, "maxNumberOfAttempts": attempts}
    return {"actionType": 1, "functionName": "a", "input": "1", "retryOptions": options}


def timer(after: timedelta, *, cancelled: bool = False) -> dict[str, Any]:
    return {"actionType": 5, "fireAt": iso(NOW + after), "isCanceled": cancelled}


def wait(name: str) -> dict[str, Any]:
    return {"actionType": 6, "externalEventName": name, "reason": "ExternalEvent"}


def either(*children: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 11, "compoundActions": list(children)}


def both(*children: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 12, "compoundActions": list(children)}


def answer(*actions: dict[str, Any], **more: Any) -> Answer:
    return Answer(actions=(actions,), schema=2, **more)


class Instance:
    """Plays episodes against one answer and keeps the history that the engine would keep."""

    def __init__(self, given: Answer) -> None:
        self.answer, self.history, self.now = given, [], NOW
        self.decision = self.play(event(EventType.EXECUTION_STARTED, Name="f"))

    history: list[Event]

    def play(self, *new: Event, after: timedelta = timedelta(seconds=1)) -> Decision:
        batch = [event(EventType.ORCHESTRATOR_STARTED), *new]
        for item in batch:
            item["Timestamp"] = iso(self.now)
        self.decision = Replay("f", "x", self.answer).run(self.history, batch)
        self.history += [*batch, *(scheduled_event(item, iso(self.now)) for item in self.decision.schedule)]
        self.now += after
        return self.decision

    @property
    def scheduled(self) -> list[tuple[int, str]]:
        return [(item.id, item.kind) for item in self.decision.schedule]


def completed(task: int) -> Event:
    return event(EventType.TASK_COMPLETED, TaskScheduledId=task, Result="1")


def failed(task: int) -> Event:
    return event(EventType.TASK_FAILED, TaskScheduledId=task, Reason="no")


def fired(task: int) -> Event:
    return event(EventType.TIMER_FIRED, TimerId=task)


def raised(name: str) -> Event:
    return event(EventType.EVENT_RAISED, Name=name, Input="1")


def test_actions_start_one_after_another():
    one = Instance(answer(activity(), activity("b"), is_done=True, output=7))
    assert one.scheduled == [(0, "activity")]
    one.play(completed(0))
    assert one.scheduled == [(1, "activity")]
    assert one.play(completed(1)).outcome == Completed(output=7)


def test_retries_wait_between_attempts_and_not_at_all_after_the_last():
    one = Instance(answer(retry(2)))
    one.play(failed(0))
    assert [(item.kind, item.fire_at) for item in one.decision.schedule] == [("timer", NOW + timedelta(seconds=61))]
    one.play(fired(1))
    assert one.scheduled == [(2, "activity")]
    one.play(failed(2))
    assert [(item.kind, item.fire_at) for item in one.decision.schedule] == [("timer", one.now - timedelta(seconds=1))]


def test_a_retry_that_succeeds_needs_no_further_timer():
    one = Instance(answer(retry(3), activity("b")))
    one.play(failed(0))
    one.play(fired(1))
    one.play(completed(2))
    assert one.scheduled == [(3, "activity")]


def test_all_waits_for_every_child_although_one_has_failed():
    one = Instance(answer(both(activity(), activity()), activity("b")))
    one.play(failed(0))
    assert one.scheduled == []
    one.play(completed(1))
    assert one.scheduled == [(2, "activity")]


def test_any_goes_on_with_the_first_child():
    one = Instance(answer(either(activity(), activity()), activity("b")))
    one.play(completed(1))
    assert one.scheduled == [(2, "activity")]


def test_empty_composites_are_done_at_once():
    assert Instance(answer(both(), either(), activity())).scheduled == [(0, "activity")]


def test_an_event_goes_to_the_newest_wait_of_its_name():
    one = Instance(answer(either(wait("E"), timer(timedelta(seconds=1))), wait("E"), activity()))
    one.play(fired(0))
    one.play(raised("E"))
    assert one.scheduled == [(1, "activity")]


def test_events_before_their_wait_are_kept_in_order():
    one = Instance(answer(activity(), wait("E"), wait("E"), activity("b")))
    one.play(raised("E"), raised("F"))
    one.play(completed(0))
    assert one.scheduled == []
    one.play(raised("E"))
    assert one.scheduled == [(1, "activity")]


def test_two_events_of_one_name_answer_two_waits():
    one = Instance(answer(activity(), wait("E"), wait("E"), activity("b")))
    one.play(raised("E"), raised("E"))
    one.play(completed(0))
    assert one.scheduled == [(1, "activity")]


def test_a_timer_of_six_days_is_one_timer():
    one = Instance(answer(timer(timedelta(days=6))))
    assert [item.fire_at for item in one.decision.schedule] == [NOW + timedelta(days=6)]


def test_a_timer_over_six_days_is_cut_into_steps_of_three():
    one = Instance(answer(timer(timedelta(days=8)), activity()))
    steps = []
    while one.scheduled and one.scheduled[0][1] == "timer":
        [step] = one.decision.schedule
        assert step.fire_at is not None
        steps.append(step.fire_at - NOW)
        one.now = step.fire_at
        one.play(fired(step.id), after=timedelta(0))
    assert steps == [timedelta(days=3), timedelta(days=6), timedelta(days=8)]
    assert one.scheduled == [(3, "activity")]


def test_a_cancelled_timer_is_recorded_and_holds_nothing_up():
    one = Instance(answer(timer(timedelta(hours=1), cancelled=True), is_done=True, output=1))
    assert one.scheduled == [(0, "timer")]
    assert one.decision.outcome == Completed(output=1)


def test_an_instance_with_an_open_task_stays_running_although_its_code_has_ended():
    one = Instance(answer(either(activity(), timer(timedelta(hours=1))), is_done=True, output=1))
    assert one.play(completed(0)).outcome == Running()
    assert one.play(fired(1)).outcome == Completed(output=1)


def test_an_error_waits_for_open_tasks_too():
    one = Instance(answer(both(activity(), activity()), error="bad"))
    assert one.play(failed(0)).outcome == Running()
    assert one.play(completed(1)).outcome == Failed(reason="Orchestrator function 'f' failed: bad")


def test_code_that_waits_for_something_else_leaves_the_instance_running():
    assert Instance(answer(is_done=False)).decision.outcome == Running()


def test_a_crash_fails_the_instance_at_once():
    one = Instance(answer(crash="boom"))
    assert one.decision.outcome == Failed(reason="Orchestrator function 'f' failed: boom")


def test_continue_as_new_inherits_the_events_that_nobody_awaited():
    one = Instance(answer(activity(), {"actionType": 4, "input": {"n": 2}}, is_done=True))
    one.play(raised("E"))
    outcome = one.play(completed(0), raised("F")).outcome
    assert isinstance(outcome, ContinuedAsNew)
    assert outcome.input == {"n": 2}
    assert [item["Name"] for item in outcome.carried] == ["E", "F"]


def test_a_suspended_instance_schedules_nothing_and_takes_up_what_came_when_it_is_resumed():
    one = Instance(answer(activity(), activity("b")))
    suspended = one.play(event(EventType.SUSPENDED), completed(0))
    assert (suspended.suspended, suspended.schedule) == (True, ())
    assert one.play(raised("E")).suspended
    one.play(event(EventType.RESUMED))
    assert not one.decision.suspended
    assert one.scheduled == [(1, "activity")]


def test_what_a_suspended_instance_had_decided_starts_when_it_is_resumed():
    one = Instance(answer(activity(), activity("b")))
    assert one.play(completed(0), event(EventType.SUSPENDED)).schedule == ()
    one.play(event(EventType.RESUMED))
    assert one.scheduled == [(1, "activity")]


def test_a_suspended_instance_can_be_terminated():
    one = Instance(answer(activity()))
    one.play(event(EventType.SUSPENDED))
    decision = one.play(event(EventType.EXECUTION_TERMINATED, Input='"why"'))
    assert decision.outcome == Terminated(output='"why"')
    assert not decision.suspended


@pytest.mark.parametrize(
    "now_scheduled", [activity("other"), timer(timedelta(seconds=1)), wait("E")], ids=["name", "kind", "nothing"]
)
def test_another_task_under_a_recorded_id_is_non_deterministic(now_scheduled: dict[str, Any]):
    one = Instance(answer(activity()))
    one.answer = answer(now_scheduled)
    outcome = one.play(completed(0)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled an activity task "
        "with sequence ID 0 and name 'a'"
    )


def test_names_of_functions_are_compared_without_their_case():
    one = Instance(answer(activity("Double")))
    one.answer = answer(activity("double"), activity("b"))
    one.play(completed(0))
    assert one.scheduled == [(1, "activity")]


def test_a_sub_orchestration_without_an_id_gets_the_executions_id_and_its_number():
    one = Instance(answer(activity(), {"actionType": 2, "functionName": "s", "instanceId": None, "input": 1}))
    one.play(completed(0))
    [child] = one.decision.schedule
    assert (child.kind, child.instance_id) == ("sub", "x:1")


def test_the_first_answer_schema_goes_on_when_any_task_of_a_set_is_done():
    one = Instance(Answer(actions=((activity(), activity()), (activity("b"),)), schema=0))
    assert one.scheduled == [(0, "activity"), (1, "activity")]
    one.play(completed(1))
    assert one.scheduled == [(2, "activity")]


@pytest.mark.parametrize("action", [7, 8, 9, 10, 99])
def test_an_action_outside_this_host_is_named(action: int):
    with pytest.raises(UnsupportedAction, match=f"durable action type {action} "):
        Instance(answer({"actionType": action}))


def test_completions_of_unknown_tasks_change_nothing():
    one = Instance(answer(activity(), activity("b")))
    one.play(completed(17), fired(18))
    assert one.scheduled == []


def test_a_thousand_actions_that_are_done_at_once_need_no_deep_stack():
    one = Instance(answer(*[activity()] * 3000, is_done=True))
    for start in range(0, 3000, 500):
        one.play(*[completed(i) for i in range(start, start + 500)])
    assert isinstance(one.decision.outcome, Running | Completed)


def test_the_custom_status_is_measured_as_utf_16():
    assert custom_status_error("x" * 8190) is None
    assert "16386" in str(custom_status_error("x" * 8191))
    assert custom_status_error(None) is None
