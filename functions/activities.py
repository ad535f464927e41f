"""Activities: thin. Each finds the engine, does one bounded step and answers with data; expected failures never raise."""

import logging
from collections.abc import Callable
from typing import Any

import azure.durable_functions as df

from functions import names
from functions.container import engine
from functions.hints import hint
from functions.messages import Failure, RunEnd, RunOrder, StepAnswer
from shared.core.errors import Disposition, SyncError, Transient, disposition
from shared.core.ids import DefinitionId, RunId
from shared.faults import describe

blueprint = df.Blueprint()
log = logging.getLogger("syncbridge.activities")


class Payload(dict[str, Any]):
    """What the worker hands to an activity. It indexes no function whose parameter is annotated with `dict[str, Any]`."""


@blueprint.activity_trigger(input_name="order", activity=names.BEGIN_RUN)
def begin_run(order: Payload) -> dict[str, Any]:
    asked = RunOrder.model_validate(order)

    def step() -> StepAnswer:
        workers = engine().begin_run(DefinitionId(asked.definition), RunId(asked.run))
        return StepAnswer(proceed=workers is not None, workers=workers or 1)

    return _answered(names.BEGIN_RUN, step)


@blueprint.activity_trigger(input_name="order", activity=names.CAPTURE_SOURCE)
def capture_source(order: Payload) -> dict[str, Any]:
    asked = RunOrder.model_validate(order)

    def step() -> StepAnswer:
        return StepAnswer(held=engine().capture(DefinitionId(asked.definition), RunId(asked.run)).held)

    return _answered(names.CAPTURE_SOURCE, step)


@blueprint.activity_trigger(input_name="order", activity=names.CAPTURE_LIST)
def capture_list(order: Payload) -> dict[str, Any]:
    asked = RunOrder.model_validate(order)

    def step() -> StepAnswer:
        read = engine().capture_list(DefinitionId(asked.definition), RunId(asked.run), workers=asked.worker)
        return StepAnswer(held=read.held, wait=read.wait, more=read.more, workers=read.workers)

    return _answered(names.CAPTURE_LIST, step)


@blueprint.activity_trigger(input_name="order", activity=names.SETTLE_BACKLOG)
def settle_backlog(order: Payload) -> dict[str, Any]:
    asked = RunOrder.model_validate(order)

    def step() -> StepAnswer:
        settled = engine().settle(DefinitionId(asked.definition), RunId(asked.run))
        return StepAnswer(wait=settled.wait, more=settled.more, held=settled.hold is not None)

    return _answered(names.SETTLE_BACKLOG, step)


@blueprint.activity_trigger(input_name="end", activity=names.FINISH_RUN)
def finish_run(end: Payload) -> dict[str, Any]:
    asked = RunEnd.model_validate(end)

    def step() -> StepAnswer:
        wait = engine().finish_run(
            DefinitionId(asked.definition),
            RunId(asked.run),
            held=asked.held,
            error=(asked.failure.code, asked.failure.message) if asked.failure else None,
            patient=asked.patient,
        )
        if wait is None:
            _hint(DefinitionId(asked.definition))
        return StepAnswer(wait=wait)

    return _answered(names.FINISH_RUN, step)


def _hint(definition: DefinitionId) -> None:
    """A list that was noticed while the run was under way is read now that it is over; without the hint at the next tick."""
    bridge = engine()
    if bridge.wants_reading(definition):
        hint(bridge, definition)


def _answered(name: str, step: Callable[[], StepAnswer]) -> dict[str, Any]:
    """The step's answer, or its failure as data: a fan-out whose children raise would break the orchestration."""
    try:
        return step().to_json()
    except SyncError as error:
        log.warning("%s ended with %s", name, error.code, extra={"action": f"{name}_failed", "code": error.code})
        failure = Failure(
            code=error.code,
            message=error.message,
            disposition=disposition(error),
            retry_after=error.retry_after if isinstance(error, Transient) else None,
        )
        return StepAnswer(failure=failure).to_json()
    except Exception as error:  # the edge of the process: whatever it is, the run has to end and say so
        log.error("%s failed: %s", name, describe(error), extra={"action": f"{name}_failed", "code": "unexpected"})  # noqa: TRY400  a traceback ends in the message
        failure = Failure(
            code="unexpected",
            message=f"an unexpected {type(error).__name__} in {name}: see the log of this run",
            disposition=Disposition.HOLD,
        )
        return StepAnswer(failure=failure).to_json()
