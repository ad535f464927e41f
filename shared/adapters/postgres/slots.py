"""The replication slot and the publication of one source database: looked at, made, moved, dropped.

All of it over ordinary connections: none of this needs the replication protocol, only the REPLICATION attribute.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg

from shared.adapters.postgres import stream_statements
from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.replication import APPLICATION
from shared.core.errors import ConfigurationError, InvariantViolated, NotFound, PermissionMissing, SourceUnavailable
from shared.core.replication import Lsn, lsn_text, parse_lsn
from shared.core.slots import FAILOVER_SINCE, PUBLICATION, Membership, Published, ServerState, SlotState
from shared.core.source import RelationKind, TableRef

_FILE: Final = "replication.sql"
_SUBJECT: Final = "the change stream"
CREATION: Final = timedelta(seconds=60)
"""A slot begins when every transaction that writes now has ended; we wait no longer than this."""


class SlotAdmin:
    """One database's slot and publication. Raises SourceUnavailable, PermissionMissing, ConfigurationError."""

    def __init__(self, database: SourceDatabase) -> None:
        self._database = database

    @property
    def database_name(self) -> str:
        return self._database.address.dbname

    def server(self) -> ServerState:
        with self._database.transaction(_SUBJECT) as connection:
            system, timeline, wal_end, version, standby, _ = _one(connection, "server")
        return ServerState(
            system=system, timeline=timeline, wal_end=parse_lsn(wal_end), version=version, standby=standby
        )

    def slot(self, name: str) -> SlotState | None:
        with self._database.transaction(_SUBJECT) as connection:
            row = connection.execute(queries(_FILE)["slot"], [name]).fetchone()
        if row is None:
            return None
        _, plugin, database, confirmed, retained, behind, pid, lost, failover = row
        return SlotState(
            name=name,
            plugin=plugin,
            database=database,
            confirmed=Lsn(0) if confirmed is None else parse_lsn(confirmed),
            retained=retained,
            behind=behind,
            active_pid=pid,
            lost=lost,
            failover=failover,
        )

    def create(self, name: str) -> Lsn:
        """Where the new slot begins. The publication has to be there before it: a slot that begins earlier cannot be
        read (PostgreSQL up to 17). Raises SourceUnavailable while an open transaction keeps it from beginning."""
        version = self.server().version
        with self._writing(CREATION) as connection:
            query = queries(_FILE)["create_failover_slot" if version >= FAILOVER_SINCE else "create_slot"]
            try:
                (begins,) = _only(connection.execute(query, [name]).fetchone())
            except psycopg.errors.QueryCanceled:
                raise SourceUnavailable(
                    f"the slot {name} could not begin within {CREATION.total_seconds():.0f} s: it waits until all"
                    " transactions that were writing have ended; end the one that is open for so long",
                    code="slot_waits",
                ) from None
        return parse_lsn(begins)

    def drop(self, name: str) -> bool:
        """Ends its reader and drops it. False: it was not there."""
        self.end_reader(name)
        with self._writing() as connection:
            try:
                connection.execute(queries(_FILE)["drop_slot"], [name])
            except psycopg.errors.UndefinedObject:
                return False
        return True

    def end_reader(self, name: str) -> None:
        """Ends the session that reads the slot, and waits a few seconds for its end."""
        with self._writing() as connection:
            connection.execute(queries(_FILE)["end_reader"], [name])

    def end_own_reader(self, name: str) -> bool:
        """The same, only if the reader is a poller. False: it is not, or there is none."""
        with self._writing() as connection:
            return connection.execute(queries(_FILE)["end_own_reader"], [name, APPLICATION]).rowcount > 0

    def advance(self, name: str, to: Lsn) -> Lsn:
        """Moves the slot on; changes before `to` are never sent again. Where it is now."""
        with self._writing() as connection:
            (end,) = _only(connection.execute(queries(_FILE)["advance_slot"], [name, lsn_text(to)]).fetchone())
        return parse_lsn(end)

    def published(self) -> Published | None:
        """None: there is no publication."""
        with self._database.transaction(_SUBJECT) as connection:
            found = connection.execute(queries(_FILE)["publication"], [PUBLICATION]).fetchone()
            if found is None:
                return None
            rows = connection.execute(queries(_FILE)["published"], [PUBLICATION]).fetchall()
        return Published(
            whole=all(found),
            tables={
                TableRef(schema=schema, name=table): Membership(whole=not (filtered or narrowed), since=since)
                for schema, table, filtered, narrowed, since in rows
            },
        )

    def publish(self, tables: Sequence[tuple[TableRef, RelationKind]]) -> None:
        """Makes these tables part of the publication, which is made if it is missing. Each in a transaction of its own:
        one that cannot be published keeps no other back. Raises PermissionMissing with the SQL for all that were refused."""
        published = self.published()
        if published is None:
            with self._asking(tables, exists=False), self._writing() as connection:
                connection.execute(stream_statements.create_publication(PUBLICATION), [])
        missing = [pair for pair in tables if published is None or pair[0] not in published.tables]
        refused, failed = [], None
        for table, relation in missing:
            try:
                with self._writing() as connection:
                    connection.execute(stream_statements.add_table(PUBLICATION, table, relation), [])
            except PermissionMissing:
                refused.append((table, relation))
            except ConfigurationError as error:  # a table that is gone, or is none that can be published
                failed = error
        if refused:
            with self._asking(refused, exists=True):
                raise PermissionMissing("")
        if failed is not None:
            raise failed

    def unpublish(self, table: TableRef, relation: RelationKind) -> None:
        """The table's changes are not sent any more; it may be gone."""
        try:
            with self._writing() as connection:
                connection.execute(stream_statements.drop_table(PUBLICATION, table, relation), [])
        except NotFound:
            return

    @contextmanager
    def _asking(self, tables: Sequence[tuple[TableRef, RelationKind]], *, exists: bool) -> Iterator[None]:
        try:
            yield
        except PermissionMissing:
            names = ", ".join(str(table) for table, _ in tables)
            raise PermissionMissing(
                f"this role may not publish {names}: it takes the owner of the tables, and the right to make a publication",
                code="publication_denied",
                remedy=stream_statements.publish(PUBLICATION, tables, exists=exists),
            ) from None

    @contextmanager
    def _writing(self, statement_timeout: timedelta | None = None) -> Iterator[Connection]:
        """A transaction that may write, with the pinned settings' path and time-outs."""
        limits = self._database.limits
        spans = [statement_timeout or limits.statement, limits.lock]
        with self._database.connection(_SUBJECT) as connection, connection.transaction():
            times = [f"{round(span.total_seconds() * 1000)}ms" for span in spans]
            connection.execute(queries(_FILE)["settings"], times)
            yield connection


def _one(connection: Connection, name: str) -> tuple[Any, ...]:
    return _only(connection.execute(queries(_FILE)[name]).fetchone())


def _only(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise InvariantViolated("the server did not answer what it always answers")
    return row
