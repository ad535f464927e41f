"""The reconciler's decisions as tables: the README shows them, the tests are made from them.

Values are letters: two sides hold the same value exactly when they hold the same letter; "-" is no value known or no
unit there.
"""

from dataclasses import dataclass


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


FIELD_CASES: tuple[FieldCase, ...] = (
    FieldCase(base="a", row="a", item="a", flow="BOTH", write="", logged="", words="nobody edited: nothing"),
    FieldCase(
        base="a", row="b", item="a", flow="BOTH", write="item", logged="", words="the row was edited: to the item"
    ),
    FieldCase(
        base="a", row="a", item="b", flow="BOTH", write="row", logged="", words="the item was edited: to the row"
    ),
    FieldCase(base="a", row="b", item="b", flow="BOTH", write="", logged="", words="both edited alike: the base moves"),
    FieldCase(base="a", row="b", item="c", flow="BOTH", write="item", logged="item", words="conflict, the source wins"),
    FieldCase(
        base="a",
        row="b",
        item="c",
        flow="BOTH",
        write="row",
        logged="row",
        policy="DESTINATION_WINS",
        words="conflict, the list wins",
    ),
    FieldCase(base="-", row="b", item="b", flow="BOTH", write="", logged="", words="never agreed, equal: adopted"),
    FieldCase(base="-", row="b", item="c", flow="BOTH", write="item", logged="item", words="never agreed: a conflict"),
    FieldCase(
        base="a",
        row="b",
        item="c",
        ours="c",
        flow="BOTH",
        write="item",
        logged="",
        words="the item holds our own late write: no conflict",
    ),
    FieldCase(
        base="a",
        row="a",
        item="c",
        ours="c",
        flow="BOTH",
        write="item",
        logged="",
        words="our own late write of an older row: written over",
    ),
    FieldCase(base="a", row="b", item="a", flow="TO_ITEM", write="item", logged="", words="push only: to the item"),
    FieldCase(
        base="a",
        row="a",
        item="b",
        flow="TO_ITEM",
        write="item",
        logged="item",
        words="push only: written back, logged",
    ),
    FieldCase(
        base="a", row="b", item="c", flow="TO_ITEM", write="item", logged="item", words="push only: the row, logged"
    ),
    FieldCase(base="a", row="a", item="b", flow="TO_ROW", write="row", logged="", words="pull only: to the row"),
    FieldCase(
        base="a", row="b", item="a", flow="TO_ROW", write="row", logged="row", words="pull only: written back, logged"
    ),
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
    row_deleted: str = "PROPAGATE"
    item_deleted: str = "PROPAGATE"
    foreign: str = "INSERT"
    ours: str = ""


_PUSH = "ONE_WAY_PUSH"
_TWO = "TWO_WAY"

UNIT_CASES: tuple[UnitCase, ...] = (
    UnitCase(
        mode=_TWO, state="-", base="-", row="a", item="-", decision="CreateTheItem", words="a new row: create the item"
    ),
    UnitCase(
        mode=_TWO, state="-", base="-", row="-", item="a", decision="InsertTheRow", words="a new item: insert the row"
    ),
    UnitCase(
        mode=_TWO,
        state="-",
        base="-",
        row="-",
        item="a",
        foreign="IGNORE",
        decision="Leave",
        words="a foreign item is left alone",
    ),
    UnitCase(
        mode=_TWO, state="-", base="-", row="a", item="b", decision="Merge", words="both there, never agreed: adopt"
    ),
    UnitCase(
        mode=_TWO, state="SETTLED", base="a", row="-", item="a", decision="DeleteTheItem", words="the row was deleted"
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="-",
        item="b",
        decision="InsertTheRow",
        words="row deleted, item edited: the edit survives",
    ),
    UnitCase(
        mode=_TWO, state="SETTLED", base="a", row="a", item="-", decision="DeleteTheRow", words="the item was deleted"
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="b",
        item="-",
        decision="CreateTheItem",
        words="item deleted, row edited: the edit survives",
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="a",
        item="-",
        item_deleted="RECREATE",
        decision="CreateTheItem",
        words="the policy brings a deleted item back",
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="a",
        item="-",
        item_deleted="KEEP",
        decision="Leave",
        words="the policy keeps the row without an item",
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="a",
        item="-",
        item_deleted="APPROVE",
        decision="Ask",
        words="a person is asked",
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="-",
        item="a",
        row_deleted="KEEP",
        decision="Leave",
        words="the policy keeps the item",
    ),
    UnitCase(
        mode=_TWO,
        state="SETTLED",
        base="a",
        row="-",
        item="a",
        row_deleted="APPROVE",
        decision="Ask",
        words="a person is asked",
    ),
    UnitCase(mode=_TWO, state="SETTLED", base="a", row="-", item="-", decision="Retire", words="deleted on both sides"),
    UnitCase(mode=_TWO, state="-", base="-", row="-", item="-", decision="Forget", words="never known, not there"),
    UnitCase(
        mode=_TWO, state="TOMBSTONE", base="-", row="a", item="-", decision="CreateTheItem", words="the row came back"
    ),
    UnitCase(
        mode=_TWO, state="TOMBSTONE", base="-", row="-", item="a", decision="InsertTheRow", words="the item came back"
    ),
    UnitCase(
        mode=_TWO,
        state="TOMBSTONE",
        base="-",
        row="-",
        item="a",
        ours="a",
        decision="DeleteTheItem",
        words="a late create of ours for a row that is gone: removed",
    ),
    UnitCase(
        mode=_TWO,
        state="CREATING",
        base="-",
        row="a",
        item="-",
        decision="CreateTheItem",
        words="a create that never landed",
    ),
    UnitCase(
        mode=_TWO,
        state="CREATING",
        base="-",
        row="-",
        item="a",
        ours="a",
        decision="DeleteTheItem",
        words="created, and the row is gone again",
    ),
    UnitCase(
        mode=_PUSH, state="SETTLED", base="a", row="-", item="a", decision="DeleteTheItem", words="the row was deleted"
    ),
    UnitCase(
        mode=_PUSH,
        state="SETTLED",
        base="a",
        row="-",
        item="b",
        decision="DeleteTheItem",
        words="the row was deleted; the person's edit is logged",
    ),
    UnitCase(
        mode=_PUSH,
        state="SETTLED",
        base="a",
        row="a",
        item="-",
        decision="CreateTheItem",
        words="a deleted item comes back: the database is the record",
    ),
    UnitCase(
        mode=_PUSH,
        state="SETTLED",
        base="a",
        row="a",
        item="-",
        item_deleted="KEEP",
        decision="Leave",
        words="or stays away until the row changes",
    ),
    UnitCase(
        mode=_PUSH,
        state="SETTLED",
        base="a",
        row="b",
        item="-",
        item_deleted="KEEP",
        decision="CreateTheItem",
        words="the row changed: it comes back",
    ),
    UnitCase(
        mode=_PUSH, state="-", base="-", row="-", item="a", decision="Leave", words="a foreign item is left alone"
    ),
    UnitCase(
        mode=_PUSH,
        state="TOMBSTONE",
        base="-",
        row="-",
        item="a",
        decision="Leave",
        words="a restored item of a deleted row is foreign",
    ),
)
