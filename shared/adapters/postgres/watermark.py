"""Reading a table by its cursor column: how far is certain, and the next page after a position."""

from datetime import UTC, datetime, timedelta
from typing import Final, cast

from shared.adapters.postgres import statements
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.foreign import has_foreign_rows
from shared.adapters.postgres.queries import queries
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError
from shared.core.ids import Identity, Stamp, key_texts
from shared.core.runs import WatermarkCursor
from shared.core.source import RelationKind
from shared.core.untold import NUMBER_OVERLAP
from shared.ports import WatermarkBound, WatermarkPage

_FILE: Final = "watermark.sql"
ZONE_SLACK: Final = timedelta(hours=12)
"""A timestamp without zone is local time of a zone nobody wrote down. The zone furthest behind UTC is UTC-12: no writer
puts in less than UTC less twelve hours, so that this much is read again instead of missed."""


def watermark_bound(database: SourceDatabase, spec: SourceSpec) -> WatermarkBound:
    """To be asked before the rows are read. Raises ConfigurationError where the cursor column cannot be one."""
    foreign = _is_foreign(database, spec)
    match statements.cursor_column(spec).type.name:
        case "xid8" if foreign:
            raise ConfigurationError(
                f"{spec.table} has rows of another server, whose transaction ids mean nothing here: choose a time as the"
                " cursor column, or let changes be found by scan",
                code="cursor_elsewhere",
            )
        case "xid8":
            with database.connection(spec.table) as connection:
                row = connection.execute(queries(_FILE)["bound_of_xid"]).fetchone()
            return WatermarkBound(upper=cast("str", row[0]) if row else None, exact=True)
        case "int2" | "int4" | "int8":
            with database.transaction(spec.table) as connection:
                row = connection.execute(statements.greatest_position(spec), []).fetchone()
            return WatermarkBound(
                upper=row[0] if row else None,
                exact=False,
                reason=f"an integer cursor column does not tell which transactions are still open: the last"
                f" {NUMBER_OVERLAP} values are read again, and what that misses the next scan finds",
            )
        case name:
            return _bound_of_time(database, spec, name, foreign=foreign)


def _is_foreign(database: SourceDatabase, spec: SourceSpec) -> bool:
    if spec.relation not in {RelationKind.FOREIGN_TABLE, RelationKind.PARTITIONED}:
        return False
    with database.transaction(spec.table) as connection:
        return has_foreign_rows(connection, spec)


def _bound_of_time(database: SourceDatabase, spec: SourceSpec, type_name: str, *, foreign: bool) -> WatermarkBound:
    with database.connection(spec.table) as connection:
        row = connection.execute(queries(_FILE)["bound_of_time"]).fetchone()
    assert row is not None  # noqa: S101  (an aggregate always answers one row)
    bound, prepared, standby, sees_all, hidden, replayed = row
    if standby:
        return WatermarkBound(
            upper=_printed(replayed, type_name),
            exact=False,
            reason="a standby does not show the primary's open transactions: read changes from the primary",
        )
    if prepared:
        return WatermarkBound(
            upper=None,
            exact=True,
            reason="a prepared transaction exists, whose beginning is recorded nowhere: the watermark waits for it",
        )
    reason = _not_exact(spec, foreign=foreign, sees_all=sees_all, hidden=hidden)
    return WatermarkBound(upper=_printed(bound, type_name), exact=not reason, reason=reason)


def _not_exact(spec: SourceSpec, *, foreign: bool, sees_all: bool, hidden: bool) -> str:
    """Why transactions may be open that began before the bound; empty: none are."""
    if foreign:
        return (
            "rows of another server are written by transactions that this one does not show: a time before the"
            " watermark is read again instead, and what that misses the next scan finds"
        )
    if spec.relation is RelationKind.MATERIALIZED_VIEW:
        return (
            "a materialized view shows what was committed when it was refreshed, and nobody knows when that was: a"
            " time before the watermark is read again instead, and what that misses the next scan finds"
        )
    if not sees_all:
        return (
            "this role does not see when other transactions began (grant pg_read_all_stats): a time before the"
            " watermark is read again instead, and what that misses the next scan finds"
        )
    if hidden:
        return (
            "a session has track_activities switched off and hides when its transaction began: a time before"
            " the watermark is read again instead"
        )
    return ""


def _printed(bound: datetime, type_name: str) -> str:
    """A moment in the cursor column's type, as text."""
    if type_name == "timestamptz":
        return bound.isoformat(sep=" ")
    local = bound.astimezone(UTC).replace(tzinfo=None) - ZONE_SLACK
    return local.date().isoformat() if type_name == "date" else local.isoformat(sep=" ")


def watermark_page(
    database: SourceDatabase,
    spec: SourceSpec,
    after: WatermarkCursor | None,
    *,
    limit: int,
    bound: WatermarkBound,
    overlap: timedelta,
) -> WatermarkPage:
    """The next rows, and how far of them may be stored: never back, and never at or above the bound."""
    name = statements.cursor_column(spec).type.name
    with database.transaction(spec.table) as connection:
        position, floor = after, None if after is None else after.details.get("floor", after.value)
        if after is not None and not bound.exact and overlap > timedelta(0):
            step = NUMBER_OVERLAP if name in {"int2", "int4", "int8"} else overlap
            row = connection.execute(statements.earlier_position(spec), [after.value, step]).fetchone()
            position = WatermarkCursor(
                value=cast("str", row[0]) if row else after.value, identity=None, fingerprint=after.fingerprint
            )
        start, parameters = _start(position)
        rows = connection.execute(statements.watermark_page(spec, start=start), [*parameters, limit]).fetchall()
        if not rows:
            return WatermarkPage(identities=(), last=after, safe=None, complete=True)
        fingerprint = b"" if after is None else after.fingerprint
        identity, _, value = rows[-1]
        verdict = connection.execute(statements.safe_position(spec), [value, bound.upper, floor]).fetchone()
    safe: WatermarkCursor | None
    match verdict:
        case (True, _):
            safe = WatermarkCursor(value=value, identity=Identity(identity), fingerprint=fingerprint)
        case (_, True) if bound.upper is not None:
            safe = WatermarkCursor(value=bound.upper, identity=None, fingerprint=fingerprint)
        case _:
            safe = None
    return WatermarkPage(
        identities=tuple((Identity(identity), Stamp(stamp)) for identity, stamp, _ in rows),
        last=WatermarkCursor(
            value=value,
            identity=Identity(identity),
            fingerprint=fingerprint,
            details={} if floor is None else {"floor": floor},
        ),
        safe=safe,
        complete=len(rows) < limit,
    )


def _start(position: WatermarkCursor | None) -> tuple[statements.Start, list[str]]:
    if position is None:
        return "beginning", []
    if position.identity is None:
        return "at", [position.value]
    return "after", [position.value, *key_texts(position.identity)]
