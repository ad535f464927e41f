"""What the engine needs of the world, as Protocols that adapters satisfy without inheriting."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from shared.core.backlog import BacklogCounts, Claim, Claimed, Echo, Lane, Mark, Reason
from shared.core.definition import FieldMapping, SourceSpec, SyncDefinition, TargetList
from shared.core.guards import Verdict
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    ETag,
    Identity,
    IdentityHash,
    InstanceId,
    ItemId,
    ListId,
    MarkNumber,
    RunId,
    Stamp,
)
from shared.core.items import DeltaEntry, DeltaPage, Item, ItemWrite, Look, Outcome
from shared.core.ledger import LedgerEntry
from shared.core.renames import Followed, KeyChange, Rename
from shared.core.replication import Lsn
from shared.core.runs import ConflictRecord, DeltaCursor, RunCounts, WatermarkCursor
from shared.core.source import Row, RowChange, RowOutcome, TransactionFate
from shared.core.wishes import Wish


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds, for measuring leases from this side."""


class IdSource(Protocol):
    def uuid(self) -> UUID: ...


# ---------------------------------------------------------------- the source


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkBound:
    """How far a watermark may be stored. `exact` False: a right is missing, an overlap has to make up for it."""

    upper: str | None
    """Text form in the cursor column's type (a time, a number or an xid8). None: must not move now (a prepared
    transaction exists)."""
    exact: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkPage:
    identities: tuple[tuple[Identity, Stamp], ...]
    last: WatermarkCursor | None
    """Where the next page of this pass begins."""
    safe: WatermarkCursor | None
    """The last position that may be stored: rows at or above the bound are read again by the next pass."""
    complete: bool


class Stamps(Protocol):
    """A table's rows in scope as one moment shows them. Each pass reads the table once; one at a time."""

    def hashing(self) -> str:
        """How the source hashes: equal answers of two servers mean equal checksums of equal rows."""

    def rows(self, buckets: bytes | None = None) -> Iterator[bytes]:
        """COPY BINARY blocks of (identity text, stamp bigint) of every row, or of those in the buckets whose bit is set;
        ends with the trailer."""

    def checksums(self) -> Iterator[bytes]:
        """COPY BINARY blocks of (bucket integer, rows bigint, checksum bigint), see shared.core.checksums."""


class SourceTables(Protocol):
    """Reading one PostgreSQL database. Raises SourceUnavailable, RowsHidden, PermissionMissing, ConfigurationError."""

    def copy_stamps(self, spec: SourceSpec) -> AbstractContextManager[Stamps]:
        """Identity and stamp of every row in scope."""

    def read_rows(self, spec: SourceSpec, identities: Sequence[Identity]) -> Mapping[Identity, Row]:
        """The rows that exist, in scope or not, by key, in one statement of the PRIMARY; identities compared as text.

        A row whose printed identity is not the one asked for counts as absent."""

    def watermark_bound(self, spec: SourceSpec) -> WatermarkBound: ...

    def watermark_page(
        self, spec: SourceSpec, after: WatermarkCursor | None, *, limit: int, bound: WatermarkBound, overlap: timedelta
    ) -> WatermarkPage:
        """Rows after a keyset position; where the bound is not exact, `overlap` before it is read again."""

    def select_identities(self, spec: SourceSpec, limit: int, after: Identity | None) -> tuple[Identity, ...]:
        """Identities in scope, for command marks by condition (the spec's scope); ordered, keyset by identity text."""

    def estimated_rows(self, spec: SourceSpec) -> int: ...


class RowTransaction(Protocol):
    """One open transaction that writes rows of one table: all of them, or none. Used once, by one thread."""

    @property
    def transaction(self) -> str:
        """`system identifier/timeline/xid`. Durable: a server that crashes does not hand this id out again."""

    def apply(self, changes: Sequence[RowChange]) -> Mapping[UUID, RowOutcome]:
        """Locks, compares versions, writes, and reads back; an outcome for every op. Once per transaction.

        Unless every outcome is Wrote, nothing may be committed: the caller closes the transaction. Raises RowRejected
        when a constraint or a trigger refuses something (of one change: this one; of several: nobody can say which) and
        PreconditionFailed when another transaction was in the way; then too the transaction is over. A delete that a
        trigger turns into a mark (a soft delete) is Wrote with the row as it is then."""

    def commit(self) -> None:
        """Raises Doubt when nobody can say whether it took effect. After any other error nothing is written: RowRejected
        or PreconditionFailed when the server refused at COMMIT, SourceUnavailable when it was too late to send it."""

    def close(self) -> None:
        """Rolls back what was not committed. Never raises."""


