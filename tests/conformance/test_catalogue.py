"""The catalogue itself."""

import ast
import re
from pathlib import Path

import pytest

from infra.simulator import rules
from infra.simulator.knobs import BY_NAME
from infra.simulator.probe import questions
from infra.simulator.probe.ask import QUESTIONS
from infra.simulator.rules import AREAS, RULES, Kind, Rule
from infra.simulator.rules.render import render
from tests.conformance import all_checks

IDS = [rule.id for rule in RULES]


def test_no_two_rules_share_an_id() -> None:
    assert sorted(set(IDS)) == sorted(IDS)


def test_every_rule_has_exactly_one_check() -> None:
    outside, inside = set(QUESTIONS), set(all_checks.CHECKS)

    assert questions.__all__
    assert outside & inside == set()
    assert outside | inside == set(IDS)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_says_what_holds_where_it_is_known_from_and_how_it_breaks(rule: Rule) -> None:
    assert re.fullmatch(r"[A-Z]+(?:-[A-Z0-9]+)+", rule.id)
    assert rule.area == AREAS[rule.id.split("-")[0]]
    assert len(rule.sentence) > 20
    assert rule.broken
    assert rule.broken != rule.sentence
    if rule.kind is Kind.ASSUMED:
        assert not rule.source.startswith("http"), "an assumption has a reason, not a source"
        assert len(rule.source) > 20
    else:
        assert re.fullmatch(r"https://[\w.-]+/\S+", rule.source), "a known fact has a public address"


def test_the_knobs_that_rules_name_exist() -> None:
    assert {rule.knob for rule in RULES} - {""} <= set(BY_NAME)


def test_the_written_rules_are_those_of_the_catalogue() -> None:
    written = Path(rules.__file__).parent.with_name("RULES.md").read_text(encoding="utf-8")

    assert written == render(), "run: python -m infra.simulator.rules --write"


def _imports(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module))
    return found


def test_the_checks_use_no_code_of_the_product() -> None:
    used = _imports(Path(__file__).parent) | _imports(Path(questions.__file__).parents[1])

    assert not {name for name in used if name.split(".")[0] in ("shared", "functions")}


def test_the_probe_knows_the_rules_and_nothing_else_of_the_simulator() -> None:
    used = {name for name in _imports(Path(questions.__file__).parents[1]) if name.startswith("infra")}

    assert {".".join(name.split(".")[:3]) for name in used} <= {"infra.simulator.probe", "infra.simulator.rules"}
