from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import ConfigurationError, InvariantViolated
from shared.core.schedule import Cron, Every, next_due, parse_schedule, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def due(cron, now, zone="UTC"):
    return next_due(parse_schedule(cron), last=None, now=now, zone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("PT90S", timedelta(seconds=90)),
        ("P1DT2H", timedelta(hours=26)),
        ("P2W", timedelta(days=14)),
    ],
)
def test_a_duration_is_an_interval(text, interval):
    assert parse_schedule(text) == Every(interval=interval)


@pytest.mark.parametrize(
    "text",
    ["", "PT", "P", "P1Y", "PT0S", "PT59S", "P367D", "P1DT", "5M", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *",
     "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "*-5 * * * *", "1,, * * * *",
     "* * 30 feb *", "* * * foo *", "-1 * * * *", "PT٥M", "1e9 * * * *"],
)  # fmt: skip
def test_a_schedule_that_cannot_be_read_is_refused_with_an_example(text):
    with pytest.raises(ConfigurationError, match="PT5M or five cron fields") as caught:
        parse_schedule(text)
    assert caught.value.code == "schedule"


def test_cron_fields_take_lists_ranges_steps_and_names():
    cron = parse_schedule("0,30 8-18/5 1 JAN-mar,dec sun,mon-wed")
    assert cron == Cron(
        minutes=frozenset({0, 30}),
        hours=frozenset({8, 13, 18}),
        days=frozenset({1}),
        months=frozenset({1, 2, 3, 12}),
        weekdays=frozenset({0, 1, 2, 3}),
        either_day=True,
    )
    assert parse_schedule("5/20 * * * 7") == parse_schedule("5,25,45 * * * 0")


@pytest.mark.parametrize(
    ("cron", "now", "expected"),
    [
        ("*/15 * * * *", "2026-01-01T00:00", "2026-01-01T00:15"),
        ("0 6 * * mon-fri", "2026-01-02T06:00", "2026-01-05T06:00"),
        ("0 0 29 feb *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        # Both day fields restricted: either is enough; one starts with a star: both have to match.
        ("0 0 13 * fri", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("0 0 */2 * fri", "2026-01-01T00:00", "2026-01-09T00:00"),
    ],
)
def test_a_cron_is_due_at_its_next_match_after_now(cron, now, expected):
    assert due(cron, at(now)) == at(expected)


def test_a_wall_clock_time_is_kept_through_both_changes_of_the_clocks():
    assert due("0 9 * * *", at("2026-03-29T00:00", "Europe/Berlin"), "Europe/Berlin") == at("2026-03-29T07:00")
    assert due("0 9 * * *", at("2026-10-25T00:00", "Europe/Berlin"), "Europe/Berlin") == at("2026-10-25T08:00")


def test_a_time_that_the_clocks_skip_runs_at_the_first_moment_after_the_gap():
    assert due("30 2 * * *", at("2026-03-28T12:00"), "Europe/Berlin") == at("2026-03-29T01:00")
    assert due("30 2 * * *", at("2026-03-29T01:00"), "Europe/Berlin") == at("2026-03-30T00:30")


def test_a_gap_at_midnight_still_has_its_run():
    # Havana goes from 00:00 to 01:00 on 8 March 2026.
    assert due("15 0 8 3 *", at("2026-03-08T04:00"), "America/Havana") == at("2026-03-08T05:00")


def test_a_time_that_comes_twice_runs_the_first_time_only():
    first = due("30 2 * * *", at("2026-10-24T12:00"), "Europe/Berlin")
    assert first == at("2026-10-25T00:30")
    assert due("30 2 * * *", first, "Europe/Berlin") == at("2026-10-26T01:30")


CRONS = ["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 3 * * sun", "0 12 29 2 *", "59 23 31 12 *"]


@given(
    st.sampled_from(CRONS), moments, st.sampled_from(["UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe"])
)
@settings(max_examples=80, deadline=None)
def test_a_cron_is_always_due_after_now_and_nothing_is_due_between(cron, now, zone):
    found = due(cron, now, zone)
    assert found > now
    assert due(cron, now + (found - now) / 2, zone) == found
    local = found.astimezone(ZoneInfo(zone))
    parsed = parse_schedule(cron)
    skipped = local.replace(tzinfo=None) - timedelta(minutes=1) != (found - timedelta(minutes=1)).astimezone(
        ZoneInfo(zone)
    ).replace(tzinfo=None)
    assert skipped or (local.minute in parsed.minutes and local.hour in parsed.hours)


def test_a_cron_without_any_day_is_an_invariant_violated_and_no_endless_loop():
    nothing = frozenset()
    cron = Cron(minutes=nothing, hours=nothing, days=nothing, months=nothing, weekdays=nothing, either_day=False)
    with pytest.raises(InvariantViolated):
        next_due(cron, last=None, now=at("2026-01-01T00:00"), zone=UTC)


@given(
    moments, st.timedeltas(timedelta(minutes=1), timedelta(days=30)), st.timedeltas(timedelta(0), timedelta(days=365))
)
def test_an_interval_keeps_its_beat_and_runs_that_were_missed_coalesce(last, interval, later):
    found = next_due(Every(interval=interval), last=last, now=last + later, zone=UTC)
    assert found == (last + interval if later <= interval else last + later)


def test_an_interval_that_never_ran_is_due_now():
    now = at("2026-01-01T00:00")
    assert next_due(Every(interval=timedelta(hours=1)), last=None, now=now, zone=UTC) == now


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a\0b"])
def test_a_name_that_is_no_time_zone_is_refused_with_an_example(name):
    with pytest.raises(ConfigurationError, match="Europe/Berlin"):
        zone_of(name)


def test_a_time_zone_is_found_by_its_name():
    assert zone_of("Europe/Berlin") == BERLIN
