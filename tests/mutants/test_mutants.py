"""Two deliberate breaks, others every day; `make mutants` runs them all."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.fixtures.postgres import Databases
from tests.mutants.catch import MUTANTS, caught_by_seed, caught_by_test
from tests.simulation.stage import Stage, borrowed_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BY_SEED = [mutant for mutant in MUTANTS if mutant.directed is None]
BY_TEST = [mutant for mutant in MUTANTS if mutant.directed is not None]
DAY = int(os.environ.get("MUTANTS_OF_DAY", int(time.time()) // 86_400))


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with borrowed_stage(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


def test_a_broken_rule_is_noticed(stage: Stage):
    mutant = BY_SEED[DAY % len(BY_SEED)]
    assert caught_by_seed(stage, mutant, search=40) is not None, f"nobody noticed: {mutant.sentence}"


def test_a_broken_rule_that_no_simulation_sees_is_noticed_by_its_test():
    mutant = BY_TEST[DAY % len(BY_TEST)]
    assert caught_by_test(mutant) is not None, f"nobody noticed: {mutant.sentence}"
