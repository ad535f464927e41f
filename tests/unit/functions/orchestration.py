"""Drives the real orchestrator as the durable SDK does: a generator that is handed the results of what it yields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from functions import names
from functions.messages import Failure, RunOrder, StepAnswer
from functions.orchestrators import sync_run
from shared.core.errors import Disposition

DEFINITION, RUN = UUID(int=1), UUID(int=2)
STARTED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GO = StepAnswer(proceed=True, workers=1)
DONE = StepAnswer()


def failed(disposition: Disposition, *, code: str = "why", retry_after: float | None = None) -> StepAnswer:
    return StepAnswer(failure=Failure(code=code, message="in words", disposition=disposition, retry_after=retry_after))


Script = dict[str, list[StepAnswer | Exception] | Callable[[int], StepAnswer]]
"""Exception: the host says that the activity failed."""


@dataclass
class Context:
    """What the orchestrator sees of the durable runtime. Answers come from the script; an activity's last one repeats."""

    script: Script
    order: RunOrder
    current_utc_datetime: datetime = STARTED
    done: list[tuple[str, Any]] = field(default_factory=list)
    """(activity, its input), ("wait", seconds) and ("again", new input), in order."""
    asked: dict[str, int] = field(default_factory=dict)

    def get_input(self) -> dict[str, Any]:
        return self.order.to_json()

    def call_activity(self, name: str, payload: dict[str, Any]) -> dict[str, Any] | Exception:
        self.done.append((name, payload))
        count = self.asked.get(name, 0)
        self.asked[name] = count + 1
        answers = self.script.get(name, [DONE])
        answer = answers(count) if callable(answers) else answers[min(count, len(answers) - 1)]
        return answer if isinstance(answer, Exception) else answer.to_json()

    def task_all(self, tasks: list[dict[str, Any] | Exception]) -> list[dict[str, Any] | Exception] | Exception:
        return next((task for task in tasks if isinstance(task, Exception)), tasks)

    def create_timer(self, fire_at: datetime) -> datetime:
        self.done.append(("wait", (fire_at - self.current_utc_datetime).total_seconds()))
        return fire_at

    def continue_as_new(self, order: dict[str, Any]) -> None:
        self.done.append(("again", order))

    @property
    def steps(self) -> list[str]:
        return [name for name, _ in self.done]

    @property
    def waits(self) -> list[float]:
        return [what for name, what in self.done if name == "wait"]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [what for done, what in self.done if done == name]


def play(script: Script, *, longest: int = 500, **order: Any) -> Context:
    """One history of one run, to its end."""
    context = Context(script={names.BEGIN_RUN: [GO], **script}, order=RunOrder(definition=DEFINITION, run=RUN, **order))
    generator: Iterator[Any] = sync_run.build().get_user_function().orchestrator_function(context)
    answer: Any = None
    for _ in range(longest):
        try:
            thrown = isinstance(answer, Exception)
            yielded = generator.throw(answer) if thrown else generator.send(answer)  # type: ignore[attr-defined]
        except StopIteration:
            return context
        if isinstance(yielded, datetime):
            assert yielded - context.current_utc_datetime >= timedelta(0)
            context.current_utc_datetime = yielded
            answer = None
        else:
            answer = yielded
    raise AssertionError(f"the orchestration does not end: {context.steps[-5:]}")
