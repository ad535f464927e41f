"""The real captures and settle on real servers, under every mishap that a seed can think of; see tests/simulation/run.py."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import Databases
from tests.simulation.keys import KeyRun
from tests.simulation.kinds import KINDS, told
from tests.simulation.run import USED, run_seed
from tests.simulation.stage import Stage, borrowed_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BLOCK, BLOCKS = 25, 8
KEY_SEEDS = 6
CORPUS = [
    int(line.split()[0]) for line in (Path(__file__).parent / "corpus.txt").read_text("utf-8").splitlines() if line
]
"""Seeds that have failed once."""


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with borrowed_stage(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_lost_doubled_echoed_or_stuck_whatever_happens_in_between(stage: Stage, block: int):
    outcomes = [run_seed(stage, seed) for seed in range(block * BLOCK, (block + 1) * BLOCK)]
    assert not told(KINDS["push"], outcomes), told(KINDS["push"], outcomes)
    crashes = sum((outcome.crashes for outcome in outcomes), Counter())
    faults = sum((outcome.faults for outcome in outcomes), Counter())
    lost = faults["after"] + faults["late"] + faults["create after"] + faults["create late"]
    alone = lost + faults["before"] + faults["throttled"] + faults["mismatch"]
    assert [passed for passed in USED if not crashes[passed]] == [], "no worker died there"
    assert sum(outcome.takeovers for outcome in outcomes) > 0, "no claim was taken over"
    assert sum(outcome.conflicts for outcome in outcomes) > 0, "no person's value lost"
    assert faults["create after"] > 0, "no creation landed without an answer"
    assert faults["create late"] > 0, "no creation landed late"
    assert lost * 4 >= alone > 5, "too few faults came after the effect"


def test_keys_that_change_lose_nothing_and_double_nothing_whatever_happens_in_between(stage: Stage):
    outcomes = [run_seed(stage, seed, of=KeyRun) for seed in range(KEY_SEEDS)]
    assert not told(KINDS["keys"], outcomes), told(KINDS["keys"], outcomes)
    assert sum(outcome.notable["followed"] for outcome in outcomes) > KEY_SEEDS


@pytest.mark.parametrize("seed", CORPUS)
def test_a_seed_that_failed_once_stays_sound(stage: Stage, seed: int):
    assert not run_seed(stage, seed).problems


@pytest.mark.parametrize("seed", [12, 28, 50])
def test_the_same_seed_has_the_same_history(stage: Stage, seed: int):
    assert run_seed(stage, seed).hash == run_seed(stage, seed).hash
