"""The host's clock: UTC, and able to jump ahead so that a test does not wait for durable timers."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall-clock UTC plus an offset that only grows."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset  # noqa: TID251  this class is the clock that others take

    def advance(self, span: timedelta) -> None:
        """Moves the clock ahead; it never goes back, because stored histories would then run backwards."""
        if span < timedelta(0):
            raise ValueError("the clock cannot go back")
        self.offset += span


def iso(moment: datetime) -> str:
    """Fixed-width UTC text, so that comparing texts compares moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Any ISO 8601 moment; one without an offset is UTC."""
    year, dash, rest = text.partition("-")  # Python's strftime leaves out the zeros of years before 1000 on Linux
    moment = datetime.fromisoformat(f"{year.zfill(4)}{dash}{rest}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
