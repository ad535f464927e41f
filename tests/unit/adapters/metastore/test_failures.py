import pickle

import psycopg
import psycopg_pool
import pytest
from psycopg import errors

from shared.adapters.metastore.failures import translate, translated
from shared.core.errors import (
    ConfigurationError,
    Disposition,
    InvariantViolated,
    MetastoreUnavailable,
    PermissionMissing,
    SyncError,
    disposition,
)


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


EVERY = sorted({psycopg.Error, *subclasses(psycopg.Error)}, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__qualname__)
def test_every_error_of_the_driver_becomes_one_of_ours_that_says_what_to_do(kind):
    translated_error = translate(kind("secret value"))

    assert isinstance(translated_error, SyncError)
    assert disposition(translated_error) in {Disposition.RETRY, Disposition.HOLD, Disposition.ALARM}
    assert "secret value" not in translated_error.message
    assert pickle.loads(pickle.dumps(translated_error)).message == translated_error.message


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (psycopg.OperationalError, MetastoreUnavailable),
        (psycopg_pool.PoolTimeout, MetastoreUnavailable),
        (psycopg_pool.TooManyRequests, MetastoreUnavailable),
        (psycopg_pool.PoolClosed, MetastoreUnavailable),
        (errors.QueryCanceled, MetastoreUnavailable),
        (errors.LockNotAvailable, MetastoreUnavailable),
        (errors.DeadlockDetected, MetastoreUnavailable),
        (errors.AdminShutdown, MetastoreUnavailable),
        (errors.DiskFull, MetastoreUnavailable),
        (errors.ReadOnlySqlTransaction, MetastoreUnavailable),
        (errors.InvalidPassword, ConfigurationError),
        (errors.UndefinedTable, ConfigurationError),
        (errors.UndefinedColumn, ConfigurationError),
        (errors.InsufficientPrivilege, PermissionMissing),
        (errors.UniqueViolation, InvariantViolated),
        (errors.SyntaxError, InvariantViolated),
        (psycopg.ProgrammingError, InvariantViolated),
    ],
    ids=lambda kind: kind.__qualname__,
)
def test_errors_are_grouped_by_what_can_be_done_about_them(kind, ours):
    assert type(translate(kind("x"))) is ours


@pytest.mark.parametrize("kind", [errors.UndefinedTable, errors.DuplicateTable])
def test_a_runs_own_tables_may_come_and_go(kind):
    error = translate(kind(f'relation "syncbridge.scan_{"0f" * 16}" is or is not there'))

    assert isinstance(error, MetastoreUnavailable)
    assert error.code == "run_tables_lost"


def test_the_drivers_error_stays_attached_for_the_log():
    with pytest.raises(MetastoreUnavailable) as caught, translated():
        raise psycopg.OperationalError("x")

    assert isinstance(caught.value.__cause__, psycopg.OperationalError)


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


@pytest.mark.parametrize("dsn", ["nonsense", "postgres//x", "postgresql://[::1/x"])
def test_a_text_that_is_no_connection_string_is_called_one_without_being_shown(dsn):
    with (
        pytest.raises(ConfigurationError, match="SYNCBRIDGE_METASTORE_DSN is no connection string") as caught,
        translated(),
    ):
        psycopg.connect(dsn)
    assert dsn not in str(caught.value)
