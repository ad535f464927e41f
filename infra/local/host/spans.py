"""Time spans as host.json and schedules write them: ``hh:mm:ss`` or ``d.hh:mm:ss`` (the .NET TimeSpan format)."""

import re
from datetime import timedelta

_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,7}))?")


def parse_span(text: str) -> timedelta:
    """``"00:00:02"`` -> two seconds. ValueError when the text has another shape or a part is out of range."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span of the form hh:mm:ss or d.hh:mm:ss")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} is not a time span: hours go to 23, minutes and seconds to 59")
    fraction = int((match[5] or "").ljust(7, "0")) / 10  # seven digits: ticks of 100 ns
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=fraction)


def format_span(span: timedelta) -> str:
    """The inverse of :func:`parse_span`, with whole seconds."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}." if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"
