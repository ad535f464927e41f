"""The unlogged tables of one run: a side's whole content piped into the metastore, and what differs from the ledger.

Unlogged makes them fast and lets a server's crash empty them: "no rows" must then not be read as "all gone". So a logged
table keeps how many rows were loaded and how many differences were found, and whoever uses them counts again. A run that
was cut off starts over; its tables go with the next run of the kind.

The one place with identifiers that are not fixed: tables are named by the run's id, which is a UUID.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.errors import MetastoreUnavailable
from shared.core.ids import DefinitionId, RunId

SQL = load("run_tables")
_LONG = "15min"
"""Loading and comparing a very large table takes longer than any other statement may."""

Connection = psycopg.Connection[tuple[Any, ...]]
Kind = Literal["SCAN", "LIST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTables:
    """`content`: what statements call the table of one side; `{differing}` is that of the differences.
    `prefix`: what the latter's name begins with. `drop`: the statement. `lost`: what to say when rows are missing."""

    kind: Kind
    content: str
    prefix: str
    drop_statement: LiteralString
    lost: str

    def compose(self, text: LiteralString, run: RunId) -> sql.Composed:
        """A statement about the run's own tables."""
        names = {
            self.content: sql.Identifier("syncbridge", f"{self.content}_{run.hex}"),
            "differing": sql.Identifier("syncbridge", f"{self.prefix}_{run.hex}"),
            "checksums": sql.Identifier("syncbridge", f"checksums_{run.hex}"),
        }
        return sql.SQL(text).format(**names)

    def missing(self) -> MetastoreUnavailable:
        """Rows that have to be there are not."""
        return MetastoreUnavailable(self.lost, code="run_tables_lost")

    def remember(self, connection: Connection, run: RunId, definition: DefinitionId) -> None:
        connection.execute(SQL["remember"], {"run": run, "kind": self.kind, "definition": definition})

    def drop(self, connection: Connection, run: RunId) -> None:
        connection.execute(self.compose(self.drop_statement, run))
        connection.execute(SQL["forget"], {"run": run, "kind": self.kind})

    def sweep(self, metastore: Metastore, run: RunId) -> None:
        """Removes the tables of runs that have ended, and of earlier attempts of this one."""
        with metastore.connection() as connection:
            dead = connection.execute(SQL["dead"], {"run": run, "kind": self.kind}).fetchall()
        for (one,) in dead:
            metastore.transact(_dropping(self, RunId(one)))

    def loaded(self, connection: Connection, run: RunId, rows: int) -> None:
        connection.execute(SQL["loaded"], {"run": run, "kind": self.kind, "loaded": rows})

    def compared(self, connection: Connection, run: RunId, differing: int) -> None:
        connection.execute(SQL["compared"], {"run": run, "kind": self.kind, "differing": differing})

    def index_differing(self, connection: Connection, run: RunId) -> None:
        connection.execute(self.compose(SQL["index_differing"], run))

    def pages(self, metastore: Metastore, run: RunId, limit: int) -> Iterator["Page"]:
        """The differences in the order of their hash. Raises MetastoreUnavailable when some are missing:
        before the page that would be the last."""
        with metastore.connection() as connection:
            rows = connection.execute(SQL["expected"], {"run": run, "kind": self.kind}).fetchall()
        if not rows or rows[0][0] is None:
            raise self.missing()
        left, after = int(rows[0][0]), b""
        while left:
            values: Mapping[str, Any] = {"after": after, "limit": limit}
            with metastore.connection() as connection:
                count, last = connection.execute(self.compose(SQL["page"], run), values, binary=True).fetchall()[0]
            if count != min(left, limit):
                raise self.missing()
            left -= count
            yield Page(after=after, last=bytes(last), is_last=left == 0)
            after = bytes(last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of differences: those whose hash is above `after`, up to `last`."""

    after: bytes
    last: bytes
    is_last: bool


def allow_long(connection: Connection) -> None:
    connection.execute(SQL["settings"], {"statement_timeout": _LONG})


def _dropping(tables: RunTables, run: RunId) -> Callable[[Connection], None]:
    return lambda connection: tables.drop(connection, run)
