"""Which rules of the catalogue hold at present. A rule is broken on purpose to see that a test notices."""

from typing import Any

from infra.simulator.rules import RULES

_IDS = frozenset(rule.id for rule in RULES)


class Switchboard:
    def __init__(self) -> None:
        self._broken: set[str] = set()

    def holds(self, rule: str) -> bool:
        return rule not in self._broken

    def set(self, rule: str, *, broken: bool) -> None:
        """Raises KeyError for a rule that the catalogue lacks."""
        if rule not in _IDS:
            raise KeyError(rule)
        if broken:
            self._broken.add(rule)
        else:
            self._broken.discard(rule)

    def broken(self) -> list[str]:
        return sorted(self._broken)

    def mend_all(self) -> None:
        self._broken.clear()

    def catalogue(self) -> list[dict[str, Any]]:
        return [
            {
                "id": rule.id,
                "sentence": rule.sentence,
                "source": rule.source,
                "kind": rule.kind,
                "area": rule.area,
                "breaks_as": rule.broken,
                "broken": rule.id in self._broken,
            }
            for rule in RULES
        ]
