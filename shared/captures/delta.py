"""The capture of the list's own changes: one page of its delta per call, from the stored token on.

A page's marks and the token's move are one transaction, so the token cannot pass an item. What the page holds of an item
is handed out as an observation, which saves settle a reading; nothing is kept between two pages.

What an entry means: deleted is a reason of its own and never compared by eTag, for it has none; an eTag that the ledger
has is an echo; any other, and none, make settle look. An item that no row is known for is a subject of its own, unless
the definition leaves such items alone: without a key the engine did not make it.
"""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.core.backlog import Echo, Lane, Mark, Observation, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.errors import DeltaExpired
from shared.core.ids import ItemId, ItemSubject, ListId, MarkNumber, RowSubject
from shared.core.items import DeltaEntry, DeltaPage
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.paused import fields_of
from shared.core.runs import DeltaCursor
from shared.ports import Backlog, Ledger, ListCursors, ListStore


class DeltaState(StrEnum):
    """How the list's changes stand after a call."""

    MORE = "MORE"
    """There is another page now."""
    COMPLETE = "COMPLETE"
    """Nothing more now."""
    MOVED = "MOVED"
    """Another worker moved the token meanwhile; the page was dropped, nothing is marked. Its next page comes next."""
    ENUMERATE = "ENUMERATE"
    """There is no token that can be used: the whole list has to be read first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaReport:
    state: DeltaState
    entries: int = 0
    echoes: int = 0
    """Of the entries: our own writes coming back, or nothing new."""
    foreign: int = 0
    """Of the entries: items of nobody's that this definition leaves alone."""
    marked: int = 0
    observations: Mapping[bytes, Observation] = field(default_factory=dict)
    """By subject key: the items of this page, under the numbers of their marks."""
    expired: str | None = None
    """The token was refused, or its page could not be read: the error's code."""


def delta_page(
    definition: SyncDefinition,
    *,
    lists: ListStore,
    cursors: ListCursors,
    backlog: Backlog,
    ledger: Ledger,
    lane: Lane = Lane.PEOPLE,
) -> Generator[Boundary, None, DeltaReport]:
    """Marks what one page of changes tells. Raises what the list raises; nothing is marked then."""
    target = definition.target
    stored = cursors.get_delta(definition.id, target.list_id)
    if stored is None or stored.fingerprint != delta_fingerprint(definition):
        return DeltaReport(state=DeltaState.ENUMERATE)
    # Before the page is asked for: what is confirmed under a later number may be newer than the page.
    since = backlog.next_number()
    try:
        page = lists.delta(target, stored.token)
    except DeltaExpired as expired:
        forgotten = cursors.advance_delta(definition, expected=stored, new=None, marks=())
        state = DeltaState.MOVED if forgotten is None else DeltaState.ENUMERATE
        return DeltaReport(state=state, expired=expired.code)
    yield Boundary.DELTA_READ
    marks, echoes = _told(definition, page, ledger, lane)
    foreign = len(page.entries) - len(marks) - len(echoes)
    new = DeltaCursor(token=page.next_token, fingerprint=stored.fingerprint)
    numbers = cursors.advance_delta(
        definition, expected=stored, new=new, marks=list(marks.values()), echoes=list(echoes.values())
    )
    if numbers is None:
        return DeltaReport(state=DeltaState.MOVED, entries=len(page.entries))
    yield Boundary.DELTA_MARKED
    return DeltaReport(
        state=DeltaState.COMPLETE if page.complete else DeltaState.MORE,
        entries=len(page.entries),
        echoes=len(page.entries) - foreign - len(numbers),
        foreign=foreign,
        marked=len(numbers),
        observations=_observed(page, marks | {item: echo.mark for item, echo in echoes.items()}, numbers, since),
    )


def delta_fingerprint(definition: SyncDefinition) -> bytes:
    """16 bytes over what the list is asked for, and what of it is passed over: the columns are part of Graph's links."""
    asked = fields_of(definition.mapping_fingerprint) + definition.target.key_column.encode()
    return hashlib.blake2b(asked + bytes([definition.takes_foreign_items]), digest_size=16).digest()


def _told(
    definition: SyncDefinition, page: DeltaPage, ledger: Ledger, lane: Lane
) -> tuple[dict[ItemId, Mark], dict[ItemId, Echo]]:
    list_id = definition.target.list_id
    known = ledger.by_items(definition.id, list_id, [entry.item_id for entry in page.entries])
    gone = [entry.item_id for entry in page.entries if entry.deleted and entry.item_id not in known]
    buried = ledger.tombstones_of(definition.id, list_id, gone) if gone else {}
    marks: dict[ItemId, Mark] = {}
    echoes: dict[ItemId, Echo] = {}
    for entry in page.entries:
        item_id = entry.item_id
        agreed = known.get(item_id) or buried.get(item_id)
        mark = _mark(entry, agreed, list_id, lane)
        if agreed is not None and _is_echo(entry, agreed):
            echoes[item_id] = Echo(mark=mark, confirmed=agreed.confirmed)
        elif agreed is not None or not entry.keyless or definition.takes_foreign_items:
            marks[item_id] = mark
    return marks, echoes


def _mark(entry: DeltaEntry, agreed: LedgerEntry | None, list_id: ListId, lane: Lane) -> Mark:
    return Mark(
        subject=ItemSubject(list_id=list_id, item_id=entry.item_id)
        if agreed is None
        else RowSubject(identity=agreed.identity),
        reasons=frozenset({Reason.ITEM_GONE if entry.deleted else Reason.ITEM}),
        lane=lane,
        news=None if entry.deleted else entry.etag,
    )


def _is_echo(entry: DeltaEntry, agreed: LedgerEntry) -> bool:
    if entry.deleted:
        return agreed.state is EntryState.TOMBSTONE  # deleted by us, or by a person whom we followed
    return entry.etag is not None and entry.etag == agreed.etag


def _observed(
    page: DeltaPage, marks: Mapping[ItemId, Mark], numbers: Mapping[bytes, MarkNumber], since: MarkNumber
) -> Mapping[bytes, Observation]:
    observed = {}
    for entry in page.entries:
        mark = marks.get(entry.item_id)
        if mark is not None and entry.item is not None and mark.subject.key in numbers:
            key = mark.subject.key
            observed[key] = Observation(item=entry.item, number=numbers[key], since=since)
    return observed
