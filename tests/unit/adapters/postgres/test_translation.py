"""Every exception that psycopg can raise has a meaning, and none carries a row's values into ours."""

import psycopg
import psycopg_pool
import pytest
from psycopg import errors

from shared.adapters.postgres.translation import CLASSES, CODES, Kind, kind_of, translate, translated
from shared.core.errors import (
    ConfigurationError,
    Disposition,
    Doubt,
    InvariantViolated,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    RowRejected,
    RowsHidden,
    SourceUnavailable,
    SyncError,
    disposition,
)

CANARY = "the-row-s-value"


def classes() -> list[type[psycopg.Error]]:
    found = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, psycopg.Error)}
    found |= {psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, psycopg_pool.TooManyRequests}
    return sorted(found, key=lambda value: value.__name__)


def by_state() -> dict[str, type[psycopg.Error]]:
    return {c.sqlstate: c for c in classes() if c.sqlstate}


def test_psycopg_still_has_the_classes_that_this_table_was_made_from():
    assert len(by_state()) > 240


@pytest.mark.parametrize("error", classes(), ids=lambda c: c.__name__)
@pytest.mark.parametrize("writing", [False, True], ids=["reading", "writing"])
def test_every_psycopg_exception_becomes_one_of_ours_without_its_text(error, writing):
    made = translate(error(CANARY), "app.t", writing=writing)
    assert isinstance(made, SyncError)
    assert made.message.startswith("app.t: ")
    assert CANARY not in repr(made) + str(made) + str(made.context)


def test_every_class_of_sqlstate_was_thought_about():
    assert {state[:2] for state in by_state()} == set(CLASSES)


def test_every_exception_to_a_class_is_a_code_that_exists_and_differs_from_its_class():
    for code, kind in CODES.items():
        assert code in by_state(), code
        assert kind is not CLASSES[code[:2]], code


def test_an_unknown_code_holds_instead_of_being_retried_for_ever():
    error = errors.lookup("22012")("x")
    error.sqlstate = "ZZ999"
    assert disposition(translate(error, "app.t")) is Disposition.HOLD


@pytest.mark.parametrize(
    ("state", "reading", "writing"),
    [
        ("08006", SourceUnavailable, SourceUnavailable),
        ("08007", SourceUnavailable, Doubt),
        ("22012", ConfigurationError, RowRejected),
        ("23505", ConfigurationError, RowRejected),
        ("25006", ConfigurationError, SourceUnavailable),
        ("25P03", SourceUnavailable, SourceUnavailable),
        ("28P01", PermissionMissing, PermissionMissing),
        ("3D000", NotFound, NotFound),
        ("40001", SourceUnavailable, PreconditionFailed),
        ("40003", SourceUnavailable, Doubt),
        ("40P01", SourceUnavailable, PreconditionFailed),
        ("42501", PermissionMissing, PermissionMissing),
        ("42601", InvariantViolated, InvariantViolated),
        ("42703", NotFound, NotFound),
        ("42P01", NotFound, NotFound),
        ("53300", SourceUnavailable, SourceUnavailable),
        ("55P03", SourceUnavailable, SourceUnavailable),
        ("57014", SourceUnavailable, SourceUnavailable),
        ("57P01", SourceUnavailable, SourceUnavailable),
        ("57P04", NotFound, NotFound),
        ("P0001", ConfigurationError, RowRejected),
        ("XX001", ConfigurationError, ConfigurationError),
    ],
)
def test_what_the_codes_that_happen_mean(state, reading, writing):
    assert type(translate(by_state()[state]("x"), "app.t")) is reading
    assert type(translate(by_state()[state]("x"), "app.t", writing=True)) is writing


def test_a_lost_connection_is_worth_another_try():
    assert disposition(translate(psycopg.OperationalError(CANARY), "app.t")) is Disposition.RETRY


def test_a_misused_driver_is_an_alarm():
    assert disposition(translate(psycopg.InterfaceError(CANARY), "app.t")) is Disposition.ALARM
    assert disposition(translate(psycopg_pool.PoolClosed(CANARY), "app.t")) is Disposition.ALARM


def test_the_translated_exception_does_not_drag_the_original_along():
    def fail():
        with translated("app.t"):
            raise psycopg.OperationalError(CANARY)

    with pytest.raises(SourceUnavailable) as raised:
        fail()
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_our_own_exceptions_pass_untouched():
    with pytest.raises(RowsHidden), translated("app.t"):
        raise RowsHidden("x")


@pytest.mark.parametrize("state", sorted(by_state()))
def test_no_code_is_called_a_bug_that_a_person_s_data_can_cause(state):
    if state[:2] in {"22", "23", "44", "P0"}:
        assert kind_of(state) is Kind.VALUE
