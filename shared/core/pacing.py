"""The governor's arithmetic: one bucket of resource units (RU) per tenant and application, shared by all lanes.

Graph counts RU per minute and per rolling day. The bucket refills evenly at a share of the minute's ceiling and holds
little, so that no minute exceeds the ceiling, whether Graph's minutes slide or are the clock's: share + burst < 1. The
0.02 that are left are not waste: requests that are granted 61 seconds apart arrive within a minute when the first took a
second longer. Taking may leave it in debt, which refilling pays: a request larger than the bucket passes when the bucket
is full. Lower lanes leave something for higher ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.backlog import Lane
from shared.core.estimate import DEFAULT_SHARE, Ceiling

BURST = 0.08
"""Of the minute's ceiling: what the bucket holds."""

MINUTE_RESERVES: Mapping[Lane, float] = {
    Lane.PEOPLE: 0.0,
    Lane.CDC: 0.1,
    Lane.PUSH: 0.2,
    Lane.BACKFILL: 0.4,
    Lane.DRIFT: 0.5,
}
"""Share of the bucket that a lane leaves for those before it."""

DAY_SHARES: Mapping[Lane, float] = {
    Lane.PEOPLE: 0.99,
    Lane.CDC: 0.97,
    Lane.PUSH: 0.95,
    Lane.BACKFILL: 0.85,
    Lane.DRIFT: 0.80,
}
"""Share of the day's cap up to which a lane may spend."""

FULL_RAMP = 8
"""After a throttle the pace starts at one eighth and grows by an eighth with every grant."""

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    level: float
    """RU; negative: debt."""
    refilled_at: datetime
    blocked_until: datetime | None = None
    ramp: int = FULL_RAMP
    hours: Mapping[datetime, int] = field(default_factory=dict)
    """RU spent per hour, by the hour's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    bucket: Bucket
    wait: float
    """Seconds until it is worth asking again; 0.0: granted."""
    daily: bool = False
    """The day's cap is what makes it wait."""


def new_bucket(limit: Ceiling, now: datetime) -> Bucket:
    return Bucket(level=capacity(limit), refilled_at=now)


def capacity(limit: Ceiling) -> float:
    return limit.per_minute * BURST


def refill(bucket: Bucket, limit: Ceiling, now: datetime) -> Bucket:
    """The bucket as it stands now. A clock that went back refills nothing and takes nothing away."""
    elapsed = max((now - bucket.refilled_at).total_seconds(), 0.0)
    level = min(bucket.level + elapsed * _rate(bucket, limit), capacity(limit))
    kept = {hour: ru for hour, ru in bucket.hours.items() if hour + _HOUR > now - _DAY}
    return replace(bucket, level=max(level, bucket.level), refilled_at=max(now, bucket.refilled_at), hours=kept)


def _rate(bucket: Bucket, limit: Ceiling) -> float:
    """RU per second."""
    return limit.per_minute / 60 * DEFAULT_SHARE * min(bucket.ramp, FULL_RAMP) / FULL_RAMP


def take(bucket: Bucket, limit: Ceiling, ru: int, lane: Lane, now: datetime) -> Grant:
    """Takes RU for one request or batch, or says how long to wait. Nothing is taken while waiting."""
    current = refill(bucket, limit, now)
    if current.blocked_until is not None and now < current.blocked_until:
        return Grant(bucket=current, wait=(current.blocked_until - now).total_seconds())
    daily = _daily_wait(current, limit, ru, lane, now)
    if daily > 0:
        return Grant(bucket=current, wait=daily, daily=True)
    size = capacity(limit)
    needed = min(ru + size * MINUTE_RESERVES[lane], size)
    if current.level < needed:
        return Grant(bucket=current, wait=(needed - current.level) / _rate(current, limit))
    ramp = min(current.ramp + 1, FULL_RAMP)
    return Grant(bucket=replace(_spent(current, ru, now), ramp=ramp, blocked_until=None), wait=0.0)


def charge(bucket: Bucket, limit: Ceiling, ru: int, now: datetime) -> Bucket:
    """RU that were spent beyond what was taken; negative: given back."""
    current = _spent(refill(bucket, limit, now), ru, now)
    return replace(current, level=min(current.level, capacity(limit)))


def penalize(bucket: Bucket, limit: Ceiling, seconds: float, now: datetime) -> Bucket:
    """Graph throttled: nothing is granted until then, and the pace starts from the bottom. The later deadline holds."""
    current = refill(bucket, limit, now)
    until = now + timedelta(seconds=max(seconds, 0.0))
    if current.blocked_until is not None:
        until = max(until, current.blocked_until)
    return replace(current, level=min(current.level, 0.0), blocked_until=until, refilled_at=until, ramp=1)


def observe(bucket: Bucket, ceiling_seen: int, remaining: int, reset: float, now: datetime) -> Bucket:
    """RateLimit headers: the bucket never holds more than Graph says is left; nothing left blocks until the reset."""
    if ceiling_seen > 0 and remaining <= 0:
        until = now + timedelta(seconds=max(reset, 0.0))
        blocked = until if bucket.blocked_until is None else max(until, bucket.blocked_until)
        return replace(bucket, level=min(bucket.level, 0.0), blocked_until=blocked)
    return replace(bucket, level=min(bucket.level, float(remaining)))


def spent_in_a_day(bucket: Bucket, now: datetime) -> int:
    """RU of the rolling day. The oldest hour counts whole: what of it is older than a day is not known."""
    return sum(ru for hour, ru in bucket.hours.items() if hour + _HOUR > now - _DAY)


def _spent(bucket: Bucket, ru: int, now: datetime) -> Bucket:
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = {**bucket.hours, hour: max(bucket.hours.get(hour, 0) + ru, 0)}
    return replace(bucket, level=bucket.level - ru, hours=hours)


def _daily_wait(bucket: Bucket, limit: Ceiling, ru: int, lane: Lane, now: datetime) -> float:
    """Seconds until enough of the rolling day's spending has aged; 0.0: there is room."""
    over = spent_in_a_day(bucket, now) + ru - limit.per_day * DAY_SHARES[lane]
    if over <= 0:
        return 0.0
    for hour in sorted(bucket.hours):
        over -= bucket.hours[hour]
        if over <= 0:
            return (hour + _HOUR + _DAY - now).total_seconds()
    return _DAY.total_seconds()
