"""A handful of deliberate breaks, another one every day; `make mutants` runs them all."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.fixtures.postgres import Databases
from tests.simulation.mutants import MUTANTS, caught_by_seed
from tests.simulation.stage import Stage, borrowed_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BY_SEED = [mutant for mutant in MUTANTS if mutant.directed is None]
DAY = int(os.environ.get("MUTANTS_OF_DAY", int(time.time()) // 86_400))
HANDFUL = 3


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with borrowed_stage(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


@pytest.mark.parametrize("place", range(HANDFUL))
def test_a_broken_rule_is_noticed(stage: Stage, place: int):
    mutant = BY_SEED[(DAY * HANDFUL + place) % len(BY_SEED)]
    assert caught_by_seed(stage, mutant, search=40) is not None, f"nobody noticed: {mutant.sentence}"


def test_every_mutant_has_a_seed_or_a_test_that_is_known_to_notice():
    assert [mutant.name for mutant in MUTANTS if not mutant.seeds and mutant.directed is None] == []
