"""Items that are subjects of their own: nobody knows yet which row they stand for.

An item that the ledger knows makes its row due. One that nobody knows is left alone, or, where lists may make rows, gets a
row to stand for: the one that its key columns name, or a new one under a reserved key. That is written into the ledger
by compare-and-set, and the row is settled like any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from shared.core.backlog import Claimed, Mark, Reason
from shared.core.definition import FieldMapping, ForeignPolicy, SyncDefinition
from shared.core.errors import RowRejected
from shared.core.ids import Identity, IdentityHash, ItemId, ItemSubject, RowSubject
from shared.core.items import Item, Looked, Stopped, Unread
from shared.core.ledger import EntryState, IntentKind, LedgerEntry
from shared.core.values import from_item, to_row
from shared.ports import Binding, Confirmation, Parking, RowWriter
from shared.settle.decide import key_fields
from shared.settle.look import resting
from shared.settle.page_state import PageState

_LOOK = frozenset({Reason.ITEM, Reason.ITEM_GONE})


def settle_strays(page: PageState, claimed: Sequence[Claimed]) -> Iterator[Confirmation]:
    """One conclusion for each. Raises Throttled, and whatever stops the definition."""
    target, ledger = page.definition.target, page.tools.ledger
    wanted = {c.subject.item_id: c for c in claimed if isinstance(c.subject, ItemSubject)}
    bound = ledger.by_items(page.definition.id, target.list_id, list(wanted))
    for item_id, entry in bound.items():
        # The row's own look tells the rest: this subject only says that there is something to see.
        yield Confirmation(claimed=wanted[item_id], marks=(_row_mark(wanted[item_id], entry, None),))
    unknown = {item_id: subject for item_id, subject in wanted.items() if item_id not in bound}
    for conclusion in _seen_by_the_capture(page, unknown):
        del unknown[_item_of(conclusion)]
        yield conclusion
    if not unknown:
        return
    there: dict[ItemId, Item] = {}
    for item_id, answer in page.tools.lists.look(target, list(unknown)).items():
        match answer:
            case Stopped(error=error):
                raise error
            case Unread(retry_after=seconds):
                wait = timedelta(seconds=5.0 if seconds is None else seconds)
                yield Confirmation(claimed=unknown[item_id], remove_mark=False, due_in=wait)
            case Looked(item=item) if item is not None:
                there[item_id] = item
            case Looked():
                yield _gone(unknown[item_id], page.limits.lease)
    yield from _known_by_key(page, unknown, there)


def _seen_by_the_capture(page: PageState, claimed: Mapping[ItemId, Claimed]) -> list[Confirmation]:
    """Items that carry the key of a row, as the capture has read them: mostly ours, told by the list before the ledger knew.
    The row's own look tells the rest, so no reading is needed here."""
    seen = {
        item_id: observation.item
        for item_id, subject in claimed.items()
        if (observation := page.job.observations.get(subject.subject.key)) is not None
        and observation.number == subject.number
    }
    keyed = {item_id: key for item_id, item in seen.items() if (key := keyed_hash(item)) is not None}
    by_hash = page.tools.ledger.by_hashes(page.definition.id, list(keyed.values())) if keyed else {}
    return [
        Confirmation(claimed=claimed[item_id], marks=(_row_mark(claimed[item_id], entry, seen[item_id]),))
        for item_id, key in keyed.items()
        if (entry := by_hash.get(key)) is not None and entry.item_id in (None, item_id)
    ]


def _item_of(conclusion: Confirmation) -> ItemId:
    subject = conclusion.claimed.subject
    assert isinstance(subject, ItemSubject)  # noqa: S101  strays are items
    return subject.item_id


def _gone(claimed: Claimed, lease: timedelta) -> Confirmation:
    if Reason.AGAIN in claimed.reasons:
        return Confirmation(claimed=claimed)
    # Whoever is creating it may not have said so yet.
    return Confirmation(claimed=claimed, remove_mark=False, due_in=lease * 2, add_reasons=frozenset({Reason.AGAIN}))


