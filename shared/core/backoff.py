"""When a parked subject is tried again, and when a failed call is."""

from dataclasses import dataclass
from datetime import timedelta

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    first: timedelta
    factor: float
    longest: timedelta
    attempts: int | None = None
    """After so many only a person, or a new mark, makes the subject due again; None: for ever."""


SCHEDULES: dict[str, RetrySchedule] = {
    # Waiting changes no value; but columns are widened, choices added, mappings mended.
    "unrepresentable": RetrySchedule(first=_HOUR, factor=4, longest=_DAY, attempts=8),
    "unencodable": RetrySchedule(first=_HOUR, factor=4, longest=_DAY, attempts=8),
    # Another item holds the value: it may be on its way to another one.
    "unique_value": RetrySchedule(first=5 * _MINUTE, factor=3, longest=_DAY, attempts=12),
    # Two rules undo one another: every retry would write again.
    "loop": RetrySchedule(first=_HOUR, factor=6, longest=_DAY, attempts=4),
    # Only a person can say which of two items is meant.
    "second_item": RetrySchedule(first=_HOUR, factor=6, longest=_DAY, attempts=4),
}
"""By the reason a subject was parked for."""

# Graph or the database refused the write: some refusals are sporadic, others end when somebody changes a rule.
DEFAULT = RetrySchedule(first=5 * _MINUTE, factor=3, longest=_DAY, attempts=12)

CALLS = RetrySchedule(first=timedelta(seconds=1), factor=2, longest=timedelta(minutes=5))
"""Between attempts of a call that said it is temporarily unavailable and did not say for how long."""


def retry_delay(code: str, attempts: int, jitter: float) -> timedelta | None:
    """How long a parked subject waits; None: until somebody acts.

    `attempts`: failures before this one. `jitter`: a random number from 0 to 1, which spreads the second half of the
    wait, so that subjects that were parked together do not come back together.
    """
    return wait(SCHEDULES.get(code, DEFAULT), attempts, jitter)


def wait(schedule: RetrySchedule, attempts: int, jitter: float) -> timedelta | None:
    if attempts < 0 or not 0 <= jitter <= 1:
        raise ValueError("attempts count from 0, jitter is a number from 0 to 1")
    if schedule.attempts is not None and attempts >= schedule.attempts:
        return None
    # Beyond this exponent every schedule has long met its cap.
    grown = schedule.first * schedule.factor ** min(attempts, 20)
    full = min(grown, schedule.longest)
    return full / 2 + full / 2 * jitter
