"""Items that are subjects of their own: nobody knows yet which row they stand for."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.core.backlog import Claimed, Mark, Reason
from shared.core.definition import SyncDefinition
from shared.core.ids import IdentityHash, ItemSubject, RowSubject
from shared.core.items import Item, Looked, Stopped, Unread
from shared.core.ledger import EntryState, LedgerEntry
from shared.ports import Confirmation, Parking
from shared.settle.job import Tools


def settle_strays(
    claimed: Sequence[Claimed], definition: SyncDefinition, tools: Tools, lease: timedelta
) -> Iterator[Confirmation]:
    """Finds the row of each item and marks it; parks second items of one row; leaves foreign items alone.

    Raises Throttled, and whatever stops the definition.
    """
    target = definition.target
    wanted = {c.subject.item_id: c for c in claimed if isinstance(c.subject, ItemSubject)}
    looks = tools.lists.look(target, list(wanted))
    bound = tools.ledger.by_items(definition.id, target.list_id, list(wanted))
    keyed = {
        item_id: key
        for item_id, answer in looks.items()
        if isinstance(answer, Looked) and answer.item is not None and (key := _hash(answer.item)) is not None
    }
    by_hash = tools.ledger.by_hashes(definition.id, list(keyed.values()))
    for item_id, subject in wanted.items():
        match looks[item_id]:
            case Stopped(error=error):
                raise error
            case Unread(retry_after=seconds):
                yield Confirmation(
                    claimed=subject, remove_mark=False, due_in=timedelta(seconds=5.0 if seconds is None else seconds)
                )
            case Looked(item=item):
                entry = bound.get(item_id)
                if entry is None and item_id in keyed:
                    entry = by_hash.get(keyed[item_id])
                yield _conclude(subject, item, entry, lease)


def _conclude(claimed: Claimed, item: Item | None, entry: LedgerEntry | None, lease: timedelta) -> Confirmation:
    if entry is None and item is None and Reason.AGAIN not in claimed.reasons:
        # Whoever is creating it may not have said so yet.
        return Confirmation(claimed=claimed, remove_mark=False, due_in=lease * 2, add_reasons=frozenset({Reason.AGAIN}))
    if entry is None:
        return Confirmation(claimed=claimed)  # gone for good, or a foreign item that this definition leaves alone
    subject = claimed.subject
    if not isinstance(subject, ItemSubject) or (item is None and entry.item_id != subject.item_id):
        return Confirmation(claimed=claimed)
    if item is not None and entry.item_id not in (None, item.id) and entry.state is not EntryState.TOMBSTONE:
        return Confirmation(
            claimed=claimed,
            remove_mark=False,
            park=Parking(
                code="second_item",
                message="a second item carries the key of a row that already has one; it is never pushed or pulled",
                retry_in=timedelta(hours=1),
            ),
        )
    reason = Reason.ITEM if item is not None else Reason.ITEM_GONE
    mark = Mark(
        subject=RowSubject(identity=entry.identity),
        reasons=frozenset({reason}),
        lane=claimed.lane,
        news=item.etag if item is not None else None,
    )
    return Confirmation(claimed=claimed, marks=(mark,))


def _hash(item: Item) -> IdentityHash | None:
    try:
        raw = bytes.fromhex(item.sync_key or "")
    except ValueError:
        return None
    return IdentityHash(raw) if len(raw) == 32 else None
