"""Which list column keeps which PostgreSQL type: the defaults and every pair that is allowed, as data.

Documentation and tests are made from DEFAULTS, PAIRS and REFUSALS; validation and provisioning read them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.definition import Direction, FieldKind, FieldMapping
from shared.core.families import Family, element_family, family_of
from shared.core.source import SourceColumn, SourceType

SINGLE_LINE = 255

CHOOSABLE = frozenset({Family.TEXT, Family.CHAR, Family.ENUM, Family.INTEGER, Family.DECIMAL, Family.UUID, Family.DATE})
"""Element types of arrays that may become the choices of a multi-choice column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultColumn:
    """One line of the documented table; the first line that applies to a type gives its default."""

    types: str
    applies: Callable[[SourceType], bool]
    kind: FieldKind | None
    notes: str


def _is(family: Family) -> Callable[[SourceType], bool]:
    return lambda declared: family_of(declared) is family


def _fits_a_line(declared: SourceType) -> bool:
    bounded = declared.name == "name" or (declared.length is not None and declared.length <= SINGLE_LINE)
    return family_of(declared) in {Family.TEXT, Family.CHAR} and bounded


def _fits_a_double(declared: SourceType) -> bool:
    return family_of(declared) is Family.DECIMAL and declared.precision is not None and declared.precision <= 15


DEFAULTS: tuple[DefaultColumn, ...] = (
    DefaultColumn(
        types="varchar(n), char(n) with n <= 255, name",
        applies=_fits_a_line,
        kind=FieldKind.TEXT,
        notes="255 UTF-16 units: a row with many characters beyond U+FFFF may still be refused. char(n) loses its padding.",
    ),
    DefaultColumn(
        types="text, varchar, citext, varchar(n) and char(n) with n > 255",
        applies=lambda declared: family_of(declared) in {Family.TEXT, Family.CHAR},
        kind=FieldKind.NOTE,
        notes="63,999 UTF-16 units, plain text. Cannot be indexed: choose TEXT where every value is short.",
    ),
    DefaultColumn(
        types="smallint, integer",
        applies=lambda declared: family_of(declared) is Family.INTEGER and declared.name != "int8",
        kind=FieldKind.NUMBER,
        notes="Exact.",
    ),
    DefaultColumn(
        types="bigint",
        applies=_is(Family.INTEGER),
        kind=FieldKind.NUMBER,
        notes="Exact between -2^53 and 2^53; a row beyond is refused. Choose TEXT for the whole range.",
    ),
    DefaultColumn(
        types="numeric(p, s) with p <= 15",
        applies=_fits_a_double,
        kind=FieldKind.NUMBER,
        notes="Exact: a list keeps 15 significant digits.",
    ),
    DefaultColumn(
        types="numeric, numeric(p, s) with p > 15",
        applies=_is(Family.DECIMAL),
        kind=FieldKind.TEXT,
        notes="As decimal text, so that no digit is lost. NUMBER refuses rows with more than 15 significant digits.",
    ),
    DefaultColumn(
        types="real, double precision",
        applies=_is(Family.FLOAT),
        kind=FieldKind.NUMBER,
        notes="Compared at 15 significant digits. NaN and infinities are refused.",
    ),
    DefaultColumn(types="boolean", applies=_is(Family.BOOLEAN), kind=FieldKind.BOOLEAN, notes="Yes/no."),
    DefaultColumn(types="uuid", applies=_is(Family.UUID), kind=FieldKind.TEXT, notes="Lower case."),
    DefaultColumn(
        types="date",
        applies=_is(Family.DATE),
        kind=FieldKind.DATE,
        notes="Date only, by the site's time zone. 1900 to 8900, no infinities.",
    ),
    DefaultColumn(
        types="timestamp with time zone",
        applies=_is(Family.TIMESTAMPTZ),
        kind=FieldKind.DATETIME,
        notes="UTC, whole seconds: fractions are cut off. 1900 to 8900, no infinities.",
    ),
    DefaultColumn(
        types="timestamp without time zone",
        applies=_is(Family.TIMESTAMP),
        kind=FieldKind.DATETIME,
        notes="Taken as UTC, whole seconds: fractions are cut off. 1900 to 8900, no infinities.",
    ),
    DefaultColumn(
        types="time with and without time zone",
        applies=lambda declared: family_of(declared) in {Family.TIME, Family.TIMETZ},
        kind=FieldKind.TEXT,
        notes="As 12:30:00: a list has no time of day.",
    ),
    DefaultColumn(
        types="interval",
        applies=_is(Family.INTERVAL),
        kind=FieldKind.TEXT,
        notes="As an ISO 8601 duration such as P1DT2H30M.",
    ),
    DefaultColumn(
        types="json, jsonb",
        applies=lambda declared: family_of(declared) in {Family.JSON, Family.JSONB},
        kind=FieldKind.NOTE,
        notes="json as it was written, jsonb as PostgreSQL prints it.",
    ),
    DefaultColumn(
        types="enums",
        applies=_is(Family.ENUM),
        kind=FieldKind.CHOICE,
        notes="The labels are the choices.",
    ),
    DefaultColumn(
        types="arrays of enums",
        applies=lambda declared: declared.is_array and element_family(declared) is Family.ENUM,
        kind=FieldKind.MULTICHOICE,
        notes="The labels are the choices. As a set: order and repetition are not kept. Null elements are refused.",
    ),
    DefaultColumn(
        types="arrays of texts, whole numbers, numerics, UUIDs, dates",
        applies=lambda declared: declared.is_array and element_family(declared) in CHOOSABLE,
        kind=FieldKind.NOTE,
        notes="As text, push only. Choose MULTICHOICE and name the choices to show a set; nested arrays, null and empty "
        "elements are refused there.",
    ),
    DefaultColumn(
        types="bytea",
        applies=lambda declared: element_family(declared) is Family.BYTES,
        kind=None,
        notes="Refused: a list has no column for bytes.",
    ),
    DefaultColumn(
        types="every other type",
        applies=lambda _: True,
        kind=FieldKind.NOTE,
        notes="As text, push only.",
    ),
)


