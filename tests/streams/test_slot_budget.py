"""What a slot may cost its source in disk, with a poller and without one."""

from datetime import timedelta

import pytest

from shared.core.slots import BudgetAction, Phase
from shared.poller import session
from tests.streams.world import Streaming, later, until

pytestmark = pytest.mark.usefixtures("quick")


def test_a_slot_beyond_its_budget_is_said_or_given_up(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "LEASE", timedelta(seconds=1))  # half of it is waited for a queue that is away
    with live.streaming():
        live.scan()
        live.world.post(
            f"/ops/slots/{live.instance}/budget", {"reason": "small disk", "bytes": 1 << 20, "action": "ALERT"}
        )
        live.queue.away = True
        live.world.sql(
            "insert into app.things select n, 'x ' || n, n, repeat('z', 500) from generate_series(1000, 6000) n"
        )
        until(lambda: live.slot().over_budget)
        assert live.slot().phase is Phase.STREAMING
        before = live.slot().identity
        live.world.post(f"/ops/slots/{live.instance}/budget", {"reason": "smaller", "bytes": 1 << 20, "action": "DROP"})

        def made_anew() -> bool:
            record = live.slot()
            return record.phase is Phase.STREAMING and record.identity != before and not record.over_budget

        until(made_anew, live.slot)
        later(live)
        live.world.sql("delete from app.things where id > 1010")
        live.scan()
        assert live.equal()


def test_while_the_poller_is_dead_the_tick_looks_at_the_budget(live: Streaming):
    with live.streaming():
        live.scan()
        live.world.post(
            f"/ops/slots/{live.instance}/budget", {"reason": "small", "bytes": 1 << 20, "action": "PAUSE_OTHERS"}
        )
    live.world.sql("insert into app.things select n, 'x ' || n, n, repeat('z', 500) from generate_series(1000, 6000) n")
    live.world.engine.look_after_streams()
    assert not live.slot().over_budget, "a poller was there a moment ago"
    live.world.metastore("update syncbridge.stream_slots set heartbeat_at = heartbeat_at - interval '1 hour'")
    live.world.engine.look_after_streams()
    record = live.slot()
    assert record.over_budget
    assert record.action is BudgetAction.PAUSE_OTHERS
    assert live.world.engine.stores.streams.pressed() == {live.instance}
    live.world.live(name="Other", list_name="Other", schedule="PT5M")
    due = live.world.engine.start_due_runs()
    assert {str(run.definition) for run in due} == {live.definition}, "the scan that streams stand on waits for nothing"
    live.world.post(f"/ops/slots/{live.instance}/budget", {"reason": "small", "bytes": 1 << 20, "action": "DROP"})
    live.world.engine.look_after_streams()
    assert live.slot().phase is Phase.WANTED
    assert live.world.sql("select count(*) from pg_replication_slots where slot_name = 'arcore_slot'") == [(0,)]
    live.world.sql("delete from app.things where id in (5, 6) or id > 1010")
    with live.streaming():
        for run in due:
            live.world.drive(run)
        assert live.world.engine.stores.streams.unscanned() == []
        assert live.equal()
