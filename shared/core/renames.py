"""Rows whose key changed: the ledger's entry, and with it the item, goes over to the new identity.

What a change stream tells is a hint. It says where to look, and nothing happens by it unless the rows and the ledger say
the same: the former row is gone, it has an item, and the new row has none. Whatever does not fit is a delete and a create.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.ids import Identity, MarkNumber
from shared.core.ledger import EntryState, IntentKind, LedgerEntry

_OF_KNOWN_ITEMS = frozenset({IntentKind.PATCH_ITEM, IntentKind.DELETE_ITEM})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """Told by a capture: the row of `former` became that of `new`, at some time."""

    former: Identity
    new: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A key change on record. `number`: from the marks' sequence, it orders them."""

    number: MarkNumber
    former: Identity
    new: Identity
    fresh: bool = False
    """Told so recently that what became of the new row may not have been told yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What became of renames."""

    entries: Mapping[Identity, LedgerEntry]
    """The ledger's entries that change, as they are in the end."""
    done: tuple[MarkNumber, ...]
    """Renames that are over: carried out, or void."""
    busy: frozenset[Identity]
    """Identities of renames that cannot be decided yet: somebody else is at work on one side, or the new row is not there any
    more and may have got another key. Neither side may be settled before that is known."""


def follow(
    renames: Sequence[Rename],
    entries: Mapping[Identity, LedgerEntry],
    *,
    present: Collection[Identity],
    held: Collection[Identity],
) -> Followed:
    """`renames`: in the order of their numbers. `entries`: the ledger's, of all identities that they name. `present`: those
    that have a row. `held`: those that somebody else is at work on."""
    now, busy = dict(entries), set(held)
    last = {rename.former: place for place, rename in enumerate(renames)}
    done: list[MarkNumber] = []
    for place, rename in enumerate(renames):
        former, new = rename.former, rename.new
        if former in busy or new in busy:
            busy |= {former, new}
            continue
        goes_on = new in present or last.get(new, -1) > place
        handed = None if former in present else _handed_over(now.get(former), now.get(new), new)
        if handed is not None and not goes_on and rename.fresh:
            busy |= {former, new}
            continue
        done.append(rename.number)
        if handed is not None and goes_on:
            now[former], now[new] = handed
    return Followed(
        entries={identity: entry for identity, entry in now.items() if entries.get(identity) is not entry},
        done=tuple(done),
        busy=frozenset(busy),
    )


def without_item(former: LedgerEntry) -> LedgerEntry:
    """The tombstone of a row whose item stands for another row now."""
    return LedgerEntry(
        identity=former.identity,
        state=EntryState.TOMBSTONE,
        source_instance_id=former.source_instance_id,
        provenance=former.provenance,
        generation=former.generation,
        mapping_fingerprint=former.mapping_fingerprint,
    )


def _handed_over(
    former: LedgerEntry | None, heir: LedgerEntry | None, new: Identity
) -> tuple[LedgerEntry, LedgerEntry] | None:
    """Both entries afterwards; None: the item stays with its row's entry.

    Writes in doubt to the item itself speak for the item, whoever it stands for. One to the row speaks of a row that is
    not there any more, and a create would make the former row's item anew."""
    if former is None or former.state is not EntryState.SETTLED:
        return None
    if any(intent.kind not in _OF_KNOWN_ITEMS for intent in former.intents):
        return None
    if heir is not None and (heir.state is not EntryState.TOMBSTONE or heir.intents):
        return None
    # Without an eTag nobody assumes what the item has: it is looked at, and its key is put right. Without a provenance
    # that write answers nothing that anybody wrote.
    handed = replace(
        former, identity=new, etag=None, provenance=None, generation=1 if heir is None else heir.generation + 1
    )
    return without_item(former), handed
