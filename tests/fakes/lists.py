"""SharePoint lists in memory: the ListStore of unit tests, with people who edit, and answers that get lost."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from shared.core.definition import FieldMapping, TargetList
from shared.core.errors import DeltaExpired, ListGone, SyncError
from shared.core.ids import ConnectionId, ETag, ItemId, ListId, SiteId
from shared.core.items import (
    LATEST,
    CreateItem,
    DeleteItem,
    DeltaEntry,
    DeltaPage,
    Doubtful,
    Duplicate,
    Item,
    ItemWrite,
    Landed,
    Look,
    Looked,
    Mismatch,
    Missing,
    Outcome,
    PatchItem,
    Stopped,
    Unread,
)


@dataclass
class FakeItem:
    """One item with every version it ever had; `versions[-1]` is what it holds."""

    id: ItemId
    guid: UUID
    versions: list[dict[str, Any]]
    created: datetime
    modified: datetime
    editor_id: str | None = None

    @property
    def etag(self) -> ETag:
        return ETag(f'"{self.guid},{len(self.versions)}"')


Answer = Callable[[ItemWrite, Callable[[], Outcome]], Outcome]
"""Decides what a write's caller is told; calls the second argument to let the write happen."""


def lost_after(write: ItemWrite, happen: Callable[[], Outcome]) -> Outcome:
    """The write happens, its answer is lost."""
    happen()
    return Doubtful(reason="lost after the effect")


def lost_before(write: ItemWrite, happen: Callable[[], Outcome]) -> Outcome:
    """Nothing happens, and nobody says so."""
    return Doubtful(reason="lost before the effect")


def answering(outcome: Outcome) -> Answer:
    """Nothing happens; the caller is told `outcome`."""
    return lambda _write, _happen: outcome


