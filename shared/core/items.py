"""The list side's nouns: an item as Graph shows it, the writes to it, and what became of each write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.core.errors import SyncError
from shared.core.ids import ETag, ItemId
from shared.core.naming import CHECK_KEY

ItemFields = Mapping[str, Any]
"""JSON values by internal column name, as in Graph's `fields`; null columns are absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: ItemId
    etag: ETag
    sync_key: str | None
    fields: ItemFields = field(repr=False)
    created: datetime | None = None
    modified: datetime | None = None
    editor_id: str | None = None
    """Id in the site's User Information List of who wrote last; None when an application did, or unknown."""

    @property
    def is_check(self) -> bool:
        """Whether it only tries if items can be written: it stands for no row, and the next check of rights takes it away."""
        return self.sync_key == CHECK_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateItem:
    op: UUID
    fields: ItemFields = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchItem:
    op: UUID
    item_id: ItemId
    etag: ETag
    fields: ItemFields = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteItem:
    op: UUID
    item_id: ItemId
    etag: ETag


ItemWrite = CreateItem | PatchItem | DeleteItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A definite yes. `etag` is None after a delete, or when the answer held none that can be used."""

    item_id: ItemId
    etag: ETag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """412, or 409 with a stale version: nothing was written; look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The item is not there (while the list is)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A unique column refused the value: for a create, most likely our own earlier create."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A definite no that a repetition would not change: park the subject with this reason."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """Certainly without effect, worth another try: throttled, or never sent. Seconds to wait at least."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """No answer, a 5xx, or an answer that cannot be read: it may have landed, may land later, or never."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The definition has to stop: the list is gone, the right was revoked, the configuration is wrong."""

    error: SyncError


Outcome = Landed | Mismatch | Missing | Duplicate | Refused | NotSent | Doubtful | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A reading of one item: `item` None means that the list answered and the item is not in it."""

    item: Item | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """No reading: say nothing about the item."""

    retry_after: float | None = None


Look = Looked | Unread | Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaEntry:
    """The last of an item's entries on a delta page or in an enumeration."""

    item_id: ItemId
    deleted: bool
    etag: ETag | None = None
    item: Item | None = None
    keyless: bool = False
    """It was read with its key column, which is empty: the engine did not make it."""


LATEST = "latest"
"""As a delta token: an empty page whose link stands for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaPage:
    entries: tuple[DeltaEntry, ...]
    next_token: str
    """Opaque: the whole nextLink or deltaLink."""
    complete: bool
    """True: the link was a deltaLink, there is nothing more now."""
