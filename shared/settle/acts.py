"""Writes that are ready: what goes on record before, what is sent."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from shared.core.definition import Direction, FieldMapping, SyncDefinition
from shared.core.errors import Unrepresentable
from shared.core.flows import Flow
from shared.core.ids import Digest, FieldNo, IdentityHash, sync_key
from shared.core.items import CreateItem, DeleteItem, ItemWrite, PatchItem
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry
from shared.core.mapping import Value
from shared.core.reconcile import FieldConflict, Policy, Side
from shared.core.runs import ConflictRecord, RunCounts
from shared.core.soft_delete import cleared, marked
from shared.core.source import DeleteRow, InsertRow, RowChange, UpdateRow
from shared.core.values import create_fields, from_row, patch_fields, to_row
from shared.core.wishes import REVERSAL, Wish
from shared.settle.entries import Moment, bound, creating, haunted, item_of, source_time
from shared.settle.work import Values, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A write to an item."""

    work: Work
    write: ItemWrite
    intent: Intent
    entry: LedgerEntry
    """The ledger's entry with the intent."""
    conflicts: tuple[ConflictRecord, ...]
    adopted: bool = False


class RowStep(StrEnum):
    """What becomes of a row, whatever carries it out: a row that is marked as deleted is updated, and deleted."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAct:
    """A write to a row. Its intent gets the transaction's id once there is one."""

    work: Work
    step: RowStep
    change: RowChange
    values: Values
    """The values that are written, as the item has them: both sides agree on them once they are."""
    conflicts: tuple[FieldConflict, ...]
    wishes: tuple[Wish, ...] = ()
    """Values that are written because a person wants them back; the item gets them from the row."""


# ---------------------------------------------------------------- items


def create(
    work: Work,
    definition: SyncDefinition,
    policy: Policy,
    op: UUID,
    at: Moment,
    conflicts: tuple[FieldConflict, ...],
) -> Act:
    """A new item carries every field that has a list column of its own: one that is only pulled starts from what the
    row has, or the first look at the new item would empty it in the row."""
    target = definition.target
    by_no = definition.by_no()
    sent = {
        no: value
        for no, value in work.row_values.items()
        if not by_no[no].is_system_field and (policy.flows[no] is not Flow.TO_ROW or _fits(by_no[no], work))
    }
    fields: dict[str, object] = {target.key_column: sync_key(IdentityHash(work.key))}
    fields |= create_fields(((by_no[no], value.canonical) for no, value in sent.items()), target.zone)
    intent = Intent(
        op=op,
        kind=IntentKind.CREATE_ITEM,
        guard=None,
        list_id=target.list_id,
        digests={no: value.digest for no, value in sent.items()},
        expires_at=at.now + at.surface,
    )
    return Act(
        work=work,
        write=CreateItem(op=op, fields=fields),
        intent=intent,
        entry=creating(work, definition, intent),
        conflicts=records(work, definition, op, conflicts, winner=Side.ROW),
    )


def _fits(mapping: FieldMapping, work: Work) -> bool:
    """Whether the list column can hold what the row has in a column that is only pulled."""
    try:
        _strictly(mapping, work)
    except Unrepresentable:
        return False
    return True


def _strictly(mapping: FieldMapping, work: Work) -> None:
    """Raises Unrepresentable for a value that would be refused if the field were pushed."""
    assert work.row is not None  # noqa: S101  items are written for rows
    from_row(replace(mapping, direction=Direction.BIDIRECTIONAL), work.row.values.get(mapping.source.name))


