"""From a decision to what is written: a conclusion without a write, or a write with its intent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.core.backlog import Reason
from shared.core.definition import SyncDefinition
from shared.core.digests import content_hash
from shared.core.ids import Digest, ETag, FieldNo, IdentityHash, ItemId, sync_key
from shared.core.items import CreateItem, DeleteItem, ItemWrite, PatchItem
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance
from shared.core.mapping import Value
from shared.core.reconcile import FieldConflict, Side
from shared.core.runs import ConflictRecord, RunCounts
from shared.core.values import create_fields, patch_fields
from shared.ports import Confirmation
from shared.settle.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A write that is ready: what goes on record before, what is sent."""

    work: Work
    write: ItemWrite
    intent: Intent
    entry: LedgerEntry
    """The ledger's entry with the intent."""
    conflicts: tuple[ConflictRecord, ...]
    adopted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The metastore's time, and how long a lost request may still surface."""

    now: datetime
    surface: timedelta


def create(work: Work, definition: SyncDefinition, op: UUID, at: Moment, conflicts: tuple[FieldConflict, ...]) -> Act:
    """The former item's id and base stay on record: a person may restore that item meanwhile."""
    target = definition.target
    fields: dict[str, object] = {target.key_column: sync_key(IdentityHash(work.key))}
    by_no = definition.by_no()
    fields |= create_fields(((by_no[no], value.canonical) for no, value in work.row_values.items()), target.zone)
    intent = Intent(
        op=op,
        kind=IntentKind.CREATE_ITEM,
        guard=None,
        list_id=target.list_id,
        digests=_digests(work.row_values),
        expires_at=at.now + at.surface,
    )
    former = work.known
    entry = LedgerEntry(
        identity=work.identity,
        state=EntryState.CREATING,
        source_instance_id=definition.source.instance_id,
        list_id=target.list_id,
        item_id=former.item_id if former and former.state is not EntryState.TOMBSTONE else None,
        etag=former.etag if former else None,
        base=former.base if former else None,
        provenance=former.provenance if former else None,
        intents=(*(former.intents if former else ()), intent),
        generation=_generation(former),
        mapping_fingerprint=former.mapping_fingerprint if former else None,
    )
    return Act(
        work=work,
        write=CreateItem(op=op, fields=fields),
        intent=intent,
        entry=entry,
        conflicts=_records(work, definition, op, conflicts),
    )


