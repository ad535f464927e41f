"""Whether a slot goes on from what we know of it, case by case."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.core.changes import SlotIdentity
from shared.core.ids import InstanceId
from shared.core.replication import Lsn
from shared.core.slots import BreakKind, ServerState, SlotState, continuity

KNOWN = SlotIdentity(instance=InstanceId(UUID(int=1)), system="74", timeline=1, name="arcore_slot", created=Lsn(100))
SERVER = ServerState(system="74", timeline=1, wal_end=Lsn(1000), version=18, standby=False)
SLOT = SlotState(
    name="arcore_slot",
    plugin="pgoutput",
    database="db",
    confirmed=Lsn(500),
    retained=10,
    behind=5,
    active_pid=None,
    lost=False,
    failover=True,
)


def found(queued: int = 500, *, server: ServerState = SERVER, slot: SlotState | None = SLOT) -> BreakKind | None:
    stopped = continuity(KNOWN, Lsn(queued), server, slot, database="db")
    return None if stopped is None else stopped.kind


def test_a_slot_that_is_where_we_left_it_goes_on():
    assert found() is None


def test_a_slot_that_went_back_repeats_changes_and_goes_on():
    assert found(700) is None


@pytest.mark.parametrize(
    ("queued", "server", "slot", "kind"),
    [
        pytest.param(500, {}, None, BreakKind.SLOT_MISSING, id="gone"),
        pytest.param(500, {}, {"lost": True}, BreakKind.SLOT_LOST, id="lost"),
        pytest.param(499, {}, {}, BreakKind.SLOT_RECREATED, id="begins behind our mark"),
        pytest.param(500, {}, {"database": "other"}, BreakKind.SLOT_FOREIGN, id="of another database"),
        pytest.param(500, {}, {"plugin": "wal2json"}, BreakKind.SLOT_FOREIGN, id="of another plugin"),
        pytest.param(500, {"system": "75"}, {}, BreakKind.OTHER_SERVER, id="another server"),
        pytest.param(500, {"timeline": 2}, {}, BreakKind.OTHER_TIMELINE, id="a promoted standby"),
        pytest.param(1001, {}, {}, BreakKind.SERVER_REWOUND, id="the server was set back"),
        pytest.param(500, {"system": "75"}, None, BreakKind.OTHER_SERVER, id="another server without our slot"),
    ],
)
def test_whatever_may_have_lost_changes_stops_the_stream(queued, server, slot, kind):
    state = None if slot is None else replace(SLOT, **slot)
    assert found(queued, server=replace(SERVER, **server), slot=state) is kind


def test_a_break_says_what_happened_with_positions_as_people_know_them():
    stopped = continuity(
        KNOWN, Lsn(0x16B3748), replace(SERVER, wal_end=Lsn(2**33)), replace(SLOT, confirmed=Lsn(2**32)), database="db"
    )
    assert stopped is not None
    assert "begins at 1/0" in stopped.explanation
    assert "before 0/16B3748" in stopped.explanation
