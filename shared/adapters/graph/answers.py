"""One HTTP answer of Graph, read without trust: status, headers, JSON, error codes, waits."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

MAX_WAIT = 3600.0
"""No wait that an answer asks for is believed beyond an hour: a header can hold anything."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_CODES = 8
_EPOCH = 1_000_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """The RateLimit headers (IETF draft 03), which SharePoint sends from 80 % of an application's minute on."""

    limit: int
    remaining: int
    reset: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`readable` False: the body was cut, too large, or no JSON. `body` None: there was none."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    body: Any = field(default=None, repr=False)
    readable: bool = True

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def codes(self) -> tuple[str, ...]:
        """Error codes from the outermost inwards; Graph's advice is to act on the innermost one that is known."""
        found: list[str] = []
        node = member(self.body, "error")
        while isinstance(node, Mapping) and len(found) < _MAX_CODES:
            code = node.get("code")
            if isinstance(code, str) and _CODE.fullmatch(code):
                found.append(code)
            node = node.get("innerError", node.get("innererror"))
        return tuple(found)

    def says(self, *codes: str) -> bool:
        wanted = {code.lower() for code in codes}
        return any(code.lower() in wanted for code in self.codes)

    @property
    def text(self) -> str:
        """The error's message, for recognising a cause. It may quote values: it never goes into a log or an error."""
        message = member(member(self.body, "error"), "message")
        return message[:2000] if isinstance(message, str) else ""

    @property
    def described(self) -> str:
        """Status and codes, safe for people: no message, no values."""
        return f"{self.status} {' / '.join(self.codes)}".rstrip()


def member(value: object, name: str) -> Any:
    """A member of a JSON object; None when there is none or `value` is something else."""
    return value.get(name) if isinstance(value, Mapping) else None


def read_json(raw: bytes) -> Any:
    """Raises ValueError for anything that is no JSON, or nested too deep."""
    try:
        return orjson.loads(raw)
    except ValueError:
        # orjson refuses half surrogate pairs, which a list's text may hold; one such value must not hide a whole page.
        try:
            return json.loads(raw, parse_constant=_no_constant)
        except RecursionError:
            raise ValueError("nested too deep") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def answer_of(status: int, headers: Mapping[str, str], raw: bytes | None) -> Answer:
    """`raw` None: the body was cut or too large."""
    names = {name.lower(): value for name, value in headers.items()}
    if raw is None:
        return Answer(status=status, headers=names, readable=False)
    if not raw.strip():
        return Answer(status=status, headers=names)
    try:
        return Answer(status=status, headers=names, body=read_json(raw))
    except ValueError:
        return Answer(status=status, headers=names, readable=False)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3: seconds or a date), at most MAX_WAIT; None: it says nothing."""
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is None and text:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(seconds, 0.0), MAX_WAIT)
    if seconds is None or seconds < 0:
        return None
    return min(seconds, MAX_WAIT)


def rate_limit(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """Reset comes as seconds, or as a time in seconds since 1970; None unless all three headers are numbers."""
    limit, remaining, reset = (
        _number(headers.get(f"ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")
    )
    if limit is None or remaining is None or reset is None or limit <= 0 or remaining < 0 or reset < 0:
        return None
    if reset >= _EPOCH:
        reset = max(reset - now.timestamp(), 0.0)
    return RateLimit(limit=int(limit), remaining=int(remaining), reset=min(reset, MAX_WAIT))


def wait_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """The larger of Retry-After and RateLimit-Reset, as SharePoint's throttling page asks; None when neither says."""
    asked = retry_after(headers, now)
    limits = rate_limit(headers, now)
    known = [
        seconds
        for seconds in (asked, limits.reset if limits and limits.remaining == 0 else None)
        if seconds is not None
    ]
    return max(known) if known else None


def _number(text: str) -> float | None:
    stripped = text.strip()
    if len(stripped) > 32 or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", stripped):
        return None
    value = float(stripped)
    return value if math.isfinite(value) else None
