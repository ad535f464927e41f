"""Runs, holds, watermarks and retention on a real metastore."""

import threading
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.holds import HoldStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.retention import Retention
from shared.adapters.metastore.runs import RunStore
from shared.core.backlog import BacklogCounts, Lane, Mark, Reason, SubjectState
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import DefinitionId, Identity, RowSubject, RunId
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.record import DefinitionRecord, preview
from shared.core.runs import RunCounts, RunStatus, RunType, WatermarkCursor
from shared.ports import Confirmation, HoldRequest
from tests.integration.metastore.support import claim_one, entry, identity
from tests.integration.metastore.test_control_stores import record as record  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.slow

HOLD = HoldRequest(kind="FEWER_ROWS", explanation="fewer rows", details={"scanned": 1})


@pytest.fixture
def kept(store: Metastore, record: DefinitionRecord) -> DefinitionId:
    return DefinitionStore(store).add(record, actor="me").id


def start(store: Metastore, definition: DefinitionId):
    return RunStore(store).start(definition, RunType.PUSH, trigger="MANUAL", requested_by="me", run_id=RunId(uuid4()))


def test_a_second_start_answers_with_the_run_that_is_under_way(store: Metastore, kept: DefinitionId):
    first, created = start(store, kept)
    second, again = start(store, kept)
    assert (created, again, first.id) == (True, False, second.id)
    RunStore(store).finish(first.id, RunStatus.COMPLETED, code=None, message=None)
    third, created = start(store, kept)
    assert created
    assert third.id != first.id


def test_many_starts_at_once_make_one_run(store: Metastore, kept: DefinitionId):
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(start(store, kept))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] == [created for _, created in seen if created]
    assert len({run.id for run, _ in seen}) == 1


def test_a_run_is_begun_as_often_as_it_is_asked_and_ends_once(store: Metastore, kept: DefinitionId):
    runs, (run, _) = RunStore(store), start(store, kept)
    assert [run.id] == [found.id for found in runs.unfinished()]
    assert runs.begin(run.id, orchestration="o")
    assert runs.begin(run.id, orchestration="o")
    runs.add_counts(run.id, RunCounts(created=2, ru=4))
    runs.add_counts(run.id, RunCounts(created=1))
    runs.note(run.id, "said once")
    runs.note(run.id, "said once")
    assert runs.finish(run.id, RunStatus.HELD, code="held", message="why")
    assert not runs.finish(run.id, RunStatus.COMPLETED, code=None, message=None)
    assert not runs.begin(run.id, orchestration="o")
    found = runs.get(run.id)
    assert (3, 4, ("said once",), RunStatus.HELD) == (found.counts.created, found.counts.ru, found.notes, found.status)
    assert not runs.unfinished()


def test_a_kind_of_hold_is_open_once_and_released_by_a_person(store: Metastore, kept: DefinitionId):
    holds = HoldStore(store)
    first = holds.open(kept, HOLD, None)
    assert first == holds.open(kept, replace(HOLD, explanation="even fewer"), None)
    assert ["even fewer"] == [hold.explanation for hold in holds.blocking(kept)]
    assert not holds.waived(kept)
    holds.release(first, reason="looked", actor="ann")
    assert not holds.blocking(kept)
    assert holds.waived(kept) == {"FEWER_ROWS"}
    with pytest.raises(Conflicting):
        holds.release(first, reason="again", actor="ann")
    with pytest.raises(NotFound):
        holds.release(uuid4(), reason="what", actor="ann")


def test_a_hold_of_deletes_blocks_nothing_else(store: Metastore, kept: DefinitionId):
    HoldStore(store).open(kept, replace(HOLD, kind="DELETE_GUARD", deletes_only=True), None)
    assert not HoldStore(store).blocking(kept)
    assert ["DELETE_GUARD"] == [hold["kind"] for hold in HoldStore(store).list(kept, released=False)]


