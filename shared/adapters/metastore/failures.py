"""What goes wrong on the metastore's connections, as the engine's own errors.

Messages of the server can hold values of rows, so none is passed on; SQLSTATE and constraint names are.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from shared.core.errors import (
    ConfigurationError,
    InvariantViolated,
    MetastoreUnavailable,
    PermissionMissing,
    SyncError,
)

_AWAY = (
    psycopg.OperationalError,  # lost connections, time-outs, deadlocks, full disks; the pool's errors are of this kind
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,  # a standby after a failover
    errors.InFailedSqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.InvalidCatalogName,
)
_BEHIND = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.UndefinedFunction)
_RUN_TABLES = (errors.UndefinedTable, errors.DuplicateTable)
_RUN_KEYS = ("run_tables_pkey", "pg_type_typname_nsp_index", "pg_class_relname_nsp_index")
"""What two attempts violate that make the tables of one run at once: no other table is made while runs are under way."""
_OF_A_RUN = re.compile(r"_[0-9a-f]{32}\b")
"""How the names of a run's own tables end."""
_REFUSED = (errors.InvalidAuthorizationSpecification, errors.InvalidPassword)


def translate(error: psycopg.Error) -> SyncError:
    """The engine's error for a driver's one."""
    state = error.sqlstate
    match error:
        case errors.InsufficientPrivilege():
            return PermissionMissing(
                "the metastore's role lacks a right in schema syncbridge",
                remedy="grant all on schema syncbridge, and on all its tables and sequences, to the app's role",
            )
        case _ if isinstance(error, _REFUSED):
            return ConfigurationError(
                "the metastore refused the login: check SYNCBRIDGE_METASTORE_DSN",
                code="metastore_login",
                sqlstate=state,
            )
        case _ if _of_a_run(error):
            return MetastoreUnavailable(
                "another attempt of this run is at its tables, or has taken them away: its scan begins again",
                code="run_tables_lost",
                sqlstate=state,
            )
        case _ if isinstance(error, _BEHIND):
            return ConfigurationError(
                f"the metastore's schema does not fit this release (SQLSTATE {state}): "
                "run python -m shared.adapters.metastore.migrate",
                code="schema_behind",
            )
        case psycopg.ProgrammingError() if "connection info string" in str(error) or "URI" in str(error):
            # libpq has not asked a server yet: it could not read the connection string.
            return ConfigurationError(
                "SYNCBRIDGE_METASTORE_DSN is no connection string: it looks like "
                "postgresql://user@host/database or host=… dbname=… user=…",
                code="metastore_dsn",
            )
        case _ if isinstance(error, _AWAY):
            return MetastoreUnavailable(f"the metastore did not answer (SQLSTATE {state or 'none'})", sqlstate=state)
        case _:
            constraint = error.diag.constraint_name
            return InvariantViolated(
                f"the metastore refused a statement (SQLSTATE {state}, constraint {constraint or 'none'})",
                sqlstate=state,
                constraint=constraint,
            )


def _of_a_run(error: psycopg.Error) -> bool:
    """Activities are at least once, and one that the host gave up goes on for a while: two of one run may meet."""
    if isinstance(error, errors.UniqueViolation):
        return error.diag.constraint_name in _RUN_KEYS
    return isinstance(error, _RUN_TABLES) and _OF_A_RUN.search(str(error)) is not None


@contextmanager
def translated() -> Iterator[None]:
    """Raise the engine's errors for the driver's ones."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error
