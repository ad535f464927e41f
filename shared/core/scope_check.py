"""Whether a row filter fits a table's columns: every test against its column's type, so that no run fails on it."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from difflib import get_close_matches

from shared.core.families import Family, family_of
from shared.core.problems import Problem
from shared.core.scope import Between, Compare, IsNull, Like, Literal, OneOf, Operator, Scope, Test, tests_of
from shared.core.source import SourceColumn
from shared.core.values import time_forms
from shared.core.values.forms import form_of

_WHERE = "scope"
_NUMBERS = frozenset({Family.INTEGER, Family.DECIMAL, Family.FLOAT})
_TEXTS = frozenset({Family.TEXT, Family.CHAR})
_SPELLED = {
    Family.UUID: "a UUID in quotes",
    Family.ENUM: "one of the type's labels in quotes",
    Family.DATE: "a date in quotes as '2026-01-31'",
    Family.TIME: "a time of day in quotes as '12:30:00'",
    Family.TIMESTAMP: "a time in quotes as '2026-01-31 12:30:00'",
    Family.TIMESTAMPTZ: "a time in quotes as '2026-01-31 12:30:00+00'",
}
_ORDERED = _NUMBERS | _TEXTS | {Family.ENUM, Family.DATE, Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ}
_EQUALITY = frozenset({Operator.EQUAL, Operator.DIFFERENT})
_TRAILING_BACKSLASHES = re.compile(r"\\*\Z")


def check(scope: Scope, columns: Sequence[SourceColumn]) -> list[Problem]:
    """Every problem of a condition, from left to right; none: the database can evaluate it for every row."""
    by_name = {column.name: column for column in columns}
    return [problem for test in tests_of(scope) for problem in _check_test(test, by_name)]


def _check_test(test: Test, by_name: dict[str, SourceColumn]) -> Iterator[Problem]:
    column = by_name.get(test.column)
    if column is None:
        close = get_close_matches(test.column, by_name, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        yield _problem(
            "scope_unknown_column", f"the row filter names {test.column}, which the table does not have{hint}"
        )
        return
    match test:
        case IsNull():
            pass
        case Like():
            yield from _check_like(test, column)
        case Compare(operator=operator):
            yield from _check_values(column, (test.value,), ordered=operator not in _EQUALITY)
        case OneOf():
            yield from _check_values(column, test.values, ordered=False)
        case Between():
            yield from _check_values(column, (test.low, test.high), ordered=True)


def _check_like(test: Like, column: SourceColumn) -> Iterator[Problem]:
    if family_of(column.type) not in _TEXTS:
        yield _problem("scope_type", f"the row filter uses like on {_named(column)}: like is for text columns only")
        return
    if not column.type.deterministic_collation:
        yield _problem(
            "scope_type",
            f"the row filter uses like on {column.name}, whose collation is nondeterministic: PostgreSQL refuses that; "
            "use = or in",
        )
    backslashes = _TRAILING_BACKSLASHES.search(test.pattern)
    if backslashes and len(backslashes.group()) % 2:
        yield _problem("scope_pattern", f"the pattern for {column.name} ends in a single backslash: write two")


def _check_values(column: SourceColumn, values: Sequence[Literal], *, ordered: bool) -> Iterator[Problem]:
    family = family_of(column.type)
    accepted = _accepted(family)
    if accepted is None:
        yield _problem(
            "scope_type", f"the row filter compares {_named(column)}: only is null and is not null work for this type"
        )
    elif ordered and family not in _ORDERED:
        yield _problem(
            "scope_type", f"the row filter puts {_named(column)} in order: only =, <> and in work for this type"
        )
    elif not all(_fits(column, family, value) for value in values):
        yield _problem("scope_type", f"the row filter compares {_named(column)} with something else than {accepted}")


def _accepted(family: Family) -> str | None:
    if family in _NUMBERS:
        return "a number without quotes"
    if family in _TEXTS:
        return "a text in quotes"
    return "true or false" if family is Family.BOOLEAN else _SPELLED.get(family)


def _fits(column: SourceColumn, family: Family, value: Literal) -> bool:
    match value:
        case bool():
            return family is Family.BOOLEAN
        case int() | Decimal():
            return family in _NUMBERS
        case str() if family in {Family.TIMESTAMP, Family.TIMESTAMPTZ}:
            # A date alone is its midnight; a timestamptz without an offset is UTC, which the session is pinned to.
            spelled = (time_forms.date_text, time_forms.timestamp_text, time_forms.zoned_timestamp_text)
            usable = spelled if family is Family.TIMESTAMPTZ else spelled[:2]
            return any(form(value) for form in usable)
        case str() if family in _TEXTS:
            return True
        case str():
            return family in _SPELLED and form_of(column.type).normal(column.type, value) is not None


def _named(column: SourceColumn) -> str:
    return f"{column.name} ({column.type.declared})"


def _problem(code: str, message: str) -> Problem:
    return Problem(code=code, message=message, where=_WHERE)
