"""Both sides' people, the real captures and settle on real servers, and every mishap that a seed can think of; see
tests/simulation/twoway/run.py."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres import Databases
from tests.simulation.kinds import KINDS, told
from tests.simulation.stage import Stage, borrowed_stage
from tests.simulation.twoway.asking import AskingRun
from tests.simulation.twoway.leaving import LeavingRun
from tests.simulation.twoway.modes import OneWayRun
from tests.simulation.twoway.run import USED, run_two_way

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BLOCK, BLOCKS, ONE_WAY, LEAVING = 50, 5, 25, 25
KIND = KINDS["two-way"]
CORPUS = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "twoway" / "corpus.txt").read_text("utf-8").splitlines()
    if line
]
"""Seeds that have failed once."""
HAPPENED = (
    ("create after",),
    ("create late",),
    ("late", "envelope late"),
    ("lost after",),
    ("lost before", "never"),
    ("ended by the server",),
    ("fate COMMITTED",),
    ("fate ABORTED",),
    ("observations",),
    ("tokens died",),
    ("enumerations",),
    ("delta COMPLETE",),
    ("delta MORE",),
    ("Moved", "Busy"),
    ("rows insert",),
    ("rows update",),
    ("rows deleted",),
)
"""What a block without is void: one of each."""


PULLED = (69, 76, 1242, 8040)
"""Seeds of the one-way kind that found something: an item that came back made a second row, a row went that never was an
item's, a COMMIT that was late went unheard, and a row that a person kept had been edited before."""
LEFT = (50, 54, 58, 1437, 1439, 1612, 1727, 1864, 3137, 3256, 3707, 5077)
"""Seeds of the leaving kind in which items move to other keys, or that found something: an item waited for a row for which
it could not stand, what was seen of an item before a person was asked was forgotten while they thought, an item that took
the place of a row that was gone never got its key, a write that missed its row stayed on record, a row waited for ever,
without a word, for its key, and an item that a late create had made was kept from its row by the one that came back; or in
which a row was back for a moment that nobody saw."""


@pytest.fixture(scope="module")
def stage(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with borrowed_stage(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_lost_doubled_resurrected_or_echoed_whatever_people_on_both_sides_do(stage: Stage, block: int):
    outcomes = [run_two_way(stage, seed) for seed in range(block * BLOCK, (block + 1) * BLOCK)]
    assert not told(KIND, outcomes), told(KIND, outcomes)
    crashes = sum((outcome.crashes for outcome in outcomes), Counter())
    events = sum((outcome.faults + outcome.notable for outcome in outcomes), Counter())
    assert [passed for passed in USED if not crashes[passed]] == [], "no worker died there"
    assert [names for names in HAPPENED if not any(events[name] for name in names)] == [], "that never happened"
    assert sum(outcome.takeovers for outcome in outcomes) > 0, "no claim was taken over"
    assert sum(outcome.conflicts for outcome in outcomes) > 0, "nobody's value lost"


def test_where_a_person_is_asked_nothing_goes_before_a_yes_and_what_was_refused_stays(stage: Stage):
    outcomes = [run_two_way(stage, seed, of=AskingRun) for seed in (0, 1, 4, 9, 10, 13, 185, 396, 810, 870)]
    assert not told(KINDS["asking"], outcomes), told(KINDS["asking"], outcomes)
    events = sum((outcome.notable for outcome in outcomes), Counter())
    assert [name for name in ("approved", "rejected", "rows deleted") if not events[name]] == [], "that never happened"


def test_where_one_side_is_the_record_the_other_one_follows_it_and_nothing_is_ever_written_to_it(stage: Stage):
    outcomes = [run_two_way(stage, seed, of=OneWayRun) for seed in (*range(ONE_WAY - len(PULLED)), *PULLED)]
    assert not told(KINDS["one-way"], outcomes), told(KINDS["one-way"], outcomes)
    events = sum((outcome.notable for outcome in outcomes), Counter())
    wanted = (
        "mode ONE_WAY_PULL",
        "mode ONE_WAY_PUSH",
        "approved",
        "rejected",
        "kept alone",
        "made again",
        "rows deleted",
    )
    assert [name for name in wanted if not events[name]] == [], "that never happened"
    assert sum(outcome.conflicts for outcome in outcomes) > 0, "nobody's value lost"


def test_rows_that_leave_are_marked_or_get_another_key_take_their_items_along_and_come_back_whole(stage: Stage):
    outcomes = [run_two_way(stage, seed, of=LeavingRun) for seed in (*range(LEAVING - len(LEFT)), *LEFT)]
    assert not told(KINDS["leaving"], outcomes), told(KINDS["leaving"], outcomes)
    events = sum((outcome.notable for outcome in outcomes), Counter())
    wanted = ("rows left", "rows marked", "rows back", "marked DELETE", "marked INSERT", "followed", "items moved")
    assert [name for name in wanted if not events[name]] == [], "that never happened"


@pytest.mark.parametrize("seed", CORPUS)
def test_a_seed_that_failed_once_stays_sound(stage: Stage, seed: int):
    assert not run_two_way(stage, seed).problems


@pytest.mark.parametrize("seed", [12, 28])
def test_the_same_seed_has_the_same_history(stage: Stage, seed: int):
    assert run_two_way(stage, seed).hash == run_two_way(stage, seed).hash
