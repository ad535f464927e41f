"""Holds: what stopped a definition until a person has looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.core.guards import Verdict
from shared.core.ids import DefinitionId, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    kind: str
    """DELETE_GUARD, CHANGE_GUARD, EMPTY_SOURCE, FEWER_ROWS, EMPTY_LIST, FEWER_ITEMS, SCOPE_CHANGED, LIST_GONE,
    ROWS_HIDDEN, PERMISSION, …"""
    explanation: str
    details: Mapping[str, int | str | float]
    deletes_only: bool = False


def request_of(verdict: Verdict) -> HoldRequest:
    """A guard's verdict as a hold."""
    return HoldRequest(
        kind=verdict.kind,
        explanation=verdict.explanation,
        details=verdict.details,
        deletes_only=verdict.deletes_only,
    )


class Holds(Protocol):
    def open(self, definition: DefinitionId, request: HoldRequest, run: RunId | None) -> UUID:
        """One open hold per definition and kind: a second request returns the first."""

    def blocking(self, definition: DefinitionId) -> Sequence[HoldRequest]:
        """Open holds that stop the whole definition."""

    def waived(self, definition: DefinitionId) -> frozenset[str]:
        """Kinds of holds that a person has released with "go on" within the last hour: their guard lets pass once."""

    def allow_deletes(self, definition: DefinitionId, wanted: int, *, limit: int) -> int:
        """How many of `wanted` deletes fit into the rolling day's allowance; they are taken from it."""
