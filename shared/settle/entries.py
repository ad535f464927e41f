"""Ledger entries: how they stand while a write is under way, and once both sides agree."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.core.backlog import Reason
from shared.core.definition import SyncDefinition
from shared.core.digests import content_hash
from shared.core.ids import Digest, ETag, FieldNo, ItemId
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance
from shared.core.paused import agreed_under, fields_of, held, unseen_under
from shared.ports import Confirmation
from shared.settle.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The metastore's time, and how long a lost request may still surface."""

    now: datetime
    surface: timedelta


def item_of(work: Work) -> tuple[ItemId, ETag]:
    """The item that stands for the row now: as read, else as the ledger says."""
    if work.item is not None:
        return work.item.id, work.item.etag
    assert work.known is not None  # noqa: S101  assumed items come from the ledger
    assert work.known.item_id is not None  # noqa: S101
    assert work.known.etag is not None  # noqa: S101
    return work.known.item_id, work.known.etag


# ---------------------------------------------------------------- while a write is under way


def creating(work: Work, definition: SyncDefinition, intent: Intent) -> LedgerEntry:
    """The former item's id and base stay on record: a person may restore that item meanwhile."""
    former = work.known
    kept = former is not None and work.state is not EntryState.TOMBSTONE
    return LedgerEntry(
        identity=work.identity,
        state=EntryState.CREATING,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id,
        item_id=former.item_id if former and kept else None,
        etag=former.etag if former else None,
        base=work.base if kept else None,
        provenance=former.provenance if former else None,
        intents=(*(former.intents if former else ()), intent),
        generation=_generation(former, work.state),
        mapping_fingerprint=former.mapping_fingerprint if former else None,
    )


def bound(work: Work, definition: SyncDefinition, intent: Intent) -> LedgerEntry:
    """While a write to the row or to a known item is under way."""
    known = work.known
    item_id, etag = _standing(work)
    if known is not None and known.item_id == item_id and work.state is not EntryState.TOMBSTONE:
        # The eTag moves with the base only, at the confirmation; what recovery learned goes on record now.
        return replace(known, state=work.state or known.state, base=work.base, intents=(*known.intents, intent))
    return LedgerEntry(
        identity=work.identity,
        state=EntryState.CREATING if work.state is EntryState.CREATING else EntryState.BOUND,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id,
        item_id=item_id,
        etag=etag,
        base=work.base,
        intents=(*(known.intents if known else ()), intent),
        generation=_generation(known, work.state),
    )


def haunted(work: Work, definition: SyncDefinition, intent: Intent) -> LedgerEntry:
    """A ghost's tombstone stays one while the ghost is removed: a later look has to know it for a ghost again."""
    assert work.known is not None  # noqa: S101  a tombstone is an entry
    return replace(
        work.known,
        list_id=definition.target.list_id,
        item_id=intent.item_id,
        intents=(*work.known.intents, intent),
    )


def handed_over(work: Work) -> LedgerEntry:
    """The item that a create of ours has made is the row's from now on, and not the one that a person brought back
    meanwhile: it has the row's key, and no other item can get it. Nothing was agreed about it but what the create has sent.
    Where the row was gone and the former item was to stand for a new one, that has to wait until the late one is gone."""
    assert work.known is not None  # noqa: S101  a create is on record
    assert work.made is not None  # noqa: S101  the caller has found it
    landed = {intent.op for intent in work.landed}
    return replace(
        work.known,
        state=EntryState.TOMBSTONE if work.state is EntryState.BOUND else EntryState.CREATING,
        item_id=work.made.id,
        etag=None,
        stamp=None,
        base=None,
        content_hash=None,
        intents=tuple(intent for intent in work.doubts if intent.op not in landed),
        mapping_fingerprint=None,
    )


def _standing(work: Work) -> tuple[ItemId | None, ETag | None]:
    """The item as read, else as the ledger has it."""
    if work.item is not None:
        return work.item.id, work.item.etag
    return (None, None) if work.known is None else (work.known.item_id, work.known.etag)


# ---------------------------------------------------------------- once it is concluded


def settled(
    work: Work,
    definition: SyncDefinition,
    at: Moment,
    item_id: ItemId,
    etag: ETag | None,
    base: Mapping[FieldNo, Digest],
    *,
    wrote: Provenance | None,
) -> LedgerEntry:
    """Both sides agree. `wrote`: which write the agreement came from; None: from none, they were equal. What was agreed
    about paused fields stays as it was."""
    former = work.known
    base = {**held(work.base, definition.paused), **base}
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
        provenance=wrote or (former.provenance if former else None) or Provenance.PUSH,
        intents=_alive(work, at, etag),
        generation=_generation(former, work.state),
        mapping_fingerprint=_agreed_under(work, definition),
        last_source_ts=source_time(work, definition),
    )


