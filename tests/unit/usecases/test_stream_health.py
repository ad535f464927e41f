"""What a definition's health says of its stream."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from shared.core.changes import SlotIdentity
from shared.core.ids import InstanceId
from shared.core.replication import Lsn
from shared.core.slots import BudgetAction, Phase, SlotRecord
from shared.usecases.stream_health import stream_sentences

INSTANCE = InstanceId(UUID(int=1))
WELL = SlotRecord(
    instance=INSTANCE,
    name="arcore_slot",
    phase=Phase.STREAMING,
    identity=SlotIdentity(instance=INSTANCE, system="7", timeline=1, name="arcore_slot", created=Lsn(1)),
    queued=Lsn(2),
    epoch=1,
    holder="p",
    alive=True,
    heartbeat_at=None,
    silent=timedelta(seconds=1),
    streaming=True,
    paused_reason=None,
    most_per_second=None,
    making=False,
    budget=1,
    action=BudgetAction.ALERT,
    retained=0,
    behind=0,
    measured_at=None,
    over_budget=False,
    lag=None,
    problem_code=None,
    problem_text=None,
    changes=0,
    keys=0,
    messages=0,
)
PATIENCE = timedelta(seconds=90)


def said(slot: SlotRecord | None, *, watched: bool = True) -> tuple[str, ...]:
    return tuple(stream_sentences(slot, watched=watched, patience=PATIENCE))


def test_of_a_stream_that_is_well_nothing_is_said():
    assert said(WELL) == ()


@pytest.mark.parametrize(
    ("slot", "watched", "words"),
    [
        (None, False, "No poller has read this database yet"),
        (replace(WELL, silent=timedelta(minutes=5)), True, "No poller reads the replication slot"),
        (replace(WELL, silent=None), True, "No poller reads the replication slot"),
        (replace(WELL, paused_reason="maintenance"), True, "paused (maintenance)"),
        (replace(WELL, phase=Phase.DROPPED), True, "dropped by a person"),
        (replace(WELL, phase=Phase.WANTED), True, "still to be made"),
        (
            replace(WELL, phase=Phase.BROKEN, problem_text="The slot is gone."),
            True,
            "The stream stopped. The slot is gone.",
        ),
        (replace(WELL, streaming=False), True, "asked for by SQL"),
        (
            replace(WELL, problem_text="may not publish"),
            False,
            "not streamed: changes are found by the scheduled scan. may not",
        ),
        (replace(WELL, problem_text="the queue is away"), True, "the queue is away"),
        (replace(WELL, over_budget=True), True, "more log"),
    ],
)
def test_whatever_keeps_changes_from_the_list_is_said_once(slot, watched, words):
    (sentence,) = said(slot, watched=watched)
    assert words in sentence
