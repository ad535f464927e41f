"""Tokens of the list's changes that die, are replayed, or end in the middle of a page."""

import pytest

from shared.core.boundaries import Boundary
from shared.usecases.steps import drive
from tests.scenarios.case import Case
from tests.scenarios.works import until

pytestmark = pytest.mark.slow


@pytest.fixture
def staffed(case: Case) -> Case:
    """Five people, agreed on."""
    for key in range(1, 6):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    case.begins()
    return case


@pytest.mark.parametrize("code", ["resyncChangesApplyDifferences", "resyncChangesUploadDifferences"])
def test_after_a_token_died_the_whole_list_tells_what_changed_and_what_is_gone(staffed: Case, code: str):
    case = staffed
    case.stage.ask("PUT", "knobs", {"delta_gone_code": code})
    case.user_updates(1, city="Rome")
    case.person_edits("1", name="Anna")
    case.person_edits("2", city="Bonn")
    case.user_updates(2, city="Lima")
    case.person_deletes("3")
    case.person_adds(id=6, name="Eve", city="Bern")
    case.stage.ask("POST", f"lists/{case.list_id}/expire-tokens")
    case.told(f"the token dies: {code}")
    case.pull()
    assert case.agreed() == {
        "1": {"name": "Anna", "city": "Rome", "age": None},
        "2": {"name": "name 2", "city": "Lima", "age": None},
        "4": {"name": "name 4", "city": "Oslo", "age": None},
        "5": {"name": "name 5", "city": "Oslo", "age": None},
        "6": {"name": "Eve", "city": "Bern", "age": None},
    }
    assert case.conflicts() == [("2", "city", '"Bonn"', "ROW")]
    case.quiet()
    case.golden()


def test_an_item_is_gone_only_when_the_whole_list_was_read(staffed: Case):
    case = staffed
    case.stage.ask("PUT", "knobs", {"page_size_max": 2})
    case.person_deletes("3")
    case.stage.ask("POST", f"lists/{case.list_id}/expire-tokens")
    with case.faults(({"path": "/items\\?", "nth": [2]}, {"kind": "status", "status": 503, "retry_after": 5})):
        case.pull()
    assert set(case.agreed()) == {"1", "2", "4", "5"}
    case.quiet()
    case.golden()


def test_a_token_that_is_older_than_a_tombstone_brings_nothing_back(staffed: Case):
    case = staffed
    old = case.token()
    case.person_edits("1", city="Rome")
    case.pull()
    case.user_deletes(1)
    case.push()
    case.pull()
    case.set_token(old)
    case.told("an older token is replayed")
    case.pull()
    case.push()
    assert "1" not in case.agreed()
    case.quiet()
    case.golden()


@pytest.mark.parametrize("replayed", [False, True], ids=["token-moved-on", "token-replayed"])
def test_a_page_that_was_read_before_its_row_and_item_were_deleted_brings_nothing_back(staffed: Case, replayed: bool):
    case, old = staffed, staffed.token()
    case.person_edits("1", city="Rome")
    reader = case.works.read()
    until(reader, Boundary.DELTA_READ)
    case.told("a slow reader has the edit in hand")
    case.pull()
    case.user_deletes(1)
    case.push()
    if replayed:
        case.set_token(old)
    report = drive(reader)
    assert report.state == ("COMPLETE" if replayed else "MOVED")
    case.told("the slow reader tells its page of before")
    drive(case.works.settle(report.observations))
    case.told("it is settled")
    assert "1" not in case.agreed()
    case.quiet()
    case.golden()


def test_a_reader_that_died_in_the_middle_of_its_pages_is_followed_by_one_that_begins_where_it_stopped(staffed: Case):
    case = staffed
    case.stage.ask("PUT", "knobs", {"page_size_max": 2, "page_size_default": 2})
    for key in range(1, 6):
        case.person_edits(str(key), city=f"city {key}")
    drive(case.works.read())
    until(case.works.read(), Boundary.DELTA_READ)
    case.told("a reader dies with its second page in hand")
    case.pull()
    assert [row["city"] for row in case.agreed().values()] == [f"city {key}" for key in range(1, 6)]
    case.quiet()
    case.golden()
