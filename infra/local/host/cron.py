"""Schedules of timer triggers: six-field NCRONTAB expressions (seconds first) and intervals, in UTC.

Grammar: learn.microsoft.com/azure/azure-functions/functions-bindings-timer (NCRONTAB). Unlike Vixie cron, day of month
and day of week must both match.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.local.host.spans import parse_span

_MONTHS = {n: i for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DAYS = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """``hh:mm:ss``: so long after the last run."""

    every: timedelta

    def next(self, after: datetime) -> datetime:
        return after + self.every


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The allowed values of each field."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next(self, after: datetime) -> datetime:
        """The first moment later than ``after``. ValueError when there is none (30 February)."""
        moment = after.replace(microsecond=0) + timedelta(seconds=1)
        limit = moment + timedelta(days=366 * 8 + 1)  # 29 February recurs within eight years
        while moment < limit:
            if moment.month not in self.months:
                first = moment.replace(day=1, hour=0, minute=0, second=0)
                moment = (first + timedelta(days=32)).replace(day=1)
            elif moment.day not in self.days or moment.isoweekday() % 7 not in self.weekdays:
                moment = moment.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif moment.hour not in self.hours:
                moment = moment.replace(minute=0, second=0) + timedelta(hours=1)
            elif moment.minute not in self.minutes:
                moment = moment.replace(second=0) + timedelta(minutes=1)
            elif moment.second not in self.seconds:
                moment += timedelta(seconds=1)
            else:
                return moment
        raise ValueError("the schedule never fires")


Schedule = Cron | Interval


def parse_schedule(text: str) -> Schedule:
    """ValueError, with the field at fault, when the text is neither form."""
    if ":" in text:
        every = parse_span(text)
        if every <= timedelta(0):
            raise ValueError(f"the interval {text!r} is not positive")
        return Interval(every=every)
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]  # the host takes five fields too: on the full minute
    if len(fields) != 6:
        raise ValueError(
            f"{text!r} has {len(fields)} fields; an NCRONTAB schedule has six: second minute hour day month day-of-week"
        )
    sets = [_field(part, *rule) for part, rule in zip(fields, _FIELDS, strict=True)]
    return Cron(seconds=sets[0], minutes=sets[1], hours=sets[2], days=sets[3], months=sets[4], weekdays=sets[5])


def shortest_gap(schedule: Schedule, start: datetime) -> timedelta:
    """The time between the next two runs, which is what the host compares with a minute."""
    first = schedule.next(start)
    return schedule.next(first) - first


def _field(text: str, label: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        body, slash, step_text = part.partition("/")
        try:
            step = int(step_text) if slash else 1
            if body == "*":
                first, last = low, high
            elif "-" in body:
                first, last = (_number(end, names) for end in body.split("-", 1))
            else:
                first = _number(body, names)
                last = high if slash else first
        except ValueError:
            raise ValueError(f"{part!r} is not a {label}") from None
        if not (low <= first <= high and low <= last <= high and step >= 1):
            raise ValueError(f"{part!r} is not a {label}: {low} to {high}")
        span = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        values.update(list(span)[::step])
    return frozenset(values)


def _number(text: str, names: dict[str, int]) -> int:
    name = text.lower()[:3]
    if text.isalpha() and name in names:
        return names[name]
    if not text.isdigit():
        raise ValueError(text)
    return int(text)
