"""Whether the days that are written into date-only columns are the days that people see: only under the site's own time zone.

Graph does not tell which zone that is. What becomes of two days that are written tells where its days begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.core.problems import Problem

_EASE = timedelta(hours=2)
"""As much as is forgiven where a date is read; see shared.core.values.moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayColumn:
    """A date-only column of a list, by its internal name, and the zone that its site is said to have."""

    name: str
    zone: ZoneInfo


def probes(year: int) -> tuple[datetime, datetime]:
    """What to write: one day in winter and one in summer, at a time that is midnight in no zone."""
    return datetime(year, 1, 15, 12, 7, tzinfo=UTC), datetime(year, 7, 15, 12, 7, tzinfo=UTC)


def zone_problem(zone: ZoneInfo, kept: Mapping[datetime, datetime]) -> Problem | None:
    """What `kept` (instants as written, and as they were read back, in UTC) says against the zone. A list that keeps times as
    they are written says nothing."""
    if all(read == written or _begins(written, read, zone) for written, read in kept.items()):
        return None
    shown = " and ".join(f"at {read:%H:%M} UTC in {written:%B}" for written, read in kept.items())
    return Problem(
        code="site_zone",
        message=f"The site's days begin {shown}, and in {zone} they do not: its dates would be read as other days.",
        where="site_zone",
        remedy="Set site_zone to the site's own time zone: it is in the site's settings, under regional settings.",
    )


def _begins(written: datetime, read: datetime, zone: ZoneInfo) -> bool:
    """Whether the day of `written` begins at `read` there."""
    midnight = datetime.combine(written.astimezone(zone).date(), time(), zone)
    return abs(read - midnight) <= _EASE
