"""Values that a person wants back from the conflict log: each is a new edit, on both sides.

A wish waits until row and item agree about everything else, so that it never takes part in a merge: then the row gets the
value, and the item gets it from the row, as any edit. What it overwrites is logged, so that a reversal can be reversed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from shared.core.flows import Flow
from shared.core.ids import FieldNo
from shared.core.mapping import Value
from shared.core.reconcile import Merge, Side

REVERSAL = "REVERSAL"
"""The rule in the conflict log under which a wish overwrites a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    conflict: UUID
    """The conflict whose losing value is wanted back."""
    no: FieldNo
    side: Side
    """Whose value it was."""
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What comes of wishes now. Those in none of the three have to wait."""

    writes: tuple[Wish, ...] = ()
    """To be written to the row, one for each field."""
    met: tuple[UUID, ...] = ()
    """The value stands there already, or a later wish for the same field takes its place."""
    refused: Mapping[UUID, str] = field(default_factory=dict)
    """What cannot be carried out, with the reason for a person."""


def overlay(
    merge: Merge, row: Mapping[FieldNo, Value], wishes: Sequence[Wish], flows: Mapping[FieldNo, Flow]
) -> Overlay:
    """`wishes` in the order in which they were asked for; `row`: the row's values."""
    refused = {
        wish.conflict: "the field does not flow both ways any more"
        for wish in wishes
        if not _possible(wish, row, flows)
    }
    if merge.to_row or merge.to_item:
        return Overlay(refused=refused)
    last = {wish.no: wish for wish in wishes if wish.conflict not in refused}
    writes = tuple(wish for wish in last.values() if row[wish.no].digest != wish.value.digest)
    written = {wish.conflict for wish in writes}
    met = tuple(wish.conflict for wish in wishes if wish.conflict not in written and wish.conflict not in refused)
    return Overlay(writes=writes, met=met, refused=refused)


def _possible(wish: Wish, row: Mapping[FieldNo, Value], flows: Mapping[FieldNo, Flow]) -> bool:
    return flows.get(wish.no) is Flow.BOTH and wish.no in row
