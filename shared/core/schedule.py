"""When a definition runs: ISO 8601 durations ("PT5M") and five-field cron expressions in a time zone ("30 6 * * mon-fri").

Runs that were missed coalesce: the next due time is always after now, however long nobody looked. A cron's wall-clock
time that a change of the clocks skips is run at the first moment after the gap; one that comes twice runs the first time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from shared.core.errors import ConfigurationError, InvariantViolated

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=366)

_DURATION = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,4})W)?(?:(?P<days>[0-9]{1,5})D)?"
    r"(?:T(?:(?P<hours>[0-9]{1,5})H)?(?:(?P<minutes>[0-9]{1,7})M)?(?:(?P<seconds>[0-9]{1,9})S)?)?",
    re.ASCII,
)
_MONTHS = {
    name: at
    for at, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_WEEKDAYS = {name: at for at, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_PART = re.compile(r"(?P<first>\*|[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?(?:/(?P<step>[0-9]{1,2}))?", re.ASCII)
_HORIZON_DAYS = 366 * 9
"""29 February comes within eight years, also around 2100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    interval: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both day fields are restricted: one of them matching is enough, as cron(5) has it."""


Schedule = Every | Cron


def parse_schedule(text: str) -> Schedule:
    """Raises ConfigurationError saying what is accepted."""
    return _parse_duration(text) if text.startswith("P") else _parse_cron(text)


def _bad(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the schedule {text[:60]!r} cannot be read: {why}; write a duration as PT5M or five cron fields as 30 6 * * mon-fri",
        code="schedule",
    )


def _parse_duration(text: str) -> Every:
    found = _DURATION.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise _bad(text, "it is no ISO 8601 duration of weeks, days, hours, minutes and seconds")
    interval = timedelta(**{unit: int(count) for unit, count in found.groupdict().items() if count})
    if not SHORTEST <= interval <= LONGEST:
        raise _bad(text, "an interval is at least a minute and at most 366 days")
    return Every(interval=interval)


def _parse_cron(text: str) -> Cron:
    fields = text.lower().split()
    if len(fields) != 5:
        raise _bad(text, f"it has {len(fields)} fields instead of minute, hour, day of month, month and day of week")
    weekdays = _field(text, fields[4], 0, 7, _WEEKDAYS)
    cron = Cron(
        minutes=_field(text, fields[0], 0, 59),
        hours=_field(text, fields[1], 0, 23),
        days=_field(text, fields[2], 1, 31),
        months=_field(text, fields[3], 1, 12, _MONTHS),
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )
    if not any(_matches(cron, date(2000, 1, 1) + timedelta(days=ahead)) for ahead in range(_HORIZON_DAYS)):
        raise _bad(text, "no day of the calendar matches it")
    return cron


def _field(text: str, field: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    values: set[int] = set()
    for part in field.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise _bad(text, f"{part[:20]!r} is neither *, a number, a range nor a step")
        step = int(found["step"] or 1)
        if found["first"] == "*":
            first, last = low, high
        else:
            first = _number(text, found["first"], names)
            open_end = high if found["step"] else first
            last = _number(text, found["last"], names) if found["last"] else open_end
        if not low <= first <= last <= high or step == 0 or (found["first"] == "*" and found["last"]):
            raise _bad(text, f"{part[:20]!r} is not within {low} to {high}")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, value: str, names: Mapping[str, int] | None) -> int:
    if value.isdigit() and len(value) <= 2:
        return int(value)
    if names and value in names:
        return names[value]
    raise _bad(text, f"{value[:20]!r} is no number here")


def zone_of(name: str) -> ZoneInfo:
    """Raises ConfigurationError for a name that is no IANA time zone."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ConfigurationError(
            f"{name[:60]!r} is no time zone: write an IANA name such as Europe/Berlin or UTC", code="time_zone"
        ) from None


def next_due(schedule: Schedule, *, last: datetime | None, now: datetime, zone: tzinfo) -> datetime:
    """The next time to run, in UTC, after `now` - or `now` itself for an interval that never ran or is overdue.

    `last`: when the previous run was due, None before the first. Intervals keep their beat: every due time is a whole
    number of intervals after `last`, unless some were missed. Both times are aware.
    """
    match schedule:
        case Every(interval=interval):
            return now if last is None else max(last + interval, now)
        case Cron():
            return _next_cron(schedule, now, zone)


def _next_cron(cron: Cron, now: datetime, zone: tzinfo) -> datetime:
    today = now.astimezone(zone).date()
    # Yesterday too: a time that was skipped just before midnight is due after it.
    for ahead in range(-1, _HORIZON_DAYS):
        day = today + timedelta(days=ahead)
        if not _matches(cron, day):
            continue
        moments = (_instant(day, time(hour, minute), zone) for hour in cron.hours for minute in cron.minutes)
        due = min((moment for moment in moments if moment > now), default=None)
        if due is not None:
            return due
    raise InvariantViolated("a cron that matches some day matches one within nine years")


def _matches(cron: Cron, day: date) -> bool:
    if day.month not in cron.months:
        return False
    by_date, by_weekday = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    return by_date or by_weekday if cron.either_day else by_date and by_weekday


def _instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """The moment a wall clock shows this time first, or the first moment after the gap that skips it."""
    local = datetime.combine(day, clock, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # In a gap the offset before it (fold 0) leads past its end, by as much as the time lies within the gap.
    later = local.replace(fold=1).astimezone(UTC)
    return _end_of_gap(later, moment, zone)


def _end_of_gap(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The moment between two at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
