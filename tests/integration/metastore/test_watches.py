"""Notices and subscriptions on a real metastore: nothing is lost, doubled or done twice, whoever comes first."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.holds import HoldStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.runs import RunStore
from shared.adapters.metastore.subscriptions import SubscriptionStore
from shared.adapters.metastore.watches import WatchStore
from shared.core.backlog import Lane, Reason
from shared.core.definition import DefinitionState
from shared.core.ids import DefinitionId, ListId, RunId, SiteId
from shared.core.record import DefinitionRecord
from shared.core.runs import RunStatus, RunType
from shared.core.watching import GraphSubscription, ListSubscription, Wanted, Watched, state_hash
from shared.ports import HoldRequest
from tests.integration.metastore.support import mark
from tests.integration.metastore.test_control_stores import record as record  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LIST = ListId("11111111-2222-3333-4444-555555555555")
HOLD = HoldRequest(kind="FEWER_ROWS", explanation="fewer rows", details={})


@pytest.fixture
def kept(store: Metastore, record: DefinitionRecord, sql: psycopg.Connection) -> DefinitionId:
    """An active definition with its list."""
    definition = DefinitionStore(store).add(record, actor="me").id
    sql.execute("update syncbridge.sync_definitions set state = 'ACTIVE' where id = %s", [definition])
    sql.execute(
        "update syncbridge.sync_targets set list_id = %s, provisioned_at = now() where sync_def_id = %s",
        [LIST, definition],
    )
    return definition


@pytest.fixture
def watches(store: Metastore) -> WatchStore:
    return WatchStore(store)


@pytest.fixture
def subscriptions(store: Metastore) -> SubscriptionStore:
    return SubscriptionStore(store)


def noticed_run(store: Metastore, definition: DefinitionId):
    return RunStore(store).start_noticed(
        definition, RunType.INGRESS, trigger="NOTICE", requested_by="graph", run_id=RunId(uuid4())
    )


def end(store: Metastore, run: RunId) -> None:
    RunStore(store).finish(run, RunStatus.COMPLETED, code=None, message=None)


def due(watches: WatchStore, now: datetime = NOW) -> list[tuple[datetime | None, bool]]:
    return [(next_at, noticed) for _, next_at, noticed in watches.due(now)]


# ---------------------------------------------------------------- notices


def test_a_notice_starts_one_run_and_ten_thousand_during_it_start_exactly_one_more(
    store: Metastore, watches: WatchStore, kept: DefinitionId
):
    assert watches.notice(kept)
    first = noticed_run(store, kept)
    assert first is not None
    watches.take(kept)

    with store.connection() as connection, connection.transaction():
        for _ in range(10_000):
            connection.execute(
                "update syncbridge.list_watches set noticed = noticed + 1 where sync_def_id = %s", [kept]
            )
    assert noticed_run(store, kept) is None, "one is under way"
    end(store, first.id)
    assert watches.pending(kept)
    second = noticed_run(store, kept)
    assert second is not None
    watches.take(kept)
    end(store, second.id)
    assert not watches.pending(kept)
    assert noticed_run(store, kept) is None


def test_a_notice_between_the_start_of_a_run_and_its_reading_is_answered_by_that_run(
    store: Metastore, watches: WatchStore, kept: DefinitionId
):
    watches.notice(kept)
    run = noticed_run(store, kept)
    assert run is not None
    watches.notice(kept)
    watches.take(kept)
    assert not watches.pending(kept)


def test_whoever_starts_for_a_notice_waits_for_the_run_that_is_taking_it(
    store: Metastore, watches: WatchStore, kept: DefinitionId
):
    """A run takes the notices and ends while somebody else is about to start one for them."""
    watches.notice(kept)
    run = noticed_run(store, kept)
    assert run is not None
    started = []
    with store.connection() as taking:
        with taking.transaction():
            taking.execute("update syncbridge.list_watches set taken = noticed where sync_def_id = %s", [kept])
            taking.execute("update syncbridge.sync_runs set status = 'COMPLETED' where id = %s", [run.id])
            other = threading.Thread(target=lambda: started.append(noticed_run(store, kept)))
            other.start()
            waiting = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%list_watches w%'"
            )
            with store.connection() as watching:
                while watching.execute(waiting).fetchone() != (1,):
                    pass
        other.join()
    assert started == [None]


def test_many_starts_for_one_notice_make_one_run(store: Metastore, watches: WatchStore, kept: DefinitionId):
    watches.notice(kept)
    started = []
    threads = [threading.Thread(target=lambda: started.append(noticed_run(store, kept))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([run for run in started if run is not None]) == 1


def test_a_notice_for_a_definition_that_is_deleted_or_never_was_is_nothing(
    watches: WatchStore, kept: DefinitionId, sql: psycopg.Connection
):
    assert not watches.notice(DefinitionId(uuid4()))
    sql.execute("update syncbridge.sync_definitions set state = 'DELETED' where id = %s", [kept])
    assert not watches.notice(kept)
    assert watches.seen(kept) == Watched()


# ---------------------------------------------------------------- polls


def test_a_definition_is_due_at_once_then_when_its_poll_is_or_when_it_is_noticed(
    watches: WatchStore, kept: DefinitionId
):
    assert due(watches) == [(None, False)]
    later = NOW + timedelta(seconds=60)
    assert watches.set_next(kept, was=None, next_at=later)
    assert due(watches) == []
    assert due(watches, later) == [(later, False)]
    watches.notice(kept)
    assert due(watches) == [(later, True)]
    watches.take(kept)
    assert due(watches) == []
    seen = watches.seen(kept)
    assert (seen.notices, seen.next_poll_at) == (1, later)


def test_only_one_of_several_ticks_moves_a_poll_on(watches: WatchStore, kept: DefinitionId):
    for was in (None, NOW):
        moved = []

        def move(was: datetime | None = was, moved: list[bool] = moved) -> None:
            moved.append(watches.set_next(kept, was=was, next_at=NOW if was is None else NOW + timedelta(seconds=1)))

        threads = [threading.Thread(target=move) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert moved.count(True) == 1


SOON, EARLIEST = NOW + timedelta(minutes=1), NOW + timedelta(seconds=10)


def after_reading(watches: WatchStore, definition: DefinitionId, retry_at: datetime | None = None) -> datetime | None:
    watches.set_next(definition, was=watches.seen(definition).next_poll_at, next_at=NOW + timedelta(hours=1))
    watches.after_reading(definition, earliest=EARLIEST, retry_at=retry_at)
    return watches.seen(definition).next_poll_at


def test_after_a_reading_that_failed_the_next_one_comes_soon(watches: WatchStore, kept: DefinitionId):
    assert after_reading(watches, kept) == NOW + timedelta(hours=1)
    assert after_reading(watches, kept, SOON) == SOON
    assert after_reading(watches, kept, NOW) == EARLIEST


def test_edits_of_people_that_wait_bring_the_next_poll_when_they_are_due(
    store: Metastore, watches: WatchStore, kept: DefinitionId, sql: psycopg.Connection
):
    backlog = BacklogStore(store)
    backlog.mark(kept, [mark(1, Reason.ITEM, lane=Lane.PEOPLE), mark(2, lane=Lane.PUSH)])
    change = "update syncbridge.sync_backlog set due_at = %s, claimed_until = %s where lane = %s"
    sql.execute(change, [NOW, None, Lane.PUSH.value])
    sql.execute(change, [SOON, None, Lane.PEOPLE.value])
    assert after_reading(watches, kept) == SOON
    sql.execute(change, [NOW, SOON, Lane.PEOPLE.value])
    assert after_reading(watches, kept) == SOON, "somebody else is at it until then"
    sql.execute(change, [NOW, None, Lane.PEOPLE.value])
    assert after_reading(watches, kept) == EARLIEST
    sql.execute("update syncbridge.sync_backlog set state = 'PARKED' where lane = 0")
    assert after_reading(watches, kept) == NOW + timedelta(hours=1)


def test_what_is_held_being_read_paused_or_without_its_list_is_not_due(
    store: Metastore, watches: WatchStore, kept: DefinitionId, sql: psycopg.Connection
):
    hold = HoldStore(store).open(kept, HOLD, None)
    assert due(watches) == []
    HoldStore(store).release(hold, reason="looked", actor="me")
    assert len(due(watches)) == 1
    HoldStore(store).open(kept, replace(HOLD, deletes_only=True, kind="DELETE_GUARD"), None)
    assert len(due(watches)) == 1
    watches.notice(kept)
    run = noticed_run(store, kept)
    assert run is not None
    assert due(watches) == []
    end(store, run.id)
    for change in ("sync_definitions set state = 'PAUSED'", "sync_targets set provisioned_at = null"):
        assert len(due(watches)) == 1
        sql.execute(f"update syncbridge.{change}".encode())
        assert due(watches) == []
        sql.execute("update syncbridge.sync_definitions set state = 'ACTIVE'")
        sql.execute("update syncbridge.sync_targets set provisioned_at = now()")


def push(store: Metastore, definition: DefinitionId) -> RunId:
    run, _ = RunStore(store).start(definition, RunType.PUSH, trigger="MANUAL", requested_by="me", run_id=RunId(uuid4()))
    return run.id


def test_the_first_reading_of_a_list_waits_for_a_push_that_is_under_way(
    store: Metastore, watches: WatchStore, kept: DefinitionId
):
    pushing = push(store, kept)
    watches.notice(kept)
    assert due(watches) == []
    assert noticed_run(store, kept) is None
    end(store, pushing)
    assert due(watches) == [(None, True)]
    assert noticed_run(store, kept) is not None


def test_a_list_that_was_read_before_is_read_beside_a_push(
    store: Metastore, watches: WatchStore, kept: DefinitionId, sql: psycopg.Connection
):
    sql.execute(
        "insert into syncbridge.sync_cursors (sync_def_id, cursor_scope, cursor_type, cursor_value, target_list_id, fingerprint)"
        " values (%s, 'TARGET', 'DELTA_TOKEN', 'link', %s, '')",
        [kept, LIST],
    )
    push(store, kept)
    assert due(watches) == [(None, False)]
    watches.notice(kept)
    assert noticed_run(store, kept) is not None


# ---------------------------------------------------------------- subscriptions


def wanted(definition: DefinitionId) -> Wanted:
    return Wanted(
        definition=definition,
        site_id=SiteId("contoso,1,2"),
        list_id=LIST,
        notification_url="https://app.example.org/api/graph/notifications",
        lifecycle_url="https://app.example.org/api/graph/lifecycle",
    )


def graph(name: str = "sub-1") -> GraphSubscription:
    return GraphSubscription(
        id=name, resource=f"sites/s/lists/{LIST}", notification_url="https://app", expires=NOW + timedelta(days=29)
    )


@pytest.fixture
def row(subscriptions: SubscriptionStore, kept: DefinitionId) -> ListSubscription:
    assert subscriptions.add(uuid4(), wanted(kept), look_at=NOW)
    (found,) = subscriptions.of_definition(kept)
    return found


def live(subscriptions: SubscriptionStore, row: ListSubscription, name: str = "sub-1") -> bool:
    return subscriptions.live(
        row, graph(name), renew_at=NOW + timedelta(days=14), verified_at=NOW, next_look=NOW + timedelta(days=1)
    )


def test_a_subscription_comes_back_as_it_was_and_its_client_state_only_as_a_hash(
    subscriptions: SubscriptionStore, row: ListSubscription, kept: DefinitionId, sql: psycopg.Connection
):
    assert (row.subscription_id, row.asked, row.client_state_hash) == (None, 0, None)
    assert subscriptions.roster() == {}
    assert subscriptions.asked(row, state_hash("hush"))
    (asked,) = subscriptions.of_definition(kept)
    assert (asked.asked, asked.client_state_hash) == (1, state_hash("hush"))
    assert live(subscriptions, asked)
    (found,) = subscriptions.of_definition(kept)
    assert (found.subscription_id, found.expires_at, found.asked) == ("sub-1", NOW + timedelta(days=29), 0)
    (known,) = subscriptions.roster().items()
    assert known[0] == "sub-1"
    assert (known[1].definition, known[1].list_id, known[1].client_state_hash) == (kept, LIST, state_hash("hush"))
    assert "hush" not in str(sql.execute("select * from syncbridge.list_subscriptions").fetchall())


def test_only_one_looks_after_a_subscription_and_the_others_write_nothing(
    subscriptions: SubscriptionStore, row: ListSubscription, kept: DefinitionId
):
    until = NOW + timedelta(minutes=5)
    assert subscriptions.claim(row, until=until)
    assert not subscriptions.claim(row, until=until)
    for write in (
        lambda: subscriptions.asked(row, state_hash("x")),
        lambda: live(subscriptions, row),
        lambda: subscriptions.lost(row),
        lambda: subscriptions.failed(row, code="c", message="m", next_look=NOW),
        lambda: subscriptions.remove(row),
    ):
        assert not write()
    (mine,) = subscriptions.of_definition(kept)
    assert mine == replace(row, look_at=until)


def test_two_that_find_none_make_one_row(subscriptions: SubscriptionStore, kept: DefinitionId):
    assert subscriptions.add(uuid4(), wanted(kept), look_at=NOW)
    assert not subscriptions.add(uuid4(), wanted(kept), look_at=NOW)


def test_failures_add_up_and_are_forgotten_once_it_lives(
    subscriptions: SubscriptionStore, row: ListSubscription, kept: DefinitionId
):
    for n in (1, 2):
        (now,) = subscriptions.of_definition(kept)
        assert subscriptions.failed(now, code="throttled", message="wait", next_look=NOW + timedelta(minutes=n))
    (failing,) = subscriptions.of_definition(kept)
    assert (failing.failures, failing.error_code, failing.error_message) == (2, "throttled", "wait")
    subscriptions.asked(failing, state_hash("x"))
    live(subscriptions, failing)
    (healthy,) = subscriptions.of_definition(kept)
    assert (healthy.failures, healthy.error_code, healthy.error_message) == (0, None, None)


def test_lifecycle_events_make_it_due_and_interrupt_whoever_is_at_it(
    subscriptions: SubscriptionStore, row: ListSubscription, kept: DefinitionId
):
    subscriptions.asked(row, state_hash("x"))
    live(subscriptions, row)
    (at_it,) = subscriptions.of_definition(kept)
    assert subscriptions.due(NOW, wanted=True) == []
    assert subscriptions.soon("sub-1", at=NOW)
    assert subscriptions.due(NOW, wanted=True) == [kept]
    assert not live(subscriptions, at_it)
    (again,) = subscriptions.of_definition(kept)
    assert again.renew_at == NOW
    assert subscriptions.removed("sub-1", at=NOW)
    (gone,) = subscriptions.of_definition(kept)
    assert (gone.subscription_id, gone.client_state_hash, gone.asked) == (None, None, 0)
    assert not subscriptions.soon("sub-1", at=NOW)


def test_a_definition_without_the_subscription_that_it_should_have_is_due(
    subscriptions: SubscriptionStore, kept: DefinitionId, sql: psycopg.Connection
):
    assert subscriptions.due(NOW, wanted=True) == [kept]
    assert subscriptions.due(NOW, wanted=False) == []
    for state in set(DefinitionState) - {DefinitionState.ACTIVE}:
        sql.execute("update syncbridge.sync_definitions set state = %s", [state.value])
        assert subscriptions.due(NOW, wanted=True) == []


def test_a_subscription_whose_time_has_come_is_due_whatever_its_definition_became(
    subscriptions: SubscriptionStore, row: ListSubscription, kept: DefinitionId, sql: psycopg.Connection
):
    sql.execute("update syncbridge.sync_definitions set state = 'DELETED'")
    assert subscriptions.due(NOW, wanted=False) == [kept]
    assert subscriptions.due(NOW - timedelta(seconds=1), wanted=False) == []
