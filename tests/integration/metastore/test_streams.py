"""Slots under a lease with an epoch, our own mark, what definitions can rely on, and messages that were set aside."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.metastore.audit import AuditStore
from shared.adapters.metastore.holds import HoldStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.runs import RunStore
from shared.adapters.metastore.streams import StreamStore
from shared.core.changes import SlotIdentity
from shared.core.errors import Conflicting, NotFound, Superseded
from shared.core.ids import DefinitionId, InstanceId, RunId
from shared.core.replication import Lsn
from shared.core.runs import RunStatus, RunType
from shared.core.slots import Break, BreakKind, BudgetAction, Measured, Phase, Progress
from shared.ports import HoldRequest
from tests.integration.metastore.support import keep_definition

LEASE = timedelta(minutes=1)
BROKEN = HoldRequest(kind="STREAM_BROKEN", explanation="gone", details={})


@pytest.fixture
def streams(store: Metastore) -> StreamStore:
    return StreamStore(store)


@pytest.fixture
def instance(sql: psycopg.Connection) -> InstanceId:
    found = InstanceId(uuid4())
    sql.execute(
        "insert into syncbridge.database_instances (id, name, host, db_name, db_user) values (%s, %s, 'h', 'd', 'u')",
        [found, str(found)],
    )
    return found


def identity(instance: InstanceId, created: int = 100) -> SlotIdentity:
    return SlotIdentity(instance=instance, system="74", timeline=1, name="arcore_slot", created=Lsn(created))


@pytest.fixture
def slot(streams: StreamStore, instance: InstanceId) -> tuple[InstanceId, int]:
    """A slot that streams, and the epoch of its reader."""
    streams.want(instance, "arcore_slot")
    epoch = streams.acquire(instance, holder="a", lease=LEASE)
    assert epoch is not None
    streams.begin(instance, epoch, identity(instance))
    return instance, epoch


Streaming = Callable[..., DefinitionId]


@pytest.fixture
def streaming(sql: psycopg.Connection, instance: InstanceId) -> Streaming:
    """Makes a definition that streams from the instance."""

    def create(detection: str = "STREAM", state: str = "ACTIVE") -> DefinitionId:
        definition = DefinitionId(uuid4())
        keep_definition(sql, definition)
        sql.execute(
            "update syncbridge.sync_definitions set state = %s, draft = draft || jsonb_build_object('name', %s::text,"
            " 'change_detection', %s::text) where id = %s",
            [state, str(definition), detection, definition],
        )
        sql.execute(
            "insert into syncbridge.sync_sources (sync_def_id, instance_id) values (%s, %s)", [definition, instance]
        )
        return definition

    return create


def lapse(sql: psycopg.Connection) -> None:
    sql.execute("update syncbridge.stream_slots set leased_until = clock_timestamp() - interval '1 s'")


# ---------------------------------------------------------------- leases


def test_of_two_pollers_one_waits_until_the_other_is_gone(streams, slot):
    instance, epoch = slot
    assert streams.acquire(instance, holder="b", lease=LEASE) is None
    streams.release(instance, epoch)
    assert streams.acquire(instance, holder="b", lease=LEASE) == epoch + 1


def test_a_poller_whose_lease_ran_out_is_overtaken_and_writes_nothing_more(streams, slot, sql):
    instance, old = slot
    lapse(sql)
    new = streams.acquire(instance, holder="b", lease=LEASE)
    assert new is not None
    with pytest.raises(Superseded):
        streams.progress(instance, old, Progress(queued=Lsn(500)), lease=LEASE)
    with pytest.raises(Superseded):
        streams.renew(instance, old, lease=LEASE, streaming=True)
    with pytest.raises(Superseded):
        streams.begin(instance, old, identity(instance, 900))
    streams.release(instance, old)
    streams.trouble(instance, old, ("late", "late"))
    streams.measure(instance, old, Measured(retained=1, behind=1, caught_up=True))
    found = streams.slot(instance)
    assert found is not None
    assert (found.queued, found.alive, found.holder, found.problem_code, found.retained) == (100, True, "b", None, None)


def test_the_same_poller_comes_back_under_a_new_epoch(streams, slot):
    instance, epoch = slot
    assert streams.acquire(instance, holder="a", lease=LEASE) == epoch + 1


def test_a_heartbeat_prolongs_the_lease_and_reads_the_controls(streams, slot, sql):
    instance, epoch = slot
    lapse(sql)
    found = streams.renew(instance, epoch, lease=LEASE, streaming=True)
    assert found.alive
    assert found.streaming is True
    assert found.silent is not None
    assert found.silent < timedelta(minutes=1)
    assert streams.acquire(instance, holder="b", lease=LEASE) is None


def test_a_slot_that_is_dropped_or_broken_is_read_by_nobody(streams, slot):
    instance, epoch = slot
    assert streams.broke(instance, epoch, Break(kind=BreakKind.SLOT_LOST, explanation="lost"))
    assert streams.acquire(instance, holder="a", lease=LEASE) is None
    streams.dropped(instance, reason="no more", actor="me")
    assert streams.acquire(instance, holder="a", lease=LEASE) is None


# ---------------------------------------------------------------- progress


def test_our_mark_moves_forward_only_and_counts_what_was_done(streams, slot):
    instance, epoch = slot
    streams.progress(instance, epoch, Progress(queued=Lsn(2**40), changes=5, keys=3, messages=1), lease=LEASE)
    streams.progress(instance, epoch, Progress(queued=Lsn(200), changes=1, keys=1, messages=1), lease=LEASE)
    found = streams.slot(instance)
    assert found is not None
    assert (found.queued, found.changes, found.keys, found.messages) == (2**40, 6, 4, 2)
    assert found.identity == identity(instance)


def test_a_slot_beyond_its_budget_is_seen_until_it_is_within_again(streams, slot, sql):
    instance, epoch = slot
    streams.set_controls(
        instance, reason="small disk", actor="me", action="budget", budget=1000, budget_action=BudgetAction.PAUSE_OTHERS
    )
    streams.measure(instance, epoch, Measured(retained=1001, behind=5, caught_up=False))
    found = streams.slot(instance)
    assert found is not None
    assert (found.over_budget, found.retained, found.behind, found.budget) == (True, 1001, 5, 1000)
    assert streams.pressed() == {instance}
    streams.measure(instance, None, Measured(retained=1000, behind=0, caught_up=True))
    found = streams.slot(instance)
    assert found is not None
    assert not found.over_budget
    assert found.lag is not None
    assert found.lag < timedelta(minutes=1)
    assert streams.pressed() == frozenset()


def test_trouble_is_said_and_goes_again(streams, slot):
    instance, epoch = slot
    streams.trouble(instance, epoch, ("slot_busy", "somebody else reads it"))
    found = streams.slot(instance)
    assert found is not None
    assert (found.problem_code, found.problem_text) == ("slot_busy", "somebody else reads it")
    streams.trouble(instance, epoch, None)
    found = streams.slot(instance)
    assert found is not None
    assert found.problem_code is None


# ---------------------------------------------------------------- a stream that breaks


def test_a_broken_stream_goes_on_when_the_last_hold_for_it_is_released(streams, slot, streaming, store, sql):
    instance, epoch = slot
    holds = HoldStore(store)
    opened = [holds.open(streaming(), BROKEN, None) for _ in range(2)]
    holds.open(streaming(state="DEACTIVATED"), BROKEN, None)
    streams.broke(instance, epoch, Break(kind=BreakKind.SLOT_MISSING, explanation="gone"))
    for hold in opened:
        assert not streams.resume_released(instance)
        holds.release(hold, reason="seen", actor="me")
    assert streams.resume_released(instance)
    found = streams.slot(instance)
    assert found is not None
    assert found.phase is Phase.WANTED


def test_a_break_is_said_once_and_only_of_what_streams(streams, slot):
    instance, epoch = slot
    found = Break(kind=BreakKind.SLOT_MISSING, explanation="gone")
    assert streams.broke(instance, epoch, found)
    assert not streams.broke(instance, None, found)
    record = streams.slot(instance)
    assert record is not None
    assert (record.phase, record.problem_code, record.problem_text) == (Phase.BROKEN, "slot_missing", "gone")


def test_a_slot_that_was_given_up_for_its_size_is_made_anew_without_a_person(streams, slot):
    instance, epoch = slot
    assert streams.start_anew(instance, code="over_budget", reason="too much log", epoch=epoch)
    assert streams.acquire(instance, holder="a", lease=LEASE) is not None


# ---------------------------------------------------------------- people


def test_what_people_do_is_audited_with_the_reason(streams, slot, store):
    instance, _ = slot
    streams.set_controls(instance, reason="maintenance", actor="eva", action="stream paused", pause=True)
    found = streams.slot(instance)
    assert found is not None
    assert found.paused_reason == "maintenance"
    found = streams.set_controls(instance, reason="done", actor="eva", action="stream resumed", pause=False)
    assert found.paused_reason is None
    found = streams.set_controls(instance, reason="gently", actor="eva", action="stream throttled", throttle=(50,))
    assert found.most_per_second == 50
    found = streams.set_controls(instance, reason="free", actor="eva", action="stream throttled", throttle=(None,))
    assert found.most_per_second is None
    assert streams.moved(instance, Lsn(5000), reason="skip", actor="eva").queued == 5000
    assert streams.dropped(instance, reason="no more", actor="eva").phase is Phase.DROPPED
    assert streams.create_again(instance, "other_slot", reason="again", actor="eva").name == "other_slot"
    entries = AuditStore(store).entries(subject_id=str(instance))
    assert [entry.action for entry in reversed(entries)] == [
        *("stream paused", "stream resumed", "stream throttled", "stream throttled"),
        *("slot moved", "slot dropped", "slot wanted"),
    ]
    assert all(entry.after and entry.after["reason"] for entry in entries)


def test_a_slot_that_streams_is_not_made_again_and_one_that_does_not_is_not_moved(streams, slot):
    instance, _ = slot
    with pytest.raises(Conflicting):
        streams.create_again(instance, "other", reason="why not", actor="me")
    streams.dropped(instance, reason="no more", actor="me")
    with pytest.raises(Conflicting):
        streams.moved(instance, Lsn(5000), reason="skip", actor="me")
    streams.want(instance, "other")
    found = streams.slot(instance)
    assert found is not None
    assert found.phase is Phase.DROPPED, "nobody but a person makes it again"


def test_moving_a_slot_fences_off_its_reader(streams, slot):
    instance, epoch = slot
    streams.moved(instance, Lsn(5000), reason="skip", actor="me")
    with pytest.raises(Superseded):
        streams.progress(instance, epoch, Progress(queued=Lsn(300)), lease=LEASE)


def test_a_slot_that_is_forgotten_is_gone(streams, slot):
    instance, _ = slot
    assert [record.instance for record in streams.slots()] == [instance]
    streams.forget(instance)
    assert streams.slots() == []
    with pytest.raises(Conflicting):
        streams.set_controls(instance, reason="?", actor="me", action="stream paused", pause=True)


# ---------------------------------------------------------------- definitions


def test_active_and_paused_definitions_stream(streams, streaming, instance):
    wanted = {streaming(), streaming(state="PAUSED")}
    streaming(state="DEACTIVATED")
    streaming(state="DRAFT")
    streaming(detection="SCAN")
    assert {found.definition for found in streams.streamed(instance)} == wanted
    assert {found.definition for found in streams.streamed()} == wanted
    assert streams.streamed(InstanceId(uuid4())) == []


def test_a_watch_is_renewed_only_when_changes_may_have_gone_unseen(streams, streaming, instance):
    definition = streaming()
    assert streams.watch(definition, instance, "1.1/2.2")
    assert not streams.watch(definition, instance, "1.1/2.2")
    assert streams.watch(definition, instance, "1.1/3.3")
    assert streams.watch(definition, instance, "1.1/3.3", anew=True)
    assert [found.membership for found in streams.streamed()] == ["1.1/3.3"]
    streams.unwatch(instance, [definition])
    assert [found.membership for found in streams.streamed()] == ["1.1/3.3"]
    streams.unwatch(instance, [])
    assert [found.membership for found in streams.streamed()] == [None]


def scan(
    sql: psycopg.Connection, definition: DefinitionId, *, status: str = "COMPLETED", capture: str = "scan"
) -> None:
    sql.execute(
        "insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by, capture, start_time,"
        " queued_at) values (%s, %s, 'PUSH', %s, 'SCHEDULE', 'test', %s, clock_timestamp(),"
        " clock_timestamp() - interval '1 hour')",
        [uuid4(), definition, status, capture],
    )


def test_a_definition_needs_a_scan_that_began_after_its_stream_did(streams, streaming, instance, sql):
    definition = streaming()
    assert streams.unscanned() == [], "nothing streams yet"
    scan(sql, definition)
    streams.watch(definition, instance, "m")
    assert streams.unscanned() == [definition]
    scan(sql, definition, capture="watermark")
    scan(sql, definition, status="HELD")
    assert streams.unscanned() == [definition]
    scan(sql, definition)
    assert streams.unscanned() == []
    streams.watch(definition, instance, "other")
    assert streams.unscanned() == [definition]


def test_a_new_slot_asks_all_definitions_of_its_source_for_a_scan(streams, slot, streaming, sql, store):
    instance, epoch = slot
    definitions = sorted(streaming() for _ in range(3))
    for definition in definitions:
        streams.watch(definition, instance, "m")
        scan(sql, definition)
    assert streams.unscanned() == []
    streams.start_anew(instance, code="over_budget", reason="too much")
    epoch = streams.acquire(instance, holder="a", lease=LEASE) or 0
    streams.begin(instance, epoch, identity(instance, 700))
    assert sorted(streams.unscanned()) == definitions
    found = streams.slot(instance)
    assert found is not None
    assert (found.queued, found.problem_code) == (700, None)


def test_a_scan_is_not_asked_for_while_one_is_at_it_or_the_definition_is_held(streams, streaming, instance, sql, store):
    definition = streaming()
    streams.watch(definition, instance, "m")
    runs, run = RunStore(store), RunId(uuid4())
    runs.start(definition, RunType.PUSH, trigger="SCHEDULE", requested_by="test", run_id=run)
    assert streams.unscanned() == []
    runs.finish(run, RunStatus.FAILED, code="x", message="x")
    assert streams.unscanned() == [], "it was tried a moment ago"
    sql.execute("update syncbridge.sync_runs set queued_at = clock_timestamp() - interval '2 minutes'")
    assert streams.unscanned() == [definition]
    hold = HoldStore(store).open(definition, BROKEN, None)
    assert streams.unscanned() == []
    HoldStore(store).release(hold, reason="seen", actor="me")
    assert streams.unscanned() == [definition]


# ---------------------------------------------------------------- messages


def test_a_message_is_parked_once_and_decided_once(streams, store):
    for _ in range(3):
        streams.park("cdc-changes", "{}", code="not_changes", reason="it lacks something")
    (message,) = streams.parked()
    assert (message.body, message.code, message.reason, message.state) == (
        *("{}", "not_changes", "it lacks something", "PARKED"),
    )
    streams.decide(message.id, "DISCARDED", reason="a test", actor="me")
    with pytest.raises(Conflicting):
        streams.decide(message.id, "REPLAYED", reason="a test", actor="me")
    assert streams.parked() == []
    assert [found.state for found in streams.parked(decided=True)] == ["DISCARDED"]
    streams.park("cdc-changes", "{}", code="not_changes", reason="again")
    assert len(streams.parked()) == 1
    (entry,) = AuditStore(store).entries(subject_id=str(message.id))
    assert (entry.action, entry.after) == ("message discarded", {"reason": "a test"})


def test_any_text_can_be_parked(streams):
    for body in ("\0", "\ud800", "x" * 70_000):
        streams.park("cdc-changes", body, code="not_json", reason="it is not JSON")
    assert len(streams.parked()) == 3


def test_a_message_that_is_not_there_is_not_found(streams):
    with pytest.raises(NotFound):
        streams.parked_message(UUID(int=0))
