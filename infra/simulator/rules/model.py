"""What a rule of the simulator is: a testable sentence about the service, its source, and how to break it.

Standard library only: the tenant probe and the conformance suite read the catalogue without starting a simulator.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How well a rule is known."""

    DOCUMENTED = "documented"
    """A public page of the vendor says so; `source` is its address."""
    REPORTED = "reported"
    """No page says so, but a public report, recording or shipping client does; `source` is its address."""
    ASSUMED = "assumed"
    """Nobody has published it: the simulator takes a default; `source` is the reason for it."""


AREAS: Final[dict[str, str]] = {
    "AUTH": "auth",
    "SITE": "site addressing",
    "LIST": "lists",
    "COL": "columns",
    "ITEM": "items",
    "ETAG": "eTag and If-Match",
    "VAL": "values",
    "FILTER": "filters, indexes, threshold",
    "PAGE": "paging",
    "DELTA": "delta",
    "BATCH": "batch",
    "RU": "throttling",
    "SUB": "subscriptions",
    "VER": "versions and recycle bin",
    "ERR": "errors",
    "HDR": "headers",
}
"""Prefix of an id -> the area it belongs to."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: testable by plain HTTP, breakable by its switch (`PUT /_sim/rules/{id}`)."""

    id: str
    area: str
    sentence: str
    source: str
    kind: Kind
    broken: str
    """What the simulator does instead while the rule's switch is broken."""
    knob: str = ""
    """The knob (`PUT /_sim/knobs`) that holds the default or chooses another reported behaviour; empty: none."""


def _area(rule_id: str) -> str:
    return AREAS[rule_id.partition("-")[0]]


def documented(rule_id: str, sentence: str, *, source: str, broken: str, knob: str = "") -> Rule:
    """Make a rule that a public page states."""
    return Rule(rule_id, _area(rule_id), sentence, source, Kind.DOCUMENTED, broken, knob)


def reported(rule_id: str, sentence: str, *, source: str, broken: str, knob: str = "") -> Rule:
    """Make a rule that a public report, recording or shipping client shows."""
    return Rule(rule_id, _area(rule_id), sentence, source, Kind.REPORTED, broken, knob)


def assumed(rule_id: str, sentence: str, *, because: str, broken: str, knob: str = "") -> Rule:
    """Make a rule that nobody has published; `because` is the reason for the default."""
    return Rule(rule_id, _area(rule_id), sentence, because, Kind.ASSUMED, broken, knob)


LEARN: Final = "https://learn.microsoft.com/en-us"
API: Final = f"{LEARN}/graph/api"
GITHUB: Final = "https://github.com"
LIMITS: Final = f"{LEARN}/office365/servicedescriptions/sharepoint-online-service-description/sharepoint-online-limits"
THROTTLING: Final = (
    f"{LEARN}/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online"
)
