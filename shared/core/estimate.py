"""What work costs: SharePoint resource units (RU) and minutes, by the tenant's tier.

Source of all figures: "Avoid getting throttled or blocked in SharePoint Online",
https://learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
(read in the version of October 2025). They are defaults that Microsoft may change.
"""

from dataclasses import dataclass
from datetime import timedelta

READ_ITEM = 1
READ_MANY = 2
DELTA = 1
"""With a token; without one it is READ_MANY."""
WRITE = 2
"""Create, update or delete, inside a batch too."""

DEFAULT_SHARE = 0.9
"""Of the minute's budget, so that what others do under the same application does not throttle it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One application's budget in one tenant."""

    licences: int | None
    """Up to so many; None: no upper end."""
    per_minute: int
    per_day: int


TIERS = (
    Tier(licences=1_000, per_minute=1_250, per_day=1_200_000),
    Tier(licences=5_000, per_minute=2_500, per_day=2_400_000),
    Tier(licences=15_000, per_minute=3_750, per_day=3_600_000),
    Tier(licences=50_000, per_minute=5_000, per_day=4_800_000),
    Tier(licences=None, per_minute=6_250, per_day=6_000_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """RU per minute and per rolling day that Graph grants."""

    per_minute: int
    per_day: int


def tier_of(licences: int) -> Tier:
    """The tier of a tenant with so many licences. Raises ValueError for a negative number."""
    if licences < 0:
        raise ValueError("a tenant has 0 or more licences")
    return next(tier for tier in TIERS if tier.licences is None or licences <= tier.licences)


def ceiling(
    licences: int, multiplier: float = 1.0, *, per_minute: int | None = None, per_day: int | None = None
) -> Ceiling:
    """The tier's budget times the multiplier that was paid for; explicit figures take the place of the tier's."""
    tier = tier_of(licences)
    return Ceiling(
        per_minute=int(tier.per_minute * multiplier) if per_minute is None else per_minute,
        per_day=int(tier.per_day * multiplier) if per_day is None else per_day,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a plan wants to do."""

    creates: int = 0
    updates: int = 0
    deletes: int = 0
    item_reads: int = 0
    """Single items that have to be looked at."""
    pages: int = 0
    """Pages of items: enumeration, look-ups by key, delta without a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    ru: int
    time: timedelta
    """At the given share of the ceiling, with the day's cap, and nobody else spending."""
    days: int
    """Rolling days that the day's cap spreads the work over; 1: the cap does not bite."""


def ru_of(work: Workload) -> int:
    writes = work.creates + work.updates + work.deletes
    return WRITE * writes + READ_ITEM * work.item_reads + READ_MANY * work.pages


def estimate(work: Workload, limit: Ceiling, *, share: float = DEFAULT_SHARE) -> Estimate:
    """RU and time of a workload. Every full day's cap costs a whole day, the rest goes at the minute's pace."""
    ru = ru_of(work)
    full_days, rest = divmod(ru, limit.per_day)
    if ru and not rest:
        full_days, rest = full_days - 1, limit.per_day
    minutes = rest / (limit.per_minute * share)
    return Estimate(ru=ru, time=timedelta(days=full_days, minutes=minutes), days=full_days + 1)
