"""Scans: a source's identities and stamps, compared with the ledger in the metastore."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.backlog import Lane
from shared.core.definition import SyncDefinition
from shared.core.ids import Identity, RunId
from shared.ports.source import Stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What the comparison of a scan with the ledger found."""

    scanned: int
    ledger: int
    """Entries with a row, before the scan."""
    new: int
    changed: int
    gone: int
    remapped: int = 0
    """Of `changed`: agreed under other fields, so that their stamps cannot be compared."""
    renamed: int = 0
    """Of `gone`: on record as keys that have become other ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a scan has piped into the metastore, and what it could leave out."""

    rows: int
    """Piped in."""
    equal: int = 0
    """Rows of buckets whose checksums are equal on both sides: nothing in them differs."""
    buckets: bytes | None = None
    """A bit per bucket: those that were piped in. None: all."""

    @property
    def whole(self) -> int:
        """Rows in scope."""
        return self.rows + self.equal


class Scans(Protocol):
    """The unlogged table of one run's scan, in the metastore."""

    def load(self, definition: SyncDefinition, run: RunId, stamps: Stamps) -> Loaded:
        """Pipes in what may differ: by checksums where that is less, else every row."""

    def compare(self, definition: SyncDefinition, run: RunId, loaded: Loaded) -> ScanResult: ...

    def differing(
        self, definition: SyncDefinition, run: RunId, *, after: bytes | None, limit: int
    ) -> Sequence[tuple[bytes, Identity, str]]:
        """Hash, identity and kind (NEW, CHANGED, GONE) of what differs, in hash order after `after`; marks nothing."""

    def mark(self, definition: SyncDefinition, run: RunId, *, lane: Lane, hold_deletes: bool) -> Iterator[int]:
        """Marks what differs, in hash order, a chunk per transaction; yields how many after each.

        With hold_deletes the rows that are gone wait for approval instead of becoming due. A subject that waits and
        whose row is back becomes due."""

    def drop(self, run: RunId) -> None: ...