class Carries(StrEnum):
    BOTH = "BOTH"
    PUSH = "PUSH"
    PULL = "PULL"


_BOTH, _PUSH, _PULL = Carries.BOTH, Carries.PUSH, Carries.PULL
_TEXT_PAIRS = {FieldKind.TEXT: _BOTH, FieldKind.NOTE: _BOTH, FieldKind.CHOICE: _BOTH}
_MOMENT_PAIRS = {FieldKind.DATETIME: _BOTH, FieldKind.TEXT: _BOTH}
_NUMBER_PAIRS = {FieldKind.NUMBER: _BOTH, FieldKind.CURRENCY: _BOTH, FieldKind.TEXT: _BOTH}
_PUSHED_TEXT = {FieldKind.NOTE: _PUSH, FieldKind.TEXT: _PUSH}

PAIRS: Mapping[Family, Mapping[FieldKind, Carries]] = {
    Family.TEXT: _TEXT_PAIRS,
    Family.CHAR: _TEXT_PAIRS,
    Family.INTEGER: {**_NUMBER_PAIRS, FieldKind.LOOKUP: _BOTH, FieldKind.PERSON: _BOTH, FieldKind.COUNTER: _PULL},
    Family.DECIMAL: _NUMBER_PAIRS,
    Family.FLOAT: _NUMBER_PAIRS,
    Family.BOOLEAN: {FieldKind.BOOLEAN: _BOTH, FieldKind.TEXT: _BOTH},
    Family.UUID: {FieldKind.TEXT: _BOTH},
    Family.DATE: {FieldKind.DATE: _BOTH, FieldKind.TEXT: _BOTH},
    Family.TIME: {FieldKind.TEXT: _BOTH},
    Family.TIMETZ: {FieldKind.TEXT: _BOTH},
    Family.TIMESTAMP: _MOMENT_PAIRS,
    Family.TIMESTAMPTZ: _MOMENT_PAIRS,
    Family.INTERVAL: {FieldKind.TEXT: _BOTH},
    Family.JSON: {FieldKind.NOTE: _BOTH, FieldKind.TEXT: _BOTH},
    Family.JSONB: {FieldKind.NOTE: _BOTH, FieldKind.TEXT: _BOTH},
    Family.ENUM: {FieldKind.CHOICE: _BOTH, FieldKind.TEXT: _BOTH},
    Family.ARRAY: {FieldKind.MULTICHOICE: _BOTH, **_PUSHED_TEXT},
    Family.OTHER: _PUSHED_TEXT,
    Family.BYTES: {},
}
"""Family -> list column -> the ways values go. A pair that is missing is refused."""

