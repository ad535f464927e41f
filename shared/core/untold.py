"""Changes of which a cursor column does not tell: what a watermark passed over for good, and only a scan or an item shows.

A cursor column is one that every write moves forward. Where a writer forgets it, a client's clock sets it, or somebody sets it
back, a changed row stands behind the watermark's position, and no pass will ever see it. Such a row is told from one that
changed after the last pass by its own value: a new one lies beyond the position, for the position lies below the start of every
transaction that was open when it was taken.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.core.runs import WatermarkCursor
from shared.core.source import SourceColumn

OVERLAP: Final = timedelta(minutes=15)
"""How much before a position on a time column is read again where nobody can say which transactions were open."""
NUMBER_OVERLAP: Final = 10_000
"""How many values below a position on an integer column are read again: numbers from a sequence are committed out of order."""
INEXACT: Final = "inexact"
"""Among a cursor's details: its position was taken without knowing which transactions were open."""
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "xid8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """How many rows changed without their cursor column, and when that was seen last."""

    rows: int
    seen: datetime | None


def is_behind(position: WatermarkCursor, column: SourceColumn, text: str | None, *, agreed_at: datetime | None) -> bool:
    """Whether a row whose cursor column reads `text` (its text form; None: null) lies where no pass will look any more.

    `agreed_at`: the row's own time when both sides last agreed on it, where that is known: of rows at the very position
    nobody can say by their time alone on which side they lie, unless it has not moved at all since. In doubt: no."""
    if text is None or text == "-infinity":
        return True
    kind = column.type.name
    match _place(text, kind), _place(position.value, kind):
        case int(own), int(passed):
            return own < passed - (NUMBER_OVERLAP if INEXACT in position.details else 0)
        case datetime() as own, datetime() as passed:
            if own == passed and position.identity is not None and INEXACT not in position.details:
                return own == agreed_at
            return own < passed - (OVERLAP if INEXACT in position.details else timedelta(0))
        case _:
            return False


def _place(text: str, kind: str) -> int | datetime | None:
    """Comparable within one column; times without zone are taken as UTC, all of them. None: beyond what can be compared."""
    try:
        if kind in _NUMBERS:
            return int(text)
        time = datetime.fromisoformat(text)
    except ValueError:
        return None  # infinity, or years that Python does not know
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
