"""Orchestrations: they only yield. No clock, no settings, no I/O; what decides here are the activities' answers.

One run of one definition: begin -> capture -> settle laps, several workers side by side, until nothing is due -> finish.
A push captures the source, once; an ingress reads the list as often as it has more to tell.
Waits are durable timers, so nobody pays for sleeping; histories are cut by continue_as_new.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from functions import names
from functions.messages import Failure, Message, RunEnd, RunOrder, StepAnswer
from shared.core.errors import Disposition

blueprint = df.Blueprint()

Context = Any
Tasks = Generator[Any, Any, Any]
_LOST = StepAnswer(
    failure=Failure(
        code="activity_lost",
        message="the host ended an activity before it could answer: it took longer than functionTimeout, or its process"
        " ended (out of memory, say): see the host's log",
        disposition=Disposition.RETRY,
    )
)
"""Of an activity that failed. Ours answer with their failures as data, so it was ended from outside, and others of its
process with it; each can be done again, whatever it had done."""


@blueprint.orchestration_trigger(context_name="context", orchestration=names.SYNC_RUN)
def sync_run(context: Context) -> Tasks:
    order = RunOrder.model_validate(context.get_input())
    workers = order.worker or 1
    if order.lap == 0:
        if order.listing == 0:
            begun = yield from _step(context, names.BEGIN_RUN, order)
            if begun.failure is None and not begun.proceed:
                return
            if begun.failure is not None:
                yield from _finish(context, order, begun)
                return
            workers = begun.workers
        if order.ingress:
            read = yield from _read_list(context, order, workers)
            if read is None:
                return
            captured, workers = read, read.workers
        else:
            captured = yield from _step(context, names.CAPTURE_SOURCE, order)
        if captured.failure is not None or captured.held:
            yield from _finish(context, order, captured)
            return
    yield from _settle(context, order, workers)


def _read_list(context: Context, order: RunOrder, workers: int) -> Generator[Any, Any, StepAnswer | None]:
    """Reads the list while it has more to tell: the last answer. None: a new history goes on reading."""
    for lap in range(1, names.CONTINUE_AS_NEW_LAPS + 1):
        captured = yield from _step(context, names.CAPTURE_LIST, order.model_copy(update={"worker": workers}))
        if captured.failure is not None or captured.held or not captured.more:
            return captured
        if captured.wait is not None:
            yield _timer(context, min(captured.wait, names.LONGEST_WAIT))
        if lap == names.CONTINUE_AS_NEW_LAPS:
            context.continue_as_new(
                order.model_copy(update={"listing": order.listing + lap, "worker": workers}).to_json()
            )
    return None


def _settle(context: Context, order: RunOrder, workers: int) -> Tasks:
    failures, lost, looks = order.failures, 0, 0
    for lap in range(1, names.CONTINUE_AS_NEW_LAPS + 1):
        asked = [
            context.call_activity(names.SETTLE_BACKLOG, order.model_copy(update={"worker": n}).to_json())
            for n in range(workers)
        ]
        try:
            raw = yield context.task_all(asked)
            answers, lost = [StepAnswer.model_validate(answer) for answer in raw], 0
        except Exception:  # what the others came to is in the metastore
            answers, lost = [_LOST], lost + 1
        final = _worst(answers)
        if final is not None:
            yield from _finish(context, order, final)
            return
        failures = failures + 1 if any(answer.failure for answer in answers) else 0
        if failures > names.RETRIES or lost > names.LOST_RETRIES:
            yield from _finish(context, order, next(answer for answer in answers if answer.failure))
            return
        waits = [_wait_of(answer, failures) for answer in answers if answer.wait is not None or answer.failure]
        if not waits and not any(answer.more for answer in answers):
            # Writes without an answer keep their rows until a lease is over: the run ends when they are settled.
            ended = yield from _finish(context, order, StepAnswer(), patient=order.lap + lap < names.PATIENT_LAPS)
            if ended.wait is None:
                return
            # A lease says how long at the latest: a run at their side may let go of its rows any moment.
            looks += 1
            waits = [min(ended.wait, 2.0 ** min(looks, 5))]
        if waits:
            yield _timer(context, min(max(waits), names.LONGEST_WAIT))
        if lap == names.CONTINUE_AS_NEW_LAPS:
            context.continue_as_new(
                order.model_copy(update={"lap": order.lap + lap, "worker": workers, "failures": failures}).to_json()
            )


def _step(context: Context, activity: str, order: RunOrder) -> Generator[Any, Any, StepAnswer]:
    """One activity, again after a wait while its failure is one that time may mend."""
    for attempt in range(names.RETRIES + 1):
        answer = yield from _call(context, activity, order)
        if not _worth_another(answer, attempt):
            return answer
        yield _timer(context, _wait_of(answer, attempt + 1))
    raise AssertionError("unreachable")


def _call(context: Context, activity: str, payload: Message) -> Generator[Any, Any, StepAnswer]:
    try:
        answer = yield context.call_activity(activity, payload.to_json())
    except Exception:
        return _LOST
    return StepAnswer.model_validate(answer)


def _finish(
    context: Context, order: RunOrder, last: StepAnswer, *, patient: bool = False
) -> Generator[Any, Any, StepAnswer]:
    """Ends the run; with `patient` it may be asked to wait first (`wait` in the answer)."""
    end = RunEnd(definition=order.definition, run=order.run, failure=last.failure, held=last.held, patient=patient)
    for attempt in range(names.RETRIES + 1):
        answer = yield from _call(context, names.FINISH_RUN, end)
        if not _worth_another(answer, attempt):
            return answer
        yield _timer(context, _wait_of(answer, attempt + 1))
    raise AssertionError("unreachable")


def _worth_another(answer: StepAnswer, attempt: int) -> bool:
    """Whether time may mend what came of this attempt, counted from 0."""
    most = names.LOST_RETRIES if answer is _LOST else names.RETRIES
    return answer.failure is not None and answer.failure.disposition == Disposition.RETRY and attempt < most


def _worst(answers: list[StepAnswer]) -> StepAnswer | None:
    """The answer that ends the run, if there is one: a hold, or a failure that time does not mend."""
    for answer in answers:
        if answer.held or _is_final(answer.failure):
            return answer
    return None


def _is_final(failure: Failure | None) -> bool:
    return failure is not None and failure.disposition not in (Disposition.RETRY, Disposition.YIELD, Disposition.REPLAN)


def _wait_of(answer: StepAnswer, failures: int) -> float:
    if answer.failure is not None:
        return max(answer.failure.retry_after or 0.0, min(2.0**failures, 300.0))
    return answer.wait or 1.0


def _timer(context: Context, seconds: float) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
