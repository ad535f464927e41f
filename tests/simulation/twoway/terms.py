"""What one seed's definition promises, as a reader of the documentation would say it: pure, no product code."""

from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | None


class Side(StrEnum):
    ROW = "ROW"
    ITEM = "ITEM"

    @property
    def other(self) -> "Side":
        return Side.ITEM if self is Side.ROW else Side.ROW


class Way(StrEnum):
    """Which way a field goes."""

    BOTH = "BOTH"
    TO_ITEM = "TO_ITEM"
    TO_ROW = "TO_ROW"


class Winner(StrEnum):
    SOURCE = "SOURCE_WINS"
    LIST = "DESTINATION_WINS"
    LATEST = "LATEST_WINS"


class Gone(StrEnum):
    """What becomes of the one side when the other side's unit was deleted."""

    FOLLOWS = "PROPAGATE"
    RETURNS = "RECREATE"
    STAYS = "KEEP"
    ASKS = "APPROVE"
    """A person is asked, and says yes (FOLLOWS) or no (STAYS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    winner: Winner = Winner.SOURCE
    row_deleted: Gone = Gone.FOLLOWS
    item_deleted: Gone = Gone.FOLLOWS
    foreign_insert: bool = True
    """Items that people add become rows."""
    reserved: bool = False
    """Keys come from a sequence; else people type them into a column of the list."""
    versions: bool = True
    """The list keeps its items' history."""
    ways: dict[str, Way] = field(default_factory=dict)
    """Mapped fields, the key not among them."""
    group: tuple[str, ...] = ()
    """Fields that only make sense together."""

    def unit(self, name: str) -> tuple[str, ...]:
        """The fields that are merged together with this one."""
        return self.group if name in self.group else (name,)


def canonical(value: object) -> Value:
    """What a stored value means on either side: no text is no value, numbers are whole."""
    if value is None or value == "":
        return None
    return int(value) if isinstance(value, float) else value  # type: ignore[return-value]