def _known_by_key(
    page: PageState, claimed: Mapping[ItemId, Claimed], items: Mapping[ItemId, Item]
) -> Iterator[Confirmation]:
    """Items that carry a sync key which the ledger knows; the others are nobody's."""
    keyed = {item_id: key for item_id, item in items.items() if (key := keyed_hash(item)) is not None}
    by_hash = page.tools.ledger.by_hashes(page.definition.id, list(keyed.values()))
    nobodys: dict[ItemId, Item] = {}
    for item_id, item in items.items():
        entry = by_hash.get(keyed[item_id]) if item_id in keyed else None
        if item.is_check:
            yield Confirmation(claimed=claimed[item_id])
        elif entry is None:
            nobodys[item_id] = item
        elif entry.item_id not in (None, item_id) and entry.state is not EntryState.TOMBSTONE:
            yield _late(page, claimed[item_id], entry, item) or _second_item(claimed[item_id])
        else:
            yield Confirmation(claimed=claimed[item_id], marks=(_row_mark(claimed[item_id], entry, item),))
    policy = page.policy
    if not (policy.writes_rows and policy.foreign is ForeignPolicy.INSERT):
        yield from (Confirmation(claimed=claimed[item_id]) for item_id in nobodys)
        return
    resting_items: dict[ItemId, Item] = {}
    for item_id, item in nobodys.items():
        wait = resting(item, page.definition.debounce, page.at().now)
        if wait is None:
            resting_items[item_id] = item
        else:
            yield Confirmation(claimed=claimed[item_id], remove_mark=False, due_in=wait)
    yield from _bindings(page, claimed, resting_items)


def _bindings(
    page: PageState, claimed: Mapping[ItemId, Claimed], items: Mapping[ItemId, Item]
) -> Iterator[Confirmation]:
    fields = key_fields(page.definition)
    if fields is None:
        yield from _under_reserved_keys(page, claimed, items)
        return
    named, problems = named_rows(page.definition, page.tools.rows, fields, items)
    for item_id, parking in problems.items():
        yield Confirmation(claimed=claimed[item_id], remove_mark=False, park=parking)
    entries = page.tools.ledger.entries(page.definition.id, list(named.values()))
    taken: set[Identity] = set()
    for item_id, identity in named.items():
        entry = entries.get(identity)
        if identity in taken or (entry is not None and entry.state is not EntryState.TOMBSTONE):
            # It stands for a row that has an item, or is getting one: a copy never takes over.
            yield _second_item(claimed[item_id])
        else:
            taken.add(identity)
            yield _bind(page, claimed[item_id], items[item_id], identity, entry)


def _under_reserved_keys(
    page: PageState, claimed: Mapping[ItemId, Claimed], items: Mapping[ItemId, Item]
) -> Iterator[Confirmation]:
    """An item that somebody brought back stands for the row that it stood for: that may be there still, and would be there
    twice. It says so itself only where its key was ever written to it."""
    ids = list(items)
    former = page.tools.ledger.tombstones_of(page.definition.id, page.definition.target.list_id, ids) if ids else {}
    for item_id, entry in former.items():
        yield _bind(page, claimed[item_id], items[item_id], entry.identity, entry)
    new = {item_id: item for item_id, item in items.items() if item_id not in former}
    reserved = page.tools.rows.reserve(page.definition.source, len(new)) if new else []
    for (item_id, item), identity in zip(new.items(), reserved, strict=True):
        yield _bind(page, claimed[item_id], item, identity, None)