def test_the_days_deletes_never_pass_the_limit_whoever_asks_at_once(
    store: Metastore, kept: DefinitionId, sql: psycopg.Connection
):
    holds, taken = HoldStore(store), []
    threads = [threading.Thread(target=lambda: taken.append(holds.allow_deletes(kept, 4, limit=10))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 10
    sql.execute(  # as one row, for an hour may have begun meanwhile
        "with gone as (delete from syncbridge.delete_allowances returning sync_def_id, used)"
        " insert into syncbridge.delete_allowances (sync_def_id, hour, used)"
        " select sync_def_id, now() - interval '24 hours 30 minutes', sum(used) from gone group by sync_def_id"
    )
    assert holds.allow_deletes(kept, 4, limit=10) == 0  # its last minutes are less than a day old
    sql.execute("update syncbridge.delete_allowances set hour = hour - interval '30 minutes'")
    assert holds.allow_deletes(kept, 4, limit=10) == 4


def waiting(store: Metastore, sql: psycopg.Connection, kept: DefinitionId, state: str) -> None:
    mark = Mark(subject=RowSubject(identity=Identity('["1"]')), reasons=frozenset({Reason.SCAN}), lane=Lane.PUSH)
    BacklogStore(store).mark(kept, [mark])
    sql.execute("update syncbridge.sync_backlog set state = %s, due_at = 'infinity'", [state])


def test_what_waits_is_shown_and_released_by_a_person(store: Metastore, kept: DefinitionId, sql: psycopg.Connection):
    waiting(store, sql, kept, "PARKED")
    [shown] = RunStore(store).subjects(kept, SubjectState.PARKED, limit=5)
    assert ('["1"]', None) == (shown["key"], shown["next_try_at"])
    holds = HoldStore(store)
    assert holds.release_subjects(kept, SubjectState.PARKED, [Identity('["2"]')], approve=False, actor="me") == 0
    assert holds.release_subjects(kept, SubjectState.PARKED, None, approve=False, actor="me") == 1
    assert BacklogStore(store).counts(kept).due == 1


def test_a_rejected_delete_leaves_the_backlog(store: Metastore, kept: DefinitionId, sql: psycopg.Connection):
    waiting(store, sql, kept, "AWAITING_APPROVAL")
    assert HoldStore(store).reject_subjects(kept, None, actor="me") == 1
    assert not RunStore(store).subjects(kept, SubjectState.AWAITING_APPROVAL, limit=5)


def decided(store: Metastore, kept: DefinitionId, *reasons: Reason) -> LedgerEntry:
    """What the ledger has of a row after its delete, which waited for these reasons, was rejected."""
    backlog, ledger = BacklogStore(store), LedgerStore(store)
    claimed = claim_one(backlog, kept, 1, *reasons)
    waits = Confirmation(claimed=claimed, entry=entry(1), remove_mark=False, await_approval=True)
    assert ledger.confirm(kept, claimed.token, [waits], run=None)
    assert HoldStore(store).reject_subjects(kept, None, actor="me") == 1
    assert BacklogStore(store).counts(kept) == BacklogCounts(
        due=0, later=0, parked=0, awaiting_approval=0, held=0, next_due_at=None, oldest_marked_at=None
    )
    return ledger.entries(kept, [identity(1)])[identity(1)]


def test_a_row_whose_delete_is_rejected_stays_without_an_item_until_it_changes(store: Metastore, kept: DefinitionId):
    found = decided(store, kept, Reason.ITEM_GONE)
    assert (found.state, found.base, found.stamp) == (EntryState.TOMBSTONE, None, entry(1).stamp)
    assert found.confirmed is not None


@pytest.mark.parametrize("reasons", [[Reason.ROW_GONE], [Reason.ROW_GONE, Reason.ITEM_GONE], [Reason.SCAN]])
def test_an_item_whose_delete_is_rejected_stays_and_its_row_counts_as_known_to_be_gone(
    store: Metastore, kept: DefinitionId, reasons: list[Reason]
):
    found = decided(store, kept, *reasons)
    assert (found.state, found.stamp, found.base) == (EntryState.SETTLED, None, entry(1).base)


def test_the_steps_of_a_capture_add_up_in_their_run(store: Metastore, kept: DefinitionId):
    runs, (run, _) = RunStore(store), start(store, kept)
    runs.add_captured(run.id, "delta", {"pages": 2, "entries": 5}, ["one", "two"])
    runs.add_captured(run.id, "delta", {"pages": 1, "seconds": 0.5}, ["two", "three"])
    found = runs.get(run.id)
    assert (found.capture, found.captured) == ("delta", {"pages": 3, "entries": 5, "seconds": 0.5})
    assert found.notes == ("one", "two", "three")


def test_a_watermark_moves_with_its_marks_and_only_from_where_it_was(
    store: Metastore, kept: DefinitionId, record: DefinitionRecord
):
    cursors, spec = CursorStore(store), preview(record)
    mark = Mark(subject=RowSubject(identity=Identity('["1"]')), reasons=frozenset({Reason.WATERMARK}), lane=Lane.PUSH)
    one = WatermarkCursor(value="1", identity=Identity('["1"]'), fingerprint=b"f", details={"type": "int8"})
    two = replace(one, value="2", identity=None)
    assert cursors.advance_watermark(spec, expected=None, new=one, marks=[mark])
    assert one == cursors.get_watermark(kept, record.instance_id)
    assert not cursors.advance_watermark(spec, expected=None, new=two, marks=[])
    assert cursors.advance_watermark(spec, expected=one, new=two, marks=[])
    assert two == cursors.get_watermark(kept, record.instance_id)
    assert BacklogStore(store).counts(kept).due == 1
    cursors.reset(kept)
    assert cursors.get_watermark(kept, record.instance_id) is None


def test_old_runs_go_and_those_under_way_stay(store: Metastore, kept: DefinitionId, sql: psycopg.Connection):
    runs, (old, _) = RunStore(store), start(store, kept)
    runs.finish(old.id, RunStatus.COMPLETED, code=None, message=None)
    now, _ = start(store, kept)
    sql.execute("update syncbridge.sync_runs set end_time = end_time - interval '91 days'")
    ages = {name: timedelta(days=90) for name in ("runs", "conflicts", "tombstones")}
    assert Retention(store).sweep(**ages)["runs"] == 1
    assert [now.id] == [run.id for run in runs.list(kept, status=None, limit=5)]


@pytest.mark.parametrize("approve", [True, False], ids=["approved", "rejected"])
def test_the_delete_guards_hold_ends_when_every_delete_is_decided(
    store: Metastore, kept: DefinitionId, sql: psycopg.Connection, approve: bool
):
    holds = HoldStore(store)
    waiting(store, sql, kept, "AWAITING_APPROVAL")
    holds.open(kept, replace(HOLD, kind="DELETE_GUARD", deletes_only=True), None)
    holds.release_subjects(kept, SubjectState.AWAITING_APPROVAL, [Identity('["2"]')], approve=True, actor="ann")
    assert len(holds.list(kept, released=False)) == 1
    if approve:
        holds.release_subjects(kept, SubjectState.AWAITING_APPROVAL, None, approve=True, actor="ann")
    else:
        holds.reject_subjects(kept, None, actor="ann")
    assert not holds.list(kept, released=False)
