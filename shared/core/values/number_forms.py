"""Spellings of numbers: plain decimals, doubles and singles."""

import math
import re
import struct
from decimal import Decimal

EXACT = 2**53
"""Every whole number up to here is a double of its own."""

_LARGEST = 1.79e308
_SMALLEST = 2.3e-308

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "+infinity": "Infinity", "-infinity": "-Infinity"}


def plain_decimal(text: str) -> str | None:
    """A decimal without sign of plus, needless zeros or exponent: "+007.50" is "7.5". None: not a decimal."""
    if text.isdigit() and text.isascii() and text[0] != "0":
        return text
    if _DECIMAL.fullmatch(text) is None:
        return None
    whole, _, fraction = text.lstrip("+-").partition(".")
    fraction = fraction.rstrip("0")
    digits = (whole.lstrip("0") or "0") + ("." + fraction if fraction else "")
    return "-" + digits if text.startswith("-") and digits != "0" else digits


def plain_integer(text: str) -> str | None:
    """A whole number without a plus or leading zeros. None: not a whole number."""
    return plain_decimal(text) if "." not in text else None


def decimal_or_special(text: str) -> str | None:
    """As numeric prints it: a plain decimal, NaN or an infinity."""
    return _NOT_FINITE.get(text.lower()) or plain_decimal(text)


def fits_numeric(spelled: str, precision: int | None, scale: int | None) -> bool:
    """Whether numeric(precision, scale) keeps a plain decimal or an infinity as it is, without rounding it."""
    if precision is None:
        return True
    if spelled in _NOT_FINITE.values():
        return False
    places = scale or 0
    whole, _, fraction = spelled.removeprefix("-").partition(".")
    if whole == "0" and not fraction:
        return True
    trailing = 0 if fraction else len(whole) - len(whole.rstrip("0"))
    leading = len(whole) if whole != "0" else len(fraction.lstrip("0")) - len(fraction)
    return len(fraction) <= max(places, 0) and trailing >= -places and leading <= precision - places


def double_text(text: str) -> str | None:
    """The shortest text of the double that a text means, or NaN or an infinity. None: not a number, or beyond a double."""
    special = _NOT_FINITE.get(text.lower())
    if special is not None:
        return special
    if _FLOAT.fullmatch(text) is None:
        return None
    value = float(text)
    return shortest(value) if math.isfinite(value) else None


def keeps_15_digits(value: float) -> bool:
    """Whether 15 significant digits of a double mean a number that gives the same 15 digits again.

    Those of a number beyond 1.79e308 may mean infinity, and a number below 2.3e-308 (a subnormal one) has fewer digits.
    """
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST


def single_text(text: str) -> str | None:
    """The same for a `real`: None where its four bytes cannot hold the number as it was written."""
    spelled = double_text(text)
    if spelled is None or spelled in _NOT_FINITE.values():
        return spelled
    return spelled if fits_single(float(spelled)) else None


def shortest(value: float) -> str:
    """The shortest text that means this double: "1", "0.1", "1e+20"."""
    return "0" if value == 0 else repr(value).removesuffix(".0")


def fits_single(value: float) -> bool:
    """Whether `real` gives this number back: its shortest text that names the nearest float4 means the same number."""
    packed = _single(value)
    if packed is None:
        return False
    nearest = struct.unpack("<f", packed)[0]
    spelled = next(
        text for text in (f"{nearest:.{digits}g}" for digits in range(1, 10)) if _single(float(text)) == packed
    )
    return Decimal(spelled) == Decimal(repr(value))


def _single(value: float) -> bytes | None:
    """The nearest float4; None beyond its range."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return None
