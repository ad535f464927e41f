"""Whether a slot goes on from what we know of it, case by case; and what of a table is not any more what it was."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.core.changes import SlotIdentity
from shared.core.drift import drift_of
from shared.core.ids import InstanceId
from shared.core.replication import Lsn
from shared.core.scope_text import parse
from shared.core.slots import BreakKind, ServerState, SlotState, continuity
from shared.core.snapshot import TableSnapshot
from shared.core.source import RelationKind, TableRef
from tests.unit.adapters.postgres.specs import spec
from tests.unit.core.make import a_column

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


# ---------------------------------------------------------------- drift

COLUMNS = (a_column("id", "int4"), a_column("name"), a_column("qty", "numeric"))
SPEC = spec(*COLUMNS, scope="region = 'eu'", cursor_column=a_column("u", "timestamptz"))


def now(*columns) -> TableSnapshot:
    return TableSnapshot(table=TableRef(schema="app", name="orders"), kind=RelationKind.TABLE, columns=columns)


REST = (a_column("u", "timestamptz"), a_column("region"))


def test_a_table_that_only_gained_columns_has_not_drifted():
    assert drift_of(SPEC, now(*COLUMNS, *REST, a_column("more"))) == ()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((*COLUMNS[:2], *REST), "the column qty is gone"),
        ((*COLUMNS[:2], a_column("amount", "numeric"), *REST), "the column qty is gone"),
        ((*COLUMNS[:2], a_column("qty", "text"), *REST), "the column qty was numeric and is text now"),
        ((a_column("id", "int8"), *COLUMNS[1:], *REST), "the column id was int4 and is int8 now"),
        ((*COLUMNS, REST[1]), "the column u is gone"),
        ((*COLUMNS, REST[0]), "the column region of the row filter is gone"),
    ],
)
def test_a_column_that_is_gone_renamed_or_retyped_is_named(columns, said):
    (sentence,) = drift_of(SPEC, now(*columns))
    assert said in sentence


def test_a_filter_without_columns_of_its_own_adds_nothing():
    assert parse("region = 'eu'") is not None
    assert drift_of(replace(SPEC, scope=None), now(*COLUMNS, REST[0])) == ()
