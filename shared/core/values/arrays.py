"""PostgreSQL's array literals: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO."""

import re
from collections.abc import Sequence

_BOUNDS = re.compile(r"(?:\[-?[0-9]+:-?[0-9]+\])+=", re.ASCII)
_ELEMENT = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^",{}\\]|\\.)+)', re.DOTALL)
_SPACES = " \t\n\r\v\f"
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_array(text: str) -> tuple[str | None, ...] | None:
    """The elements of a one-dimensional array, None for a null. None for the whole: nested, or no array literal."""
    bounds = _BOUNDS.match(text)
    body = text[bounds.end() :] if bounds else text
    if not (body.startswith("{") and body.endswith("}") and len(body) >= 2):
        return None
    if body == "{}":
        return ()
    elements: list[str | None] = []
    at = 1
    while True:
        found = _ELEMENT.match(body, at)
        if found is None:
            return None
        elements.append(_element(found))
        at = found.end() + 1
        match body[at - 1 : at]:
            case ",":
                continue
            case "}" if at == len(body):
                return tuple(elements)
            case _:
                return None


def _element(found: re.Match[str]) -> str | None:
    if found["bare"] is None:
        return _ESCAPE.sub(r"\1", found["quoted"])
    bare = found["bare"]
    return None if bare.upper() == "NULL" else _ESCAPE.sub(r"\1", bare.strip(_SPACES))


def print_array(elements: Sequence[str]) -> str:
    """An array literal with every element in quotes: what PostgreSQL reads, not what it prints."""
    return "{" + ",".join('"' + _quoted(element) + '"' for element in elements) + "}"


def _quoted(element: str) -> str:
    return element.replace("\\", "\\\\").replace('"', '\\"')
