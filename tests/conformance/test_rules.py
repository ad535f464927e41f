"""Every rule twice: it holds, and its check is red while its switch is broken."""

import httpx
import pytest

from infra.simulator.probe.ask import Refuted
from infra.simulator.rules import RULES, Rule
from tests.conformance.all_checks import check_of
from tests.conformance.world import World

# These run in the fast tier too; the others need the slow one.
_FAST = {"ITEM-CREATE", "ETAG-IF-MATCH-FIELDS", "DELTA-CHANGES", "BATCH-MAX-20", "RU-RETRY-AFTER", "SUB-NOTICE"}
_EACH = [pytest.param(rule, id=rule.id, marks=() if rule.id in _FAST else pytest.mark.slow) for rule in RULES]

# What a check may meet when an answer has lost the shape it relies on.
_RED = (Refuted, LookupError, TypeError, ValueError, AttributeError, httpx.UnsupportedProtocol)


@pytest.mark.parametrize("rule", _EACH)
def test_the_simulator_keeps_the_rule(rule: Rule, world: World) -> None:
    check_of(rule.id)(world)


@pytest.mark.parametrize("rule", _EACH)
def test_breaking_the_rule_turns_its_check_red(rule: Rule, world: World) -> None:
    world.sim.break_rule(rule.id)

    with pytest.raises(_RED):
        check_of(rule.id)(world)
