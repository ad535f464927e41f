"""`$filter` on items: the grammar that lists understand, and the rules of indexes and the view threshold.

Sources: learn.microsoft.com/en-us/graph/api/listitem-list; msgraph-sdk-dotnet issues 703, 827; the 400 text is recorded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from infra.simulator import errors
from infra.simulator.columns import LOOKUPS, MULTI, Column
from infra.simulator.lists import SharePointList
from infra.simulator.rows import Row, indexed_value
from infra.simulator.world import World

PREFERENCES = ("honornonindexedquerieswarningmayfailrandomly", "allowthrottleablequeries")
_OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?![\w:-]))|(?P<word>[A-Za-z_@][\w./@-]*|\d{4}-[\w:.+-]+)|(?P<mark>[(),]))"
)
# Members of an item beside its fields, and the columns that hold them ("Both listItem properties and fields can be
# filtered", learn.microsoft.com/en-us/graph/api/listitem-list).
_MEMBERS = {
    "id": "ID",
    "fields/id": "ID",
    "fields/ID": "ID",
    "createdDateTime": "Created",
    "lastModifiedDateTime": "Modified",
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "ge": lambda a, b: a >= b,
    "startswith": lambda a, b: isinstance(a, str) and a.startswith(b),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison: path as written, operator, literal (str for quoted and date literals)."""

    path: str
    operator: str
    literal: Any


def parse(text: str, *, undouble: bool = True) -> tuple[list[Term], bool]:
    """Terms of a filter and whether `or` joins any of them. Raises GraphError."""
    tokens = _tokens(text, undouble=undouble)
    terms: list[Term] = []
    either = False
    position = 0
    depth = 0
    while position < len(tokens):
        while position < len(tokens) and tokens[position] == ("mark", "("):
            depth += 1
            position += 1
        term, position = _term(tokens, position)
        terms.append(term)
        while position < len(tokens) and tokens[position] == ("mark", ")") and depth:
            depth -= 1
            position += 1
        if position == len(tokens):
            break
        if tokens[position] not in (("word", "and"), ("word", "or")) or position + 1 == len(tokens):
            raise _malformed()
        either |= tokens[position][1] == "or"
        position += 1
    if depth or not terms:
        raise _malformed()
    return terms, either


def _malformed() -> errors.GraphError:
    return errors.invalid("Invalid filter clause", "invalidFilter")


def _tokens(text: str, *, undouble: bool) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(found) > 200:
            raise _malformed()
        kind = str(match.lastgroup)
        value: Any = match.group(kind)
        if kind == "text":
            value = value[1:-1].replace("''", "'") if undouble else value[1:-1]
        elif kind == "number":
            value = float(value) if "." in value else int(value)
        found.append((kind, value))
        position = match.end()
    return found


def _term(tokens: list[tuple[str, Any]], position: int) -> tuple[Term, int]:
    window = tokens[position : position + 6]
    match window:
        case [("word", "startswith"), ("mark", "("), ("word", path), ("mark", ","), ("text", prefix), ("mark", ")")]:
            return Term(path, "startswith", prefix), position + 6
        case [("word", path), ("word", operator), (kind, literal), *_] if operator in _OPERATORS and kind != "mark":
            if kind == "word":
                literal = {"true": True, "false": False, "null": None}.get(literal, literal)
            return Term(path, operator, literal), position + 3
    raise _malformed()


