"""The reconciler's decisions as tables: the README shows them, the tests are made from them.

Values are letters: two sides hold the same value exactly when they hold the same letter; "-" is no value known or no
unit there, "empty" is an empty value.
"""

from dataclasses import dataclass

NEW = "new"
"""As a field's base: it was mapped after row and item had agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCase:
    """One field, both sides there. `flow`: BOTH, TO_ITEM or TO_ROW. `write`: "item", "row" or ""."""

    base: str
    row: str
    item: str
    flow: str
    write: str
    logged: str
    """Whose value goes into the conflict log: "item", "row" or ""."""
    words: str
    policy: str = "SOURCE_WINS"
    ours: str = ""
    """A value that a write of ours without an answer may have left in the item."""
    times: str = ""
    """What LATEST_WINS compares: "row" or "item" is the later one, "tie", "ours" (the engine wrote the item), "unknown"."""


def _field(flow: str, base: str, row: str, item: str, write: str, logged: str, words: str, **more: str) -> FieldCase:
    return FieldCase(flow=flow, base=base, row=row, item=item, write=write, logged=logged, words=words, **more)


_BOTH, _TO_ITEM, _TO_ROW = "BOTH", "TO_ITEM", "TO_ROW"
_LATEST, _LIST = {"policy": "LATEST_WINS"}, {"policy": "DESTINATION_WINS"}

# fmt: off
FIELD_CASES: tuple[FieldCase, ...] = (
    _field(_BOTH, "a", "a", "a", "", "", "nobody edited: nothing"),
    _field(_BOTH, "a", "b", "a", "item", "", "the row was edited: to the item"),
    _field(_BOTH, "a", "a", "b", "row", "", "the item was edited: to the row"),
    _field(_BOTH, "a", "b", "b", "", "", "both edited alike: the base moves"),
    _field(_BOTH, "a", "b", "c", "item", "item", "conflict, the source wins"),
    _field(_BOTH, "a", "b", "c", "row", "row", "conflict, the list wins", **_LIST),
    _field(_BOTH, "a", "b", "c", "item", "item", "conflict, the row was written later", times="row", **_LATEST),
    _field(_BOTH, "a", "b", "c", "row", "row", "conflict, the item was written later", times="item", **_LATEST),
    _field(_BOTH, "a", "b", "c", "item", "item", "written in the same second: the source", times="tie", **_LATEST),
    _field(_BOTH, "a", "b", "c", "item", "item", "Modified is of our own write: the source", times="ours", **_LATEST),
    _field(_BOTH, "a", "b", "c", "item", "item", "a time is not known: the source", times="unknown", **_LATEST),
    _field(_BOTH, "-", "b", "b", "", "", "never agreed, equal: adopted"),
    _field(_BOTH, "-", "b", "c", "item", "item", "never agreed: a conflict"),
    _field(_BOTH, "-", "b", "c", "row", "row", "never agreed: a conflict, the list wins", **_LIST),
    _field(_BOTH, NEW, "b", "empty", "item", "", "a new field, empty in the item: to the item"),
    _field(_BOTH, NEW, "empty", "b", "row", "", "a new field, empty in the row: to the row"),
    _field(_BOTH, NEW, "b", "empty", "item", "", "so too where the list wins", **_LIST),
    _field(_BOTH, NEW, "b", "c", "item", "item", "a new field with two values: a conflict"),
    _field(_BOTH, "a", "b", "c", "item", "", "the item holds our own late write: no conflict", ours="c"),
    _field(_BOTH, "a", "a", "c", "item", "", "our own late write of an older row: written over", ours="c"),
    _field(_TO_ITEM, "a", "b", "a", "item", "", "push only: to the item"),
    _field(_TO_ITEM, "a", "a", "b", "item", "item", "push only: written back, logged"),
    _field(_TO_ITEM, "a", "b", "c", "item", "item", "push only: the row, logged"),
    _field(_TO_ITEM, "a", "b", "b", "", "", "push only, edited alike: the base moves"),
    _field(_TO_ITEM, NEW, "empty", "b", "item", "item", "push only: a new field, the row's, logged"),
    _field(_TO_ROW, "a", "a", "b", "row", "", "pull only: to the row"),
    _field(_TO_ROW, "a", "b", "a", "row", "row", "pull only: written back, logged"),
    _field(_TO_ROW, "a", "b", "c", "row", "row", "pull only: the item, logged"),
    _field(_TO_ROW, NEW, "b", "empty", "item", "", "pull only: a new list column starts from what the row has"),
    _field(_TO_ROW, NEW, "empty", "b", "row", "", "pull only: a new field, to the row"),
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCase:
    """Two fields that are merged as one value, both sides there; a letter for each field."""

    base: str
    row: str
    item: str
    write: str
    logged: int
    """How many values of the loser are logged."""
    words: str
    policy: str = "SOURCE_WINS"


GROUP_CASES: tuple[GroupCase, ...] = (
    GroupCase(base="aa", row="aa", item="aa", write="", logged=0, words="nobody edited: nothing"),
    GroupCase(base="aa", row="ba", item="aa", write="item", logged=0, words="the row was edited: to the item"),
    GroupCase(base="aa", row="aa", item="ab", write="row", logged=0, words="the item was edited: to the row"),
    GroupCase(
        base="aa",
        row="ba",
        item="ab",
        write="item",
        logged=2,
        words="each edited another field: a conflict of the group",
    ),
    GroupCase(
        base="aa",
        row="ba",
        item="ab",
        write="row",
        logged=2,
        policy="DESTINATION_WINS",
        words="and the list wins it whole",
    ),
    GroupCase(base="aa", row="bb", item="bb", write="", logged=0, words="both edited alike: the base moves"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCase:
    """A whole row and its item. `base`, `row`, `item` as in FieldCase; `state`: the ledger's, "-" where it has none."""

    mode: str
    state: str
    base: str
    row: str
    item: str
    decision: str
    """The name of the decision's class in shared.core.reconcile."""
    words: str
    logged: str = ""
    """The rule under which something goes into the conflict log."""
    row_deleted: str = "PROPAGATE"
    item_deleted: str = "PROPAGATE"
    foreign: str = "INSERT"
    ours: str = ""
    approved: bool = False
    left_out: bool = False
    """The row is there, and the filter or the soft-delete column leaves it out."""


