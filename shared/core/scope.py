"""Row filters (a definition's scope): a small language of conditions on one table's columns.

    status = 'open' and (amount > 10 or region in ('EU', 'US')) and closed_at is null

    condition  := all-of { "or" all-of }
    all-of     := part { "and" part }
    part       := "not" part | "(" condition ")" | test
    test       := column ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") literal
                | column ["not"] "in" "(" literal { "," literal } ")"
                | column ["not"] "between" literal "and" literal
                | column ["not"] ("like" | "ilike") text
                | column "is" ["not"] "null"
    literal    := text in single quotes, a quote inside doubled | number without exponent | "true" | "false"
    column     := bare name, folded to lower case as SQL does | "any name" in double quotes

A condition is evaluated by the source database alone, with its three-valued logic: a row is in scope when the condition
is true, so a row for which it is unknown (a null was compared) is out. There are no functions and no clock in it: a row
enters or leaves the scope only when the row changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

Literal = str | int | Decimal | bool
"""int for a number without a decimal point, Decimal for one with."""


class Operator(StrEnum):
    EQUAL = "="
    DIFFERENT = "<>"
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    column: str
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    column: str
    values: tuple[Literal, ...]
    """At least one."""
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Both bounds belong to the range."""

    column: str
    low: Literal
    high: Literal
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """`%` stands for any text, `_` for any one character, a backslash makes the next character plain."""

    column: str
    pattern: str
    ignore_case: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull:
    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    part: "Scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    parts: tuple["Scope", ...]
    """At least two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    parts: tuple["Scope", ...]
    """At least two."""


Test = Compare | OneOf | Between | Like | IsNull
Scope = Compare | OneOf | Between | Like | IsNull | Not | And | Or


def tests_of(scope: Scope) -> Iterator[Test]:
    """Every test of a condition, from left to right."""
    match scope:
        case And() | Or():
            for part in scope.parts:
                yield from tests_of(part)
        case Not():
            yield from tests_of(scope.part)
        case _:
            yield scope


def columns_of(scope: Scope) -> tuple[str, ...]:
    """The columns that a condition looks at, each once, in order of appearance."""
    return tuple(dict.fromkeys(test.column for test in tests_of(scope)))
