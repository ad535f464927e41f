"""Hard case 5: the key of a row changes, and a stream tells it. The item stays, with its id, its history and its editor."""

import pytest

from shared.core.boundaries import Boundary
from shared.usecases.steps import drive
from tests.scenarios.case import Case
from tests.scenarios.works import until

pytestmark = pytest.mark.slow


@pytest.fixture
def staffed(case: Case) -> Case:
    """Three people, agreed on."""
    for key, name in enumerate(("Ann", "Bob", "Cyd"), start=1):
        case.user_inserts(key, name=name, city="Oslo")
    case.push()
    case.pull()
    case.begins()
    return case


def test_hard_case_5_a_row_whose_key_changes_keeps_its_item_and_what_a_person_typed_meanwhile(staffed: Case):
    case, first = staffed, staffed.item("1").id
    case.person_edits("1", city="Rome")
    case.user_renames(1, 7, name="Anna")
    case.stream_tells((1, 7))
    assert case.agreed()["7"] == {"name": "Anna", "city": "Rome", "age": None}
    assert (case.item("7").id, case.item("7").shown_key) == (first, 7)
    assert sorted(item.id for item in case.items()) == [1, 2, 3]
    case.quiet()
    case.golden()


def test_hard_case_5_a_row_that_takes_the_former_key_at_once_gets_an_item_of_its_own(staffed: Case):
    case, first = staffed, staffed.item("1").id
    case.user_renames(1, 7)
    case.stream_tells((1, 7), settle=False)
    slow = case.works.settle()
    until(slow, Boundary.ROWS_READ)  # the item stands for 7, and says 1
    case.user_inserts(1, name="Dan", city="Bonn")
    case.push(patient=False)
    assert [item.id for item in case.items()] == [1, 2, 3]
    drive(slow)
    case.passes(10)
    case.push()
    assert case.agreed()["1"]["name"] == "Dan"
    assert (case.item("7").id, case.item("1").id) == (first, 4)
    case.quiet()
    case.golden()


def test_hard_case_5_without_a_stream_a_changed_key_is_a_delete_and_a_create(staffed: Case):
    case = staffed
    case.user_renames(1, 7)
    case.push()
    assert sorted(case.agreed()) == ["2", "3", "7"]
    assert case.item("7").id == 4
    case.quiet()
    case.golden()
