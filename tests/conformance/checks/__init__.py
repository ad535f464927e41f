"""The checks of rules that only the simulator can be asked about: they move its clock, its people and its budgets.

The checks of all other rules are the tenant probe's questions (`infra/simulator/probe/questions`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.world import World

Check = Callable[["World"], None]

CHECKS: dict[str, Check] = {}
"""Rule id -> its check, for every rule that cannot be asked from outside."""


def checks(rule_id: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        assert rule_id not in CHECKS, f"{rule_id} has a check already"
        CHECKS[rule_id] = check
        return check

    return register
