"""One check per rule: the probe's questions, and the checks that only a simulator can be asked."""

from infra.simulator.probe import questions
from infra.simulator.probe.ask import QUESTIONS
from tests.conformance.checks import CHECKS, Check, budgets, notices, rights, time
from tests.conformance.world import World

__all__ = ["CHECKS", "budgets", "check_of", "notices", "questions", "rights", "time"]


def check_of(rule_id: str) -> Check:
    """The check of a rule, whichever side it lives on."""
    if rule_id in CHECKS:
        return CHECKS[rule_id]
    question = QUESTIONS[rule_id]

    def check(world: World) -> None:
        question(world.rig)

    return check
