"""Row writes to one source database: the port RowWriter over PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from shared.adapters.postgres.applying import Page
from shared.adapters.postgres.connection import SourceDatabase, milliseconds, set_locally
from shared.adapters.postgres.fates import TransactionName, fates, name_transaction
from shared.adapters.postgres.keys import print_keys, reserve_keys
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.session import WriteLimits, WriteSession
from shared.adapters.postgres.target import FILE, Target, require_writable, target_of
from shared.adapters.postgres.translation import Kind, kind_of, translate, translated
from shared.adapters.postgres.write_rights import remedy_of
from shared.core.definition import SourceSpec
from shared.core.errors import Doubt, InvariantViolated, PermissionMissing, PreconditionFailed
from shared.core.ids import Identity
from shared.core.source import RowChange, RowOutcome, TransactionFate, Wrote
from shared.ports import Clock, IdSource

_CUT: Final = ("08", "58", "XX")
"""Classes of errors that a pooler or a dying server may give in place of an answer."""


class PostgresWriter:
    """Writes rows of one database, one transaction at a time per connection of its pool.

    `flusher`: the same database behind a pool of its own. A transaction's name is flushed to disk by committing another
    transaction while the first one is open: out of one pool, transactions could wait for one another for ever."""

    def __init__(
        self,
        database: SourceDatabase,
        *,
        flusher: SourceDatabase,
        clock: Clock,
        ids: IdSource,
        limits: WriteLimits | None = None,
    ) -> None:
        self._database = database
        self._flusher = flusher
        self._clock = clock
        self._ids = ids
        self._limits = limits or WriteLimits()

    def begin(self, spec: SourceSpec) -> "PostgresRowTransaction":
        """An open transaction whose name is on disk. Raises ConfigurationError for what is no table."""
        require_writable(spec)
        session = self._session(spec)
        try:
            with translated(str(spec.table), writing=True):
                target = target_of(session.connection, spec)
                name = name_transaction(session.connection, self._flush)
        except PermissionMissing as error:
            session.close()
            raise self._with_remedy(error, spec, ()) from None
        except BaseException:
            session.close()
            raise
        return PostgresRowTransaction(self, session, spec, target, name)

    def fate(self, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
        return fates(self._database, transactions)

    def reserve(self, spec: SourceSpec, count: int) -> Sequence[Identity]:
        require_writable(spec)
        return reserve_keys(self._database, spec, count, begin=lambda: self._session(spec), ids=self._ids)

    def identities(self, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> Sequence[Identity | None]:
        return print_keys(self._database, spec, keys)

    def _session(self, spec: SourceSpec) -> WriteSession:
        return WriteSession.begin(self._database, spec.table, limits=self._limits, clock=self._clock)

    def _flush(self) -> None:
        with self._flusher.connection("the log of the server") as connection, connection.transaction():
            # This much is for the server's own disk; a standby has another timeline when it takes over.
            settings = {"synchronous_commit": "local", "statement_timeout": milliseconds(self._limits.statement)}
            set_locally(connection, settings)
            connection.execute(queries(FILE)["flush"])

    def _with_remedy(
        self, error: PermissionMissing, spec: SourceSpec, changes: Sequence[RowChange]
    ) -> PermissionMissing:
        """The same error with the SQL that gives what is missing, as far as the catalog shows it."""
        return PermissionMissing(
            error.message, remedy=remedy_of(self._database, spec, changes), code=error.code, **error.context
        )


class PostgresRowTransaction:
    """One transaction that writes, from BEGIN to its end. After any error it is over."""

    def __init__(
        self, writer: PostgresWriter, session: WriteSession, spec: SourceSpec, target: Target, name: TransactionName
    ) -> None:
        self._writer = writer
        self._session = session
        self._spec = spec
        self._target = target
        self._name = name
        self._applied = False
        self._missed = False
        self._over = False

    @property
    def transaction(self) -> str:
        return str(self._name)

    def apply(self, changes: Sequence[RowChange]) -> Mapping[UUID, RowOutcome]:
        if self._over or self._applied:
            raise InvariantViolated(f"{self._spec.table}: a transaction is used once")
        self._applied = True
        page = Page(session=self._session, spec=self._spec, target=self._target, name=self._name)
        try:
            with translated(str(self._spec.table), writing=True):
                outcomes = page.apply(changes)
        except PermissionMissing as error:
            self.close()
            raise self._writer._with_remedy(error, self._spec, changes) from None  # noqa: SLF001  (its own writer)
        except BaseException:
            self.close()
            raise
        self._missed = not all(isinstance(outcome, Wrote) for outcome in outcomes.values())
        return outcomes

    def commit(self) -> None:
        """Raises Doubt when nobody can say whether it took effect. After any other error nothing was written."""
        if self._over or self._missed:
            self.close()
            raise InvariantViolated(
                f"{self._spec.table}: a transaction is committed once, and only when every row was written"
            )
        try:
            self._session.require_time()
        except BaseException:
            self.close()
            raise
        self._over = True
        connection = self._session.connection
        try:
            answer = connection.execute("commit").statusmessage
        except psycopg.Error as error:
            if self._is_answer(error):
                self._session.close()
                raise translate(error, str(self._spec.table), writing=True) from None
            answer = None
        except BaseException:
            connection.close()
            self._session.close()
            raise
        match answer:
            case "COMMIT":
                self._session.close()
            case "ROLLBACK":
                # COMMIT of a transaction that had failed is no error to the server, and no commit.
                self._session.close()
                raise PreconditionFailed(f"{self._spec.table}: the transaction had failed and was rolled back")
            case _:
                connection.close()
                self._session.close()
                raise Doubt(f"{self._spec.table}: the database's answer to COMMIT was lost")

    def close(self) -> None:
        if not self._over:
            self._over = True
            self._session.close()

    def _is_answer(self, error: psycopg.Error) -> bool:
        """Whether an error at COMMIT says that nothing was committed: one of the server's, which ended the transaction
        and not the connection. A connection that is ended may have been so after the commit, while a standby was
        waited for."""
        code = error.sqlstate or ""
        return (
            bool(code)
            and not code.startswith(_CUT)
            and kind_of(code) is not Kind.DOUBT
            and error.diag.severity_nonlocalized == "ERROR"
            and self._session.connection.info.transaction_status is TransactionStatus.IDLE
        )