REFUSALS: Mapping[Family | FieldKind, str] = {
    FieldKind.UNKNOWN: "Graph does not say what this list column is (hyperlinks and managed metadata look like this)",
    FieldKind.COUNTER: "the ID is a whole number that SharePoint gives",
    FieldKind.LOOKUP: "a lookup holds the ID of an item: the column has to be a whole number",
    FieldKind.PERSON: "a person is an ID in the site's User Information List: the column has to be a whole number",
    FieldKind.MULTICHOICE: "a multi-choice is a set of texts: the column has to be an array",
    FieldKind.BOOLEAN: "a yes/no column holds true and false only",
    FieldKind.DATE: "a date-only column holds dates only",
    FieldKind.DATETIME: "a date-and-time column holds timestamps only",
    FieldKind.NUMBER: "a number column holds numbers only",
    FieldKind.CURRENCY: "a currency column holds numbers only",
    Family.BYTES: "a list has no column for bytes: leave the column out, or show it by a view as encode(…, 'base64')",
}
"""Why a pair is refused: the family's reason, else the list column's, else that its values are of another shape."""

ONE_WAY_REASONS: Mapping[Family, str] = {
    Family.ARRAY: "an array as text is not read back: choose MULTICHOICE to let people edit it",
    Family.OTHER: "this type is known by its text alone, so it is only pushed",
}

NOT_INDEXABLE = frozenset({FieldKind.NOTE, FieldKind.MULTICHOICE, FieldKind.UNKNOWN})
"""https://support.microsoft.com/office/add-an-index-to-a-list-or-library-column: multiple lines and multiple values."""

LOOKUPS = frozenset({FieldKind.LOOKUP, FieldKind.PERSON})
"""What counts towards the twelve lookup columns of one query, Created By and Modified By among them."""


def default_kind(declared: SourceType) -> FieldKind | None:
    """The list column that a type gets unless somebody chooses; None: none can keep it."""
    return default_column(declared).kind


def default_column(declared: SourceType) -> DefaultColumn:
    return next(line for line in DEFAULTS if line.applies(declared))


def carries(declared: SourceType, kind: FieldKind) -> Carries | None:
    """The ways that values of a type go with a list column of this kind; None: none, see `refusal`."""
    if kind is FieldKind.MULTICHOICE and element_family(declared) not in CHOOSABLE:
        return None
    if element_family(declared) is Family.BYTES:
        return None
    return PAIRS[family_of(declared)].get(kind)


def refusal(declared: SourceType, kind: FieldKind) -> str:
    """Why a pair is refused, as the end of a sentence."""
    if element_family(declared) is Family.BYTES:
        return REFUSALS[Family.BYTES]
    return REFUSALS.get(kind, "its values are of another shape")


def one_way_reason(declared: SourceType, kind: FieldKind, direction: Direction) -> str | None:
    """Why an allowed pair does not go in the direction asked for; None: it does."""
    match carries(declared, kind), direction:
        case Carries.PUSH, Direction.BIDIRECTIONAL | Direction.PULL_ONLY:
            return ONE_WAY_REASONS[family_of(declared)]
        case Carries.PULL, Direction.BIDIRECTIONAL | Direction.PUSH_ONLY:
            return REFUSALS[kind]
        case _:
            return None


def title_column(columns: Sequence[SourceColumn], key: Sequence[str]) -> SourceColumn | None:
    """The column for the list's Title: the first that is text of one line, else the first key column; None: no key
    column can be text."""
    lines = [column for column in columns if _fits_a_line(column.type)]
    keys = [c for name in key for c in columns if c.name == name and carries(c.type, FieldKind.TEXT) is Carries.BOTH]
    return next(iter(lines + keys), None)


def facet(mapping: FieldMapping) -> dict[str, Any]:
    """The facet of Graph's columnDefinition that makes a list column of this kind, for all kinds that need no target
    list: https://learn.microsoft.com/graph/api/resources/columndefinition. Raises KeyError for the others."""
    choices = {"allowTextEntry": False, "choices": list(mapping.choices)}
    facets: dict[FieldKind, dict[str, Any]] = {
        FieldKind.TEXT: {"text": {"allowMultipleLines": False, "maxLength": SINGLE_LINE}},
        FieldKind.NOTE: {"text": {"allowMultipleLines": True, "textType": "plain"}},
        FieldKind.NUMBER: {"number": {"decimalPlaces": _places(mapping.source.type)}},
        FieldKind.CURRENCY: {"currency": {"locale": "en-us"}},
        FieldKind.BOOLEAN: {"boolean": {}},
        FieldKind.DATETIME: {"dateTime": {"displayAs": "standard", "format": "dateTime"}},
        FieldKind.DATE: {"dateTime": {"displayAs": "standard", "format": "dateOnly"}},
        FieldKind.CHOICE: {"choice": {"displayAs": "dropDownMenu", **choices}},
        FieldKind.MULTICHOICE: {"choice": {"displayAs": "checkBoxes", **choices}},
    }
    return facets[mapping.kind]


def _places(declared: SourceType) -> str:
    """How a number is shown; what is stored is the whole double."""
    return "none" if family_of(declared) is Family.INTEGER else "automatic"
