"""What one seed's definition promises, as a reader of the documentation would say it: pure, no product code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | None


class Side(StrEnum):
    ROW = "ROW"
    ITEM = "ITEM"

    @property
    def other(self) -> "Side":
        return Side.ITEM if self is Side.ROW else Side.ROW


class Mode(StrEnum):
    BOTH = "TWO_WAY"
    PULL = "ONE_WAY_PULL"
    """The list is the record: nothing is ever written to it, and its items carry no keys."""
    PUSH = "ONE_WAY_PUSH"
    """The table is the record: nothing is ever written to it."""


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
    """A person is asked, and says yes (FOLLOWS; RETURNS, where the other side is the record) or no (STAYS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    mode: Mode = Mode.BOTH
    winner: Winner = Winner.SOURCE
    row_deleted: Gone = Gone.FOLLOWS
    item_deleted: Gone = Gone.FOLLOWS
    foreign_insert: bool = True
    """Items that people add become rows."""
    left_scope: Gone = Gone.FOLLOWS
    """What becomes of the item when the filter leaves its row out."""
    filtered: bool = False
    marker: str = ""
    """The column that marks a row as deleted; "": rows are deleted."""
    reserved: bool = False
    """Keys come from a sequence; else people type them into a column of the list."""
    versions: bool = True
    """The list keeps its items' history."""
    ways: dict[str, Way] = field(default_factory=dict)
    """Mapped fields, the key not among them."""
    group: tuple[str, ...] = ()
    """Fields that only make sense together."""

    def of_row(self, *, left: bool) -> Gone:
        """`left`: the row is there, and the filter leaves it out."""
        return self.left_scope if left else self.row_deleted

    def returns(self, side: Side) -> bool:
        """Whether what was deleted there may come back by itself, or once a person has said so."""
        policy = self.row_deleted if side is Side.ROW else self.item_deleted
        record = Mode.PULL if side is Side.ROW else Mode.PUSH
        return policy is Gone.RETURNS or (policy is Gone.ASKS and self.mode is record)

    def unit(self, name: str) -> tuple[str, ...]:
        """The fields that are merged together with this one."""
        return self.group if name in self.group else (name,)

    def equal(self, row: Mapping[str, Value], item: Mapping[str, Value]) -> bool:
        """Whether both have the same in every mapped field."""
        return all(row[name] == item[name] for name in self.ways)


def canonical(value: object) -> Value:
    """What a stored value means on either side: no text is no value, numbers are whole."""
    if value is None or value == "":
        return None
    return int(value) if isinstance(value, float) else value  # type: ignore[return-value]