def patch(
    work: Work,
    definition: SyncDefinition,
    op: UUID,
    at: Moment,
    fields: frozenset[FieldNo],
    conflicts: tuple[FieldConflict, ...],
    *,
    adopted: bool,
) -> Act:
    item_id, etag = item_of(work)
    by_no = definition.by_no()
    sent = patch_fields(((by_no[no], work.row_values[no].canonical) for no in sorted(fields)), definition.target.zone)
    intent = Intent(
        op=op,
        kind=IntentKind.PATCH_ITEM,
        guard=etag,
        list_id=definition.target.list_id,
        item_id=item_id,
        digests={no: work.row_values[no].digest for no in fields},
        expires_at=at.now + at.surface,
    )
    return Act(
        work=work,
        write=PatchItem(op=op, item_id=item_id, etag=etag, fields=sent),
        intent=intent,
        entry=_bound(work, definition, intent),
        conflicts=_records(work, definition, op, conflicts),
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
    return Act(
        work=work,
        write=DeleteItem(op=op, item_id=item_id, etag=etag),
        intent=intent,
        entry=_haunted(work, definition, intent)
        if work.state is EntryState.TOMBSTONE
        else _bound(work, definition, intent),
        conflicts=_records(work, definition, op, conflicts),
    )


def item_of(work: Work) -> tuple[ItemId, ETag]:
    """The item that stands for the row now: as read, else as the ledger says."""
    if work.item is not None:
        return work.item.id, work.item.etag
    assert work.known is not None  # noqa: S101  assumed items come from the ledger
    assert work.known.item_id is not None  # noqa: S101
    assert work.known.etag is not None  # noqa: S101
    return work.known.item_id, work.known.etag


def settled(
    work: Work,
    definition: SyncDefinition,
    at: Moment,
    item_id: ItemId,
    etag: ETag | None,
    base: Mapping[FieldNo, Digest],
    *,
    wrote: bool,
) -> LedgerEntry:
    """Both sides agree. `wrote`: the agreement came from a write to the item."""
    former = work.known
    return LedgerEntry(
        identity=work.identity,
        state=EntryState.SETTLED,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id,
        item_id=item_id,
        etag=etag,
        stamp=work.row.stamp if work.row is not None else None,
        base=base,
        content_hash=content_hash(base),
        provenance=Provenance.PUSH if wrote or former is None else (former.provenance or Provenance.PUSH),
        intents=_alive(work, at, etag),
        generation=_generation(former),
        mapping_fingerprint=definition.mapping_fingerprint,
        last_source_ts=_source_time(work, definition),
    )


def tombstone(work: Work, definition: SyncDefinition, at: Moment, *, keep_stamp: bool = False) -> LedgerEntry:
    """Gone, or deliberately without an item while the row lives (`keep_stamp`). Has no base."""
    former = work.known
    item_id = work.item.id if work.item is not None else former.item_id if former else None
    return LedgerEntry(
        identity=work.identity,
        state=EntryState.TOMBSTONE,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id if item_id is not None else None,
        item_id=item_id,
        stamp=work.row.stamp if keep_stamp and work.row is not None else None,
        provenance=Provenance.PUSH,
        intents=_alive(work, at, None),
        generation=former.generation if former else 1,
        mapping_fingerprint=definition.mapping_fingerprint,
    )


def confirmation(work: Work, entry: LedgerEntry, at: Moment) -> Confirmation:
    """The subject is settled. Where a lost request may still surface it is looked at again once that is over.

    Every write that goes off the record is decided in the same transaction: what it overwrote is logged, or is not.
    """
    final, void = _decided(work, entry)
    waits = [intent.expires_at - at.now for intent in entry.intents]
    if waits:
        return Confirmation(
            claimed=work.claimed,
            entry=entry,
            remove_mark=False,
            due_in=max(waits) + timedelta(seconds=1),
            add_reasons=frozenset({Reason.DOUBT}),
            final_conflicts=final,
            void_conflicts=void,
        )
    return Confirmation(claimed=work.claimed, entry=entry, final_conflicts=final, void_conflicts=void)


def counted(acted: Act) -> RunCounts:
    done = {"items_processed": 1, "conflicts": 1 if acted.conflicts else 0}
    match acted.write:
        case CreateItem():
            return RunCounts(created=1, **done)
        case PatchItem():
            return RunCounts(updated=1, adopted=int(acted.adopted), **done)
        case DeleteItem():
            return RunCounts(deleted=1, **done)


def _decided(work: Work, entry: LedgerEntry) -> tuple[tuple[UUID, ...], tuple[UUID, ...]]:
    """Of the writes that `entry` no longer has on record: those that landed, or may have, and those that did not."""
    kept = {intent.op for intent in entry.intents}
    landed = {intent.op for intent in work.landed}
    final, void = list(work.final_ops), list(work.void_ops)
    for intent in work.doubts:
        if intent.op not in kept:
            (final if intent.op in landed or _may_have_landed(work, intent) else void).append(intent.op)
    return tuple(final), tuple(void)


def _may_have_landed(work: Work, intent: Intent) -> bool:
    """Where nobody can tell, a loss is logged rather than forgotten."""
    if intent.kind is IntentKind.CREATE_ITEM:
        return False  # a creation overwrites nothing
    if work.item is None or work.item.id != intent.item_id:
        return True
    return intent.kind is IntentKind.PATCH_ITEM and intent.guard != work.item.etag


def _bound(work: Work, definition: SyncDefinition, intent: Intent) -> LedgerEntry:
    """The entry while a write to a known item is under way."""
    item_id, etag = item_of(work)
    known = work.known
    if known is not None and known.item_id == item_id and known.state is not EntryState.TOMBSTONE:
        # The eTag moves with the base only, at the confirmation; what recovery learned goes on record now.
        return replace(known, base=work.base, intents=(*known.intents, intent))
    return LedgerEntry(
        identity=work.identity,
        state=EntryState.CREATING if known is not None and known.state is EntryState.CREATING else EntryState.BOUND,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id,
        item_id=item_id,
        etag=etag,
        base=work.base,
        intents=(*(known.intents if known else ()), intent),
        generation=_generation(known),
    )


def _source_time(work: Work, definition: SyncDefinition) -> datetime | None:
    """The row's own time, where its cursor column is a timestamp that was read; for people, never for decisions."""
    column = definition.source.cursor_column
    text = None if column is None or work.row is None else work.row.values.get(column.name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None  # infinity, years beyond 9999, or no timestamp at all
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _haunted(work: Work, definition: SyncDefinition, intent: Intent) -> LedgerEntry:
    """A ghost's tombstone stays one while the ghost is removed: a later look has to know it for a ghost again."""
    assert work.known is not None  # noqa: S101  a tombstone is an entry
    return replace(
        work.known,
        list_id=definition.target.list_id,
        item_id=intent.item_id,
        intents=(*work.known.intents, intent),
    )


def _alive(work: Work, at: Moment, etag: ETag | None) -> tuple[Intent, ...]:
    """Writes of ours that can still surface: creates, and writes whose guard is the eTag that stands."""
    landed = {intent.op for intent in work.landed}
    return tuple(
        intent
        for intent in work.doubts
        if intent.op not in landed
        and intent.expires_at > at.now
        and (intent.kind is IntentKind.CREATE_ITEM or (etag is not None and intent.guard == etag))
    )


def _generation(former: LedgerEntry | None) -> int:
    if former is None:
        return 1
    return former.generation + (former.state is EntryState.TOMBSTONE)


def _digests(values: Mapping[FieldNo, Value]) -> dict[FieldNo, Digest]:
    return {no: value.digest for no, value in values.items()}


def _records(
    work: Work, definition: SyncDefinition, op: UUID, conflicts: tuple[FieldConflict, ...]
) -> tuple[ConflictRecord, ...]:
    by_no = definition.by_no()
    item = work.item
    records = []
    for conflict in conflicts:
        loser, winner = (
            (work.item_values, work.row_values) if conflict.winner is Side.ROW else (work.row_values, work.item_values)
        )
        losing = loser.get(conflict.no)
        winning = winner.get(conflict.no)
        records.append(
            ConflictRecord(
                op=op,
                identity=work.identity,
                field_no=conflict.no,
                column=by_no[conflict.no].source.name,
                winner=conflict.winner,
                policy=conflict.rule,
                losing_value=None if losing is None else json.dumps(losing.canonical, ensure_ascii=False),
                winning_digest=winning.digest if winning is not None else Digest(b""),
                base_digest=(work.base or {}).get(conflict.no),
                list_id=definition.target.list_id,
                item_id=item.id if item else None,
                item_modified=item.modified if item else None,
                item_editor=item.editor_id if item else None,
                row_version=work.row.version if work.row else None,
            )
        )
    return tuple(records)
