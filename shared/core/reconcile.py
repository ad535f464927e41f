"""The three-way merge: what has to be written where, from what is read on both sides and what was last agreed.

Pure. Called by settle and nowhere else; a plan is settle that stops before writing. Everything is compared by digest.

Per field, with base b, row value r and item value i:

    r = i                      nothing; the base moves to it
    row edited, item not       write r to the item
    item edited, row not       write i to the row, where the field may flow that way; else write r back, and log i
    both edited, r ≠ i         conflict: the policy decides, the loser is logged
    neither edited, r ≠ i      the item holds our own late copy of an older row: write r to the item

"Edited" means: differs from the base (or has none). An item's value that a write of ours without an answer may have
left there is not an edit, and an empty value is none in a field about which row and item have never agreed: whichever side
has a value there gives it to the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.core.definition import (
    ConflictPolicy,
    DeletePolicy,
    ForeignPolicy,
    SyncDefinition,
    SyncMode,
)
from shared.core.digests import NULL_DIGEST
from shared.core.flows import Flow, flows_of
from shared.core.ids import Digest, FieldNo
from shared.core.ledger import EntryState

Digests = Mapping[FieldNo, Digest]


class Side(StrEnum):
    ROW = "ROW"
    ITEM = "ITEM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a definition says about disagreements."""

    flows: Mapping[FieldNo, Flow]
    """The fields that take part; a field that may not flow in this mode is not listed, and neither side shows it."""
    groups: tuple[tuple[FieldNo, ...], ...] = ()
    """Fields that are merged as one value; fields of no group stand alone and are not listed."""
    conflict: ConflictPolicy = ConflictPolicy.SOURCE_WINS
    row_deleted: DeletePolicy = DeletePolicy.PROPAGATE
    item_deleted: DeletePolicy = DeletePolicy.RECREATE
    foreign: ForeignPolicy = ForeignPolicy.IGNORE
    writes_rows: bool = False
    writes_items: bool = True
    system: frozenset[FieldNo] = frozenset()
    """Fields of SharePoint's own columns: never written to an item."""


