"""Backoff, guards and life cycles."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.backoff import CALLS, DEFAULT, SCHEDULES, retry_delay, wait
from shared.core.definition import DefinitionState, GuardSettings
from shared.core.errors import ConfigurationError, InvariantViolated
from shared.core.guards import GuardKind, delete_limit, judge_deletes, judge_scan, loops
from shared.core.lifecycle import (
    DEFINITION_MOVES,
    EDITABLE,
    FINISHED,
    RUN_MOVES,
    RUNNABLE,
    check_definition_move,
    check_run_move,
)
from shared.core.runs import RunStatus

SETTINGS = GuardSettings()
schedules = st.sampled_from([*SCHEDULES.values(), DEFAULT, CALLS])
fractions = st.floats(0, 1)


@given(schedules, st.integers(0, 10**6), fractions)
def test_a_wait_is_between_half_of_its_step_and_the_longest(schedule, attempts, jitter):
    found = wait(schedule, attempts, jitter)
    if found is None:
        assert schedule.attempts is not None
        assert attempts >= schedule.attempts
    else:
        assert schedule.first / 2 <= found <= schedule.longest


@given(schedules, st.integers(0, 40), fractions)
def test_waits_never_shrink_with_the_attempts(schedule, attempts, jitter):
    one, next_one = wait(schedule, attempts, jitter), wait(schedule, attempts + 1, jitter)
    assert one is None or next_one is None or one <= next_one


def test_the_first_wait_is_the_schedule_s_and_grows_by_its_factor():
    assert retry_delay("unrepresentable", 0, 1.0) == timedelta(hours=1)
    assert retry_delay("unrepresentable", 1, 1.0) == timedelta(hours=4)
    assert retry_delay("unrepresentable", 1, 0.0) == timedelta(hours=2)
    assert retry_delay("unrepresentable", 8, 1.0) is None
    assert retry_delay("something new", 0, 1.0) == timedelta(minutes=5)


@pytest.mark.parametrize(("attempts", "jitter"), [(-1, 0.5), (0, -0.1), (0, 1.1)])
def test_nonsense_is_refused_by_the_backoff(attempts, jitter):
    with pytest.raises(ValueError, match="attempts count from 0"):
        wait(DEFAULT, attempts, jitter)


@dataclass(frozen=True)
class Counts:
    scanned: int
    ledger: int
    changed: int = 0
    gone: int = 0
    remapped: int = 0
    renamed: int = 0


def kinds(counts, settings=SETTINGS):
    return [verdict.kind for verdict in judge_scan(settings, counts)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(0, 0), []),
        (Counts(1000, 1000, changed=10, gone=0), []),
        (Counts(1_000_000, 0), []),
        (Counts(0, 1, gone=1), []),
        (Counts(0, 4, gone=2), []),
        (Counts(0, 100, gone=100), [GuardKind.EMPTY_SOURCE, GuardKind.DELETE_GUARD]),
        (Counts(499, 1000, gone=501), [GuardKind.FEWER_ROWS, GuardKind.DELETE_GUARD]),
        (Counts(500, 1000, gone=500), []),
        (Counts(9_499, 10_000, gone=501), [GuardKind.DELETE_GUARD]),
        (Counts(9_500, 10_000, gone=500), []),
        (Counts(999, 999, changed=999), []),
        (Counts(2000, 2000, changed=1801), [GuardKind.CHANGE_GUARD]),
        (Counts(2000, 2000, changed=1800), []),
    ],
)
def test_a_scan_trips_exactly_the_guards_that_its_counts_pass(counts, expected):
    assert kinds(counts) == expected


def test_only_the_delete_guard_holds_deletes_alone():
    verdicts = judge_scan(SETTINGS, Counts(0, 100, gone=100))
    assert {verdict.kind: verdict.deletes_only for verdict in verdicts} == {
        GuardKind.EMPTY_SOURCE: False,
        GuardKind.DELETE_GUARD: True,
    }
    assert verdicts[1].details == {"scanned": 0, "ledger": 100, "changed": 0, "gone": 100, "wanted": 100, "allowed": 50}
    assert "100 deletes are wanted and 50 are allowed" in verdicts[1].explanation


@given(st.integers(0, 10**7))
def test_the_delete_limit_is_the_smaller_of_share_and_number_and_lets_one_row_go(known):
    limit = delete_limit(SETTINGS, known)
    assert 1 <= limit <= 500
    assert limit == 1 or limit <= known / 2


def test_a_limit_of_no_deletes_lets_none_go():
    assert delete_limit(replace(SETTINGS, max_deletes=0), 1000) == 0
    assert delete_limit(replace(SETTINGS, max_delete_share=0.0), 1000) == 1


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_deletes_than_the_limit_never_pass_a_scan_unheld(scanned, ledger, gone):
    counts = Counts(scanned, ledger, gone=min(gone, ledger))
    assert (GuardKind.DELETE_GUARD in kinds(counts)) == (counts.gone > delete_limit(SETTINGS, ledger))


def test_deletes_over_the_allowance_are_explained_in_figures():
    assert judge_deletes(1200, 500).details == {"wanted": 1200, "allowed": 500}


def test_a_row_that_is_written_too_often_loops():
    assert [loops(writes, SETTINGS) for writes in (0, 29, 30, 31)] == [False, False, True, True]


def test_every_state_has_its_moves():
    assert set(DEFINITION_MOVES) == set(DefinitionState)
    assert set(RUN_MOVES) == set(RunStatus)
    assert set(RunStatus) - FINISHED == {RunStatus.QUEUED, RunStatus.RUNNING}
    assert set(RUNNABLE) < set(EDITABLE)
    assert DefinitionState.DELETED not in EDITABLE


@pytest.mark.parametrize("current", DefinitionState)
@pytest.mark.parametrize("wanted", DefinitionState)
def test_a_definition_moves_along_its_table_only(current, wanted):
    if wanted is current or wanted in DEFINITION_MOVES[current]:
        check_definition_move("tasks", current, wanted)
        return
    with pytest.raises(ConfigurationError, match=f"tasks is {current} and cannot become {wanted}"):
        check_definition_move("tasks", current, wanted)


@pytest.mark.parametrize("current", RunStatus)
@pytest.mark.parametrize("wanted", RunStatus)
def test_a_run_moves_along_its_table_only(current, wanted):
    if wanted is current or wanted in RUN_MOVES[current]:
        check_run_move(current, wanted)
        return
    with pytest.raises(InvariantViolated):
        check_run_move(current, wanted)


def test_a_deleted_definition_never_comes_back():
    with pytest.raises(ConfigurationError, match="nothing any more"):
        check_definition_move("tasks", DefinitionState.DELETED, DefinitionState.ACTIVE)