@dataclass
class FakeLists:
    """Implements `shared.ports.ListStore` for one list.

    `script`: what becomes of the next writes, one entry each; when it is empty every write happens and is answered.
    `late`: writes that a test has let go astray; `land_late()` makes them happen, conditions included.
    `unreadable`: items and keys whose readings fail. `gone`, `stop`: the list is gone; every call is stopped by an error.
    `history`: whether versions are kept for readers. Writes are counted in `writes`, readings in `reads`.
    """

    target: TargetList = field(
        default_factory=lambda: TargetList(
            connection_id=ConnectionId(uuid4()),
            site_id=SiteId(f"contoso.sharepoint.com,{uuid4()},{uuid4()}"),
            list_id=ListId(str(uuid4())),
            key_column="SyncBridgeKey",
        )
    )
    now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    unique: tuple[str, ...] = ()
    """Unique columns beside the key."""
    script: deque[Answer] = field(default_factory=deque)
    late: list[ItemWrite] = field(default_factory=list)
    unreadable: set[ItemId | str] = field(default_factory=set)
    gone: bool = False
    stop: SyncError | None = None
    history: bool = True
    history_stop: dict[ItemId, SyncError] = field(default_factory=dict)
    """Items whose versions cannot be read, with the reason."""
    drifted: tuple[str, ...] = ()
    """What a look at the columns tells."""
    columns_stop: SyncError | None = None
    """What stops a look at the columns."""
    page: int = 200
    unmarked_deletes: bool = False
    """Deleted entries of a delta come without saying so."""
    reserved: int = 0
    """Writes that a page has paid for ahead. Readings and writes are free here: the budget is the client's."""
    writes: list[ItemWrite] = field(default_factory=list)
    reads: int = 0
    items: dict[ItemId, FakeItem] = field(default_factory=dict)
    bin: dict[ItemId, FakeItem] = field(default_factory=dict)
    _next: int = 1
    _log: list[ItemId] = field(default_factory=list)
    _epochs: dict[str, int] = field(default_factory=lambda: {"delta": 0, "page": 0})

    # ------------------------------------------------------------ people

    def add(self, fields: Mapping[str, Any], *, editor_id: str | None = "7") -> ItemId:
        """A person adds an item."""
        made = self._create(dict(fields), editor_id)
        assert isinstance(made, Landed), "a person's addition breaks a unique column"
        return made.item_id

    def edit(self, item_id: ItemId, fields: Mapping[str, Any], *, editor_id: str | None = "7") -> ETag:
        """A person edits an item: last writer wins."""
        self._change(self.items[item_id], fields, editor_id)
        return self.items[item_id].etag

    def remove(self, item_id: ItemId) -> None:
        """A person deletes an item; it lies in the recycle bin."""
        self.bin[item_id] = self.items.pop(item_id)
        self._log.append(item_id)

    def restore(self, item_id: ItemId) -> None:
        """A person brings an item back: the same id, values and versions, a new eTag."""
        item = self.items[item_id] = self.bin.pop(item_id)
        item.versions.append(dict(item.versions[-1]))
        self._log.append(item_id)

    def stir(self, item_id: ItemId) -> None:
        """The delta tells an item that has not changed."""
        self._log.append(item_id)

    def expire(self) -> None:
        """Every delta token dies."""
        self._epochs["delta"] += 1

    def forget_pages(self) -> None:
        """Every link to a page of the whole list dies."""
        self._epochs["page"] += 1

    def land_late(self) -> list[Outcome]:
        """What had gone astray arrives now."""
        astray, self.late = self.late, []
        return [self._apply(write) for write in astray]

    def astray(self, write: ItemWrite, happen: Callable[[], Outcome]) -> Outcome:
        """For `script`: the write arrives only at `land_late()`."""
        self.late.append(write)
        return Doubtful(reason="astray")

    def values(self) -> dict[str | None, dict[str, Any]]:
        """Sync key -> values, without the key, of every item."""
        key = self.target.key_column
        return {
            item.versions[-1].get(key): {name: value for name, value in item.versions[-1].items() if name != key}
            for item in self.items.values()
        }

    # ------------------------------------------------------------ the port

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        self._check(target)
        self.reads += len(items)
        return {item_id: self._look(item_id, self.items.get(item_id)) for item_id in items}

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        self._check(target)
        self.reads += len(sync_keys)
        by_key = {item.versions[-1].get(target.key_column): item for item in self.items.values()}
        return {key: self._look(key, by_key.get(key)) for key in sync_keys}

    def reserve(self, writes: int) -> None:
        self.reserved = writes

    def release(self) -> None:
        self.reserved = 0

    def write(self, target: TargetList, writes: Sequence[ItemWrite]) -> Mapping[UUID, Outcome]:
        self._check(target)
        assert len(writes) <= 20, "a $batch holds 20"
        assert len({write.op for write in writes}) == len(writes), "each write has its own op"
        outcomes: dict[UUID, Outcome] = {}
        for write in writes:
            self.writes.append(write)
            answer = self.script.popleft() if self.script else None
            happen = self._happening(write)
            outcomes[write.op] = happen() if answer is None else answer(write, happen)
        return outcomes

    def versions_since(self, target: TargetList, item: ItemId, etag: ETag) -> Sequence[Item] | None:
        self._check(target)
        self._require()
        self.reads += 1
        if item in self.history_stop:
            raise self.history_stop[item]
        found = self.items.get(item)
        if found is None or not self.history:
            return None
        count = int(etag.strip('"').rpartition(",")[2])
        if count > len(found.versions):
            return None
        return [self._version(found, number) for number in range(count + 1, len(found.versions) + 1)]

    def drift(self, target: TargetList, fields: Sequence[FieldMapping]) -> tuple[str, ...]:
        self._check(target)
        self._require()
        if self.columns_stop is not None:
            raise self.columns_stop
        return self.drifted

    def delta(self, target: TargetList, token: str | None) -> DeltaPage:
        self._check(target)
        self._require()
        if token == LATEST:
            return DeltaPage(entries=(), next_token=self._link("d", len(self._log)), complete=True)
        kind, at = self._followed(token or self._link("a", 0))
        if kind == "a":
            return self._all(at, "a")
        start = at
        seen = self._log[start : start + self.page]
        entries = {item_id: self._entry(item_id) for item_id in seen}
        end = start + len(seen)
        link = self._link("d", end)
        return DeltaPage(entries=tuple(entries.values()), next_token=link, complete=end == len(self._log))

    def enumerate(self, target: TargetList, token: str | None) -> DeltaPage:
        self._check(target)
        self._require()
        page = self._all(self._followed(token or self._link("p", 0))[1], "p")
        return page if not page.complete else replace(page, next_token="")

    # ------------------------------------------------------------ inside

    def _link(self, kind: str, at: int) -> str:
        return f"{kind}:{self._epoch(kind)}:{at}"

    def _followed(self, link: str) -> tuple[str, int]:
        kind, epoch, at = link.split(":")
        if int(epoch) != self._epoch(kind):
            raise DeltaExpired("the link is gone")
        return kind, int(at)

    def _epoch(self, kind: str) -> int:
        return self._epochs["page" if kind == "p" else "delta"]

    def _all(self, after: int, kind: str) -> DeltaPage:
        """Everything that is there, by id: as a delta does from the start (a), or by plain paging (p)."""
        ids = sorted(item_id for item_id in self.items if item_id > after)
        here = ids[: self.page]
        entries = tuple(self._entry(item_id) for item_id in here)
        if kind == "p":
            entries = tuple(replace(entry, item=None) for entry in entries)
        if len(ids) > len(here):
            return DeltaPage(entries=entries, next_token=self._link(kind, here[-1]), complete=False)
        return DeltaPage(entries=entries, next_token=self._link("d", len(self._log)), complete=True)

    def _entry(self, item_id: ItemId) -> DeltaEntry:
        item = self.items.get(item_id)
        if item is None:
            return DeltaEntry(item_id=item_id, deleted=not self.unmarked_deletes)
        shown = self._item(item)
        return DeltaEntry(item_id=item_id, deleted=False, etag=item.etag, item=shown, keyless=shown.sync_key is None)

    def _check(self, target: TargetList) -> None:
        assert (target.site_id, target.list_id) == (self.target.site_id, self.target.list_id), "another list"

    def _blocked(self) -> SyncError | None:
        return self.stop or (ListGone("the list is gone") if self.gone else None)

    def _require(self) -> None:
        if (blocked := self._blocked()) is not None:
            raise blocked

    def _look(self, asked: ItemId | str, item: FakeItem | None) -> Look:
        if (blocked := self._blocked()) is not None:
            return Stopped(error=blocked)
        if asked in self.unreadable:
            return Unread()
        return Looked(item=None if item is None else self._item(item))

    def _item(self, item: FakeItem) -> Item:
        shown = self._version(item, len(item.versions))
        return replace(shown, created=item.created, modified=item.modified)

    def _version(self, item: FakeItem, number: int) -> Item:
        fields = _shown(item.versions[number - 1])
        key = fields.get(self.target.key_column)
        return Item(
            id=item.id,
            etag=ETag(f'"{item.guid},{number}"'),
            sync_key=key if isinstance(key, str) else None,
            fields=fields,
            editor_id=item.editor_id,
        )

    def _happening(self, write: ItemWrite) -> Callable[[], Outcome]:
        return lambda: self._apply(write)

    def _apply(self, write: ItemWrite) -> Outcome:
        if (blocked := self._blocked()) is not None:
            return Stopped(error=blocked)
        match write:
            case CreateItem(fields=fields):
                return self._create(dict(fields), None)
            case PatchItem(item_id=item_id, etag=etag, fields=fields):
                item = self.items.get(item_id)
                if item is None:
                    return Missing()
                if item.etag != etag:
                    return Mismatch()
                if self._taken({**item.versions[-1], **fields}, item_id):
                    return Duplicate()
                self._change(item, fields, None)
                return Landed(item_id=item_id, etag=item.etag)
            case DeleteItem(item_id=item_id, etag=etag):
                item = self.items.get(item_id)
                if item is None:
                    return Missing()
                if item.etag != etag:
                    return Mismatch()
                self.remove(item_id)
                return Landed(item_id=item_id, etag=None)

    def _create(self, fields: dict[str, Any], editor_id: str | None) -> Outcome:
        if self._taken(fields, None):
            return Duplicate()
        item_id = ItemId(self._next)
        self._next += 1
        now = self.now()
        self.items[item_id] = FakeItem(
            id=item_id, guid=uuid4(), versions=[_shown(fields)], created=now, modified=now, editor_id=editor_id
        )
        self._log.append(item_id)
        return Landed(item_id=item_id, etag=self.items[item_id].etag)

    def _taken(self, fields: Mapping[str, Any], item_id: ItemId | None) -> bool:
        """Unique columns compare text without case, as SharePoint does."""
        for name in (self.target.key_column, *self.unique):
            value = fields.get(name)
            if value in (None, ""):
                continue
            for other in self.items.values():
                if other.id != item_id and _folded(other.versions[-1].get(name)) == _folded(value):
                    return True
        return False

    def _change(self, item: FakeItem, fields: Mapping[str, Any], editor_id: str | None) -> None:
        item.versions.append(_shown({**item.versions[-1], **fields}))
        item.modified, item.editor_id = self.now(), editor_id
        self._log.append(item.id)


def _folded(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Nulls and empty texts are absent when read."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and "@" not in name}
