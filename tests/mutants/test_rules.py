"""Every rule has a mutant that takes it out, and every mutant a rule, and somebody who is known to notice."""

from collections import Counter

from tests.mutants.catch import BY_NAME, MUTANTS
from tests.mutants.rules import CATALOGUE, RULES, rendered


def test_every_rule_has_a_mutant_and_every_mutant_one_rule():
    assert [rule.id for rule in RULES if not rule.mutants] == []
    named = Counter(name for rule in RULES for name in rule.mutants)
    assert [name for name, times in named.items() if times > 1] == []
    assert set(named) == set(BY_NAME)


def test_every_mutant_has_a_name_of_its_own_and_a_seed_or_a_test_that_is_known_to_notice():
    assert len(BY_NAME) == len(MUTANTS)
    assert [mutant.name for mutant in MUTANTS if bool(mutant.seeds) is (mutant.directed is not None)] == []


def test_every_test_that_a_mutant_names_exists():
    root = CATALOGUE.parents[1]
    for mutant in MUTANTS:
        if mutant.directed is not None:
            path, test = mutant.directed.partition("[")[0].split("::")
            assert f"def {test}(" in (root / path).read_text("utf-8"), mutant.name


def test_the_catalogue_has_the_rules_as_they_are():
    text = CATALOGUE.read_text("utf-8")
    assert text.count("<!-- generated: mutants -->") == 1
    assert rendered(text) == text, "python -m tests.mutants.rules"
