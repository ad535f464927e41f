"""The ledger's nouns: the last state both sides agreed on, and the writes whose outcome is not confirmed yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.core.ids import Digest, ETag, FieldNo, Identity, InstanceId, ItemId, ListId, MarkNumber, Stamp


class EntryState(StrEnum):
    BOUND = "BOUND"
    """An item stands for the row, but nothing was agreed yet."""
    CREATING = "CREATING"
    """An item is being created; a former item's id and base may still be remembered."""
    SETTLED = "SETTLED"
    """Both sides agreed on `base`."""
    MOVING = "MOVING"
    """The item is on its way to another list."""
    TOMBSTONE = "TOMBSTONE"
    """Gone on both sides. Has no base."""


class Provenance(StrEnum):
    """Which side the last agreed write came from."""

    PUSH = "PUSH"
    PULL = "PULL"


class IntentKind(StrEnum):
    CREATE_ITEM = "CREATE_ITEM"
    PATCH_ITEM = "PATCH_ITEM"
    DELETE_ITEM = "DELETE_ITEM"
    INSERT_ROW = "INSERT_ROW"
    UPDATE_ROW = "UPDATE_ROW"
    DELETE_ROW = "DELETE_ROW"

    @property
    def of_row(self) -> bool:
        """A write to a row: its transaction tells what became of it."""
        return self in (IntentKind.INSERT_ROW, IntentKind.UPDATE_ROW, IntentKind.DELETE_ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that was recorded before it was sent. It speaks only while it can still surface."""

    op: UUID
    kind: IntentKind
    guard: str | None
    """The eTag or row version that the write is conditional on; None for a create."""
    list_id: ListId | None = None
    item_id: ItemId | None = None
    digests: Mapping[FieldNo, Digest] = field(default_factory=dict)
    """What is about to be sent, per field."""
    expires_at: datetime
    """After this the request cannot take effect any more."""
    transaction: str | None = None
    """Source writes: system identifier, timeline and transaction id, as `system/timeline/xid`."""
    landed: bool = False
    """A definite yes, kept on record until the confirmation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    identity: Identity
    state: EntryState
    source_instance_id: InstanceId
    list_id: ListId | None = None
    item_id: ItemId | None = None
    etag: ETag | None = None
    stamp: Stamp | None = None
    """The row's stamp at the last agreement; None: no row."""
    base: Mapping[FieldNo, Digest] | None = None
    """Digest per mapped field both sides agreed on. A field that is missing has no base; None: nothing was agreed."""
    content_hash: Digest | None = None
    """Digest over the base; see shared.core.digests."""
    provenance: Provenance | None = None
    intents: tuple[Intent, ...] = ()
    confirmed: MarkNumber | None = None
    """Number taken from the marks' sequence at the confirmation: orders observations against it."""
    generation: int = 1
    """Grows when an identity is deleted and comes back."""
    mapping_fingerprint: bytes | None = None
    last_source_ts: datetime | None = None
    last_sync_ts: datetime | None = None
    recent_writes: int = 0
    """Writes of the engine that landed within the loop breaker's window; the store counts them, whatever is given back."""
