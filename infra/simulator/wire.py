"""Requests and responses as the rest of the simulator sees them: no sockets, no bytes on the wire."""

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, unquote_plus

import orjson

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `target` is path and query as sent; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    inner: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """Query options by name; the last of several wins, a leading `$` is kept."""
        text = self.target.partition("?")[2]
        pairs = (part.partition("=") for part in text.split("&") if part)
        return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}

    def base(self) -> str:
        """Scheme and authority under which the caller reaches us, for absolute links in answers."""
        scheme = self.headers.get("x-forwarded-proto", "http")
        return f"{scheme}://{self.headers.get('host', 'localhost')}"

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an answer goes over the wire: whole, or spoiled by a fault. `seconds` are of the wall clock."""

    kind: str = "whole"  # whole | reset | truncate | silence | slow
    seconds: float = 0.0


WHOLE = Delivery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`content` is bytes sent as they are, None for an empty body, or anything that JSON can say."""

    status: int
    headers: Headers = ()
    content: Any = None
    content_type: str = "application/json"
    delivery: Delivery = WHOLE

    def with_headers(self, *pairs: tuple[str, str]) -> "Response":
        return replace(self, headers=self.headers + pairs)

    def encoded(self) -> bytes:
        match self.content:
            case None:
                return b""
            case bytes():
                return self.content
            case _:
                return orjson.dumps(self.content)


Answer = Response | Awaitable[Response]


def segments(path: str) -> list[str]:
    """Decoded path segments; empty ones are dropped, so `//a/` equals `/a`."""
    return [unquote(part, errors="replace") for part in path.split("/") if part]