def patch(
    work: Work,
    definition: SyncDefinition,
    policy: Policy,
    op: UUID,
    at: Moment,
    fields: frozenset[FieldNo],
    conflicts: tuple[FieldConflict, ...],
    *,
    adopted: bool,
) -> Act:
    """Changed fields only, and the sync key where the item lacks it. Raises Unrepresentable when a list column that starts
    from its row cannot hold what the row has."""
    item_id, etag = item_of(work)
    by_no, target = definition.by_no(), definition.target
    for no in fields:
        if policy.flows[no] is Flow.TO_ROW:
            _strictly(by_no[no], work)
    sent = patch_fields(((by_no[no], work.row_values[no].canonical) for no in sorted(fields)), target.zone)
    if work.lacks_key:
        sent = {target.key_column: sync_key(IdentityHash(work.key)), **sent}
    intent = Intent(
        op=op,
        kind=IntentKind.PATCH_ITEM,
        guard=etag,
        list_id=target.list_id,
        item_id=item_id,
        digests={no: work.row_values[no].digest for no in fields},
        expires_at=at.now + at.surface,
    )
    return Act(
        work=work,
        write=PatchItem(op=op, item_id=item_id, etag=etag, fields=sent),
        intent=intent,
        entry=bound(work, definition, intent),
        conflicts=records(work, definition, op, conflicts, winner=Side.ROW),
        adopted=adopted,
    )


def delete(work: Work, definition: SyncDefinition, op: UUID, at: Moment, conflicts: tuple[FieldConflict, ...]) -> Act:
    item_id, etag = item_of(work)
    intent = Intent(
        op=op,
        kind=IntentKind.DELETE_ITEM,
        guard=etag,
        list_id=definition.target.list_id,
        item_id=item_id,
        expires_at=at.now + at.surface,
    )
    ghost = work.state is EntryState.TOMBSTONE
    return Act(
        work=work,
        write=DeleteItem(op=op, item_id=item_id, etag=etag),
        intent=intent,
        entry=haunted(work, definition, intent) if ghost else bound(work, definition, intent),
        conflicts=records(work, definition, op, conflicts, winner=Side.ROW),
    )


def counted(acted: Act) -> RunCounts:
    conflicts = len(acted.conflicts) > 0
    match acted.write:
        case CreateItem():
            return RunCounts(items_processed=1, conflicts=int(conflicts), created=1)
        case PatchItem():
            return RunCounts(items_processed=1, conflicts=int(conflicts), updated=1, adopted=int(acted.adopted))
        case DeleteItem():
            return RunCounts(items_processed=1, conflicts=int(conflicts), deleted=1)


# ---------------------------------------------------------------- rows


def update_row(
    work: Work,
    definition: SyncDefinition,
    op: UUID,
    fields: frozenset[FieldNo],
    conflicts: tuple[FieldConflict, ...],
) -> RowAct:
    """Raises Unrepresentable, naming the column, for a value that it cannot hold."""
    assert work.row is not None  # noqa: S101  a merge has both sides
    values = {no: work.item_values[no] for no in sorted(fields)}
    change = UpdateRow(op=op, identity=work.identity, version=work.row.version, values=_texts(definition, values))
    return RowAct(work=work, step=RowStep.UPDATE, change=change, values=values, conflicts=conflicts)


def restore_row(work: Work, definition: SyncDefinition, op: UUID, wishes: tuple[Wish, ...]) -> RowAct:
    """Writes what people want back, as an edit of the row. Raises Unrepresentable for a value that a column cannot hold."""
    assert work.row is not None  # noqa: S101  a merge has both sides
    texts = _texts(definition, {wish.no: wish.value for wish in wishes})
    change = UpdateRow(op=op, identity=work.identity, version=work.row.version, values=texts)
    return RowAct(work=work, step=RowStep.UPDATE, change=change, values={}, conflicts=(), wishes=wishes)


def insert_row(
    work: Work, definition: SyncDefinition, policy: Policy, op: UUID, conflicts: tuple[FieldConflict, ...]
) -> RowAct:
    """The fields that flow to rows; what is only pushed is left to the database's defaults. A row that is marked as
    deleted loses its mark."""
    values = {no: value for no, value in work.item_values.items() if policy.flows.get(no) in (Flow.BOTH, Flow.TO_ROW)}
    texts, marker = _texts(definition, values), definition.source.soft_delete_column
    change: RowChange = InsertRow(op=op, identity=work.identity, values=texts)
    if work.row is not None and marker is not None:
        texts |= cleared(marker)
        change = UpdateRow(op=op, identity=work.identity, version=work.row.version, values=texts)
    return RowAct(work=work, step=RowStep.INSERT, change=change, values=values, conflicts=conflicts)


