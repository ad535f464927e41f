"""Enumerations: a whole list's ids and eTags, compared with the ledger in the metastore."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.core.backlog import Lane
from shared.core.definition import SyncDefinition
from shared.core.ids import MarkNumber, RunId
from shared.core.items import DeltaEntry
from shared.core.runs import DeltaCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumerationResult:
    """What comparing a whole list with the ledger found, in one snapshot of ledger and claims."""

    listed: int
    """Items in the list."""
    known: int
    """Entries with an item that stood for their row before the list was read. Those that are being created anew are not
    among them: their former item is expected to be gone."""
    new: int
    """Items that no entry stands for, and that concern this definition."""
    foreign: int
    """Items of nobody's that this definition leaves alone."""
    changed: int
    """Items whose eTag is not the ledger's, where it was agreed before the list was read."""
    gone: int
    """Of `known`: their item was not seen."""
    claimed: int
    """Other rows, that somebody held at that moment: what will be confirmed is not in the ledger yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPosition:
    """How far a run has read the whole list."""

    cursor: DeltaCursor | None
    """Stands for the moment before the first page; None: no token is to be stored."""
    since: MarkNumber
    """Taken before that moment: what was confirmed later may have an item that the pages cannot show."""
    next_page: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorMove:
    """A compare-and-set of a list's token."""

    expected: DeltaCursor | None
    new: DeltaCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedChunk:
    marked: int
    moved: bool = False
    """The token is stored; with the last chunk only."""


class Enumerations(Protocol):
    """The unlogged table of one run's enumeration, in the metastore."""

    def position(self, run: RunId) -> ListPosition | None:
        """Where an earlier step of this run stopped; None: it has to begin, also because rows of the table got lost."""

    def start(self, definition: SyncDefinition, run: RunId, position: ListPosition) -> None:
        """An empty table; that of an earlier attempt of the same run is dropped."""

    def load(self, run: RunId, entries: Sequence[DeltaEntry], position: ListPosition) -> None:
        """One page, and the position after it; an item that repeats counts once, with its last eTag."""

    def compare(self, definition: SyncDefinition, run: RunId, position: ListPosition) -> EnumerationResult: ...

    def mark(
        self, definition: SyncDefinition, run: RunId, *, lane: Lane, hold_deletes: bool, move: CursorMove | None
    ) -> Iterator[MarkedChunk]:
        """Marks what differs, in hash order, a chunk per transaction; each mark takes a number. The last transaction,
        the only one when nothing differs, stores the token, if it still is the expected one.

        With hold_deletes the rows whose item is gone wait for approval instead of becoming due."""

    def drop(self, run: RunId) -> None: ...
