"""Spellings of dates, times and intervals as PostgreSQL prints them with DateStyle ISO and IntervalStyle iso_8601."""

import re
from datetime import UTC, datetime

_DATE = r"(?P<year>[0-9]{4,7})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?"
_OFFSET = r"(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2}(?::[0-9]{2})?)?)"
_ERA = r"(?P<era> BC)?"
_DATES = re.compile(_DATE + _ERA, re.ASCII)
_TIMES = re.compile(_CLOCK, re.ASCII)
_ZONED_TIMES = re.compile(_CLOCK + _OFFSET, re.ASCII)
_TIMESTAMPS = re.compile(_DATE + "[ T]" + _CLOCK + _ERA, re.ASCII)
_ZONED_TIMESTAMPS = re.compile(_DATE + "[ T]" + _CLOCK + _OFFSET + _ERA, re.ASCII)
_INFINITE = frozenset({"infinity", "-infinity"})
_INTERVAL = re.compile(
    r"P(?:(?P<years>-?[0-9]{1,9})Y)?(?:(?P<months>-?[0-9]{1,9})M)?(?:(?P<weeks>-?[0-9]{1,8})W)?(?:(?P<days>-?[0-9]{1,9})D)?"
    r"(?:T(?:(?P<hours>-?[0-9]{1,10})H)?(?:(?P<minutes>-?[0-9]{1,12})M)?"
    r"(?:(?P<sign>-?)(?P<seconds>[0-9]{1,14})(?:\.(?P<fraction>[0-9]{1,6}))?S)?)?",
    re.ASCII,
)
_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def date_text(text: str) -> str | None:
    """A date that the calendar has, as PostgreSQL prints it; infinities and years before Christ included."""
    found = _DATES.fullmatch(text)
    return text if text in _INFINITE or (found is not None and _on_calendar(found)) else None


def time_text(text: str) -> str | None:
    """A time of day with its seconds and without needless zeros: "12:30" is "12:30:00"."""
    found = _TIMES.fullmatch(text)
    return _clock(found) if found else None


def zoned_time_text(text: str) -> str | None:
    found = _ZONED_TIMES.fullmatch(text)
    clock = _clock(found) if found else None
    return clock + _offset(found) if found and clock else None


def timestamp_text(text: str) -> str | None:
    return _timestamp(_TIMESTAMPS.fullmatch(text), text)


def zoned_timestamp_text(text: str) -> str | None:
    """In UTC, as a session prints it whose TimeZone is UTC. Beyond the years 1 to 9999 other zones mean nothing here."""
    found = _ZONED_TIMESTAMPS.fullmatch(text)
    spelled = _timestamp(found, text)
    if found is None or spelled is None or _offset(found) == "+00":
        return spelled
    if found["era"]:
        return None
    offset = _offset(found)
    fraction = (found["fraction"] or "").ljust(6, "0")
    try:
        # Python 3.11 reads fractions of three or six digits only, and offsets with their minutes.
        moment = datetime.fromisoformat(f"{spelled[:19]}.{fraction}{offset if ':' in offset else offset + ':00'}")
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    clock = _clock_text(utc.hour, utc.minute, utc.second, f"{utc.microsecond:06}".rstrip("0"))
    return f"{utc.year:04}-{utc.month:02}-{utc.day:02} {clock}+00"


def _timestamp(found: re.Match[str] | None, text: str) -> str | None:
    if text in _INFINITE:
        return text
    if found is None or not _on_calendar(found):
        return None
    clock = _clock(found)
    if clock is None or clock.startswith("24"):
        return None
    day = text[: found.end("day")]
    return f"{day} {clock}{_offset(found)}{found['era'] or ''}"


def _on_calendar(found: re.Match[str]) -> bool:
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    if year == 0 or not 1 <= month <= 12 or (len(found["year"]) > 4 and found["year"].startswith("0")):
        return False
    counted = 1 - year if found["era"] else year
    leap = counted % 4 == 0 and (counted % 100 != 0 or counted % 400 == 0)
    return 1 <= day <= _MONTH_LENGTHS[month - 1] + (month == 2 and leap)


def _clock(found: re.Match[str]) -> str | None:
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    fraction = (found["fraction"] or "").rstrip("0")
    midnight = hour == 24 and minute == second == 0 and not fraction
    if not midnight and (hour > 23 or minute > 59 or second > 59):
        return None
    return _clock_text(hour, minute, second, fraction)


def _clock_text(hour: int, minute: int, second: int, fraction: str) -> str:
    return f"{hour:02}:{minute:02}:{second:02}" + (f".{fraction}" if fraction else "")


def _offset(found: re.Match[str]) -> str:
    """Hours, and minutes and seconds only where there are some: "+0200" is "+02", a Z or "-00" is "+00"."""
    offset = found.groupdict().get("offset")
    if offset is None:
        return ""
    digits = offset[1:].replace(":", "").ljust(6, "0")
    if not digits.strip("0"):
        return "+00"
    parts = [digits[:2], digits[2:4], digits[4:]]
    while parts[-1] == "00":
        parts.pop()
    return offset[0] + ":".join(parts)


def interval_text(text: str) -> str | None:
    """An ISO 8601 duration with PostgreSQL's carries: months into years, seconds into minutes into hours."""
    found = _INTERVAL.fullmatch(text)
    if found is None or text in {"P", "PT"} or text.endswith("T"):
        return None
    months = 12 * int(found["years"] or 0) + int(found["months"] or 0)
    days = 7 * int(found["weeks"] or 0) + int(found["days"] or 0)
    seconds = 1_000_000 * int(found["seconds"] or 0) + int((found["fraction"] or "").ljust(6, "0"))
    minutes = 60 * int(found["hours"] or 0) + int(found["minutes"] or 0)
    micros = 60_000_000 * minutes + (-seconds if found["sign"] else seconds)
    years, months = _carried(months, 12)
    left, seconds = _carried(micros, 60_000_000)
    hours, minutes = _carried(left, 60)
    date = "".join(f"{count}{unit}" for count, unit in ((years, "Y"), (months, "M"), (days, "D")) if count)
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count) + _seconds(seconds)
    if not date and not clock:
        return "PT0S"
    return f"P{date}" + (f"T{clock}" if clock else "")


def _carried(count: int, size: int) -> tuple[int, int]:
    """Quotient and remainder, both with the sign of the count."""
    quotient, remainder = divmod(abs(count), size)
    return (quotient, remainder) if count >= 0 else (-quotient, -remainder)


def _seconds(micros: int) -> str:
    if micros == 0:
        return ""
    whole, fraction = divmod(abs(micros), 1_000_000)
    digits = f"{fraction:06}".rstrip("0")
    return f"{'-' if micros < 0 else ''}{whole}" + (f".{digits}" if digits else "") + "S"
