"""Scans: a source's (identity, stamp) pairs piped into the metastore, compared there by one statement.

Where the ledger is large, checksums come first, and only rows in buckets that are not equal are piped in. The source's
are taken before the ledger's, as rows are: what settle confirms in between makes a mark too many, never one too few.

What keeps a crash of the metastore's server from looking like an empty source stands in run_tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, LiteralString

from psycopg import sql

from shared.adapters.metastore.backlog import CHUNK
from shared.adapters.metastore.backlog import SQL as BACKLOG
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.run_tables import Connection, RunTables, allow_long
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane
from shared.core.checksums import BUCKETS, PROBE, PROBE_SEED, bitmap
from shared.core.definition import SyncDefinition
from shared.core.ids import Identity, RunId
from shared.ports import Loaded, ScanResult, Stamps

SQL = load("scans")
_MARK = SQL["mark"] + "\n" + BACKLOG["policy"]
_BLOCK = 1 << 18
"""Bytes handed to the server at a time: small enough to stay flat, large enough for few system calls."""
CHECKSUMS_FROM = 20_000
"""Entries of a definition: below, piping all rows costs less than asking both servers twice."""
_TABLES = RunTables(
    kind="SCAN",
    content="scan",
    prefix="differing",
    drop_statement=SQL["drop"],
    lost="rows of this scan are missing in the metastore: its server was restarted, or the run's tables were removed; "
    "the next run scans again",
)


class ScanStore:
    """Satisfies the port Scans."""

    def __init__(self, metastore: Metastore, *, chunk: int = CHUNK, checksums_from: int = CHECKSUMS_FROM) -> None:
        self._metastore = metastore
        self._chunk = chunk
        self._checksums_from = checksums_from

    def load(self, definition: SyncDefinition, run: RunId, stamps: Stamps) -> Loaded:
        """Pipes blocks of COPY BINARY in without looking at a row. One transaction.

        Removes the tables of runs that have ended. Whatever `stamps` raises passes through, and nothing stays."""
        _TABLES.sweep(self._metastore, run)
        with self._metastore.connection() as connection, connection.transaction():
            # Never repeated: the blocks are spent.
            allow_long(connection)
            _TABLES.remember(connection, run, definition.id)
            connection.execute(_for_run("create_scan", run))
            equal, buckets = 0, None
            if self._by_checksums(connection, definition, stamps):
                equal, buckets = _unequal(connection, definition, run, stamps)
            if buckets is None:
                loaded = Loaded(rows=_pipe(connection, _for_run("copy", run), stamps.rows()))
            else:
                rows = _pipe(connection, _for_run("copy", run), stamps.rows(buckets)) if any(buckets) else 0
                loaded = Loaded(rows=rows, equal=equal, buckets=buckets)
            connection.execute(_for_run("analyze_scan", run))
            _TABLES.loaded(connection, run, loaded.rows)
            return loaded

    def _by_checksums(self, connection: Connection, definition: SyncDefinition, stamps: Stamps) -> bool:
        """Whether checksums save anything, and mean the same on both servers."""
        size = {"definition": definition.id, "entries": self._checksums_from}
        if connection.execute(SQL["worthwhile"], size).fetchone() != (True,):
            return False
        answer = connection.execute(SQL["hashing"], {"probe": PROBE, "seed": PROBE_SEED}).fetchone()
        return answer == (stamps.hashing(),)

    def compare(self, definition: SyncDefinition, run: RunId, loaded: Loaded) -> ScanResult:
        """Finds what differs and keeps it for `mark`. Raises MetastoreUnavailable when rows of the scan got lost."""

        def work(connection: Connection) -> ScanResult:
            allow_long(connection)
            connection.execute(_for_run("create_differing", run))
            if loaded.buckets is None or any(loaded.buckets):
                parameters = {
                    "definition": definition.id,
                    "loaded": loaded.rows,
                    "buckets": loaded.buckets,
                    "last": BUCKETS - 1,
                }
                connection.execute(_for_run("compare", run), parameters)
                connection.execute(_for_run("compare_waiting", run), {"definition": definition.id})
            _TABLES.index_differing(connection, run)
            ((rows, differing, new, changed, gone, unsettled),) = connection.execute(_for_run("totals", run)).fetchall()
            if rows != loaded.rows:
                raise _TABLES.missing()
            _TABLES.compared(connection, run, differing)
            # Of the rows in scope, all but the new ones and those without an agreement have a stamp.
            known = loaded.whole - new - unsettled + gone
            remapped = 0
            if changed:
                values = {"definition": definition.id, "mapping": definition.mapping_fingerprint}
                ((remapped,),) = connection.execute(_for_run("remapped", run), values).fetchall()
            renamed = 0
            if gone:
                ((renamed,),) = connection.execute(_for_run("renamed", run), {"definition": definition.id}).fetchall()
            return ScanResult(
                scanned=loaded.whole,
                ledger=known,
                new=new,
                changed=changed,
                gone=gone,
                remapped=remapped,
                renamed=renamed,
            )

        return self._metastore.transact(work)

    def differing(
        self, definition: SyncDefinition, run: RunId, *, after: bytes | None, limit: int
    ) -> Sequence[tuple[bytes, Identity, str]]:
        del definition  # the run's tables are its own
        with self._metastore.connection() as connection:
            rows = connection.execute(
                _for_run("show", run), {"after": after or b"", "limit": limit}, binary=True
            ).fetchall()
        return [(bytes(key), Identity(identity), kind) for key, identity, kind in rows]

    def mark(self, definition: SyncDefinition, run: RunId, *, lane: Lane, hold_deletes: bool) -> Iterator[int]:
        """Yields how many marks each transaction made or renumbered. Raises MetastoreUnavailable when differences got
        lost; the marks that were made stay, and a new scan finds the rest."""
        for page in _TABLES.pages(self._metastore, run, self._chunk):
            parameters = {
                "definition": definition.id,
                "lane": int(lane),
                "hold_deletes": hold_deletes,
                "after": page.after,
                "last": page.last,
            }
            yield self._metastore.transact(partial(_mark_page, run=run, parameters=parameters))

    def drop(self, run: RunId) -> None:
        self._metastore.transact(lambda connection: _TABLES.drop(connection, run))


def _unequal(
    connection: Connection, definition: SyncDefinition, run: RunId, stamps: Stamps
) -> tuple[int, bytes | None]:
    """Rows of the buckets that are equal on both sides, and which are not; None: so many that all are to be piped in."""
    connection.execute(_for_run("create_checksums", run))
    _pipe(connection, _for_run("copy_checksums", run), stamps.checksums())
    parameters = {"definition": definition.id, "last": BUCKETS - 1}
    ((equal, buckets),) = connection.execute(_for_run("unequal", run), parameters, binary=True).fetchall()
    connection.execute(_for_run("drop_checksums", run))
    return (0, None) if len(buckets) > BUCKETS // 2 else (equal, bitmap(buckets))


def _pipe(connection: Connection, statement: sql.Composed, blocks: Iterator[bytes]) -> int:
    """How many rows there were."""
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in _joined(blocks):
                copy.write(block)
        return cursor.rowcount


def _for_run(name: LiteralString, run: RunId) -> sql.Composed:
    return _TABLES.compose(SQL[name], run)


def _mark_page(connection: Connection, *, run: RunId, parameters: Mapping[str, Any]) -> int:
    return connection.execute(_TABLES.compose(_MARK, run), parameters).rowcount


def _joined(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of about 256 KiB; a source sends a block per row."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        parts.append(bytes(block))
        size += len(block)
        if size >= _BLOCK:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)
