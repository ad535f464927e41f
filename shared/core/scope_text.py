"""The text of row filters: parsing with positions in the errors, and the one canonical way to write a condition down.

`parse(render_text(scope)) == scope` for every condition within the limits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto

from shared.core.errors import ConfigurationError
from shared.core.scope import And, Between, Compare, IsNull, Like, Literal, Not, OneOf, Operator, Or, Scope

MAX_LENGTH = 8_000
"""Characters of a condition's text."""
MAX_DEPTH = 20
"""Parentheses and `not`s within one another."""
MAX_DIGITS = 60

KEYWORDS = frozenset({"and", "or", "not", "in", "is", "null", "between", "like", "ilike", "true", "false"})

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<text>'(?:[^']|'')*')
  | (?P<number>[+-]?[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_.]))
  | (?P<symbol><>|!=|<=|>=|[=<>(),])
    """,
    re.VERBOSE | re.ASCII,
)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


class ScopeSyntaxError(ConfigurationError):
    """The text of a row filter cannot be read. `context["position"]` counts characters from 1."""

    code = "scope_syntax"


class _Kind(Enum):
    KEYWORD = auto()
    COLUMN = auto()
    TEXT = auto()
    NUMBER = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    text: str
    """Keywords in lower case, names and texts unquoted."""
    position: int

    def described(self) -> str:
        match self.kind:
            case _Kind.END:
                return "the end"
            case _Kind.TEXT:
                return "a text"
            case _Kind.NUMBER:
                return "a number"
            case _Kind.COLUMN:
                return f"the column {self.text}"
            case _:
                return f'"{self.text}"'


def parse(text: str) -> Scope:
    """The condition that a text says. Raises ScopeSyntaxError naming the position and what was expected there."""
    if len(text) > MAX_LENGTH:
        raise ScopeSyntaxError(
            f"the row filter has {len(text)} characters and may have {MAX_LENGTH}: shorten it, or filter in a view",
            position=MAX_LENGTH + 1,
        )
    return _Parser(_tokens(text)).whole()


def _error(position: int, message: str) -> ScopeSyntaxError:
    return ScopeSyntaxError(f"the row filter cannot be read at position {position}: {message}", position=position)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _error(at + 1, _unreadable(text[at]))
        token = _token(found)
        if token is not None:
            tokens.append(token)
        at = found.end()
    tokens.append(_Token(_Kind.END, "", len(text) + 1))
    return tokens


def _unreadable(character: str) -> str:
    match character:
        case "'":
            return "this text has no closing quote"
        case '"':
            return "this name has no closing quote"
        case _ if character in "0123456789+-":
            return "a number is written as 10, -3 or 2.50"
        case _:
            return "this character means nothing here; texts stand in single quotes, odd names in double quotes"


def _token(found: re.Match[str]) -> _Token | None:
    position, text = found.start() + 1, found.group()
    match found.lastgroup:
        case "word" if text.lower() in KEYWORDS:
            return _Token(_Kind.KEYWORD, text.lower(), position)
        case "word":
            return _Token(_Kind.COLUMN, text.lower(), position)
        case "quoted":
            name = text[1:-1].replace('""', '"')
            if not name:
                raise _error(position, "a name between double quotes cannot be empty")
            return _Token(_Kind.COLUMN, _clean(name, position), position)
        case "text":
            return _Token(_Kind.TEXT, _clean(text[1:-1].replace("''", "'"), position), position)
        case "number":
            if sum(character.isdigit() for character in text) > MAX_DIGITS:
                raise _error(position, f"a number may have {MAX_DIGITS} digits")
            return _Token(_Kind.NUMBER, text, position)
        case "symbol":
            return _Token(_Kind.SYMBOL, "<>" if text == "!=" else text, position)
        case _:
            return None


def _clean(text: str, position: int) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _error(position, "PostgreSQL knows no NUL character and no lone surrogate")
    return text


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Scope:
        scope = self._any_of()
        if self._next.kind is not _Kind.END:
            raise self._expected('"and", "or" or the end')
        return scope

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _accept(self, kind: _Kind, *texts: str) -> str | None:
        token = self._next
        if token.kind is kind and token.text in texts:
            self._at += 1
            return token.text
        return None

    def _take_a(self, kind: _Kind, what: str) -> str:
        if self._next.kind is not kind:
            raise self._expected(what)
        return self._take().text

    def _require(self, kind: _Kind, text: str) -> None:
        if self._accept(kind, text) is None:
            raise self._expected(f'"{text}"')

    def _expected(self, what: str) -> ScopeSyntaxError:
        return _error(self._next.position, f"expected {what}, found {self._next.described()}")

    def _any_of(self) -> Scope:
        parts = self._parts("or", self._all_of)
        return parts[0] if len(parts) == 1 else Or(parts=tuple(parts))

    def _all_of(self) -> Scope:
        parts = self._parts("and", self._part)
        return parts[0] if len(parts) == 1 else And(parts=tuple(parts))

    def _parts(self, joint: str, part: Callable[[], Scope]) -> list[Scope]:
        parts = [part()]
        while self._accept(_Kind.KEYWORD, joint):
            parts.append(part())
        return parts

    def _part(self) -> Scope:
        if self._next.text == "not" and self._next.kind is _Kind.KEYWORD:
            self._enter()
            inner = self._part()
            self._depth -= 1
            return Not(part=inner)
        if self._next.text == "(" and self._next.kind is _Kind.SYMBOL:
            self._enter()
            inner = self._any_of()
            self._require(_Kind.SYMBOL, ")")
            self._depth -= 1
            return inner
        return self._test()

    def _enter(self) -> None:
        position = self._take().position
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _error(position, f"conditions may stand {MAX_DEPTH} deep within one another")

    def _test(self) -> Scope:
        column = self._take_a(_Kind.COLUMN, "a column")
        operator = self._accept(_Kind.SYMBOL, *Operator)
        if operator is not None:
            return Compare(column=column, operator=Operator(operator), value=self._literal())
        if self._accept(_Kind.KEYWORD, "is"):
            negated = self._accept(_Kind.KEYWORD, "not") is not None
            self._require(_Kind.KEYWORD, "null")
            return IsNull(column=column, negated=negated)
        negated = self._accept(_Kind.KEYWORD, "not") is not None
        match self._accept(_Kind.KEYWORD, "in", "between", "like", "ilike"):
            case "in":
                return OneOf(column=column, values=self._literals(), negated=negated)
            case "between":
                low = self._literal()
                self._require(_Kind.KEYWORD, "and")
                return Between(column=column, low=low, high=self._literal(), negated=negated)
            case "like" | "ilike" as word:
                pattern = self._take_a(_Kind.TEXT, "a pattern in single quotes")
                return Like(column=column, pattern=pattern, ignore_case=word == "ilike", negated=negated)
            case _ if negated:
                raise self._expected('"in", "between" or "like" after "not"')
            case _:
                raise self._expected(
                    'a comparison such as =, <>, <, "in", "between", "like" or "is null" after the column'
                )

    def _literals(self) -> tuple[Literal, ...]:
        self._require(_Kind.SYMBOL, "(")
        values = [self._literal()]
        while self._accept(_Kind.SYMBOL, ","):
            values.append(self._literal())
        self._require(_Kind.SYMBOL, ")")
        return tuple(values)

    def _literal(self) -> Literal:
        match self._next:
            case _Token(_Kind.TEXT):
                return self._take().text
            case _Token(_Kind.NUMBER, text):
                self._take()
                return Decimal(text) if "." in text else int(text)
            case _Token(_Kind.KEYWORD, "true" | "false"):
                return self._take().text == "true"
            case _Token(_Kind.KEYWORD, "null"):
                raise self._expected('a value; a missing value is tested with "is null"')
            case _:
                raise self._expected("a text in single quotes, a number, true or false")


def render_text(scope: Scope) -> str:
    """The canonical text of a condition: what is stored, shown and hashed."""
    match scope:
        case Or():
            return " or ".join(_within(part, Or) for part in scope.parts)
        case And():
            return " and ".join(_within(part, Or, And) for part in scope.parts)
        case Not():
            return f"not {_within(scope.part, Or, And)}"
        case Compare():
            return f"{_name(scope.column)} {scope.operator} {_written(scope.value)}"
        case OneOf():
            values = ", ".join(_written(value) for value in scope.values)
            return f"{_name(scope.column)} {_not(scope.negated)}in ({values})"
        case Between():
            bounds = f"{_written(scope.low)} and {_written(scope.high)}"
            return f"{_name(scope.column)} {_not(scope.negated)}between {bounds}"
        case Like():
            word = "ilike" if scope.ignore_case else "like"
            return f"{_name(scope.column)} {_not(scope.negated)}{word} {_written(scope.pattern)}"
        case IsNull():
            return f"{_name(scope.column)} is {_not(scope.negated)}null"


def _within(part: Scope, *looser: type[Or | And]) -> str:
    return f"({render_text(part)})" if isinstance(part, looser) else render_text(part)


def _not(negated: bool) -> str:
    return "not " if negated else ""


def _name(column: str) -> str:
    if _PLAIN_NAME.fullmatch(column) and column not in KEYWORDS:
        return column
    return '"' + column.replace('"', '""') + '"'


def _written(value: Literal) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