def named_rows(
    definition: SyncDefinition, rows: RowWriter, fields: Sequence[FieldMapping], items: Mapping[ItemId, Item]
) -> tuple[dict[ItemId, Identity], dict[ItemId, Parking]]:
    """The identities that the items' key columns name, as the database prints them."""
    texts: dict[ItemId, list[str]] = {}
    problems: dict[ItemId, Parking] = {}
    zone = definition.target.zone
    for item_id, item in items.items():
        try:
            values = [(mapping, from_item(mapping, item.fields, zone)) for mapping in fields]
            missing = [mapping.target_display_name for mapping, value in values if value is None]
            if missing:
                problems[item_id] = _unusable(f"a new row needs its key: fill in {', '.join(missing)} in the list")
                continue
            texts[item_id] = [str(to_row(mapping, value)) for mapping, value in values]
        except RowRejected as rejected:
            problems[item_id] = _unusable(rejected.message)
    printed = rows.identities(definition.source, list(texts.values())) if texts else []
    named: dict[ItemId, Identity] = {}
    for item_id, identity in zip(texts, printed, strict=True):
        if identity is None:
            columns = ", ".join(f"{key.name} ({key.type.declared})" for key in definition.source.key.columns)
            problems[item_id] = _unusable(f"what the list has is no value for the key {columns}")
        else:
            named[item_id] = identity
    return named, problems


def _bind(
    page: PageState, claimed: Claimed, item: Item, identity: Identity, buried: LedgerEntry | None
) -> Confirmation:
    definition = page.definition
    entry = LedgerEntry(
        identity=identity,
        state=EntryState.BOUND,
        source_instance_id=definition.source.instance_id,
        list_id=definition.target.list_id,
        item_id=item.id,
        etag=item.etag,
        intents=buried.intents if buried else (),
        generation=buried.generation + 1 if buried else 1,
    )
    marks = [_row_mark(claimed, entry, item)]
    if buried is not None and buried.item_id not in (None, item.id):
        # The former item becomes a subject of its own: a person may bring it back.
        former = ItemSubject(list_id=definition.target.list_id, item_id=buried.item_id)
        marks.append(Mark(subject=former, reasons=frozenset({Reason.ITEM}), lane=claimed.lane))
    binding = Binding(entry=entry, expected=buried.confirmed if buried else None)
    return Confirmation(claimed=claimed, bind=binding, marks=tuple(marks))


def _row_mark(claimed: Claimed, entry: LedgerEntry, item: Item | None) -> Mark:
    reasons = claimed.reasons & _LOOK or frozenset({Reason.ITEM})
    return Mark(
        subject=RowSubject(identity=entry.identity),
        reasons=reasons if item is None else frozenset({Reason.ITEM}),
        lane=claimed.lane,
        news=item.etag if item is not None else claimed.news,
    )


SECOND_ITEM = Parking(
    code="second_item",
    message="a second item carries the key of a row that already has one; it is never pushed or pulled",
    retry_in=timedelta(hours=1),
)


def _late(page: PageState, claimed: Claimed, entry: LedgerEntry, item: Item) -> Confirmation | None:
    """An item that a create of the row's may have made, whose answer was lost: the row's own look tells whose it is."""
    creates = [i.expires_at for i in entry.intents if i.kind is IntentKind.CREATE_ITEM]
    left = max(creates, default=page.at().now) - page.at().now
    if left <= timedelta(0):
        return None
    due, mark = left + timedelta(seconds=1), _row_mark(claimed, entry, item)
    return Confirmation(claimed=claimed, remove_mark=False, due_in=due, marks=(mark,))


def _second_item(claimed: Claimed) -> Confirmation:
    return Confirmation(claimed=claimed, remove_mark=False, park=SECOND_ITEM)


def _unusable(message: str) -> Parking:
    return Parking(code="key_unusable", message=message, retry_in=timedelta(hours=1))


def keyed_hash(item: Item) -> IdentityHash | None:
    """The identity that the item's sync key names; None: it carries none."""
    try:
        raw = bytes.fromhex(item.sync_key or "")
    except ValueError:
        return None
    return IdentityHash(raw) if len(raw) == 32 else None
