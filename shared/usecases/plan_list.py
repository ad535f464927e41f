"""What a plan sees of the list: its changes since the stored token, which stays where it is, or the whole of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.captures.delta import delta_fingerprint
from shared.core.definition import SyncDefinition
from shared.core.errors import ConfigurationError, DeltaExpired
from shared.core.ids import Identity, ItemId
from shared.core.items import DeltaEntry, DeltaPage, Item
from shared.core.ledger import LedgerEntry
from shared.core.reconcile import Policy
from shared.ports import Ledger, ListCursors, ListStore
from shared.settle.look import lacks_agreement

CHANGES = 50
"""Pages of changes that are read; more than that wait for the next run anyway."""
WHOLE = 250
"""Pages of a whole list that are read: 50,000 items at 200 a page."""
_CHUNK = 5_000


@dataclass(slots=True, kw_only=True)
class ListPart:
    """A page's worth of what differs."""

    known: dict[Identity, Item | None] = field(default_factory=dict)
    """Rows whose item is another one than was agreed; None: it is gone."""
    unread: list[Identity] = field(default_factory=list)
    """Rows whose item is another one than was agreed, and its values were not shown."""
    strays: dict[ItemId, Item | None] = field(default_factory=dict)
    """Items that no entry stands for; None: its values have to be read."""


@dataclass(slots=True, kw_only=True)
class ListReading:
    """Mutable: filled while its parts are read. Satisfies ListCounts, for the guards, where the whole list was read."""

    how: str = "none"
    """changes, whole, or none: there is no list yet."""
    pages: int = 0
    complete: bool = True
    """Everything that differs was seen."""
    listed: int = 0
    known: int = 0
    changed: int = 0
    gone: int = 0
    foreign: int = 0
    """Items of nobody's that this definition leaves alone."""


def read_list(
    definition: SyncDefinition,
    policy: Policy,
    reading: ListReading,
    *,
    lists: ListStore,
    cursors: ListCursors,
    ledger: Ledger,
) -> Iterator[ListPart]:
    """Raises what the list raises, but for a token that is gone: then the whole list is read."""
    stored = cursors.get_delta(definition.id, definition.target.list_id)
    if stored is not None and stored.fingerprint == delta_fingerprint(definition):
        try:
            entries = _changes(definition, reading, lists, stored.token)
        except DeltaExpired:
            reading.pages = 0
        else:
            reading.how = "changes"
            for start in range(0, len(entries), _CHUNK):
                yield _differing(definition, policy, reading, ledger, entries[start : start + _CHUNK])
            return
    reading.how = "whole"
    yield from _whole(definition, policy, reading, lists, ledger)


def _changes(definition: SyncDefinition, reading: ListReading, lists: ListStore, token: str) -> list[DeltaEntry]:
    """An item that changed twice counts once, with its last entry."""
    entries: dict[ItemId, DeltaEntry] = {}
    while True:
        page = lists.delta(definition.target, token)
        reading.pages += 1
        entries |= {entry.item_id: entry for entry in page.entries}
        token = page.next_token
        if page.complete:
            return list(entries.values())
        if reading.pages >= CHANGES:
            reading.complete = False
            return list(entries.values())


def _whole(
    definition: SyncDefinition, policy: Policy, reading: ListReading, lists: ListStore, ledger: Ledger
) -> Iterator[ListPart]:
    seen: set[ItemId] = set()
    for page in _pages(definition, reading, lists):
        fresh = [entry for entry in page.entries if not entry.deleted and entry.item_id not in seen]
        seen.update(entry.item_id for entry in fresh)
        yield _differing(definition, policy, reading, ledger, fresh)
    reading.listed = len(seen)
    if reading.complete:
        yield from _missing(definition, reading, ledger, seen)


def _pages(definition: SyncDefinition, reading: ListReading, lists: ListStore) -> Iterator[DeltaPage]:
    """By the changes since ever, which show values, else by plain paging, which does not."""
    read, token = lists.delta, None
    while True:
        try:
            page = read(definition.target, token)
        except ConfigurationError as error:
            if error.code != "delta_unavailable" or read == lists.enumerate:
                raise
            read = lists.enumerate
            continue
        reading.pages += 1
        yield page
        if page.complete:
            return
        if reading.pages >= WHOLE:
            reading.complete = False
            return
        token = page.next_token


def _missing(definition: SyncDefinition, reading: ListReading, ledger: Ledger, seen: set[ItemId]) -> Iterator[ListPart]:
    after: ItemId | None = None
    while True:
        bound = ledger.bound_items(definition.id, definition.target.list_id, after=after, limit=_CHUNK)
        reading.known += len(bound)
        gone = {identity: None for item_id, identity in bound if item_id not in seen}
        reading.gone += len(gone)
        if gone:
            yield ListPart(known=dict(gone))
        if len(bound) < _CHUNK:
            return
        after = bound[-1][0]


def _differing(
    definition: SyncDefinition, policy: Policy, reading: ListReading, ledger: Ledger, entries: list[DeltaEntry]
) -> ListPart:
    ids = [entry.item_id for entry in entries]
    known = ledger.by_items(definition.id, definition.target.list_id, ids)
    part = ListPart()
    for entry in entries:
        agreed = known.get(entry.item_id)
        if agreed is not None:
            if not _is_as_agreed(entry, agreed, policy):
                reading.changed += int(not entry.deleted and entry.etag != agreed.etag)
                reading.gone += int(entry.deleted)
                if entry.deleted or entry.item is not None:
                    part.known[agreed.identity] = entry.item
                else:
                    part.unread.append(agreed.identity)
        elif entry.deleted:
            continue  # gone before anybody knew it, or a tombstone's
        elif entry.keyless and not definition.takes_foreign_items:
            reading.foreign += 1
        else:
            part.strays[entry.item_id] = entry.item
    return part


def _is_as_agreed(entry: DeltaEntry, agreed: LedgerEntry, policy: Policy) -> bool:
    return not entry.deleted and entry.etag == agreed.etag and not lacks_agreement(agreed, policy)
