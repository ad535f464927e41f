"""Connections to a source database: how many, and which settings every transaction runs under.

Nothing is kept in a session: every transaction sets what it depends on, for itself (`set_config(…, true)`), so a pooler
that hands each transaction to another server session (PgBouncer in transaction mode) changes nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Self

import psycopg
import psycopg_pool
from psycopg import pq, sql
from psycopg.rows import TupleRow

from shared.adapters.postgres.address import Address, Admit, Limits, connection_arguments
from shared.adapters.postgres.refusals import explain_refusal
from shared.adapters.postgres.translation import translate, translated
from shared.core.errors import InvariantViolated, SyncError, Transient
from shared.core.source import TableRef

Connection = psycopg.Connection[TupleRow]

PINNED: Final[dict[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    # An empty path would let pg_temp go first. With this one no function or operator that somebody put into a schema
    # can be taken for a built-in; functions behind views have to name their schemas, or set search_path themselves.
    "search_path": "pg_catalog, pg_temp",
    # Where a policy would hide rows, raise instead: hidden rows look like deleted ones.
    "row_security": "off",
}
"""What the text forms of values, and the meaning of our statements, depend on."""


_FIRST_LOOK: Final = timedelta(seconds=1)
"""How long the pool is waited for before somebody finds out why it has none."""


class SourceDatabase:
    """One source database behind a pool. Open it explicitly, close it explicitly."""

    def __init__(
        self,
        address: Address,
        *,
        admit: Admit,
        limits: Limits | None = None,
        root_certificates: str | None = None,
        application_name: str = "syncbridge",
        name: str | None = None,
    ) -> None:
        require_fast_driver()
        self.address = address
        self.limits = limits or Limits()
        self._admit = admit
        self._root_certificates = root_certificates
        self._application_name = application_name
        self._held: set[Connection] = set()
        self._pool: psycopg_pool.ConnectionPool[Connection] = psycopg_pool.ConnectionPool(
            "",
            kwargs=self._arguments,
            # autocommit: transactions are explicit, and a lone statement is one of its own.
            # prepare_threshold: a prepared statement belongs to a session, which a pooler does not keep.
            min_size=0,
            max_size=self.limits.connections,
            open=False,
            check=psycopg_pool.ConnectionPool.check_connection,
            name=name or f"source {address.host}/{address.dbname}",
            timeout=self.limits.wait.total_seconds(),
            reconnect_timeout=self.limits.wait.total_seconds(),
            max_lifetime=1800,
        )

    def _arguments(self) -> dict[str, Any]:
        return connection_arguments(
            self.address,
            admit=self._admit,
            limits=self.limits,
            root_certificates=self._root_certificates,
            application_name=self._application_name,
        ) | {"autocommit": True, "prepare_threshold": None}

    def open(self) -> None:
        """Starts the pool; the first connection is made when it is needed."""
        self._pool.open()

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def connection(self, subject: TableRef | str) -> Iterator[Connection]:
        """A connection in autocommit mode, with nothing set. Errors come out as the engine's, naming `subject`."""
        with translated(str(subject)):
            connection = self.acquire(subject)
            try:
                yield connection
            finally:
                self.release(connection)

    def acquire(self, subject: TableRef | str) -> Connection:
        """A connection of the pool that stays with the caller until `release`."""
        with translated(str(subject)):
            left = self.limits.wait
            first = min(_FIRST_LOOK, left)
            for patience in (first, left - first):
                try:
                    connection = self._pool.getconn(timeout=patience.total_seconds())
                except psycopg_pool.PoolTimeout as timeout:
                    left -= patience
                    if left and self._held:
                        continue  # it is busy
                    why = self._why_no_connection(timeout, str(subject))
                    # A wrong password does not become right by waiting; a server that is starting does.
                    if not left or not isinstance(why, Transient):
                        raise why from None
                else:
                    self._held.add(connection)
                    return connection
        raise AssertionError("unreachable")  # pragma: no cover

    def release(self, connection: Connection) -> None:
        """Back to the pool, which rolls back what is open and discards what is broken."""
        self._held.discard(connection)
        self._pool.putconn(connection)

    @contextmanager
    def transaction(
        self, subject: TableRef | str, *, statement_timeout: timedelta | None = None, one_snapshot: bool = False
    ) -> Iterator[Connection]:
        """A read-only transaction under the pinned settings, which end with it.

        `one_snapshot`: all its statements see the same state of the database.
        """
        with self.connection(subject) as connection, connection.transaction():
            if one_snapshot:
                connection.execute("set transaction isolation level repeatable read")
            self.pin(connection, statement_timeout)
            yield connection

    def pin(self, connection: Connection, statement_timeout: timedelta | None = None) -> None:
        """Sets what the transaction under way depends on, until its end: the pinned settings, read only, time-outs."""
        longest = statement_timeout or self.limits.statement
        settings = PINNED | {
            "transaction_read_only": "on",
            "statement_timeout": milliseconds(longest),
            "lock_timeout": milliseconds(self.limits.lock),
            # Between two passes of a scan the metastore works, as long as a pass may take.
            "idle_in_transaction_session_timeout": milliseconds(max(self.limits.idle_in_transaction, longest)),
        }
        set_locally(connection, settings)

    def _why_no_connection(self, timeout: psycopg_pool.PoolTimeout, subject: str) -> SyncError:
        """A pool only says that it waited. One attempt of our own tells a wrong password from a busy server."""
        try:
            psycopg.connect("", **self._arguments()).close()
        except psycopg.Error as error:
            return explain_refusal(error, self.address)
        return translate(timeout, subject)


def set_locally(connection: Connection, settings: Mapping[str, str]) -> None:
    """Settings of the transaction under way, which end with it."""
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings.items()
    ]
    connection.execute(sql.SQL("select {}").format(sql.SQL(", ").join(calls)))


def milliseconds(span: timedelta) -> str:
    """As PostgreSQL's settings take it."""
    return f"{round(span.total_seconds() * 1000)}ms"


def require_fast_driver() -> None:
    """psycopg without its compiled part reads ten times slower; that is a broken installation, said at once."""
    if pq.__impl__ == "python":
        raise InvariantViolated(
            "psycopg runs without its compiled implementation: install psycopg[binary], as requirements.txt says"
        )