class RowWriter(Protocol):
    """Writing one PostgreSQL database: ordinary and partitioned tables. Raises as SourceTables does."""

    def begin(self, spec: SourceSpec) -> RowTransaction: ...

    def fate(self, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
        """What became of each transaction, by its `transaction`."""

    def reserve(self, spec: SourceSpec, count: int) -> Sequence[Identity]:
        """Identities that no row has, from the key's sequence or by making UUIDs, for rows to be inserted. Numbers that
        are not used leave gaps. Raises ConfigurationError when the key can be made neither way."""

    def identities(self, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> Sequence[Identity | None]:
        """The identities of key texts, as PostgreSQL prints them; None: no value of the key's type."""


class ChangeFeed(Protocol):
    """One replication slot's changes, for one thread. Raises SourceUnavailable, StreamBroken, ConfigurationError."""

    @property
    def streaming(self) -> bool:
        """False: it asks again and again by SQL, because no replication connection is allowed."""

    def read(self, limit: int, wait: float) -> Sequence[bytes]:
        """Frames as shared.core.replication reads them, at most `limit`; waits up to `wait` seconds for the first."""

    def keep(self) -> None:
        """Keeps the connection alive without reading, when that is due."""

    def confirm(self, flushed: Lsn) -> None:
        """Everything before this position is safe elsewhere: the server may forget it."""

    def close(self) -> None: ...


# ---------------------------------------------------------------- the list


class ListStore(Protocol):
    """Items of one list through the governed client. One instance per definition, lane and run."""

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        """Read items by id. ListGone and missing rights come back as Stopped, never as an absent item."""

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        """Read items by their sync key (the unique hidden column)."""

    def reserve(self, writes: int) -> None:
        """The next reading takes the RU of so many writes along with its own, and is refused where they are not to be
        had: what was read can then be written, however much the others spend. Without that a small budget could go into
        readings for ever."""

    def release(self) -> None:
        """Gives back what no write has used of it."""

    def write(self, target: TargetList, writes: Sequence[ItemWrite]) -> Mapping[UUID, Outcome]:
        """At most 20 writes, in one $batch; an outcome for every op."""

    def versions_since(self, target: TargetList, item: ItemId, etag: ETag) -> Sequence[Item] | None:
        """The item as each version written after `etag` left it, oldest first; None where history cannot tell."""

    def drift(self, target: TargetList, fields: Sequence[FieldMapping]) -> tuple[str, ...]:
        """How the list's columns differ from what these fields say of them, a sentence each; (): they are as they say.

        A column that was removed shows in items as a value that is missing: only the list itself tells the two apart."""

    def delta(self, target: TargetList, token: str | None) -> DeltaPage: ...

    def enumerate(self, target: TargetList, token: str | None) -> DeltaPage:
        """Every item's id and eTag, and whether it has a key, by plain paging; `complete` at the end. Raises
        DeltaExpired when a page's link is not known any more: begin anew."""


# ---------------------------------------------------------------- the metastore


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What settle concluded about one claimed subject; all of a page is written in one transaction.

    Exactly one of: entry moves (settled), parked, delayed, awaiting, or nothing but the mark's removal.
    """

    claimed: Claimed
    entry: LedgerEntry | None = None
    """The new ledger entry, written only if the claim is still held."""
    remove_mark: bool = True
    """Remove the mark if its number is unchanged; else release the claim and leave the subject due."""
    park: "Parking | None" = None
    due_in: timedelta | None = None
    """Leave the subject due after this time (release the claim)."""
    add_reasons: frozenset[Reason] = frozenset()
    await_approval: bool = False
    await_reason: str = ""
    """Why it waits, for a person."""
    final_conflicts: tuple[UUID, ...] = ()
    """Writes that landed: their pending conflicts become final."""
    void_conflicts: tuple[UUID, ...] = ()
    """Writes that certainly did not land: their pending conflicts are void."""
    counts: RunCounts = field(default_factory=RunCounts)
    """What this conclusion adds to its run's figures, if it is written."""
    marks: tuple[Mark, ...] = ()
    """Other subjects that became due by this conclusion, in the same transaction."""
    bind: "Binding | None" = None
    """An item subject's: which row it stands for from now on."""
    quarrel: bool = False
    """What was written undoes somebody else's write, or follows one the other way: the loop breaker counts it."""
    met_wishes: tuple[UUID, ...] = ()
    """Conflicts whose losing value was written again."""
    refused_wishes: Mapping[UUID, str] = field(default_factory=dict)
    """Conflicts whose losing value cannot be written again, each with the reason for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """An entry for another identity than the subject's own, written only if that identity has no entry, or still the
    tombstone that was read. When it has another one by now, nothing of the conclusion is written and the subject stays
    due."""

    entry: LedgerEntry
    expected: MarkNumber | None
    """`confirmed` of the tombstone that was read; None: there was no entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    code: str
    message: str
    """A sentence for a person; no row values."""
    retry_in: timedelta | None
    """None: only a person's retry, or a changed row, makes it due again."""
    stamp: Stamp | None = None
    """The row's stamp when it was parked: a scan that sees the same stamp leaves it parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentUpdate:
    """Before acting: the entry with its new intents, and conflicts that are pending with them."""

    claimed: Claimed
    entry: LedgerEntry
    conflicts: tuple[ConflictRecord, ...] = ()
    void_conflicts: tuple[UUID, ...] = ()
    """Writes that certainly did not land and go off the record with this entry: their pending conflicts are void."""


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


class Backlog(Protocol):
    def mark(self, definition: DefinitionId, marks: Iterable[Mark], renames: Sequence[KeyChange] = ()) -> int:
        """In chunks, in the order of their hash; how many were made or renumbered. `renames`, in their order, come with them."""

    def next_number(self) -> MarkNumber:
        """From the marks' sequence: put before a delta page is requested, it orders the page against confirmations."""

    def claim(
        self, definition: DefinitionId, *, limit: int, lease: timedelta, token: ClaimToken, lanes: Sequence[Lane]
    ) -> Claim: ...

    def still_held(self, definition: DefinitionId, token: ClaimToken, subjects: Sequence[Claimed]) -> frozenset[bytes]:
        """Keys of those subjects whose claim is still ours and has not run out."""

    def release(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        subjects: Sequence[Claimed],
        *,
        due_in: timedelta | None = None,
    ) -> None: ...

    def counts(self, definition: DefinitionId) -> BacklogCounts: ...

    def peek(self, definition: DefinitionId, *, after: bytes | None, limit: int) -> Sequence[Claimed]:
        """Subjects that are to be settled, now or later, in the order of their hash; claimed by nobody by this. Those that
        wait for a person are not among them."""


class Ledger(Protocol):
    def entries(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, LedgerEntry]: ...

    def by_items(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]: ...

    def tombstones_of(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]:
        """The tombstones that remember these items as those of their rows."""

    def by_hashes(
        self, definition: DefinitionId, hashes: Sequence[IdentityHash]
    ) -> Mapping[IdentityHash, LedgerEntry]: ...

    def bound_items(
        self, definition: DefinitionId, list_id: ListId, *, after: ItemId | None, limit: int
    ) -> Sequence[tuple[ItemId, Identity]]:
        """The items that stand for rows, by id."""

    def stamps(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Stamp]:
        """Stamps of the entries that have one."""

    def live_count(self, definition: DefinitionId) -> int:
        """Entries with a stamp: rows that the ledger believes in."""

    def intend(self, definition: DefinitionId, token: ClaimToken, updates: Sequence[IntentUpdate]) -> frozenset[bytes]:
        """Writes the intents of the subjects whose claim is still held; returns their keys. One transaction."""

    def confirm(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        confirmations: Sequence[Confirmation],
        *,
        run: RunId | None,
    ) -> frozenset[bytes]:
        """Ledger, backlog, conflict log and run counters in one transaction, only for subjects whose claim is held.

        Backlog rows are locked by claim first. Returns the keys that were confirmed; the others are marked DOUBT."""


class Renames(Protocol):
    """Key changes that a capture told and nobody has followed yet."""

    def touching(self, definition: DefinitionId, identities: Sequence[Identity]) -> Sequence[Rename]:
        """Those from or to one of the identities, and those that lead on from them, in their order."""

    def follow(
        self, definition: DefinitionId, token: ClaimToken, renames: Sequence[Rename], *, present: Collection[Identity]
    ) -> Followed:
        """In one transaction, as shared.core.renames.follow says of what ledger and backlog hold then. Both sides stay due; a
        claim on them that has run out is ended. `present`: identities that have a row."""


class Wishes(Protocol):
    def open(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Sequence[Wish]]:
        """Values that people want back from the conflict log, in the order in which they asked. They are met or refused
        by a confirmation."""


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


class Cursors(Protocol):
    def get_watermark(self, definition: DefinitionId, instance: InstanceId) -> WatermarkCursor | None: ...

    def advance_watermark(
        self,
        definition: SyncDefinition,
        *,
        expected: WatermarkCursor | None,
        new: WatermarkCursor | None,
        marks: Sequence[Mark],
    ) -> bool:
        """Marks and cursor in one transaction; False: the cursor was not `expected` any more, nothing was written."""


class ListCursors(Protocol):
    def get_delta(self, definition: DefinitionId, list_id: ListId) -> DeltaCursor | None: ...

    def advance_delta(
        self,
        definition: SyncDefinition,
        *,
        expected: DeltaCursor | None,
        new: DeltaCursor | None,
        marks: Sequence[Mark],
        echoes: Sequence[Echo] = (),
    ) -> Mapping[bytes, MarkNumber] | None:
        """Marks and token in one transaction: the numbers that the marks have now, by subject key. None: the token was
        not `expected` any more, nothing was written. `new` None: the token is forgotten (an enumeration follows).
        Echoes become marks only where something is under way."""


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


class Budget(Protocol):
    """RU of one (tenant, application), shared by every process."""

    def take(self, ru: int, lane: Lane) -> float:
        """Seconds to wait before asking again; 0.0: granted."""

    def wait(self, lane: Lane) -> float:
        """Seconds until the lane could take something; nothing is taken."""

    def charge(self, ru: int) -> None:
        """RU that were spent beyond what was taken (negative: refund)."""

    def penalize(self, seconds: float) -> None:
        """Graph said 429 or 503: nobody sends before now + seconds, then one request at a time first."""

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        """RateLimit headers."""


class Runs(Protocol):
    def add_counts(self, run: RunId, counts: RunCounts) -> None: ...

    def note(self, run: RunId, note: str) -> None:
        """A sentence that explains what the run did or why it did nothing."""


class Queue(Protocol):
    """Durable queues: a message arrives at least once, in any order, and waits until somebody takes it."""

    def put(self, name: str, message: str, *, delay: float = 0.0) -> None:
        """`message`: JSON of identifiers, never of row values; at most 48 KiB in UTF-8. Returns once it is durable; nobody
        sees it for `delay` seconds (at most 7 days).

        Raises QueueUnavailable (it may have arrived all the same), ConfigurationError, PermissionMissing."""

    def depth(self, name: str) -> int:
        """How many messages wait there, roughly, those that are being worked on among them. Raises as `put` does."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    kind: str
    """DELETE_GUARD, CHANGE_GUARD, EMPTY_SOURCE, FEWER_ROWS, EMPTY_LIST, FEWER_ITEMS, SCOPE_CHANGED, LIST_GONE,
    ROWS_HIDDEN, PERMISSION, …"""
    explanation: str
    details: Mapping[str, int | str | float]
    deletes_only: bool = False


def request_of(verdict: Verdict) -> HoldRequest:
    """A guard's verdict as a hold."""
    return HoldRequest(
        kind=verdict.kind,
        explanation=verdict.explanation,
        details=verdict.details,
        deletes_only=verdict.deletes_only,
    )


class Holds(Protocol):
    def open(self, definition: DefinitionId, request: HoldRequest, run: RunId | None) -> UUID:
        """One open hold per definition and kind: a second request returns the first."""

    def blocking(self, definition: DefinitionId) -> Sequence[HoldRequest]:
        """Open holds that stop the whole definition."""

    def waived(self, definition: DefinitionId) -> frozenset[str]:
        """Kinds of holds that a person has released with "go on" within the last hour: their guard lets pass once."""

    def allow_deletes(self, definition: DefinitionId, wanted: int, *, limit: int) -> int:
        """How many of `wanted` deletes fit into the rolling day's allowance; they are taken from it."""