def policy_of(definition: SyncDefinition) -> Policy:
    groups: dict[str, list[FieldNo]] = {}
    for mapping in definition.fields:
        if mapping.group is not None:
            groups.setdefault(mapping.group, []).append(mapping.no)
    return Policy(
        flows=flows_of(definition.fields, definition.mode, definition.source.key),
        groups=tuple(tuple(members) for members in groups.values()),
        conflict=definition.conflict_policy,
        row_deleted=definition.row_deleted,
        item_deleted=definition.item_deleted,
        foreign=definition.foreign_items,
        writes_rows=definition.mode is not SyncMode.ONE_WAY_PUSH,
        writes_items=definition.mode is not SyncMode.ONE_WAY_PULL,
        system=frozenset(mapping.no for mapping in definition.fields if mapping.is_system_field),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both sides as read, and what was last agreed."""

    state: EntryState | None
    """None: the ledger does not know the row."""
    base: Digests | None
    row: Digests | None
    """None: no row in scope."""
    row_left_out: bool = False
    """There is a row, and the filter or the soft-delete column leaves it out: none can be inserted in its place."""
    row_kept: bool = False
    """The tombstone remembers this very row: by policy it was left without an item, and has not changed since."""
    item: Digests | None
    """None: no item."""
    item_kept: bool = False
    """The agreement is about this item without a row: by policy, or because a person refused its delete, it was left so."""
    ours: Mapping[FieldNo, frozenset[Digest]] = field(default_factory=dict)
    """Values that a write of ours without an answer may have left in the item."""
    item_deleted_by_us: bool = False
    """A delete of ours without an answer may be why the item is gone."""
    created_by_us: bool = False
    """A create or update of ours without an answer may be why there is an item."""
    row_time: datetime | None = None
    item_time: datetime | None = None
    item_time_is_ours: bool = False
    """The item's Modified is the time of an engine's write: it says nothing about people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConflict:
    no: FieldNo
    winner: Side
    rule: str
    """The policy that decided. ONE_WAY: the field does not flow the loser's way. EDIT_SURVIVES: what lost is a delete.
    ROW_DELETED, ROW_LEFT_OUT, ITEM_DELETED: an edit went with its row or item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Both sides are there. With nothing in either set the base moves, without a write."""

    to_item: frozenset[FieldNo] = frozenset()
    to_row: frozenset[FieldNo] = frozenset()
    conflicts: tuple[FieldConflict, ...] = ()
    adopted: bool = False
    """Nothing was agreed before: an item that was there is taken as this row's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTheItem:
    conflicts: tuple[FieldConflict, ...] = ()
    survives: bool = False
    """An edited row whose item was deleted: the edit survives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertTheRow:
    conflicts: tuple[FieldConflict, ...] = ()
    survives: bool = False
    """An edited item whose row was deleted: the edit survives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTheItem:
    conflicts: tuple[FieldConflict, ...] = ()
    ghost: bool = False
    """A late creation of ours for a row that is gone: no person ever saw it as a row's item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTheRow:
    conflicts: tuple[FieldConflict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Gone on both sides: keep a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """By policy nothing is written; the one side stays as it is, and the ledger remembers that this was decided."""

    side: Side
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A person decides: the subject waits for approval. `delete` is what approval would do, else recreate."""

    delete: Side | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Neither side has it and the ledger never knew it."""


Decision = Merge | CreateTheItem | InsertTheRow | DeleteTheItem | DeleteTheRow | Retire | Leave | Ask | Forget


def reconcile(reading: Reading, policy: Policy, *, approved: bool = False) -> Decision:
    """`approved`: a person has approved the delete or the re-creation that this subject waited for."""
    match (reading.row is not None, reading.item is not None):
        case (True, True):
            return _merge(reading, policy)
        case (True, False):
            return _item_absent(reading, policy, approved)
        case (False, True):
            return _row_absent(reading, policy, approved)
        case _:
            return Retire() if reading.state is not None else Forget()


def _merge(reading: Reading, policy: Policy) -> Merge:
    assert reading.row is not None  # noqa: S101  the caller has matched both sides
    assert reading.item is not None  # noqa: S101
    to_item: set[FieldNo] = set()
    to_row: set[FieldNo] = set()
    conflicts: list[FieldConflict] = []
    for unit in _units(reading.row, policy):
        differing = [no for no in unit if reading.row[no] != reading.item.get(no)]
        if not differing:
            continue
        row_edited = any(_row_edited(reading, no) for no in unit)
        item_edited = any(_item_edited(reading, no) for no in unit)
        flow = _unit_flow(unit, policy)
        if flow is Flow.TO_ROW and _list_starts_empty(reading, differing, policy):
            to_item.update(differing)  # as a new item starts from what the row has
            continue
        winner, rule = _winner(reading, policy, flow, row_edited=row_edited, item_edited=item_edited)
        (to_item if winner is Side.ROW else to_row).update(differing)
        lost = item_edited if winner is Side.ROW else row_edited
        if lost:
            # A group is one value: where it loses, every member that differs is kept, or it could not be brought back.
            edited = _item_edited if winner is Side.ROW else _row_edited
            losing = differing if len(unit) > 1 else [no for no in differing if edited(reading, no)]
            conflicts += [FieldConflict(no=no, winner=winner, rule=rule) for no in losing]
    return Merge(
        to_item=frozenset(to_item),
        to_row=frozenset(to_row),
        conflicts=tuple(conflicts),
        adopted=reading.base is None,
    )


def _winner(reading: Reading, policy: Policy, flow: Flow, *, row_edited: bool, item_edited: bool) -> tuple[Side, str]:
    if flow is Flow.TO_ITEM:
        return Side.ROW, "ONE_WAY"
    if flow is Flow.TO_ROW:
        return Side.ITEM, "ONE_WAY"
    if item_edited and not row_edited:
        return Side.ITEM, ""
    if not item_edited:
        return Side.ROW, ""
    match policy.conflict:
        case ConflictPolicy.SOURCE_WINS:
            return Side.ROW, policy.conflict
        case ConflictPolicy.DESTINATION_WINS:
            return Side.ITEM, policy.conflict
        case ConflictPolicy.LATEST_WINS:
            return _latest(reading), policy.conflict


def _latest(reading: Reading) -> Side:
    """The later edit wins; a tie, an unknown time and a Modified of our own making go to the source."""
    if reading.row_time is None or reading.item_time is None or reading.item_time_is_ours:
        return Side.ROW
    # SharePoint keeps whole seconds: compare what both sides can hold.
    return Side.ITEM if reading.item_time.replace(microsecond=0) > reading.row_time.replace(microsecond=0) else Side.ROW


def _item_absent(reading: Reading, policy: Policy, approved: bool) -> Decision:
    by_person = (reading.state is EntryState.SETTLED and not reading.item_deleted_by_us) or (
        reading.state is EntryState.BOUND
    )
    if reading.row_kept:
        return Leave(side=Side.ROW)
    if not by_person:
        return CreateTheItem() if policy.writes_items else Leave(side=Side.ROW)
    # A row about which nothing was agreed is never taken for one that only lost its item, be it empty.
    edited = [no for no in reading.row or {} if _row_edited(reading, no) or reading.base is None]
    wanted = [no for no in edited if policy.flows[no] is not Flow.TO_ROW]
    if wanted and policy.writes_items:
        return CreateTheItem(conflicts=_outlived(wanted, Side.ROW, policy.item_deleted, policy), survives=True)
    if reading.base is None:
        return CreateTheItem() if policy.writes_items else Leave(side=Side.ROW)
    lost = _log(edited, Side.ITEM, "ITEM_DELETED")
    match policy.item_deleted:
        case DeletePolicy.PROPAGATE if policy.writes_rows:
            return DeleteTheRow(conflicts=lost)
        case DeletePolicy.PROPAGATE | DeletePolicy.RECREATE:
            return CreateTheItem() if policy.writes_items else Leave(side=Side.ROW)
        case DeletePolicy.KEEP:
            return Leave(side=Side.ROW)
        case DeletePolicy.APPROVE if approved:
            return DeleteTheRow(conflicts=lost) if policy.writes_rows else CreateTheItem()
        case DeletePolicy.APPROVE:
            return Ask(delete=Side.ROW if policy.writes_rows else None)


def _row_absent(reading: Reading, policy: Policy, approved: bool) -> Decision:
    # SharePoint's own columns change by our writes too: alone they are nobody's edit.
    edited = [no for no in reading.item or {} if no not in policy.system and _item_edited(reading, no)]
    # A field that takes no part now makes no row; an edit in it goes with its item, and is logged.
    wanted = [no for no in edited if policy.flows.get(no, Flow.TO_ITEM) is not Flow.TO_ITEM]
    inserts = policy.writes_rows and not reading.row_left_out
    if reading.state is EntryState.TOMBSTONE and reading.created_by_us and not edited and policy.writes_items:
        return DeleteTheItem(ghost=True)
    if reading.state not in (EntryState.SETTLED, EntryState.CREATING, EntryState.MOVING):
        if inserts and policy.foreign is ForeignPolicy.INSERT:
            return InsertTheRow()
        return Leave(side=Side.ITEM, foreign=True)
    if wanted and inserts:
        return InsertTheRow(conflicts=_outlived(wanted, Side.ITEM, policy.row_deleted, policy), survives=True)
    if reading.item_kept:
        return Leave(side=Side.ITEM)
    lost = _log(edited, Side.ROW, "ROW_LEFT_OUT" if reading.row_left_out else "ROW_DELETED")
    match policy.row_deleted:
        case DeletePolicy.PROPAGATE if policy.writes_items:
            return DeleteTheItem(conflicts=lost)
        case DeletePolicy.PROPAGATE | DeletePolicy.RECREATE:
            return InsertTheRow() if inserts else Leave(side=Side.ITEM)
        case DeletePolicy.KEEP:
            return Leave(side=Side.ITEM)
        case DeletePolicy.APPROVE if approved:
            if policy.writes_items:
                return DeleteTheItem(conflicts=lost)
            return InsertTheRow() if inserts else Leave(side=Side.ITEM)
        case DeletePolicy.APPROVE:
            return Ask(delete=Side.ITEM if policy.writes_items else None)


def _outlived(
    edited: Iterable[FieldNo], winner: Side, deleted: DeletePolicy, policy: Policy
) -> tuple[FieldConflict, ...]:
    """An edit won over a delete. Where the policy does not carry deletes over anyway, there was no contest."""
    contested = deleted in (DeletePolicy.PROPAGATE, DeletePolicy.APPROVE) and policy.writes_rows and policy.writes_items
    return _log(edited, winner, "EDIT_SURVIVES") if contested else ()


def _log(fields: Iterable[FieldNo], winner: Side, rule: str) -> tuple[FieldConflict, ...]:
    return tuple(FieldConflict(no=no, winner=winner, rule=rule) for no in fields)


def _list_starts_empty(reading: Reading, fields: Iterable[FieldNo], policy: Policy) -> bool:
    """Whether list columns that only flow to the row are new to this item, have no value yet, and can be given one."""
    item = reading.item or {}
    return policy.writes_items and all(
        no not in policy.system and _new_and_empty(reading, no, item.get(no)) for no in fields
    )


def _new_and_empty(reading: Reading, no: FieldNo, digest: Digest | None) -> bool:
    """No value, in a field about which row and item have never agreed: it was mapped later, or nothing was agreed at all.
    Unless a write of ours may have filled it already: then somebody has emptied it."""
    return no not in (reading.base or {}) and digest in (None, NULL_DIGEST) and no not in reading.ours


def _differs(base: Digests | None, no: FieldNo, digest: Digest) -> bool:
    return base is None or base.get(no) != digest


def _row_edited(reading: Reading, no: FieldNo) -> bool:
    digest = (reading.row or {}).get(no)
    if digest is None or _new_and_empty(reading, no, digest):
        return False
    return _differs(reading.base, no, digest)


def _item_edited(reading: Reading, no: FieldNo) -> bool:
    digest = (reading.item or {}).get(no)
    if digest is None or _new_and_empty(reading, no, digest):
        return False
    return _differs(reading.base, no, digest) and digest not in reading.ours.get(no, frozenset())


def unedited(reading: Reading, policy: Policy) -> frozenset[FieldNo]:
    """Fields of the item in which it has what was agreed on, what a write of ours may have left there, or nothing; and
    SharePoint's own columns, which change by our writes too."""
    return frozenset(no for no in reading.item or {} if no in policy.system or not _item_edited(reading, no))


def _units(row: Digests, policy: Policy) -> Iterable[tuple[FieldNo, ...]]:
    """Fields that are merged together: the groups, and every other field by itself."""
    grouped = {no for members in policy.groups for no in members}
    for members in policy.groups:
        present = tuple(no for no in members if no in row)
        if present:
            yield present
    for no in row:
        if no not in grouped:
            yield (no,)


def _unit_flow(unit: tuple[FieldNo, ...], policy: Policy) -> Flow:
    return policy.flows[unit[0]]
