"""psycopg's exceptions, in the engine's words.

Messages never repeat the server's text, except where it can only name objects (SQLSTATE class 42, which says "column x
does not exist"): everything else may quote a row's values. Exceptions are raised `from None` for the same reason.

SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import psycopg
import psycopg_pool

from shared.adapters.postgres.rejections import rejected
from shared.core.errors import (
    ConfigurationError,
    Doubt,
    InvariantViolated,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    RowsHidden,
    SourceUnavailable,
    SyncError,
)


class Kind(Enum):
    """What an SQLSTATE means for whoever asked."""

    UNAVAILABLE = auto()
    """The same statement may work later."""
    CONFLICT = auto()
    """Lost against a concurrent transaction."""
    DOUBT = auto()
    """The server does not say whether the transaction was committed."""
    VALUE = auto()
    """A value was refused: a row is to blame when writing, a view or an expression of the table when reading."""
    MISSING = auto()
    """A database, schema, table, column or type is not there (any more)."""
    READ_ONLY = auto()
    """Writing, it is a standby: the primary is, or comes back, elsewhere. Reading, a function behind a view writes."""
    RIGHTS = auto()
    LOGIN = auto()
    SETUP = auto()
    """The server or the database has to be changed by a person."""
    BUG = auto()
    """Nothing that this program sends should cause it."""


CLASSES: dict[str, Kind] = {
    "02": Kind.BUG,
    "03": Kind.BUG,
    "08": Kind.UNAVAILABLE,
    "09": Kind.VALUE,
    "0A": Kind.SETUP,
    "0B": Kind.BUG,
    "0F": Kind.BUG,
    "0L": Kind.SETUP,
    "0P": Kind.SETUP,
    "0Z": Kind.VALUE,
    "10": Kind.VALUE,
    "20": Kind.VALUE,
    "21": Kind.VALUE,
    "22": Kind.VALUE,
    "23": Kind.VALUE,
    "24": Kind.BUG,
    "25": Kind.BUG,
    "26": Kind.BUG,
    "27": Kind.VALUE,
    "28": Kind.LOGIN,
    "2B": Kind.BUG,
    "2D": Kind.VALUE,
    "2F": Kind.VALUE,
    "34": Kind.BUG,
    "38": Kind.VALUE,
    "39": Kind.VALUE,
    "3B": Kind.BUG,
    "3D": Kind.MISSING,
    "3F": Kind.MISSING,
    "40": Kind.CONFLICT,
    "42": Kind.SETUP,
    "44": Kind.VALUE,
    "53": Kind.UNAVAILABLE,
    "54": Kind.SETUP,
    "55": Kind.SETUP,
    "57": Kind.UNAVAILABLE,
    "58": Kind.UNAVAILABLE,
    "72": Kind.UNAVAILABLE,
    "F0": Kind.UNAVAILABLE,
    "HV": Kind.UNAVAILABLE,
    "P0": Kind.VALUE,
    "XX": Kind.SETUP,
}
"""By class: the first two characters."""

CODES: dict[str, Kind] = {
    "08007": Kind.DOUBT,
    "08P01": Kind.BUG,
    "25006": Kind.READ_ONLY,
    "25P03": Kind.UNAVAILABLE,
    "25P04": Kind.UNAVAILABLE,
    "40003": Kind.DOUBT,
    "42501": Kind.RIGHTS,
    "42601": Kind.BUG,
    "42703": Kind.MISSING,
    "42704": Kind.MISSING,
    "42883": Kind.MISSING,
    "42P01": Kind.MISSING,
    "42P05": Kind.BUG,
    "55006": Kind.UNAVAILABLE,
    "55P03": Kind.UNAVAILABLE,
    "57P04": Kind.MISSING,
    "HV004": Kind.SETUP,
    "HV005": Kind.MISSING,
    "HV006": Kind.SETUP,
    "HV007": Kind.SETUP,
    "HV008": Kind.SETUP,
    "HV00C": Kind.SETUP,
    "HV00D": Kind.SETUP,
    "HV00J": Kind.SETUP,
    "HV00P": Kind.MISSING,
    "HV00Q": Kind.MISSING,
    "HV00R": Kind.MISSING,
    "HV021": Kind.SETUP,
    "HV024": Kind.SETUP,
}
"""Codes that mean something else than their class."""


def kind_of(sqlstate: str) -> Kind:
    """An unknown code holds the definition: it is not retried for ever."""
    return CODES.get(sqlstate) or CLASSES.get(sqlstate[:2], Kind.SETUP)


def _kind_of_write(sqlstate: str) -> Kind:
    """Some codes blame a row when one is written: a computed column that it names, a value too large for an index, and
    whatever codes people give to the exceptions of their triggers."""
    if sqlstate in {"428C9", "54000"} or (sqlstate not in CODES and sqlstate[:2] not in CLASSES):
        return Kind.VALUE
    return kind_of(sqlstate)


@contextmanager
def translated(subject: str, *, writing: bool = False) -> Iterator[None]:
    """Turns every exception of psycopg and its pool into the engine's. `subject` names what was being worked on."""
    try:
        yield
    except (psycopg.Error, psycopg.Warning) as error:
        raise translate(error, subject, writing=writing) from None