def _unit(
    mode: str,
    state: str,
    base: str,
    row: str,
    item: str,
    decision: str,
    words: str,
    *,
    logged: str = "",
    row_deleted: str = "PROPAGATE",
    item_deleted: str = "PROPAGATE",
    foreign: str = "INSERT",
    ours: str = "",
    approved: bool = False,
    left_out: bool = False,
) -> UnitCase:
    return UnitCase(
        mode=mode,
        state=state,
        base=base,
        row=row,
        item=item,
        decision=decision,
        words=words,
        logged=logged,
        row_deleted=row_deleted,
        item_deleted=item_deleted,
        foreign=foreign,
        ours=ours,
        approved=approved,
        left_out=left_out,
    )


_PUSH, _PULL, _TWO = "ONE_WAY_PUSH", "ONE_WAY_PULL", "TWO_WAY"
_CREATE, _INSERT, _DROP_ITEM, _DROP_ROW = "CreateTheItem", "InsertTheRow", "DeleteTheItem", "DeleteTheRow"
_KNOWN, _GONE, _MAKING, _BOUND = "SETTLED", "TOMBSTONE", "CREATING", "BOUND"
_SURVIVES = "EDIT_SURVIVES"

# fmt: off
UNIT_CASES: tuple[UnitCase, ...] = (
    _unit(_TWO, "-", "-", "a", "-", _CREATE, "a new row: create the item"),
    _unit(_TWO, "-", "-", "-", "a", _INSERT, "a new item: insert the row"),
    _unit(_TWO, "-", "-", "-", "a", "Leave", "a foreign item is left alone", foreign="IGNORE"),
    _unit(_TWO, "-", "-", "-", "a", "Leave", "a new item with the key of a row that is left out", left_out=True),
    _unit(_TWO, "-", "-", "a", "b", "Merge", "both there, never agreed: adopt"),
    _unit(_TWO, _BOUND, "-", "-", "a", _INSERT, "a new item whose key is known by now: insert the row"),
    _unit(_TWO, _KNOWN, "a", "-", "a", _DROP_ITEM, "the row was deleted"),
    _unit(_TWO, _KNOWN, "a", "-", "b", _INSERT, "row deleted, item edited: the edit survives", logged=_SURVIVES),
    _unit(_TWO, _KNOWN, "a", "-", "b", _DROP_ITEM, "the row left the filter, its item was edited",
          logged="ROW_LEFT_OUT", left_out=True),
    _unit(_TWO, _KNOWN, "a", "a", "-", _DROP_ROW, "the item was deleted"),
    _unit(_TWO, _KNOWN, "a", "b", "-", _CREATE, "item deleted, row edited: the edit survives", logged=_SURVIVES),
    _unit(_TWO, _KNOWN, "a", "a", "-", _CREATE, "the policy brings a deleted item back", item_deleted="RECREATE"),
    _unit(_TWO, _KNOWN, "a", "a", "-", "Leave", "the policy keeps the row without an item", item_deleted="KEEP"),
    _unit(_TWO, _KNOWN, "a", "b", "-", _CREATE, "until the row changes", item_deleted="KEEP"),
    _unit(_TWO, _KNOWN, "a", "a", "-", "Ask", "a person is asked", item_deleted="APPROVE"),
    _unit(_TWO, _KNOWN, "a", "a", "-", _DROP_ROW, "a person has approved", item_deleted="APPROVE", approved=True),
    _unit(_TWO, _KNOWN, "a", "b", "-", _CREATE, "an edit makes the question moot", item_deleted="APPROVE", logged=_SURVIVES),
    _unit(_TWO, _KNOWN, "a", "-", "a", _INSERT, "the policy brings a deleted row back", row_deleted="RECREATE"),
    _unit(_TWO, _KNOWN, "a", "-", "a", "Leave", "the policy keeps the item", row_deleted="KEEP"),
    _unit(_TWO, _KNOWN, "a", "-", "a", "Ask", "a person is asked", row_deleted="APPROVE"),
    _unit(_TWO, _KNOWN, "a", "-", "a", _DROP_ITEM, "a person has approved", row_deleted="APPROVE", approved=True),
    _unit(_TWO, _KNOWN, "a", "-", "-", "Retire", "deleted on both sides"),
    _unit(_TWO, "-", "-", "-", "-", "Forget", "never known, not there"),
    _unit(_TWO, _GONE, "-", "a", "-", _CREATE, "the row came back"),
    _unit(_TWO, _GONE, "-", "-", "a", _INSERT, "the item came back (restored from the recycle bin)"),
    _unit(_TWO, _GONE, "-", "a", "b", "Merge", "both came back: merged as never agreed"),
    _unit(_TWO, _GONE, "-", "-", "a", _DROP_ITEM, "a late create of ours for a row that is gone: removed", ours="a"),
    _unit(_TWO, _GONE, "-", "-", "b", _INSERT, "unless a person edited it", ours="a"),
    _unit(_TWO, _MAKING, "-", "a", "-", _CREATE, "a create that never landed"),
    _unit(_TWO, _MAKING, "-", "-", "a", _DROP_ITEM, "created, and the row is gone again", ours="a"),
    _unit(_PUSH, "-", "-", "a", "-", _CREATE, "a new row: create the item"),
    _unit(_PUSH, _KNOWN, "a", "-", "a", _DROP_ITEM, "the row was deleted"),
    _unit(_PUSH, _KNOWN, "a", "-", "b", _DROP_ITEM, "the row was deleted; the person's edit is logged",
          logged="ROW_DELETED"),
    _unit(_PUSH, _KNOWN, "a", "a", "-", _CREATE, "a deleted item comes back: the database is the record",
          item_deleted="RECREATE"),
    _unit(_PUSH, _KNOWN, "a", "b", "-", _CREATE, "so too when the row was edited", item_deleted="RECREATE"),
    _unit(_PUSH, _KNOWN, "a", "a", "-", "Leave", "or stays away until the row changes", item_deleted="KEEP"),
    _unit(_PUSH, _KNOWN, "a", "b", "-", _CREATE, "the row changed: it comes back", item_deleted="KEEP"),
    _unit(_PUSH, _KNOWN, "a", "a", "-", "Ask", "a person is asked before it comes back", item_deleted="APPROVE"),
    _unit(_PUSH, _KNOWN, "a", "a", "-", _CREATE, "a person has approved", item_deleted="APPROVE", approved=True),
    _unit(_PUSH, _KNOWN, "a", "-", "a", "Leave", "the policy keeps the item", row_deleted="KEEP"),
    _unit(_PUSH, "-", "-", "-", "a", "Leave", "a foreign item is left alone"),
    _unit(_PUSH, _GONE, "-", "-", "a", "Leave", "a restored item of a deleted row is foreign"),
    _unit(_PULL, "-", "-", "-", "a", _INSERT, "a new item: insert the row"),
    _unit(_PULL, "-", "-", "-", "a", "Leave", "a foreign item is left alone", foreign="IGNORE"),
    _unit(_PULL, "-", "-", "a", "-", "Leave", "a row without an item is left alone"),
    _unit(_PULL, "-", "-", "a", "b", "Merge", "both there, never agreed: adopt"),
    _unit(_PULL, _KNOWN, "a", "a", "-", _DROP_ROW, "the item was deleted"),
    _unit(_PULL, _KNOWN, "a", "b", "-", _DROP_ROW, "the item was deleted; the row's edit is logged",
          logged="ITEM_DELETED"),
    _unit(_PULL, _BOUND, "-", "a", "-", "Leave", "an item named the row and went before they were agreed: it is left alone"),
    _unit(_PULL, _KNOWN, "a", "a", "-", "Leave", "the policy keeps the row", item_deleted="KEEP"),
    _unit(_PULL, _KNOWN, "a", "a", "-", "Ask", "a person is asked", item_deleted="APPROVE"),
    _unit(_PULL, _KNOWN, "a", "a", "-", _DROP_ROW, "a person has approved", item_deleted="APPROVE", approved=True),
    _unit(_PULL, _KNOWN, "a", "-", "a", _INSERT, "a deleted row comes back: the list is the record",
          row_deleted="RECREATE"),
    _unit(_PULL, _KNOWN, "a", "-", "a", "Leave", "or stays away until the item changes", row_deleted="KEEP"),
    _unit(_PULL, _KNOWN, "a", "-", "b", _INSERT, "the item changed: it comes back", row_deleted="KEEP"),
    _unit(_PULL, _KNOWN, "a", "-", "a", "Ask", "a person is asked before it comes back", row_deleted="APPROVE"),
    _unit(_PULL, _KNOWN, "a", "-", "a", _INSERT, "a person has approved", row_deleted="APPROVE", approved=True),
    _unit(_PULL, _KNOWN, "a", "-", "b", "Leave", "a row that is left out is not inserted again",
          row_deleted="RECREATE", left_out=True),
    _unit(_PULL, _GONE, "-", "-", "a", _INSERT, "the item came back (restored from the recycle bin)"),
    _unit(_PULL, _GONE, "-", "a", "-", "Leave", "the row came back: it is left alone"),
)
# fmt: on
