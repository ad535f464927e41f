"""Items that people bring back from the recycle bin: that is a person's wish, and no echo."""

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


def test_an_item_that_is_back_before_its_deletion_was_noticed_was_never_gone(staffed: Case):
    case, item = staffed, staffed.item("1").id
    case.person_deletes("1")
    case.person_restores(item)
    before = case.rows()
    case.pull()
    assert case.agreed() == before
    case.quiet()
    case.golden()


@pytest.mark.parametrize(("days", "stage"), [(1, "first"), (92, "second")], ids=["first-stage", "second-stage"])
def test_an_item_that_is_restored_makes_its_row_anew_under_the_same_key(staffed: Case, days: int, stage: str):
    """A second-stage restoration looks the same from outside: the item is back under its old id, a few months later."""
    case, item = staffed, staffed.item("1").id
    case.person_deletes("1")
    case.pull()
    assert set(case.rows()) == {"2", "3"}
    case.passes(days * DAY)
    case.pull()
    case.person_restores(item)
    case.told(f"from the {stage} stage of the bin")
    case.pull()
    assert case.agreed()["1"] == {"name": "Ann", "city": "Oslo", "age": None}
    assert case.item("1").id == item
    case.quiet()
    case.golden()


def test_an_item_that_a_push_deleted_and_a_person_restores_brings_its_row_back(staffed: Case):
    case, item = staffed, staffed.item("1").id
    case.user_deletes(1)
    case.push()
    assert len(case.items()) == 2
    case.person_restores(item)
    case.pull()
    assert case.agreed()["1"]["name"] == "Ann"
    case.quiet()
    case.golden()


def test_an_item_that_is_restored_where_the_database_gives_the_keys_gets_its_own_key_back(new_case: Maker):
    case = new_case(NUMBERED, fields=(NAME, CITY))
    first, second = (case.person_adds(name=name, city="Oslo") for name in ("Ann", "Bob"))
    case.pull()
    case.begins()
    keys = {item.id: item.key for item in case.items()}
    case.person_deletes(first)
    case.pull()
    assert set(case.rows()) == {keys[second]}
    case.person_restores(first)
    case.pull()
    assert {item.id: item.key for item in case.items()} == keys
    case.agreed()
    case.quiet()
    case.golden()


def test_an_item_whose_row_was_made_anew_meanwhile_cannot_come_back_beside_the_new_one(staffed: Case):
    case, item = staffed, staffed.item("1").id
    case.person_deletes("1")
    case.pull()
    case.user_inserts(1, name="Ann", city="Rome")
    case.push()
    assert case.stage.tried("POST", f"people/lists/{case.list_id}/recycle-bin/{item}/restore") is None
    case.told("SharePoint refuses a restoration: the key is taken")
    case.pull()
    assert case.agreed()["1"]["city"] == "Rome"
    assert case.item("1").id == 4
    case.quiet()
    case.golden()


def test_an_item_that_is_restored_and_edited_takes_its_edit_along(staffed: Case):
    case, item = staffed, staffed.item("1").id
    case.person_deletes("1")
    case.pull()
    case.person_restores(item)
    case.person_edits(item, city="Rome")
    case.pull()
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


def test_a_row_that_came_back_before_its_items_restoration_was_noticed_is_merged_with_it(staffed: Case):
    case, item = staffed, staffed.item("1").id
    case.person_deletes("1")
    case.pull()
    case.person_restores(item)
    case.user_inserts(1, name="Ann", city="Rome", age=41)
    case.pull()
    case.push()
    assert case.agreed()["1"] == {"name": "Ann", "city": "Rome", "age": 41}
    assert case.item("1").id == item
    assert [row[1:] for row in case.conflicts()] == [("city", '"Oslo"', "ROW")]
    case.quiet()
    case.golden()
