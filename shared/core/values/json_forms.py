"""Spellings of JSON: `json` keeps its text, `jsonb` is printed anew by PostgreSQL in one form."""

import json
import re
from collections.abc import Iterable

from shared.core.values.number_forms import plain_decimal

_NOT_IN_JSONB = re.compile("[\x00\ud800-\udfff]")
_EXPONENT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]*))?[eE]([+-]?[0-9]{1,3})", re.ASCII)


class _Number(str):
    """A number's own digits: jsonb keeps them as numeric does, so 1.50 stays 1.50."""

    __slots__ = ()


def json_text(text: str) -> str | None:
    """The text itself when it is JSON, else None."""
    return text if _parsed(text) is not _NOTHING else None


def jsonb_text(text: str) -> str | None:
    """As `jsonb` prints it: keys ordered by length, then bytes, the last of equal keys, a blank after ":" and ","."""
    value = _parsed(text)
    try:
        return None if value is _NOTHING else "".join(_printed(value))
    except (ValueError, RecursionError):
        return None


_NOTHING = object()


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _NOTHING


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _printed(value: object) -> Iterable[str]:
    match value:
        case _Number():
            yield _number(value)
        case dict():
            yield "{"
            for at, key in enumerate(sorted(value, key=_order)):
                yield f"{', ' if at else ''}{_string(key)}: "
                yield from _printed(value[key])
            yield "}"
        case list():
            yield "["
            for at, part in enumerate(value):
                yield ", " if at else ""
                yield from _printed(part)
            yield "]"
        case str():
            yield _string(value)
        case _:
            yield json.dumps(value)


def _order(key: str) -> tuple[int, bytes]:
    encoded = key.encode("utf-8", "surrogatepass")
    return len(encoded), encoded


def _string(text: str) -> str:
    if _NOT_IN_JSONB.search(text):
        raise ValueError("jsonb has neither NUL nor lone surrogates")
    return json.dumps(text, ensure_ascii=False)


def _number(digits: str) -> str:
    """Numeric's text of a JSON number: no exponent, digits after the point as they were written."""
    found = _EXPONENT.fullmatch(digits)
    if found is None:
        return digits if plain_decimal(digits) != "0" else digits.removeprefix("-")
    sign, whole, fraction, exponent = found.groups()
    fraction = fraction or ""
    shift = int(exponent)
    if shift >= 0:
        whole, fraction = whole + fraction[:shift].ljust(shift, "0"), fraction[shift:]
    else:
        padded = whole.rjust(1 - shift, "0")
        whole, fraction = padded[:shift], padded[shift:] + fraction
    plain = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return plain if plain_decimal(plain) == "0" else sign + plain
