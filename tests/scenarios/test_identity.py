"""Which item stands for which row: copies, keys that people edit, keys that come back."""

import pytest

from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import CITY, DAY, NAME, NUMBERED

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


def test_a_copy_of_an_item_is_set_aside_and_never_becomes_the_items_row(staffed: Case):
    case, first = staffed, staffed.item("1").id
    copy = case.person_copies("1")
    case.pull()
    case.person_edits(copy, city="Copy")
    case.person_edits("1", city="Rome")
    case.pull()
    case.passes(DAY)
    case.push()
    assert case.rows()["1"]["city"] == "Rome"
    assert len(case.rows()) == 3
    assert case.item("1").id == first
    assert case.waiting() == [(f"item {copy}", "PARKED", "second_item")]
    assert "never pushed or pulled" in case.explanations()[0]
    case.quiet(parked=1)
    case.golden()


def test_a_copy_in_a_list_whose_keys_the_database_gives_becomes_a_row_of_its_own(new_case: Maker):
    case = new_case(NUMBERED, fields=(NAME, CITY))
    first = case.person_adds(name="Ann", city="Oslo")
    case.pull()
    case.begins()
    copy = case.person_copies(first)
    case.pull()
    case.person_edits(copy, city="Rome")
    case.pull()
    assert [row["city"] for row in case.agreed().values()] == ["Oslo", "Rome"]
    assert [item.id for item in case.items()] == [first, copy]
    case.quiet()
    case.golden()


@pytest.mark.parametrize("key", [7, 2, None], ids=["nobodys", "anothers", "none"])
def test_a_key_that_a_person_edits_in_the_list_is_written_back_and_logged(staffed: Case, key: int | None):
    case = staffed
    case.person_edits("1", id=key, city="Rome")
    case.pull()
    assert case.agreed()["1"]["city"] == "Rome"
    assert case.item("1").shown_key == 1
    lost = "null" if key is None else str(key)
    assert [("1", "id", lost, "ROW")] == [row for row in case.conflicts() if row[1] == "id"]
    case.quiet()
    case.golden()


def test_a_row_that_is_deleted_and_made_anew_between_two_pushes_keeps_its_one_item(staffed: Case):
    case, first = staffed, staffed.item("1").id
    case.user_deletes(1)
    case.user_inserts(1, name="Ann", city="Rome")
    case.push()
    assert case.agreed()["1"]["city"] == "Rome"
    assert case.item("1").id == first
    case.quiet()
    case.golden()


def test_a_row_that_is_deleted_and_made_anew_around_a_push_gets_one_new_item(staffed: Case):
    case = staffed
    case.user_deletes(1)
    case.push()
    case.user_inserts(1, name="Ann", city="Rome")
    case.push()
    assert case.agreed()["1"]["city"] == "Rome"
    assert case.item("1").id == 4
    assert case.generation("1") == 2
    case.quiet()
    case.golden()


def test_an_item_that_is_deleted_and_made_anew_between_two_pulls_ends_as_the_one_item_of_its_row(staffed: Case):
    case = staffed
    case.person_deletes("1")
    case.person_adds(id=1, name="Ann", city="Rome")
    case.pull()
    case.passes(DAY)
    case.push()
    assert case.agreed()["1"]["city"] == "Rome"
    assert case.item("1").id == 4
    case.quiet()
    case.golden()
