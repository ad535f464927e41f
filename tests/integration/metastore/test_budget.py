"""The shared RU budget: never overspent, whoever asks at once; stopped by a throttle for everybody."""

import threading

import psycopg
import pytest

from shared.adapters.metastore.budget import BudgetStore
from shared.adapters.metastore.pool import Metastore
from shared.core.backlog import Lane
from shared.core.estimate import Ceiling
from shared.core.pacing import BURST

pytestmark = pytest.mark.slow

LIMIT = Ceiling(per_minute=1250, per_day=1_200_000)


def budget(store: Metastore, limit: Ceiling = LIMIT) -> BudgetStore:
    return BudgetStore(store, tenant="t", client="c", limit=limit)


def test_many_takers_at_once_share_one_bucket(store: Metastore):
    slow = Ceiling(per_minute=60, per_day=1_000_000)
    granted = []

    def taker() -> None:
        mine = budget(store, slow)
        granted.extend(mine.take(1, Lane.PEOPLE) == 0.0 for _ in range(10))

    threads = [threading.Thread(target=taker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The bucket held 60 * BURST and refilled at less than one a second meanwhile.
    assert 1 <= sum(granted) <= 60 * BURST + 15


def test_a_throttle_stops_every_process_of_the_tenant(store: Metastore):
    assert budget(store).take(2, Lane.PUSH) == 0.0
    budget(store).penalize(30)
    assert 25 < budget(store).take(2, Lane.PEOPLE) <= 30
    assert BudgetStore(store, tenant="other", client="c", limit=LIMIT).take(2, Lane.PEOPLE) == 0.0


def test_low_lanes_leave_something_for_people(store: Metastore):
    while budget(store).take(2, Lane.DRIFT) == 0.0:
        pass
    assert budget(store).take(2, Lane.PEOPLE) == 0.0


def test_the_days_cap_makes_scheduled_work_wait_long(store: Metastore, sql: psycopg.Connection):
    small = Ceiling(per_minute=1_000_000, per_day=100)
    mine = budget(store, small)
    mine.charge(95)
    assert mine.take(2, Lane.PUSH) > 3600
    assert mine.take(2, Lane.PEOPLE) == 0.0


def test_what_graph_says_is_left_is_believed(store: Metastore):
    budget(store).observe(limit=1250, remaining=0, reset=12.0)
    assert 8 < budget(store).take(1, Lane.PEOPLE) <= 12
