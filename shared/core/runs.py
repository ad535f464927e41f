"""Runs, their counts, conflict records and watermark cursors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.core.ids import DefinitionId, Digest, FieldNo, Identity, ItemId, ListId, RunId


class RunType(StrEnum):
    PUSH = "PUSH"
    INGRESS = "INGRESS"
    CDC = "CDC"
    BACKFILL = "BACKFILL"
    DRIFT = "DRIFT"


class RunStatus(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    HELD = "HELD"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """Counts of confirmed work; they add up."""

    items_processed: int = 0
    created: int = 0
    """Items; rows have counts of their own."""
    updated: int = 0
    deleted: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    unchanged: int = 0
    adopted: int = 0
    conflicts: int = 0
    items_failed: int = 0
    """Parked in this run."""
    delayed: int = 0
    awaiting_approval: int = 0
    untold: int = 0
    """Rows that had changed without their cursor column: see shared.core.untold."""
    ru: int = 0
    requests: int = 0

    def __add__(self, other: "RunCounts") -> "RunCounts":
        return RunCounts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictRecord:
    """A losing value, logged with the intent (pending) and final at the confirmation."""

    op: UUID
    identity: Identity
    field_no: FieldNo
    column: str
    winner: str
    """ROW or ITEM."""
    policy: str
    losing_value: str | None = field(repr=False)
    """Canonical text of the value that lost: kept so that a person can bring it back; never in a log or a repr."""
    winning_digest: Digest
    base_digest: Digest | None
    list_id: ListId | None
    item_id: ItemId | None
    item_modified: datetime | None = None
    item_editor: str | None = None
    row_version: str | None = None
    row_time: datetime | None = None
    """The row's own time, where the definition has a cursor column that is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkCursor:
    """A keyset position: cursor column's text form and the identity of the last row taken; with its fingerprint."""

    value: str
    identity: Identity | None
    fingerprint: bytes
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaCursor:
    """Where the changes of a list go on: Graph's whole link, opaque; with the fingerprint of what was asked for."""

    token: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run that is queued or running."""

    id: RunId
    definition: DefinitionId
    type: RunType
    queued: bool
    orchestration_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as it is kept."""

    id: RunId
    definition: DefinitionId
    type: RunType
    status: RunStatus
    trigger: str
    requested_by: str
    orchestration_id: str | None
    capture: str | None
    queued_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    counts: RunCounts
    captured: Mapping[str, int | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