def delete_row(
    work: Work, definition: SyncDefinition, op: UUID, at: Moment, conflicts: tuple[FieldConflict, ...]
) -> RowAct:
    """Where the definition has a soft-delete column the row is marked, and stays."""
    assert work.row is not None  # noqa: S101  there is a row to delete
    version, marker = work.row.version, definition.source.soft_delete_column
    change: RowChange = DeleteRow(op=op, identity=work.identity, version=version)
    if marker is not None:
        change = UpdateRow(op=op, identity=work.identity, version=version, values=marked(marker, at.now))
    return RowAct(work=work, step=RowStep.DELETE, change=change, values={}, conflicts=conflicts)


def row_intent(act: RowAct, transaction: str, at: Moment) -> Intent:
    """The intent of a row write, once its transaction has an id that lasts."""
    kinds = {
        RowStep.INSERT: IntentKind.INSERT_ROW,
        RowStep.UPDATE: IntentKind.UPDATE_ROW,
        RowStep.DELETE: IntentKind.DELETE_ROW,
    }
    return Intent(
        op=act.change.op,
        kind=kinds[act.step],
        guard=None if isinstance(act.change, InsertRow) else act.change.version,
        digests={no: value.digest for no, value in act.values.items()},
        expires_at=at.now + at.surface,
        transaction=transaction,
    )


def _texts(definition: SyncDefinition, values: Values) -> dict[str, str | None]:
    by_no = definition.by_no()
    return {by_no[no].source.name: to_row(by_no[no], value.canonical) for no, value in values.items()}


# ---------------------------------------------------------------- the conflict log


def records(
    work: Work, definition: SyncDefinition, op: UUID, conflicts: Iterable[FieldConflict], *, winner: Side
) -> tuple[ConflictRecord, ...]:
    """The losing values of those conflicts that `winner` won: they are logged with the write that overwrites them."""
    loser, victor = (work.item_values, work.row_values) if winner is Side.ROW else (work.row_values, work.item_values)
    return tuple(
        _record(work, definition, op, conflict, loser.get(conflict.no), victor.get(conflict.no))
        for conflict in conflicts
        if conflict.winner is winner
    )


def overwritten(work: Work, definition: SyncDefinition, op: UUID, wishes: Iterable[Wish]) -> tuple[ConflictRecord, ...]:
    """What both sides have until a value is written that a person wants back: it can be wanted back in its turn."""
    return tuple(
        _record(
            work,
            definition,
            op,
            FieldConflict(no=wish.no, winner=wish.side, rule=REVERSAL),
            work.row_values.get(wish.no),
            wish.value,
        )
        for wish in wishes
    )


def _record(
    work: Work,
    definition: SyncDefinition,
    op: UUID,
    conflict: FieldConflict,
    losing: Value | None,
    winning: Value | None,
) -> ConflictRecord:
    item, known = work.item, work.known
    return ConflictRecord(
        op=op,
        identity=work.identity,
        field_no=conflict.no,
        column=definition.by_no()[conflict.no].source.name,
        winner=conflict.winner,
        policy=conflict.rule,
        losing_value=None if losing is None else json.dumps(losing.canonical, ensure_ascii=False),
        winning_digest=winning.digest if winning is not None else Digest(b""),
        base_digest=(work.base or {}).get(conflict.no),
        list_id=definition.target.list_id,
        item_id=item.id if item else known.item_id if known else None,
        item_modified=item.modified if item else None,
        item_editor=item.editor_id if item else None,
        row_version=work.row.version if work.row else None,
        row_time=source_time(work, definition),
    )