class Filters:
    def __init__(self, world: World) -> None:
        self._world = world

    def page(self, lst: SharePointList, text: str, *, prefer: str, after: int, limit: int, zone: tzinfo) -> list[Row]:
        """Up to `limit` matching items after id `after`, in the order of ids. Raises GraphError."""
        holds, rows = self._world.rules.holds, self._world.rows
        if not holds("FILTER-INDEXED"):
            return rows.page(lst, after, limit)
        try:
            terms, either = parse(text, undouble=holds("FILTER-QUOTES"))
        except errors.GraphError:
            if holds("FILTER-MALFORMED"):
                raise
            return rows.page(lst, after, limit)
        columns = [self._column(lst, term.path) for term in terms]
        if any(column is None for column in columns):
            if not holds("FILTER-UNKNOWN-FIELD"):
                return []
            unknown = next(term.path for term, column in zip(terms, columns, strict=True) if column is None)
            raise errors.invalid(f"Field '{unknown.removeprefix('fields/')[:200]}' is not recognized")
        known = [column for column in columns if column is not None]
        if either or len({column.name for column in known}) > 1:
            if holds("FILTER-ONE-INDEXED-FIELD") and not self._preferred(prefer):
                raise errors.invalid("Only one indexed field can be referenced in a filter.", "invalidFilter")
            return self._bounded_scan(lst, self._test(terms, known, zone), after, limit)
        column = known[0]
        tests = [(term.operator, self._literal(column, term.literal, zone)) for term in terms]
        if column.name == "ID":
            return self._scan(lst, self._test(terms, known, zone), after, limit)
        if not (column.indexed and column.slot):
            return self._unindexed(lst, column, self._test(terms, known, zone), prefer=prefer, after=after, limit=limit)
        if any(value is None for _, value in tests):
            return self._scan(lst, self._test(terms, known, zone), after, limit)
        return self._indexed(lst, column, tests, after, limit)

    def _indexed(
        self, lst: SharePointList, column: Column, tests: list[tuple[str, Any]], after: int, limit: int
    ) -> list[Row]:
        holds, rows = self._world.rules.holds, self._world.rows
        exact: list[tuple[str, Any]] = []
        for operator, value in tests:
            if operator == "startswith":
                exact += [(">=", value), ("<", f"{value}\U0010ffff")]
            else:
                exact.append(
                    (">" if operator == "ge" and not holds("FILTER-OPERATORS") else _OPERATORS[operator], value)
                )
        threshold = int(self._world.knobs["threshold"])
        if (
            self._world.knobs["indexed_over_threshold_fails"]
            and len(rows.matching(lst, column, exact, 0, threshold + 1)) > threshold
        ):
            raise self.over_threshold()
        found = rows.matching(lst, column, exact, after, limit)
        return [row for row in (rows.get(lst, item) for item in found) if row is not None]

    def _unindexed(
        self, lst: SharePointList, column: Column, test: Callable[[Row], bool], *, prefer: str, after: int, limit: int
    ) -> list[Row]:
        if not self._preferred(prefer) and self._world.rules.holds("FILTER-NOT-INDEXED"):
            raise not_indexed(column.name)
        return self._bounded_scan(lst, test, after, limit)

    def _preferred(self, prefer: str) -> bool:
        """Whether the Prefer header lets a filter go without one index; it may fail then."""
        return any(name in prefer.lower() for name in PREFERENCES) and self._world.rules.holds("FILTER-PREFER")

    def _bounded_scan(self, lst: SharePointList, test: Callable[[Row], bool], after: int, limit: int) -> list[Row]:
        above = self._world.rows.more_than(lst, int(self._world.knobs["threshold"]))
        if above and self._world.rules.holds("FILTER-THRESHOLD"):
            raise self.over_threshold()
        return self._scan(lst, test, after, limit)

    def _scan(self, lst: SharePointList, test: Callable[[Row], bool], after: int, limit: int) -> list[Row]:
        found: list[Row] = []
        while len(found) < limit:
            page = self._world.rows.page(lst, after, 1000)
            found += [row for row in page if test(row)][: limit - len(found)]
            if len(page) < 1000:
                break
            after = page[-1].id
        return found

    def _test(self, terms: list[Term], columns: list[Column], zone: tzinfo) -> Callable[[Row], bool]:
        compiled = [
            (column, _COMPARE[term.operator], self._literal(column, term.literal, zone))
            for term, column in zip(terms, columns, strict=True)
        ]

        def passes(row: Row) -> bool:
            for column, compare, literal in compiled:
                value = _stored(column, row)
                if literal is None:
                    passed = compare(value, None) if compare in (_COMPARE["eq"], _COMPARE["ne"]) else False
                elif value is None:
                    passed = False  # as in the index: no value is neither equal nor unequal
                else:
                    passed = isinstance(value, str) == isinstance(literal, str) and compare(value, literal)
                if not passed:
                    return False
            return True

        return passes

    def _column(self, lst: SharePointList, path: str) -> Column | None:
        if path in _MEMBERS:
            return lst.columns[_MEMBERS[path]]
        if not path.startswith("fields/"):
            return None
        name = path.removeprefix("fields/")
        column = lst.columns.get(name)
        if column is not None:
            return None if column.kind in LOOKUPS and not column.system else column
        if name.endswith("LookupId") and self._world.rules.holds("FILTER-LOOKUP-ID"):
            column = lst.columns.get(name[: -len("LookupId")])
            return column if column is not None and column.kind in LOOKUPS else None
        return None

    def _literal(self, column: Column, literal: Any, zone: tzinfo) -> Any:
        """The literal in the column's stored, indexed form. Raises GraphError."""
        if literal is None:
            return None
        match column.kind:
            case "boolean":
                if literal in (1, 0, "1", "0", True, False):
                    return (
                        bool(int(literal))
                        if self._world.rules.holds("FILTER-BOOLEAN")
                        else ("" if literal == 1 else False)
                    )
                raise _malformed()
            case "number" | "currency" | "counter" | "lookup" | "user" | "multilookup" | "multiuser":
                try:
                    number = float(literal)
                except (ValueError, OverflowError):
                    raise _malformed() from None
                return int(number) if number.is_integer() else number
            case "dateTime":
                try:
                    moment = datetime.fromisoformat(str(literal))
                    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
                except (ValueError, OverflowError):
                    raise _malformed() from None
            case _:
                return indexed_value(str(literal))

    def over_threshold(self) -> errors.GraphError:
        if self._world.knobs["threshold_flavour"] == "422":
            return errors.GraphError(
                422,
                "notSupported",
                "The request is unprocessable because it uses too many resources",
                inner="tooManyResources",
            )
        return errors.GraphError(
            429, "activityLimitReached", "The request has been throttled", inner="throttledRequest"
        )


def _stored(column: Column, row: Row) -> Any:
    match column.name:
        case "ID":
            return row.id
        case "Modified":
            return row.modified
        case "Created":
            return row.created
    if column.kind in MULTI:
        return None
    return indexed_value(row.values.get(column.slot)) if column.slot else None


def not_indexed(name: str) -> errors.GraphError:
    return errors.invalid(
        f"Field '{name}' cannot be referenced in filter or orderby as it is not indexed. Provide the "
        "'Prefer: HonorNonIndexedQueriesWarningMayFailRandomly' header to allow this, but be warned that such queries may "
        "fail on large lists."
    )
