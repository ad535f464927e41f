"""What one settle activity is given, and what it reports."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from shared.core.backlog import Lane, Observation
from shared.core.definition import SyncDefinition
from shared.core.ids import ClaimToken, DefinitionId, Identity, InstanceId, RunId
from shared.core.renames import Followed, Rename, follow
from shared.core.runs import RunCounts, WatermarkCursor
from shared.core.wishes import Wish
from shared.ports import (
    Backlog,
    Clock,
    HoldRequest,
    Holds,
    IdSource,
    Ledger,
    ListStore,
    Renames,
    RowWriter,
    SourceTables,
    Wishes,
)

BATCH = 20
"""Requests in one Graph $batch, at most (learn.microsoft.com/graph/json-batching)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    page: int = 200
    """Subjects claimed at a time."""
    confirm_every: int = 100
    """Writes that may be unconfirmed at a time: what a crash makes doubtful."""
    lease: timedelta = timedelta(minutes=5)
    request_timeout: timedelta = timedelta(seconds=80)
    """Longer than any request can take; a worker writes only while its lease has room for it."""
    surface: timedelta = timedelta(minutes=15)
    """How long a request whose answer was lost may still take effect."""
    rounds: int = 5
    """Looks at one subject in one page before it is left for later."""


class NoRenames:
    """Where nobody tells which key became which."""

    def touching(self, definition: DefinitionId, identities: Sequence[Identity]) -> Sequence[Rename]:
        del definition, identities
        return ()

    def follow(
        self, definition: DefinitionId, token: ClaimToken, renames: Sequence[Rename], *, present: Collection[Identity]
    ) -> Followed:
        del definition, token, present
        return follow(renames, {}, present=(), held=())


class NoWishes:
    """Where nobody can ask for anything."""

    def open(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Sequence[Wish]]:
        del definition, identities
        return {}


class Positions(Protocol):
    """Of the port Cursors, as much as settle asks for."""

    def get_watermark(self, definition: DefinitionId, instance: InstanceId) -> WatermarkCursor | None:
        """How far a source was read by its cursor column."""


class NoPositions:
    """Where no table is read by a cursor column."""

    def get_watermark(self, definition: DefinitionId, instance: InstanceId) -> WatermarkCursor | None:
        del definition, instance
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    source: SourceTables
    rows: RowWriter
    lists: ListStore
    backlog: Backlog
    ledger: Ledger
    holds: Holds
    clock: Clock
    ids: IdSource
    jitter: Callable[[], float]
    """Uniform in [0, 1): spreads retries."""
    wishes: Wishes = field(default_factory=NoWishes)
    renames: Renames = field(default_factory=NoRenames)
    positions: Positions = field(default_factory=NoPositions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    definition: SyncDefinition
    run: RunId | None
    lanes: Sequence[Lane] = tuple(Lane)
    limits: Limits = field(default_factory=Limits)
    observations: Mapping[bytes, Observation] = field(default_factory=dict)
    """By subject key: items that a capture of this activity had in hand. They save readings and may be left unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    claimed: int
    confirmed: int = 0
    counts: RunCounts = field(default_factory=RunCounts)
    wait: float | None = None
    """Seconds that the budget or Graph asks everybody to wait."""
    hold: HoldRequest | None = None
    """The definition has to stop: nothing more is to be claimed."""
