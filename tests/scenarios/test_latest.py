"""The later edit wins: by clocks that differ, whole seconds, and times that our own writes leave behind."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.core.definition import ConflictPolicy
from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import CITY, KEY, NAME

pytestmark = pytest.mark.slow

DDL = "create table public.staff (id integer primary key, name text, city text, changed_at timestamptz not null)"


@pytest.fixture
def staffed(new_case: Maker) -> Case:
    """One person, agreed on; of two edits of a field the later one wins."""
    case = new_case(
        DDL, fields=(NAME, CITY, KEY), conflict_policy=ConflictPolicy.LATEST_WINS, cursor_column="changed_at"
    )
    case.user_inserts(1, name="Ann", city="Oslo", changed_at=case.time())
    case.push()
    case.pull()
    case.passes(3600)
    case.begins()
    return case


def both_edit(case: Case, row_is_later_by: timedelta) -> None:
    """A person types Rome now; a user writes Bonn under a time that is so much later."""
    case.person_edits("1", city="Rome")
    case.user_updates(1, city="Bonn", changed_at=case.time() + row_is_later_by)
    case.pull()
    case.push()


@pytest.mark.parametrize(
    ("later", "winner"),
    [
        (timedelta(seconds=-1), "Rome"),
        (timedelta(milliseconds=900), "Bonn"),
        (timedelta(), "Bonn"),
        (timedelta(seconds=1), "Bonn"),
        (timedelta(minutes=5), "Bonn"),
        (timedelta(days=365), "Bonn"),
    ],
    ids=["earlier", "within-the-second", "equal", "later", "skewed", "in-the-future"],
)
def test_of_two_edits_the_later_wins_a_tie_goes_to_the_row_and_the_loser_is_logged(
    staffed: Case, later: timedelta, winner: str
):
    """Whatever the database's clock says: what lost is in the log, so a skewed clock loses nothing."""
    case = staffed
    both_edit(case, later)
    assert case.agreed()["1"]["city"] == winner
    loser, side = ("Bonn", "ITEM") if winner == "Rome" else ("Rome", "ROW")
    assert case.conflicts() == [("1", "city", f'"{loser}"', side)]
    case.quiet()
    case.golden()


@pytest.mark.parametrize("behind", [timedelta(), timedelta(minutes=5)], ids=["right", "behind"])
def test_a_time_that_our_own_write_left_at_the_item_beats_no_edit_of_the_row(staffed: Case, behind: timedelta):
    case = staffed
    case.user_updates(1, name="Anna", changed_at=case.time())
    case.passes(60)
    case.push()
    case.told("the item was modified, by us")
    case.user_updates(1, city="Bonn", changed_at=case.time() - behind - timedelta(seconds=30))
    case.push()
    case.pull()
    assert case.agreed()["1"] == {"name": "Anna", "city": "Bonn"}
    assert case.conflicts() == []
    case.quiet()
    case.golden()


def test_edits_of_two_fields_both_stay_whatever_the_clocks_say(staffed: Case):
    case = staffed
    case.person_edits("1", name="Anna")
    case.user_updates(1, city="Bonn", changed_at=case.time() - timedelta(days=30))
    case.pull()
    case.push()
    assert case.agreed()["1"] == {"name": "Anna", "city": "Bonn"}
    assert case.conflicts() == []
    case.quiet()
    case.golden()


def by_a_write_that_got_no_answer(case: Case) -> None:
    lost = ({"inner": True, "method": "PATCH", "max": 1}, {"kind": "status", "status": 504, "when": "after"})
    with case.faults(lost):
        case.push(patient=False)


def by_a_write_that_was_answered(case: Case) -> None:
    case.push()


@pytest.mark.parametrize("write", [by_a_write_that_got_no_answer, by_a_write_that_was_answered], ids=["lost", "told"])
def test_an_edit_before_our_write_to_another_field_is_compared_by_its_own_time(
    staffed: Case, write: Callable[[Case], None]
):
    """The user's edit is later than the person's, and earlier than the write that follows."""
    case = staffed
    case.person_edits("1", city="Rome")
    case.passes(60)
    case.user_updates(1, city="Bonn", name="Anna", changed_at=case.time())
    case.passes(60)
    write(case)
    case.until_doubts_are_over()
    case.push()
    case.pull()
    assert case.agreed()["1"] == {"name": "Anna", "city": "Bonn"}
    assert case.conflicts() == [("1", "city", '"Rome"', "ROW")]
    case.quiet()
    case.golden()
