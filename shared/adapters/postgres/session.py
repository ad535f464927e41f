"""One transaction that writes, from BEGIN to its end: its settings, its time, and the connection that it must give back."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from psycopg.pq import TransactionStatus

from shared.adapters.postgres.connection import PINNED, Connection, SourceDatabase, milliseconds, set_locally
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.target import FILE
from shared.adapters.postgres.translation import translated
from shared.core.errors import InvariantViolated, SourceUnavailable
from shared.core.source import TableRef
from shared.ports import Clock

_KEPT: Final = frozenset({"row_security", "client_encoding"})
_OWN: Final = tuple(name for name in PINNED if name not in _KEPT)
"""What is pinned while we read, and the role's own while we write: a trigger that says now()::timestamp, or that names a
function without its schema, has to do for our writes what it does for everybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimits:
    """How long a transaction that writes may take. It has to be over well before the lease of the page it belongs to."""

    whole: timedelta = timedelta(seconds=40)
    """From `begin`: nothing is sent later, COMMIT included."""
    statement: timedelta = timedelta(seconds=15)
    idle: timedelta = timedelta(seconds=15)
    """Between two of our statements: a worker that stands still loses the transaction, not the users their rows."""
    lock: timedelta = timedelta(milliseconds=400)
    """For somebody else's lock, where locks cannot be skipped: rows that a trigger or a foreign key touches."""

    @property
    def over(self) -> timedelta:
        """After this the server has ended the transaction, whatever became of the worker."""
        return self.whole + max(self.statement, self.idle)


@dataclass(slots=True, kw_only=True)
class WriteSession:
    """A connection within a transaction that writes. READ COMMITTED, whatever the role's default is."""

    database: SourceDatabase
    connection: Connection
    subject: TableRef | str
    role: str
    _limits: WriteLimits
    _clock: Clock
    _deadline: float
    _own: Mapping[str, str]
    in_full: bool = True
    """Whether the statements that follow have as long as any statement has, and not only what is left of the whole."""

    @classmethod
    def begin(
        cls, database: SourceDatabase, subject: TableRef | str, *, limits: WriteLimits, clock: Clock
    ) -> "WriteSession":
        """Raises SourceUnavailable where the database takes no writes. Leaves the pinned settings in force."""
        connection = database.acquire(subject)
        try:
            with translated(str(subject), writing=True):
                return cls._begin(database, connection, subject, limits, clock)
        except BaseException:
            give_back(database, connection)
            raise

    @classmethod
    def _begin(
        cls,
        database: SourceDatabase,
        connection: Connection,
        subject: TableRef | str,
        limits: WriteLimits,
        clock: Clock,
    ) -> "WriteSession":
        deadline = clock.monotonic() + limits.whole.total_seconds()
        connection.execute("begin isolation level read committed")
        row = connection.execute(queries(FILE)["opening"], [list(_OWN)]).fetchone()
        if row is None:
            raise InvariantViolated(f"{subject}: the server did not say how it is set")
        read_only, role, deadlock, synchronous, own = row
        if read_only:
            # Not overruled, although it could be: it is how a standby, or a server short of disk, asks to be left alone.
            raise SourceUnavailable(f"{subject}: the database takes no writes now", code="read_only")
        # Whoever looks for a deadlock first is the one that it is ended for. While we never wait as long as that takes,
        # it is never a user.
        lock = min(limits.lock, timedelta(milliseconds=max(1, deadlock // 2)))
        settings = {
            "row_security": PINNED["row_security"],
            # A role may have it off, and then COMMIT is answered before it would survive a crash.
            "synchronous_commit": synchronous if synchronous == "remote_apply" else "on",
            "lock_timeout": milliseconds(lock),
            "idle_in_transaction_session_timeout": milliseconds(limits.idle),
        }
        session = cls(
            database=database,
            connection=connection,
            subject=subject,
            role=role,
            _limits=limits,
            _clock=clock,
            _deadline=deadline,
            _own=dict(zip(_OWN, own, strict=True)),
        )
        set_locally(connection, settings)
        session.read()
        return session

    def read(self) -> None:
        """From here on as SourceDatabase.pin has it: values have their text forms, names mean the catalog's."""
        self._set({name: PINNED[name] for name in _OWN})

    def write(self) -> None:
        """From here on under the role's own settings."""
        self._set(self._own)

    def require_time(self) -> timedelta:
        """What is left. Raises SourceUnavailable when nothing is."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise SourceUnavailable(f"{self.subject}: the transaction took too long and was given up", code="too_slow")
        return timedelta(seconds=left)

    def _set(self, settings: Mapping[str, str]) -> None:
        left = self.require_time()
        self.in_full = left >= self._limits.statement
        timeout = max(timedelta(milliseconds=1), min(self._limits.statement, left))
        set_locally(self.connection, {**settings, "statement_timeout": milliseconds(timeout)})

    def close(self) -> None:
        """Rolls back. Never raises."""
        give_back(self.database, self.connection)


def give_back(database: SourceDatabase, connection: Connection) -> None:
    """Returns a connection to its pool without a transaction: rolled back where that works at once, else cut. Never
    raises."""
    try:
        match connection.info.transaction_status:
            case TransactionStatus.IDLE:
                pass
            case TransactionStatus.INTRANS | TransactionStatus.INERROR:
                connection.execute("rollback")
            case _:
                connection.close()
    except Exception:
        connection.close()
    with suppress(Exception):
        database.release(connection)
