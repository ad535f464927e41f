"""One subject: from what was read to a decision of the reconciler."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from shared.core.definition import DeletePolicy, FieldMapping, LeftScope, SyncDefinition
from shared.core.errors import RowRejected, Unrepresentable
from shared.core.ids import Digest, FieldNo, key_texts
from shared.core.keys import pulled_key
from shared.core.ledger import EntryState, IntentKind
from shared.core.mapping import item_values, row_values
from shared.core.paused import fields_of
from shared.core.reconcile import Decision, Policy, Reading, reconcile, unedited
from shared.core.values import from_item, from_row
from shared.settle.entries import source_time
from shared.settle.work import Values, Work

_LEFT_SCOPE = {
    LeftScope.DELETE: DeletePolicy.PROPAGATE,
    LeftScope.KEEP: DeletePolicy.KEEP,
    LeftScope.ASK: DeletePolicy.APPROVE,
}


def decide(work: Work, definition: SyncDefinition, policy: Policy) -> Decision:
    """Raises RowRejected when a value cannot be shown on the other side; nothing is decided then."""
    taking_part = _mapped(definition, policy.flows)
    row = work.row
    present = row is not None and row.in_scope and not row.soft_deleted
    if row is not None and not row.in_scope and not row.soft_deleted:
        policy = replace(policy, row_deleted=_LEFT_SCOPE[definition.left_scope])
    work.row_values = row_values(taking_part, row) if row is not None and present else {}
    if work.item is not None:
        # What goes with its item is logged, in a paused field too.
        shown = taking_part if present else _mapped(definition, {*policy.flows, *definition.paused})
        work.item_values = item_values(shown, work.item, definition.target.site_zone)
    reading = Reading(
        state=work.state,
        base=work.base,
        row=digests_of(work.row_values) if present else None,
        row_left_out=row is not None and not present and not row.soft_deleted,
        row_kept=_row_kept(work, definition),
        item=_item_digests(work),
        item_kept=_item_kept(work, definition),
        ours=_ours(work),
        item_deleted_by_us=any(intent.kind is IntentKind.DELETE_ITEM for intent in work.doubts),
        created_by_us=(work.creates and not work.lacks_key)
        or any(intent.kind is IntentKind.PATCH_ITEM for intent in work.doubts),
        row_time=source_time(work, definition),
        item_time=work.item.modified if work.item is not None else None,
        item_time_is_ours=work.item is not None and work.known is not None and work.item.etag == work.known.etag,
    )
    work.unedited = unedited(reading, policy)
    return reconcile(reading, policy, approved=work.claimed.approved)


def _mapped(definition: SyncDefinition, numbers: Collection[FieldNo]) -> tuple[FieldMapping, ...]:
    return tuple(mapping for mapping in definition.fields if mapping.no in numbers)


def _row_kept(work: Work, definition: SyncDefinition) -> bool:
    """Whether the row was left without an item when it was as it is now, and under the same fields. Where a field was paused
    since, or goes on, its stamp tells nothing: the row stays as it was decided until it changes again."""
    known = work.known
    return (
        known is not None
        and known.state is work.state is EntryState.TOMBSTONE
        and work.row is not None
        and known.stamp is not None
        and fields_of(known.mapping_fingerprint or b"") == fields_of(definition.mapping_fingerprint)
        and (known.stamp == work.row.stamp or known.mapping_fingerprint != definition.mapping_fingerprint)
    )


def _item_kept(work: Work, definition: SyncDefinition) -> bool:
    """Whether the item was left without a row, and nobody has begun to make one since. An agreement about both has a stamp."""
    known = work.known
    return (
        known is not None
        and known.state is work.state is EntryState.SETTLED
        and known.stamp is None
        and not any(intent.kind is IntentKind.INSERT_ROW for intent in known.intents)
        and fields_of(known.mapping_fingerprint or b"") == fields_of(definition.mapping_fingerprint)
    )


def key_fields(definition: SyncDefinition) -> tuple[FieldMapping, ...] | None:
    return pulled_key(definition.source.key.columns, definition.fields)


def key_differs(work: Work, definition: SyncDefinition) -> bool:
    """Whether the item, as read, names another row than the one that it is bound to."""
    fields = key_fields(definition)
    if fields is None or work.item is None:
        return False
    try:
        mine = [from_row(mapping, text) for mapping, text in zip(fields, key_texts(work.identity), strict=True)]
        its = [from_item(mapping, work.item.fields, definition.target.zone) for mapping in fields]
    except (Unrepresentable, RowRejected):
        return True
    return mine != its


def _item_digests(work: Work) -> Mapping[FieldNo, Digest] | None:
    if work.item_read:
        return None if work.item is None else digests_of(work.item_values)
    if work.state is EntryState.SETTLED:
        return dict(work.base or {})  # assumed; If-Match makes it safe
    return None


def _ours(work: Work) -> Mapping[FieldNo, frozenset[Digest]]:
    """What a write of ours without an answer may have left in the item.

    A write whose guard is the eTag that stands has not landed. A PATCH speaks for its own item only, a create for an item
    with the row's key, and only for fields that have no base yet.
    """
    found: dict[FieldNo, set[Digest]] = {}
    for intent in work.doubts:
        if work.item is None or (intent.guard is not None and intent.guard == work.item.etag):
            continue
        for no, digest in intent.digests.items():
            speaks = (intent.kind is IntentKind.PATCH_ITEM and intent.item_id == work.item.id) or (
                intent.kind is IntentKind.CREATE_ITEM and no not in (work.base or {}) and not work.lacks_key
            )
            if speaks:
                found.setdefault(no, set()).add(digest)
    return {no: frozenset(digests) for no, digests in found.items()}


def digests_of(values: Values) -> dict[FieldNo, Digest]:
    return {no: value.digest for no, value in values.items()}
