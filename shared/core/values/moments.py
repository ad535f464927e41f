"""Values of date-and-time and of date-only columns.

Times are UTC with whole seconds, because that is what reads give back. A timestamp without time zone is taken as UTC. A
date-only column stores midnight of the date in the site's time zone and shows it in UTC
(https://github.com/microsoftgraph/microsoft-graph-docs/issues/13168). Under another zone it would be read as the day before,
so what is no midnight is refused.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.core.canonical import Canonical
from shared.core.definition import FieldMapping
from shared.core.errors import InvariantViolated
from shared.core.families import Family, family_of
from shared.core.items import ItemFields
from shared.core.values.refusal import unfit_for_list, unfit_for_row

_FIRST, _LAST = 1900, 8900
"""Years that SharePoint's date columns take; its forms refuse a date outside of 1/1/1900 to 12/31/8900 in words."""

_MOMENT = re.compile(
    r"(?P<wall>[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"(?P<zone>Z|[+-][0-9]{2}(?::[0-9]{2}){0,2})?",
    re.ASCII,
)
_CANONICAL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_CANONICAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)

_NOON = time(12)
_SLACK, _DOUBLE_SLACK = timedelta(hours=2), time(4)
"""SharePoint's time zones are Windows', without the history of ours: its midnight may be ours give or take an hour."""


def instant_of(text: str) -> datetime | None:
    """The UTC second that a time lies in: fractions are cut, a missing offset means UTC. None: not a time."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    zone = found["zone"] or "Z"
    try:
        return datetime.fromisoformat(found["wall"] + (f"{zone}:00" if len(zone) == 3 else zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _printed(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")[:19] + "Z"


def time_from_row(field: FieldMapping, text: str) -> Canonical:
    instant = instant_of(text)
    if instant is None or not _FIRST <= instant.year <= _LAST:
        raise unfit_for_list(
            field, f"a time in the years {_FIRST} to {_LAST}, not infinite; map it to TEXT to keep others"
        )
    return _printed(instant)


def time_to_row(field: FieldMapping, value: Canonical) -> str:
    if not isinstance(value, str) or not _CANONICAL_TIME.fullmatch(value):
        raise unfit_for_row(field, "a time as 2026-01-31T12:00:00Z")
    zone = "+00" if family_of(field.source.type) is Family.TIMESTAMPTZ else ""
    return value.replace("T", " ").removesuffix("Z") + zone


def time_from_item(field: FieldMapping, fields: ItemFields) -> Canonical:
    instant = _read(field, fields)
    return None if instant is None else _printed(instant)


def time_to_item(field: FieldMapping, value: Canonical) -> str:
    if not isinstance(value, str) or not _CANONICAL_TIME.fullmatch(value):
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is a UTC time")
    return value


def date_from_row(field: FieldMapping, text: str) -> Canonical:
    """The first and the last day of the range are refused: in some zones their midnight lies outside of it."""
    day = _day(text)
    if day is None or not date(_FIRST, 1, 2) <= day <= date(_LAST, 12, 30):
        raise unfit_for_list(
            field, f"a date from {_FIRST}-01-02 to {_LAST}-12-30, not infinite; map the column to TEXT to keep others"
        )
    return day.isoformat()


def date_to_row(field: FieldMapping, value: Canonical) -> str:
    if not isinstance(value, str) or _day(value) is None:
        raise unfit_for_row(field, "a date as 2026-01-31")
    return value


def date_from_item(field: FieldMapping, fields: ItemFields, zone: tzinfo) -> Canonical:
    instant = _read(field, fields)
    if instant is None:
        return None
    day = day_shown(instant, zone)
    if day is None:
        raise unfit_for_row(
            field,
            f"midnight of a day in the site's time zone; this is none in {zone}: set site_zone to the site's own, or, if the "
            "column was one of date and time, choose the day again",
        )
    return day.isoformat()


def day_shown(instant: datetime, zone: tzinfo) -> date | None:
    """The day that a date-only column stands for. None: it is no midnight there, give or take the slack, nor the noon that
    `date_to_item` writes, which nobody promises to be made midnight."""
    local = instant.astimezone(zone)
    eased = local + _SLACK
    if local.time() == _NOON or eased.time() <= _DOUBLE_SLACK:
        return eased.date()
    return None


def date_to_item(field: FieldMapping, value: Canonical, zone: tzinfo) -> str:
    """Noon of the date in the site's zone, in UTC: SharePoint keeps its date, also where its zone is hours away from
    the one that is set for it here."""
    day = _day(value) if isinstance(value, str) else None
    if day is None:
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is a date")
    return _printed(datetime.combine(day, _NOON, zone).astimezone(UTC))


def _day(text: str) -> date | None:
    if not _CANONICAL_DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _read(field: FieldMapping, fields: ItemFields) -> datetime | None:
    value = fields.get(field.target_column_name)
    if value is None:
        return None
    instant = instant_of(value) if isinstance(value, str) else None
    if instant is None or not _FIRST - 1 <= instant.year <= _LAST + 1:
        raise unfit_for_row(
            field, "a time as 2026-01-31T12:00:00Z: the list column is of another type than the mapping says"
        )
    return instant
