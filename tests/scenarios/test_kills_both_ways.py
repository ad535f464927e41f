"""A worker process that writes rows is killed at each durable step; a second worker has to finish what it left."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.core.boundaries import Boundary
from tests.scenarios.case import Case
from tests.scenarios.theatre import LEASE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Left:
    """What a dead worker left behind about one row."""

    state: str | None
    intents: tuple[str, ...]
    city: str | None
    """Of the row; None: there is no row."""
    marked: bool


@dataclass(frozen=True, slots=True)
class Point:
    """`before`: brings the case to where the fatal work begins, and tells whose row it is about."""

    id: str
    before: Callable[[Case], str]
    end: dict[str, Any]
    left: Left
    work: tuple[str, ...] = ("read", "settle")


def edited(case: Case) -> str:
    case.person_edits("1", city="Rome")
    return "1"


def removed(case: Case) -> str:
    case.person_deletes("1")
    return "1"


def added(case: Case) -> str:
    case.person_adds(id=9, name="Ida", city="Rome")
    return "9"


def unknown_token(case: Case) -> str:
    edited(case)
    case.stage.ask("POST", f"lists/{case.list_id}/expire-tokens")
    return "1"


def at(boundary: Boundary, nth: int = 1) -> dict[str, Any]:
    return {"boundary": boundary.value, "nth": nth}


SENT = {"commit": True}
OLD, DUE = Left("SETTLED", (), "Oslo", marked=False), Left("SETTLED", (), "Oslo", marked=True)
UPDATING = Left("SETTLED", ("UPDATE_ROW",), "Oslo", marked=True)
UPDATED = Left("SETTLED", ("UPDATE_ROW",), "Rome", marked=True)
DELETING = Left("SETTLED", ("DELETE_ROW",), "Oslo", marked=True)
DELETED = Left("SETTLED", ("DELETE_ROW",), None, marked=True)
BOUND = Left("BOUND", (), None, marked=True)
INSERTING = Left("BOUND", ("INSERT_ROW",), None, marked=True)
INSERTED = Left("BOUND", ("INSERT_ROW",), "Rome", marked=True)
KEYED = Left("SETTLED", ("INSERT_ROW", "PATCH_ITEM"), "Rome", marked=True)
NEW = ("read", "settle", "settle")
POINTS = (
    Point("delta-read", edited, at(Boundary.DELTA_READ), OLD),
    Point("delta-marked", edited, at(Boundary.DELTA_MARKED), DUE),
    Point("list-loaded", unknown_token, at(Boundary.LIST_LOADED), OLD, ("enumerate",)),
    Point("list-compared", unknown_token, at(Boundary.LIST_COMPARED), OLD, ("enumerate",)),
    Point("list-marked", unknown_token, at(Boundary.LIST_MARKED), DUE, ("enumerate",)),
    Point("row-update-begun", edited, at(Boundary.ROWS_BEGUN), DUE),
    Point("row-update-intended", edited, at(Boundary.ROWS_INTENDED), UPDATING),
    Point("row-update-written", edited, at(Boundary.ROWS_WRITTEN), UPDATING),
    Point("row-update-commit-sent", edited, SENT, UPDATED),
    Point("row-update-committed", edited, at(Boundary.ROWS_COMMITTED), UPDATED),
    Point("row-update-confirmed", edited, at(Boundary.CONFIRMED), Left("SETTLED", (), "Rome", marked=False)),
    Point("row-delete-intended", removed, at(Boundary.ROWS_INTENDED), DELETING),
    Point("row-delete-written", removed, at(Boundary.ROWS_WRITTEN), DELETING),
    Point("row-delete-commit-sent", removed, SENT, DELETED),
    Point("row-delete-committed", removed, at(Boundary.ROWS_COMMITTED), DELETED),
    Point("row-delete-confirmed", removed, at(Boundary.CONFIRMED), Left("TOMBSTONE", (), None, marked=False)),
    Point("item-bound", added, at(Boundary.CONFIRMED), BOUND, NEW),
    Point("row-insert-intended", added, at(Boundary.ROWS_INTENDED), INSERTING, NEW),
    Point("row-insert-written", added, at(Boundary.ROWS_WRITTEN), INSERTING, NEW),
    Point("row-insert-commit-sent", added, SENT, INSERTED, NEW),
    Point("row-insert-committed", added, at(Boundary.ROWS_COMMITTED), INSERTED, NEW),
    Point("key-intended", added, at(Boundary.INTENDED), KEYED, NEW),
    Point("key-accepted", added, {"answer": "PATCH"}, KEYED, NEW),
    Point("key-answered", added, at(Boundary.SENT), KEYED, NEW),
    Point("row-insert-confirmed", added, at(Boundary.CONFIRMED, 2), Left("SETTLED", (), "Rome", marked=False), NEW),
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.id)
def test_a_second_worker_finishes_what_one_that_wrote_rows_left(case: Case, point: Point):
    for key in (1, 2, 3, 4):  # two may be deleted in a day: a delete that is tried again counts twice
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    key = point.before(case)
    kill(case, point.work, point.end)
    case.settled_by_the_server()
    assert left_behind(case, key) == point.left
    case.passes(LEASE + 1)
    case.pull()
    case.push()
    case.until_doubts_are_over()
    case.pull()
    case.push()
    rows = case.agreed()
    assert rows.get(key, {}).get("city") == (None if point.before is removed else "Rome")
    assert len(rows) == {removed: 3, added: 5}.get(point.before, 4)
    assert case.conflicts() == []
    assert case.undecided() == 0
    case.quiet()


def kill(case: Case, work: tuple[str, ...], end: dict[str, Any]) -> None:
    """Runs a worker process until it kills itself."""
    command = [sys.executable, "-m", "tests.scenarios.both_ways_worker", json.dumps(case.for_a_process(work, end))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stderr[-2000:]}"


def left_behind(case: Case, key: str) -> Left:
    entry = case.entry(key)
    row = case.rows().get(key)
    return Left(
        state=entry.state.value if entry else None,
        intents=tuple(intent.kind.value for intent in entry.intents) if entry else (),
        city=row["city"] if row else None,
        marked=key in [who for who, _, _ in case.waiting()],
    )
