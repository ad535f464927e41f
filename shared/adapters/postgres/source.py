"""One source database as the engine reads it: the port SourceTables over PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from shared.adapters.postgres import rows, statements, watermark
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.stamps import StampReading
from shared.core.definition import SourceSpec
from shared.core.errors import InvariantViolated
from shared.core.ids import Identity
from shared.core.runs import WatermarkCursor
from shared.core.source import Row
from shared.ports import WatermarkBound, WatermarkPage


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """Which server, and which of its histories: a promoted standby has the same identifier and another timeline."""

    system_identifier: str
    timeline: int
    standby: bool


class PostgresSource:
    """Reads tables of one database. Every error is one of shared.core.errors and names the table."""

    def __init__(self, database: SourceDatabase) -> None:
        self._database = database

    @contextmanager
    def copy_stamps(self, spec: SourceSpec) -> Iterator[StampReading]:
        """Blocks of COPY BINARY, about 256 KB each: header, rows in no order, trailer. One snapshot, one transaction.

        Leaving early cancels the COPY under way. Needs SELECT only; works on a standby.
        """
        database = self._database
        left: BaseException | None = None
        try:
            with database.transaction(
                spec.table, statement_timeout=database.limits.scan, one_snapshot=True
            ) as connection:
                stamps = StampReading(connection, spec)
                try:
                    yield stamps
                except BaseException as error:
                    # What the reader of the blocks raised is not this database's error, and is not told as one.
                    left = error
                if not stamps.close() or left is not None:
                    raise _LeftEarly  # noqa: TRY301  (the way to roll back is an exception in psycopg's block)
        except _LeftEarly:
            if left is not None:
                raise left from None

    def read_rows(self, spec: SourceSpec, identities: Sequence[Identity]) -> Mapping[Identity, Row]:
        return rows.read_rows(self._database, spec, identities)

    def watermark_bound(self, spec: SourceSpec) -> WatermarkBound:
        return watermark.watermark_bound(self._database, spec)

    def watermark_page(
        self, spec: SourceSpec, after: WatermarkCursor | None, *, limit: int, bound: WatermarkBound, overlap: timedelta
    ) -> WatermarkPage:
        return watermark.watermark_page(self._database, spec, after, limit=limit, bound=bound, overlap=overlap)

    def select_identities(self, spec: SourceSpec, limit: int, after: Identity | None) -> tuple[Identity, ...]:
        """At most `limit` identities in scope beyond `after`, in the byte order of their text."""
        statement, values = statements.select_identities(spec, after=after is not None)
        further = [] if after is None else [after]
        with self._database.transaction(spec.table) as connection:
            found = connection.execute(statement, [*values, *further, limit]).fetchall()
        return tuple(Identity(identity) for (identity,) in found)

    def estimated_rows(self, spec: SourceSpec) -> int:
        """The planner's figure for the whole table, whatever the scope: statistics scaled to today's size."""
        with self._database.transaction(spec.table) as connection:
            answer = connection.execute(statements.plan_of_scan(spec), []).fetchone()
        if answer is None:
            raise InvariantViolated(f"{spec.table}: EXPLAIN answered nothing")
        return int(answer[0][0]["Plan"]["Plan Rows"])

    def server_identity(self) -> ServerIdentity:
        """Stands beside transaction ids and LSNs: when it changes, neither means anything any more."""
        with self._database.transaction("the server's identity") as connection:
            row = connection.execute(queries("watermark.sql")["server_identity"]).fetchone()
        if row is None:
            raise InvariantViolated("the server did not say who it is")
        return ServerIdentity(system_identifier=row[0], timeline=row[1], standby=row[2])


class _LeftEarly(Exception):
    """Rolls a reading's transaction back; a COPY that was cancelled has broken it already."""