def _agreed_under(work: Work, definition: SyncDefinition) -> bytes:
    """An item that somebody has edited, or that was found, is taken as it is: nobody has compared its paused fields."""
    paused, former = definition.paused, work.known
    agreed = former is not None and former.state is EntryState.SETTLED
    edited = work.item is not None and (former is None or not agreed or work.item.etag != former.etag)
    unseen = paused if edited else paused & unseen_under(former.mapping_fingerprint if former else None)
    return agreed_under(fields_of(definition.mapping_fingerprint), paused, unseen)


def kept(work: Work, definition: SyncDefinition, at: Moment) -> LedgerEntry:
    """The item stays, and its row is gone: without a stamp. What nobody has edited in it is agreed on as it is now, or what a
    create of ours has sent would be taken for an edit once that write is off the record. An edit that is not for the row is
    in no agreement: without an eTag nobody assumes what the item holds, and a row that comes back is compared with it."""
    item_id, etag = item_of(work)
    left = {no: value.digest for no, value in work.item_values.items() if no in work.unedited}
    known_whole = len(left) == len(work.item_values)
    base = {**(work.base or {}), **left}
    entry = settled(replace(work, row=None), definition, at, item_id, etag, base, wrote=None)
    return entry if known_whole else replace(entry, etag=None)


def tombstone(
    work: Work,
    definition: SyncDefinition,
    at: Moment,
    *,
    keep_stamp: bool = False,
    wrote: Provenance | None = None,
) -> LedgerEntry:
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
        provenance=wrote or (former.provenance if former else None) or Provenance.PUSH,
        intents=_alive(work, at, None),
        generation=former.generation if former else 1,
        mapping_fingerprint=definition.mapping_fingerprint,
    )


def confirmation(work: Work, entry: LedgerEntry, at: Moment) -> Confirmation:
    """The subject is settled. Where a lost request may still surface it is looked at again once that is over.

    Every write that goes off the record is decided in the same transaction: what it overwrote is logged, or is not.
    """
    final, void = decided(work, entry)
    waits = [intent.expires_at - at.now for intent in entry.intents]
    return Confirmation(
        claimed=work.claimed,
        entry=entry,
        remove_mark=not waits,
        due_in=max(waits) + timedelta(seconds=1) if waits else None,
        add_reasons=frozenset({Reason.DOUBT}) if waits else frozenset(),
        final_conflicts=final,
        void_conflicts=void,
        quarrel=_quarrel(work, entry),
    )


def progressed(work: Work) -> tuple[LedgerEntry | None, tuple[UUID, ...]]:
    """The entry of a subject that is not settled yet, and the writes of which it is known now that they landed: they go
    off the record with what they agreed on. (None, ()): the ledger has nothing to learn."""
    final = (*work.final_ops, *(intent.op for intent in work.landed))
    if work.known is None or not (final or work.void_ops):
        return None, ()
    kept = tuple(intent for intent in work.known.intents if intent.op not in final)
    if not final:
        return replace(work.known, intents=kept), ()
    base = work.base if work.state is not EntryState.TOMBSTONE else None
    entry = replace(work.known, state=work.state or work.known.state, base=base, intents=kept)
    made = any(intent.kind is IntentKind.CREATE_ITEM and intent.op in final for intent in work.known.intents)
    if made and work.item is not None and base is not None:
        # The item that a create of ours has made: to be found again, or what it holds would be taken for somebody's edit.
        # Without an eTag nobody assumes what it holds.
        entry = replace(entry, state=EntryState.SETTLED, item_id=work.item.id, etag=None)
    return entry, final


def source_time(work: Work, definition: SyncDefinition) -> datetime | None:
    """The row's own time, where its cursor column is a timestamp: shown to people, and compared by LATEST_WINS."""
    column = definition.source.cursor_column
    text = None if column is None or work.row is None else work.row.values.get(column.name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None  # infinity, years beyond 9999, or no timestamp at all
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _quarrel(work: Work, entry: LedgerEntry) -> bool:
    """Whether something undoes what is written: a write against an edit, or one that answers a write the other way.

    A row that only changes often is no quarrel, however often it is written."""
    wrote = bool(work.landed)
    former = work.known.provenance if work.known is not None else None
    return wrote and (work.quarrels or (former is not None and entry.provenance is not former))


def decided(work: Work, entry: LedgerEntry) -> tuple[tuple[UUID, ...], tuple[UUID, ...]]:
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


def _alive(work: Work, at: Moment, etag: ETag | None) -> tuple[Intent, ...]:
    """Writes of ours that can still surface: creates, and writes whose guard is the eTag that stands. What became of
    writes to rows is always known before anything is concluded."""
    landed = {intent.op for intent in work.landed}
    return tuple(
        intent
        for intent in work.doubts
        if intent.op not in landed
        and intent.expires_at > at.now
        and (intent.kind is IntentKind.CREATE_ITEM or (etag is not None and intent.guard == etag))
    )


def _generation(former: LedgerEntry | None, state: EntryState | None) -> int:
    if former is None:
        return 1
    return former.generation + (state is EntryState.TOMBSTONE)