def translate(error: psycopg.Error | psycopg.Warning, subject: str, *, writing: bool = False) -> SyncError:
    """The engine's exception for one of psycopg's."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        return _from_server(error, sqlstate, subject, writing=writing)
    match error:
        case psycopg_pool.PoolClosed():
            return InvariantViolated(f"{subject}: the connection pool was used before it was opened or after its end")
        case psycopg_pool.PoolTimeout() | psycopg_pool.TooManyRequests():
            return SourceUnavailable(
                f"{subject}: no database connection became free in time; the pool is too small, or the server is slow",
                code="pool_exhausted",
            )
        case psycopg.errors.PipelineAborted():
            return InvariantViolated(f"{subject}: a pipeline was used, and this program uses none")
        case psycopg.OperationalError():
            return SourceUnavailable(f"{subject}: the connection to the database was lost or could not be made")
        case _:
            return InvariantViolated(f"{subject}: the database driver was misused ({type(error).__name__})")


def _from_server(error: BaseException, sqlstate: str, subject: str, *, writing: bool) -> SyncError:
    what = f"SQLSTATE {sqlstate}, {type(error).__name__}"
    match _kind_of_write(sqlstate) if writing else kind_of(sqlstate):
        case Kind.UNAVAILABLE:
            return SourceUnavailable(f"{subject}: the database could not answer now ({what})", sqlstate=sqlstate)
        case Kind.CONFLICT if writing:
            return PreconditionFailed(f"{subject}: another transaction was in the way ({what})", sqlstate=sqlstate)
        case Kind.CONFLICT:
            return SourceUnavailable(f"{subject}: another transaction was in the way ({what})", sqlstate=sqlstate)
        case Kind.DOUBT if writing:
            return Doubt(f"{subject}: the database does not say whether it committed ({what})", sqlstate=sqlstate)
        case Kind.DOUBT:
            return SourceUnavailable(f"{subject}: the database could not answer now ({what})", sqlstate=sqlstate)
        case Kind.VALUE if writing:
            return rejected(error, sqlstate, subject)
        case Kind.VALUE:
            return ConfigurationError(
                f"{subject}: reading a row failed inside the database ({what}): a view, a generated column or a"
                " row filter cannot cope with some row's values; correct it or the row",
                code="unreadable_rows",
                sqlstate=sqlstate,
            )
        case Kind.READ_ONLY if writing:
            return SourceUnavailable(f"{subject}: the database takes no writes now ({what})", sqlstate=sqlstate)
        case Kind.READ_ONLY:
            return ConfigurationError(
                f"{subject}: a function behind it writes, and this program reads it in transactions for reading only"
                f" ({what}): sync a table or a view that does not",
                code="reading_writes",
                sqlstate=sqlstate,
            )
        case Kind.MISSING:
            return NotFound(
                f"{subject}: the database misses something that the definition names ({_said(error) or what}):"
                " introspect the table again and adjust the definition",
                code="schema_drift",
                sqlstate=sqlstate,
            )
        case Kind.RIGHTS if _is_row_security(error):
            return RowsHidden(
                f"{subject}: a row-level security policy would hide rows from this role, which would look like"
                " deletions: let the role bypass it (alter role … bypassrls), or sync a view that its owner reads",
                sqlstate=sqlstate,
            )
        case Kind.RIGHTS:
            return PermissionMissing(f"{subject}: {_said(error) or 'a right is missing'}", sqlstate=sqlstate)
        case Kind.LOGIN:
            return PermissionMissing(
                f"{subject}: the database refused the login ({what}): check user, password and the server's rules",
                code="login_refused",
                sqlstate=sqlstate,
            )
        case Kind.SETUP:
            return ConfigurationError(
                f"{subject}: the database refuses this as it is set up ({_said(error) or what})",
                code="source_refuses",
                sqlstate=sqlstate,
            )
        case Kind.BUG:
            return InvariantViolated(f"{subject}: the database was sent something wrong ({what})", sqlstate=sqlstate)


def _said(error: BaseException) -> str | None:
    """The server's first line where it can only name objects: syntax errors and access rules, without their details."""
    if isinstance(error, psycopg.Error) and error.sqlstate and error.sqlstate[:2] in {"42", "3D", "3F"}:
        return error.diag.message_primary
    return None


def _is_row_security(error: BaseException) -> bool:
    # check_enable_rls() in rls.c raises it; the message's words depend on the server's language, its place does not.
    if not isinstance(error, psycopg.Error):
        return False
    return error.diag.source_file == "rls.c" or "row-level security" in (error.diag.message_primary or "")
