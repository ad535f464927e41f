"""Scans: a source's (identity, stamp) pairs piped into the metastore, compared there by one statement.

The tables are unlogged, which makes them fast and lets a server's crash empty them: "no rows" must then not be read as
"all rows gone". So the comparison counts the scan in its own statement, and the marks count the differences they found
against a figure in a logged table. A run that was cut off starts over; its tables go with the next scan.

The one module here with identifiers that are not fixed: both tables are named by the run's id, which is a UUID.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from shared.adapters.metastore.backlog import CHUNK
from shared.adapters.metastore.backlog import SQL as BACKLOG
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane
from shared.core.definition import SyncDefinition
from shared.core.errors import MetastoreUnavailable
from shared.core.ids import Identity, RunId
from shared.ports import ScanResult

SQL = load("scans")
_MARK = SQL["mark"] + "\n" + BACKLOG["policy"]
_BLOCK = 1 << 18
"""Bytes handed to the server at a time: small enough to stay flat, large enough for few system calls."""
_LONG = "15min"
"""Loading and comparing a very large table takes longer than any other statement may."""

_Connection = psycopg.Connection[tuple[Any, ...]]


class ScanStore:
    """Satisfies the port Scans."""

    def __init__(self, metastore: Metastore, *, chunk: int = CHUNK) -> None:
        self._metastore = metastore
        self._chunk = chunk

    def load(self, definition: SyncDefinition, run: RunId, blocks: Iterator[bytes]) -> int:
        """Pipes blocks of COPY BINARY in without looking at a row; how many rows there were. One transaction.

        Removes the tables of runs that have ended. Whatever `blocks` raises passes through, and nothing stays."""
        self._sweep(run)

        def work(connection: _Connection) -> int:
            _allow_long(connection)
            connection.execute(SQL["remember"], {"run": run, "definition": definition.id})
            connection.execute(_for_run("create_scan", run))
            with connection.cursor() as cursor:
                with cursor.copy(_for_run("copy", run)) as copy:
                    for block in _joined(blocks):
                        copy.write(block)
                loaded = cursor.rowcount
            connection.execute(_for_run("analyze_scan", run))
            connection.execute(SQL["loaded"], {"run": run, "loaded": loaded})
            return loaded

        with self._metastore.connection() as connection, connection.transaction():
            return work(connection)  # never repeated: the blocks are spent

    def compare(self, definition: SyncDefinition, run: RunId, loaded: int) -> ScanResult:
        """Finds what differs and keeps it for `mark`. Raises MetastoreUnavailable when rows of the scan got lost."""

        def work(connection: _Connection) -> ScanResult:
            _allow_long(connection)
            connection.execute(_for_run("create_differing", run))
            parameters = {"definition": definition.id, "loaded": loaded, "run": run}
            connection.execute(_for_run("compare", run), parameters)
            connection.execute(_for_run("compare_waiting", run), parameters)
            connection.execute(_for_run("index_differing", run))
            scanned, differing, new, changed, gone, unsettled = connection.execute(_for_run("totals", run)).fetchall()[
                0
            ]
            if scanned != loaded:
                raise _emptied()
            connection.execute(SQL["compared"], {"run": run, "differing": differing})
            # Of the rows that were scanned, all but the new ones and those without an agreement have a stamp.
            known = scanned - new - unsettled + gone
            remapped = 0
            if changed:
                values = {"definition": definition.id, "mapping": definition.mapping_fingerprint}
                ((remapped,),) = connection.execute(_for_run("remapped", run), values).fetchall()
            return ScanResult(scanned=scanned, ledger=known, new=new, changed=changed, gone=gone, remapped=remapped)

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
        expected = self._expected(run)
        after, found = b"", 0
        while True:
            page = {"after": after, "limit": self._chunk}
            with self._metastore.connection() as connection:
                count, last = connection.execute(_for_run("page", run), page, binary=True).fetchall()[0]
            found += count
            if not count:
                break
            parameters = {
                "definition": definition.id,
                "lane": int(lane),
                "hold_deletes": hold_deletes,
                "after": after,
                "last": last,
            }
            yield self._metastore.transact(partial(_mark_page, run=run, parameters=parameters))
            after = bytes(last)
        if found != expected:
            raise _emptied()

    def drop(self, run: RunId) -> None:
        self._metastore.transact(lambda connection: _drop(connection, run))

    def _expected(self, run: RunId) -> int | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["expected"], {"run": run}).fetchall()
        if not rows or rows[0][0] is None:
            raise _emptied()
        return int(rows[0][0])

    def _sweep(self, run: RunId) -> None:
        with self._metastore.connection() as connection:
            dead = [RunId(row[0]) for row in connection.execute(SQL["dead"], {"run": run}).fetchall()]
        for one in dead:
            self.drop(one)


def _for_run(name: LiteralString, run: RunId) -> sql.Composed:
    """A statement about the run's own tables."""
    return _compose(SQL[name], run)


def _mark_page(connection: _Connection, *, run: RunId, parameters: Mapping[str, Any]) -> int:
    return connection.execute(_compose(_MARK, run), parameters).rowcount


def _compose(text: LiteralString, run: RunId) -> sql.Composed:
    return sql.SQL(text).format(
        scan=sql.Identifier("syncbridge", f"scan_{run.hex}"),
        differing=sql.Identifier("syncbridge", f"differing_{run.hex}"),
    )


def _drop(connection: _Connection, run: RunId) -> None:
    connection.execute(_for_run("drop", run))
    connection.execute(SQL["forget"], {"run": run})


def _allow_long(connection: _Connection) -> None:
    connection.execute(SQL["settings"], {"statement_timeout": _LONG})


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


def _emptied() -> MetastoreUnavailable:
    return MetastoreUnavailable(
        "rows of this scan are missing in the metastore: its server was restarted, or the run's tables were removed; "
        "the next run scans again",
        code="scan_lost",
    )
