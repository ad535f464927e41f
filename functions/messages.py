"""What travels between orchestrations and activities: identifiers and outcomes, never row values. JSON primitives."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

_TOGETHER = 150
"""Notices in one message: below the 48 KiB that a queue takes (some 240 bytes each)."""


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class RunOrder(Message):
    """One run of one definition. `lap`: settle laps done in earlier histories; a later one captures nothing, unless the
    list had more to tell: `listing` counts the laps that read it."""

    definition: UUID
    run: UUID
    ingress: bool = False
    """The list is read for changes, not the source."""
    listing: int = 0
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


class ListEvent(StrEnum):
    """What is said of a list. Each is a hint: what has to be done is in the metastore."""

    CHANGED = "CHANGED"
    """Graph noticed a change, or missed to tell one."""
    AGAIN = "AGAIN"
    """A notice came while a run was reading, or a person wants something to be settled: it is on record already."""
    DUE = "DUE"
    """A person wants the scheduled run to begin now: it is due already."""
    RENEW = "RENEW"
    """Graph wants the subscription to be renewed."""
    REMOVED = "REMOVED"
    """Graph has removed the subscription."""


class ListNotice(Message):
    """One list of one definition was noticed."""

    definition: UUID
    list_id: UUID | None = None
    """None: all of them."""
    event: ListEvent
    subscription: UUID | None = None
    """Graph's id, of RENEW and REMOVED."""


class ListNotices(Message):
    """What travels through the queue graph-notifications: one notice or several that came together."""

    notices: Annotated[tuple[ListNotice, ...], Field(min_length=1, max_length=_TOGETHER)]


def packed(notices: Sequence[ListNotice]) -> list[str]:
    """As few messages as hold them all, so that whoever waits for the queue waits once."""
    slices = (notices[at : at + _TOGETHER] for at in range(0, len(notices), _TOGETHER))
    return [ListNotices(notices=tuple(some)).model_dump_json() for some in slices]


class RunEnd(Message):
    definition: UUID
    run: UUID
    failure: Failure | None = None
    held: bool = False
    patient: bool = False
    """The run may be told to wait for writes whose answer was lost, instead of ending."""
