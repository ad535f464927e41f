from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.backlog import Lane
from shared.core.estimate import TIERS, Ceiling, Estimate, Workload, ceiling, estimate, ru_of, tier_of
from shared.core.pacing import (
    DAY_SHARES,
    FULL_RAMP,
    MINUTE_RESERVES,
    capacity,
    charge,
    new_bucket,
    observe,
    penalize,
    refill,
    spent_in_a_day,
    take,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SMALLEST = ceiling(0)
steps = st.lists(st.tuples(st.integers(1, 80), st.sampled_from(Lane), st.floats(0, 30)), min_size=1, max_size=120)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_no_minute_exceeds_the_ceiling_whatever_is_asked_for(asked):
    bucket, clock, granted = new_bucket(SMALLEST, NOW), 0.0, []
    for ru, lane, pause in asked:
        clock += pause
        grant = take(bucket, SMALLEST, ru, lane, later(clock))
        bucket = grant.bucket
        if grant.wait == 0.0:
            granted.append((clock, ru))
    for start, _ in granted:
        assert sum(ru for at, ru in granted if start <= at < start + 60) <= SMALLEST.per_minute


@given(steps)
@settings(max_examples=60, deadline=None)
def test_who_waits_as_long_as_told_is_served_and_who_waits_takes_nothing(asked):
    bucket, clock = new_bucket(SMALLEST, NOW), 0.0
    for ru, lane, _ in asked:
        first = take(bucket, SMALLEST, ru, lane, later(clock))
        if first.wait:
            assert first.bucket.level == refill(bucket, SMALLEST, later(clock)).level
            assert take(first.bucket, SMALLEST, ru, lane, later(clock + first.wait / 2)).wait > 0
            clock += first.wait + 1e-3
            first = take(first.bucket, SMALLEST, ru, lane, later(clock))
        assert first.wait == 0.0
        bucket = first.bucket


def test_a_steady_worker_gets_nine_tenths_of_the_ceiling():
    bucket, clock, spent = new_bucket(SMALLEST, NOW), 0.0, 0
    while clock < 600:
        grant = take(bucket, SMALLEST, 40, Lane.PUSH, later(clock))
        bucket = grant.bucket
        spent += 40 if grant.wait == 0.0 else 0
        clock += max(grant.wait, 0.01)
    assert 0.88 <= spent / (10 * SMALLEST.per_minute) <= 0.92


def test_a_higher_lane_is_served_where_a_lower_one_waits():
    bucket = replace(new_bucket(SMALLEST, NOW), level=50.0)
    waits = [take(bucket, SMALLEST, 40, lane, NOW).wait for lane in Lane]
    assert waits == sorted(waits)
    assert waits[0] == 0.0 < waits[-1]
    assert list(MINUTE_RESERVES) == list(DAY_SHARES) == list(Lane)


def test_a_request_larger_than_the_bucket_passes_when_it_is_full_and_leaves_debt():
    grant = take(new_bucket(SMALLEST, NOW), SMALLEST, 1000, Lane.DRIFT, NOW)
    assert grant.wait == 0.0
    assert grant.bucket.level == capacity(SMALLEST) - 1000
    assert take(grant.bucket, SMALLEST, 1, Lane.PEOPLE, later(1)).wait > 40


def test_after_a_throttle_nothing_is_granted_until_its_end_and_then_slowly():
    bucket = penalize(new_bucket(SMALLEST, NOW), SMALLEST, 31, NOW)
    assert take(bucket, SMALLEST, 1, Lane.PEOPLE, later(1)).wait == 30
    slow = take(bucket, SMALLEST, 2, Lane.PEOPLE, later(31))
    assert slow.wait == pytest.approx(2 / (SMALLEST.per_minute / 60 * 0.9 / 8))
    granted = take(slow.bucket, SMALLEST, 2, Lane.PEOPLE, later(40))
    assert (granted.wait, granted.bucket.ramp, granted.bucket.blocked_until) == (0.0, 2, None)
    for second in range(41, 60):
        granted = take(granted.bucket, SMALLEST, 1, Lane.PEOPLE, later(second))
    assert granted.bucket.ramp == FULL_RAMP


def test_the_later_of_two_throttles_holds():
    bucket = penalize(penalize(new_bucket(SMALLEST, NOW), SMALLEST, 60, NOW), SMALLEST, 5, NOW)
    assert bucket.blocked_until == later(60)


def test_the_day_s_cap_bites_a_lower_lane_first_and_ends_as_its_hours_age():
    limit = Ceiling(per_minute=1000, per_day=1000)
    bucket = charge(new_bucket(limit, NOW), limit, 820, NOW)
    bucket = refill(bucket, limit, later(1800))
    drift = take(bucket, limit, 10, Lane.DRIFT, later(1800))
    assert drift.daily
    assert drift.wait == (24 + 1) * 3600 - 1800
    assert take(bucket, limit, 10, Lane.PEOPLE, later(1800)).wait == 0.0
    assert take(drift.bucket, limit, 10, Lane.DRIFT, later(1800 + drift.wait)).wait == 0.0
    assert take(bucket, limit, 2000, Lane.PEOPLE, later(1800)).wait == 24 * 3600


def test_hours_older_than_a_day_are_forgotten():
    bucket = charge(new_bucket(SMALLEST, NOW), SMALLEST, 7, NOW)
    assert spent_in_a_day(bucket, later(24 * 3600)) == 7
    assert spent_in_a_day(bucket, later(25 * 3600)) == 0
    assert refill(bucket, SMALLEST, later(25 * 3600)).hours == {}


def test_what_is_given_back_never_overfills_the_bucket():
    bucket = charge(new_bucket(SMALLEST, NOW), SMALLEST, -500, NOW)
    assert bucket.level == capacity(SMALLEST)
    assert spent_in_a_day(bucket, NOW) == 0


def test_a_clock_that_goes_back_neither_fills_nor_empties():
    bucket = replace(new_bucket(SMALLEST, NOW), level=10.0)
    assert refill(bucket, SMALLEST, later(-60)) == bucket


def test_headers_that_show_less_than_we_think_are_believed():
    bucket = new_bucket(SMALLEST, NOW)
    assert observe(bucket, 1200, 30, 5, NOW).level == 30
    assert observe(bucket, 1200, 900, 5, NOW) == bucket
    empty = observe(bucket, 1200, 0, 5, NOW)
    assert (empty.level, empty.blocked_until) == (0.0, later(5))
    assert observe(replace(bucket, blocked_until=later(50)), 1200, 0, 5, NOW).blocked_until == later(50)


@pytest.mark.parametrize(
    ("licences", "per_minute"),
    [
        (0, 1250),
        (1000, 1250),
        (1001, 2500),
        (5000, 2500),
        (15_000, 3750),
        (50_000, 5000),
        (50_001, 6250),
        (10**6, 6250),
    ],
)
def test_the_tier_follows_the_licences(licences, per_minute):
    assert tier_of(licences).per_minute == per_minute


def test_every_tier_reaches_its_day_s_cap_after_sixteen_hours():
    assert {tier.per_day / tier.per_minute / 60 for tier in TIERS} == {16}


def test_a_negative_number_of_licences_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        tier_of(-1)


def test_a_ceiling_is_the_tier_s_times_the_multiplier_unless_it_is_given():
    assert ceiling(1, 2.5) == Ceiling(per_minute=3125, per_day=3_000_000)
    assert ceiling(1, 2.5, per_minute=7, per_day=8) == Ceiling(per_minute=7, per_day=8)


def test_a_plan_s_cost_counts_writes_twice_and_single_reads_once():
    assert ru_of(Workload(creates=3, updates=2, deletes=1, item_reads=5, pages=4)) == 12 + 5 + 8


def test_an_estimate_says_how_long_it_takes_and_whether_the_day_s_cap_bites():
    limit = ceiling(0)
    assert estimate(Workload(), limit) == Estimate(ru=0, time=timedelta(0), days=1)
    hundred = estimate(Workload(creates=100_000), limit, share=1.0)
    assert (hundred.ru, hundred.time, hundred.days) == (200_000, timedelta(minutes=160), 1)
    full = estimate(Workload(creates=600_000), limit, share=1.0)
    assert (full.time, full.days) == (timedelta(hours=16), 1)
    million = estimate(Workload(creates=1_000_000), limit, share=1.0)
    assert (million.days, round(million.time.total_seconds() / 3600, 1)) == (2, 34.7)
