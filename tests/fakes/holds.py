"""Holds in memory: what guards opened, what a person waived, how many deletes the day has left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from shared.core.ids import DefinitionId, RunId
from shared.ports import HoldRequest

_NAMES = UUID(int=0)


@dataclass
class FakeHolds:
    """The port Holds. The day does not end."""

    waivers: set[str] = field(default_factory=set)
    """Kinds that a person has released for every definition."""
    used: int = 0
    """Deletes that every definition has had today before a test began."""
    _open: dict[tuple[DefinitionId, str], HoldRequest] = field(default_factory=dict)
    _released: set[tuple[DefinitionId, str]] = field(default_factory=set)
    _taken: Counter[DefinitionId] = field(default_factory=Counter)

    @property
    def opened(self) -> list[HoldRequest]:
        """All that are open, the oldest first."""
        return list(self._open.values())

    def open(self, definition: DefinitionId, request: HoldRequest, run: RunId | None) -> UUID:
        self._open[definition, request.kind] = request
        return uuid5(_NAMES, f"{definition}/{request.kind}")

    def blocking(self, definition: DefinitionId) -> Sequence[HoldRequest]:
        return [hold for (of, _), hold in self._open.items() if of == definition and not hold.deletes_only]

    def waived(self, definition: DefinitionId) -> frozenset[str]:
        return frozenset({kind for of, kind in self._released if of == definition} | self.waivers)

    def allow_deletes(self, definition: DefinitionId, wanted: int, *, limit: int) -> int:
        allowed = max(0, min(wanted, limit - self.used - self._taken[definition]))
        self._taken[definition] += allowed
        return allowed

    def release(self, definition: DefinitionId, kind: str) -> None:
        """A person lets the definition go on."""
        del self._open[definition, kind]
        self._released.add((definition, kind))
