"""Two workers of one definition, and workers that wake up after their lease went to another."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from shared.core.boundaries import Boundary
from shared.core.errors import Transient
from shared.usecases.steps import drive
from tests.scenarios.case import Case
from tests.scenarios.theatre import LEASE
from tests.scenarios.works import until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture
def staffed(case: Case) -> Case:
    """Four people, agreed on; since then a person has edited the first item, and a user the second row."""
    for key in (1, 2, 3, 4):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    case.begins()
    case.person_edits("1", city="Rome")
    case.user_updates(2, city="Bonn")
    drive(case.works.read())
    drive(case.works.scan())
    case.told("both are marked")
    return case


BOUNDARIES = (
    Boundary.CLAIMED,
    Boundary.ROWS_READ,
    Boundary.ROWS_BEGUN,
    Boundary.ROWS_INTENDED,
    Boundary.ROWS_WRITTEN,
    Boundary.ROWS_COMMITTED,
    Boundary.INTENDED,
    Boundary.SENT,
)


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary.value.replace(".", "-"))
def test_a_worker_that_wakes_up_after_its_lease_writes_nothing(staffed: Case, boundary: Boundary):
    case = staffed
    slow = case.works.settle()
    until(slow, boundary)
    case.told(f"a worker stands still: {boundary}")
    case.passes(LEASE + 1)
    case.push(patient=False)
    case.pull(patient=False)
    versions, number = case.versions(), case.number()
    with suppress(Transient):  # its transaction has become too old
        drive(slow)
    case.told("it wakes up")
    assert case.writes_since(number) == []
    assert case.versions() == versions
    case.passes(LEASE + 1)
    case.push()
    case.pull()
    assert [row["city"] for row in case.agreed().values()] == ["Rome", "Bonn", "Oslo", "Oslo"]
    assert case.conflicts() == []
    case.until_doubts_are_over()
    case.quiet()
    case.golden()


def test_two_workers_side_by_side_share_the_work_and_write_everything_once(staffed: Case):
    case = staffed
    for key in (3, 4):
        case.user_updates(key, city="Lima")
    drive(case.works.scan())
    number = case.number()
    workers = [case.works.settle(page=1) for _ in range(4)]
    while workers:
        for worker in list(workers):
            if next(worker, None) is None:
                workers.remove(worker)
    case.told("four workers, step by step in turn")
    assert [row["city"] for row in case.agreed().values()] == ["Rome", "Bonn", "Lima", "Lima"]
    assert len(case.writes_since(number)) == 3
    case.quiet()
    case.golden()


def test_two_readers_of_one_token_mark_its_page_once(staffed: Case):
    case = staffed
    case.push()
    case.person_edits("3", city="Rome")
    one, other = case.works.read(), case.works.read()
    until(one, Boundary.DELTA_READ)
    until(other, Boundary.DELTA_READ)
    assert [drive(one).state, drive(other).state] == ["COMPLETE", "MOVED"]
    case.told("two readers have the same page")
    case.push()
    assert case.agreed()["3"]["city"] == "Rome"
    case.quiet()
    case.golden()


@contextmanager
def stopped(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that has stopped itself; gone at the end, whatever happens."""
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            yield process, status
        finally:
            process.kill()


@pytest.mark.parametrize("boundary", [Boundary.ROWS_INTENDED, Boundary.INTENDED], ids=["rows", "items"])
def test_a_process_that_was_stopped_past_its_lease_and_goes_on_writes_nothing(staffed: Case, boundary: Boundary):
    case = staffed
    end = {"boundary": boundary.value, "stop": True}
    command = [
        sys.executable,
        "-m",
        "tests.scenarios.both_ways_worker",
        json.dumps(case.for_a_process(["settle"], end)),
    ]
    with stopped(command) as (process, status):
        assert os.WIFSTOPPED(status)
        case.told("a process is stopped")
        case.passes(LEASE + 1)
        case.push(patient=False)
        case.pull(patient=False)
        versions, number = case.versions(), case.number()
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors[-2000:]
    case.told("it goes on")
    assert case.writes_since(number) == []
    assert case.versions() == versions
    case.passes(LEASE + 1)
    case.push()
    assert [row["city"] for row in case.agreed().values()] == ["Rome", "Bonn", "Oslo", "Oslo"]
    assert case.conflicts() == []
    case.until_doubts_are_over()
    case.quiet()
    case.golden()


def test_a_worker_that_dies_in_the_middle_of_a_page_leaves_a_page_that_the_next_one_finishes(case: Case):
    for key in range(1, 46):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.begins()
    drive(case.works.scan())
    until(case.works.settle(confirm_every=10), Boundary.SENT, 2)
    case.told("a worker dies after the second of three batches")
    assert len(case.items()) == 40
    case.passes(LEASE + 1)
    case.push()
    case.pull()
    assert len(case.agreed()) == len(case.items()) == 45
    case.until_doubts_are_over()
    case.quiet()
    case.golden()
