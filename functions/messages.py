"""What travels between orchestrations and activities: identifiers and outcomes, never row values. JSON primitives."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class RunOrder(Message):
    """One run of one definition. `lap`: settle laps done in earlier histories; a later one captures nothing."""

    definition: UUID
    run: UUID
    lap: int = 0
    worker: int = 0
    failures: int = 0


class Failure(Message):
    """An expected failure, as data: code and disposition decide, the message is for people."""

    code: str
    message: str
    disposition: str
    retry_after: float | None = None


class StepAnswer(Message):
    """What a step came to. `wait`: seconds. `more`: there is more to do now. `held`: the definition was stopped."""

    wait: float | None = None
    more: bool = False
    held: bool = False
    proceed: bool = True
    workers: int = 1
    failure: Failure | None = None


class RunEnd(Message):
    definition: UUID
    run: UUID
    failure: Failure | None = None
    held: bool = False
    patient: bool = False
    """The run may be told to wait for writes whose answer was lost, instead of ending."""
