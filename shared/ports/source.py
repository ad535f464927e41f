"""The source database: rows by key, all rows' stamps, pages behind a watermark, transactions that write, a slot's changes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from shared.core.definition import SourceSpec
from shared.core.ids import Identity, Stamp
from shared.core.replication import Lsn
from shared.core.runs import WatermarkCursor
from shared.core.source import Row, RowChange, RowOutcome, TransactionFate


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
