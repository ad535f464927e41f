"""Changes of which a cursor column does not tell: what a watermark passed over for good, and only a scan or an item shows.

A cursor column is one that every write moves forward. Where a writer forgets it, a client's clock sets it, or somebody sets it
back, a changed row stands behind the watermark's position, and no pass will ever see it. Such a row is told from one that
changed after the last pass by its own value: a new one lies beyond the position, for the position lies below the start of every
transaction that was open when it was taken.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.core.ids import Identity, key_texts
from shared.core.runs import WatermarkCursor
from shared.core.source import SourceColumn, SourceKey

OVERLAP: Final = timedelta(minutes=15)
"""How much before a position on a time column is read again where nobody can say which transactions were open."""
NUMBER_OVERLAP: Final = 10_000
"""How many values below a position on an integer column are read again: numbers from a sequence are committed out of order."""
INEXACT: Final = "inexact"
"""Among a cursor's details: its position was taken without knowing which transactions were open."""
_WHOLE: Final = frozenset({"int2", "int4", "int8"})
_NUMBERS: Final = _WHOLE | {"xid8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """How many rows changed without their cursor column, and when that was seen last."""

    rows: int
    seen: datetime | None


def is_behind(
    position: WatermarkCursor,
    column: SourceColumn,
    text: str | None,
    *,
    agreed_at: datetime | None,
    in_order: bool = False,
) -> bool:
    """Whether a row whose cursor column reads `text` (its text form; None: null) lies where no pass will look any more.

    Of rows at the very position nobody can say by the column alone on which side they lie. `agreed_at`: the row's own time
    when both sides last agreed on it, where that is known: then it has not moved at all since. `in_order`: its key says that
    it was read; see is_in_order. In doubt: no."""
    if text is None or text == "-infinity":
        return True
    kind = column.type.name
    match _place(text, kind), _place(position.value, kind):
        case int(own), int(passed):
            if own == passed and INEXACT not in position.details:
                return in_order
            return own < passed - (NUMBER_OVERLAP if INEXACT in position.details else 0)
        case datetime() as own, datetime() as passed:
            if own == passed and position.identity is not None and INEXACT not in position.details:
                return own == agreed_at
            return own < passed - (OVERLAP if INEXACT in position.details else timedelta(0))
        case _:
            return False


def is_in_order(position: WatermarkCursor, key: SourceKey, row: Identity) -> bool:
    """Whether a row comes no later than the position's last one by its key, in whose order rows of one value are read.

    Of whole numbers that can be said; of other keys only that it is the last row itself."""
    last = position.identity
    if last is None or row == last:
        return row == last
    whole = all(column.type.name in _WHOLE and not column.type.is_array for column in key.columns)
    return whole and _numbers(row) < _numbers(last)


def _numbers(identity: Identity) -> tuple[int, ...]:
    return tuple(map(int, key_texts(identity)))


def _place(text: str, kind: str) -> int | datetime | None:
    """Comparable within one column; times without zone are taken as UTC, all of them. None: beyond what can be compared."""
    try:
        if kind in _NUMBERS:
            return int(text)
        time = datetime.fromisoformat(text)
    except ValueError:
        return None  # infinity, or years that Python does not know
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
