"""The metastore's connections: one pool per process, opened and closed by whoever wires the engine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg_pool import ConnectionPool

from shared.adapters.metastore.failures import translated

T = TypeVar("T")

_RETRIED = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS = 4


class Metastore:
    """A pool of autocommit connections to the metastore, UTC, with time-outs below any lease.

    `timeout` and the server's time-outs are seconds. Nothing is opened before `open`. `password` is asked at each new
    connection, so that a token may run out.
    """

    def __init__(
        self,
        dsn: str,
        *,
        password: Callable[[], str] | None = None,
        max_size: int = 4,
        timeout: float = 10.0,
        statement_timeout: float = 30.0,
        lock_timeout: float = 10.0,
        application_name: str = "syncbridge",
    ) -> None:
        self._password = password
        if pq.__impl__ == "python":  # pragma: no cover
            raise RuntimeError("psycopg runs in pure Python, which is ten times slower: install psycopg[binary]")
        self._settings = {
            "TimeZone": "UTC",
            "DateStyle": "ISO, YMD",
            "application_name": application_name,
            "statement_timeout": f"{round(statement_timeout * 1000)}ms",
            "lock_timeout": f"{round(lock_timeout * 1000)}ms",
            "idle_in_transaction_session_timeout": "60s",
        }
        self._pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]] = ConnectionPool(
            dsn,
            kwargs=self._arguments,
            min_size=0,
            max_size=max_size,
            max_waiting=max_size * 16,
            timeout=timeout,
            max_lifetime=30 * 60,
            max_idle=5 * 60,
            open=False,
            configure=self._configure,
            check=ConnectionPool.check_connection,
            name="metastore",
        )

    def open(self) -> None:
        """Raises nothing for a server that is away: the first use does."""
        self._pool.open()

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """For statements that stand alone. Raises MetastoreUnavailable, ConfigurationError, InvariantViolated."""
        with translated(), self._pool.connection() as connection:
            yield connection

    def transact(self, work: Callable[[psycopg.Connection[tuple[Any, ...]]], T]) -> T:
        """Run `work` in one transaction, again from its start when the server picked it as a deadlock's victim."""
        with self.connection() as connection:
            for attempt in range(_ATTEMPTS):
                try:
                    with connection.transaction():
                        return work(connection)
                except _RETRIED:
                    if attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError("unreachable")  # pragma: no cover

    def _arguments(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"autocommit": True}
        return arguments if self._password is None else arguments | {"password": self._password()}

    def _configure(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        connection.execute(
            "select set_config(name, value, false) from unnest(%s::text[], %s::text[]) as setting(name, value)",
            [list(self._settings), list(self._settings.values())],
        )
