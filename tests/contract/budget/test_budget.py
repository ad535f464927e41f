"""What whoever spends resource units relies on of every Budget. None of it depends on how fast a machine is."""

import pytest

from shared.core.backlog import Lane
from shared.core.estimate import Ceiling
from shared.ports import Budget

SLOW = Ceiling(per_minute=600, per_day=1_000_000)
"""A bucket of 48 RU, which takes seconds to refill."""
DAY = 86_400


def drain(budget: Budget, lane: Lane) -> None:
    while budget.take(2, lane) == 0.0:
        pass


def test_a_fresh_budget_grants(make):
    assert make(SLOW).take(2, Lane.DRIFT) == 0.0


def test_who_is_refused_is_told_how_long_to_wait(make):
    budget = make(SLOW)
    drain(budget, Lane.PUSH)
    assert 0 < budget.take(2, Lane.PUSH) < 60


def test_lower_lanes_leave_something_for_higher_ones(make):
    budget = make(SLOW)
    for lane in (Lane.DRIFT, Lane.BACKFILL, Lane.PUSH, Lane.CDC):
        drain(budget, lane)
    assert budget.take(2, Lane.PEOPLE) == 0.0


def test_a_request_larger_than_the_bucket_passes_when_the_bucket_is_full(make):
    budget = make(SLOW)
    assert budget.take(500, Lane.PEOPLE) == 0.0
    assert budget.take(1, Lane.PEOPLE) > 30


def test_what_was_spent_beyond_what_was_taken_is_paid_for(make):
    budget = make(SLOW)
    budget.charge(300)
    assert budget.take(2, Lane.PEOPLE) > 20


def test_what_was_not_spent_is_given_back(make):
    budget = make(SLOW)
    assert budget.take(500, Lane.PEOPLE) == 0.0
    budget.charge(-500)
    assert budget.take(2, Lane.PEOPLE) == 0.0


def test_asking_for_the_wait_takes_nothing(make):
    budget = make(SLOW)
    assert [budget.wait(Lane.PUSH) for _ in range(100)] == [0.0] * 100
    assert budget.take(2, Lane.PUSH) == 0.0


@pytest.mark.parametrize("lane", Lane)
def test_a_throttle_stops_every_lane_until_it_is_over(make, lane):
    budget = make(SLOW)
    budget.penalize(40)
    assert 30 < budget.take(1, lane) <= 40
    assert 30 < budget.wait(lane) <= 40


def test_a_shorter_throttle_does_not_end_a_longer_one(make):
    budget = make(SLOW)
    budget.penalize(40)
    budget.penalize(1)
    assert budget.take(1, Lane.PEOPLE) > 30


def test_nothing_left_by_the_headers_waits_for_their_reset(make):
    budget = make(SLOW)
    budget.observe(limit=600, remaining=0, reset=25)
    assert 15 < budget.take(1, Lane.PEOPLE) <= 25


def test_a_lot_left_by_the_headers_is_no_gift(make):
    budget = make(SLOW)
    drain(budget, Lane.PUSH)
    budget.observe(limit=600, remaining=599, reset=25)
    assert budget.take(48, Lane.PUSH) > 0


def test_the_days_cap_leaves_its_last_share_to_people(make):
    budget = make(Ceiling(per_minute=1_000_000, per_day=1000))
    budget.charge(960)
    assert 3600 < budget.take(2, Lane.PUSH) <= DAY + 3600
    assert budget.take(2, Lane.PEOPLE) == 0.0
