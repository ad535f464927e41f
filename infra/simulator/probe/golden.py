"""Golden files: what a service answered, without anything that tells whose service it was.

Scrubbing works by permission, not by suspicion: a string from the service is kept only if the probe sent it itself, or
if it stands in an answer about the probe's own lists under a key that is not personal. Whatever is kept then loses
every guid, host, address, token and every text that a document of the tenant showed.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx

from .ask import GUID

_PERSONAL: Final = frozenset(
    {"createdBy", "lastModifiedBy", "Who", "Whos", "Author", "Editor", "AppAuthor", "AppEditor"}
)
_TIMES: Final = frozenset(
    {"createdDateTime", "lastModifiedDateTime", "Created", "Modified", "date", "expires_in", "ext_expires_in"}
)
_COMMON: Final = frozenset(
    {"ContentType", "ContentTypeDisp", "Created", "Modified", "createdDateTime", "lastModifiedDateTime"}
)
_SECRET: Final = frozenset({"access_token", "refresh_token", "error_description", "trace_id", "correlation_id"})
_HEADERS: Final = (
    "Content-Type",
    "OData-Version",
    "ETag",
    "Cache-Control",
    "Retry-After",
    "Location",
    "WWW-Authenticate",
)
_PRESENT: Final = ("request-id", "client-request-id", "x-ms-ags-diagnostic", "Date", "Strict-Transport-Security")
_SHOWN: Final = 6
"""How many elements of a list are kept."""
_LONG: Final = 300
"""A longer text is kept as its length only."""
_GUID: Final = re.compile(GUID)
_TOKEN: Final = re.compile(r"((?:skip)?token(?:=|%3D))[^&\s\"']+", re.IGNORECASE)
_SEARCH: Final = re.compile(r"((?:search)=)[^&]+")
_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_URL: Final = re.compile(r"https?://[^/\s\"']+")
_WHOLE: Final = re.compile(r"eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|[A-Za-z0-9+_=-]{60,}")

Json = dict[str, Any]


def leaves(value: Any) -> Iterator[str]:
    """Give every string inside a JSON value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, str):
        yield value


class Scrubber:
    """Turns exchanges into records without tenant data. One per run, so that a guid has one name in all files."""

    def __init__(self, *, own_prefix: str) -> None:
        """`own_prefix` begins the titles of the probe's lists."""
        self._own_prefix = own_prefix
        self._guids: dict[str, str] = {}
        self._tenant_texts: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._sent: set[str] = set()
        self._own_lists: set[str] = set()

    def tenant_text(self, *texts: str) -> None:
        """Name texts that must not show: hosts, ids, names."""
        self._tenant_texts |= {text for text in texts if len(text) > 2}
        self._pattern = None

    def tenant_document(self, value: Json) -> None:
        """Name every text of a document that is not the probe's (the site, a person), but for what any tenant has."""
        members = {name: one for name, one in value.items() if name not in _COMMON and not name.startswith(("_", "@"))}
        self.tenant_text(*(text for text in leaves(members) if not text.replace(".", "").isdecimal()))

    def record(self, answer: httpx.Response) -> Json:
        """Give what is kept of one exchange."""
        request = answer.request
        sent = self._json(request.content if "json" in request.headers.get("Content-Type", "") else b"")
        self._sent |= set(leaves(sent))
        body = self._json(answer.content)
        self._learn(body)
        ours = any(one in unquote(str(request.url)).lower() for one in self._own_lists) or "$batch" in request.url.path
        headers = {name: self.text(answer.headers[name]) for name in _HEADERS if name in answer.headers}
        headers |= {name: "(present)" for name in _PRESENT if name in answer.headers}
        return {
            "request": f"{request.method} {self._path(request.url)}",
            "sent": self._value(sent, "", ours=True),
            "status": answer.status_code,
            "headers": headers,
            "body": self._value(body, "", ours=ours),
        }

    @staticmethod
    def _json(content: bytes) -> Any:
        try:
            return json.loads(content) if content else None
        except ValueError:
            return "(not JSON)"

    def _learn(self, body: Any) -> None:
        """Remember the ids of the probe's own lists."""
        if isinstance(body, dict) and str(body.get("displayName", "")).startswith(self._own_prefix) and "list" in body:
            self._own_lists.add(str(body["id"]).lower())

    def _path(self, url: httpx.URL) -> str:
        raw = str(url)
        parts = urlsplit(raw)
        shown = parts.path + ("?" + parts.query if parts.query else "")
        if "/oauth2/" in shown or "/.well-known/" in shown:
            return "/{tenant}" + shown[shown.index("/", 1) :]
        return self.text(_SEARCH.sub(r"\1(text)", unquote(shown)))

    def _value(self, value: Any, key: str, *, ours: bool) -> Any:
        if key in _SECRET:
            return "(secret)"
        if key in _TIMES and value is not None:
            return "(time)"
        if isinstance(value, dict):
            inside = ours and key not in _PERSONAL
            return {name: self._value(one, name, ours=inside or name == "error") for name, one in value.items()}
        if isinstance(value, list):
            shown = [self._value(one, key, ours=ours) for one in value[:_SHOWN]]
            return shown if len(value) <= _SHOWN else [*shown, f"(and {len(value) - _SHOWN} more)"]
        if key.endswith("LookupId") and not key.startswith("Ref") and key != "LookupId":
            return "(id)"
        if not isinstance(value, str):
            return value
        if len(value) > _LONG:
            return f"({len(value)} characters)"
        if key == "@odata.context" or key.endswith(("Link", "@odata.type")):
            return self.text(value)
        if value in self._sent:
            return self.text(value, own=True)
        return self.text(value) if ours else "(text)"

    def _guidless(self, text: str) -> str:
        return _GUID.sub(lambda found: self._guids.setdefault(found[0].lower(), f"guid-{len(self._guids) + 1}"), text)

    def text(self, text: str, *, own: bool = False) -> str:
        """Give a text without guids, hosts, addresses, tokens and texts of the tenant; `own` texts may be long."""
        text = _TOKEN.sub(r"\1(token)", unquote(text) if "%2C" in text else text)
        if not own:
            text = _WHOLE.sub("(token)", text)
        text = _MAIL.sub("(mail)", self._guidless(text))
        text = _URL.sub("https://host", text)
        return self._known().sub("(tenant)", text)

    def _known(self) -> re.Pattern[str]:
        """Any text of the tenant as a whole word; the longest first, or a short one would hide in it."""
        if self._pattern is None:
            longest_first = sorted(self._tenant_texts, key=len, reverse=True)
            words = "|".join(re.escape(one) for one in longest_first) or r"(?!)"
            self._pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
        return self._pattern
