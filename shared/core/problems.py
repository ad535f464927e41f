"""A finding about a definition: what is wrong where, as a sentence that says what to do next."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "ERROR"
    """The definition cannot be activated."""
    WARNING = "WARNING"
    """It can, and a person should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    code: str
    """Stable, in lower snake case; appears in API answers."""
    message: str
    where: str
    """Which part of the draft: "fields.<source column>", "key", "scope", "cursor_column", …"""
    severity: Severity = Severity.ERROR
    remedy: str | None = None
    """SQL or a setting that mends it, ready to be copied."""
