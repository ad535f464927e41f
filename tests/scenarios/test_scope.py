"""A filter is narrowed while a run is under way: a row that is out of scope is not a row that was deleted."""

from dataclasses import replace

import pytest

from shared.core.boundaries import Boundary
from shared.core.definition import LeftScope
from shared.usecases.steps import drive
from tests.scenarios.case import Case, Maker
from tests.scenarios.works import until

pytestmark = pytest.mark.slow


@pytest.fixture
def staffed(new_case: Maker):
    def open_case(left: LeftScope) -> Case:
        case = new_case(left_scope=left)
        for key in range(1, 7):
            case.user_inserts(key, name=f"name {key}", city="Oslo" if key > 2 else "Rome")
        case.push()
        case.pull()
        case.begins()
        return case

    return open_case


def narrow(case: Case) -> None:
    record = case.record
    draft = replace(record.draft, row_filter="city = 'Oslo'")
    case.engine.stores.definitions.save(replace(record, draft=draft), actor="test")
    case.told("a person narrows the filter to Oslo")


@pytest.mark.parametrize("left", list(LeftScope), ids=str.lower)
def test_rows_that_leave_a_narrowed_filter_are_kept_and_their_items_go_by_the_policy(staffed, left: LeftScope):
    case = staffed(left)
    case.user_updates(3, age=41)
    run, _ = case.engine.start_run(case.id, trigger="SCHEDULE", requested_by="test")
    case.engine.begin_run(case.id, run.id)
    case.engine.capture(case.id, run.id)
    narrow(case)
    number = case.number()
    case.engine.settle(case.id, run.id)
    case.engine.finish_run(case.id, run.id, held=True, error=None)
    assert case.writes_since(number) == [], "the run stops at its next step"
    assert case.push().status == "HELD"
    assert set(case.holds()) == {"SCOPE_CHANGED"}
    assert len(case.items()) == 6
    case.release("SCOPE_CHANGED")
    case.push()
    case.pull()
    assert len(case.rows()) == 6
    left_items = {item.key for item in case.items() if item.key in ("1", "2")}
    waiting = {key for key, state, _ in case.waiting() if state == "AWAITING_APPROVAL"}
    match left:
        case LeftScope.DELETE:
            assert (left_items, waiting) == (set(), set())
        case LeftScope.KEEP:
            assert (left_items, waiting) == ({"1", "2"}, set())
        case LeftScope.ASK:
            assert (left_items, waiting) == ({"1", "2"}, {"1", "2"})
    assert case.item("3").values["age"] == 41
    case.golden()


def test_a_worker_under_the_old_filter_finishes_its_page_and_nothing_is_deleted(staffed):
    case = staffed(LeftScope.DELETE)
    case.user_updates(1, age=41)
    drive(case.works.scan())
    worker = case.works.settle()
    until(worker, Boundary.ROWS_READ)
    narrow(case)
    for _ in worker:
        pass
    case.told("the worker's page is over")
    assert case.item("1").values["age"] == 41
    assert len(case.rows()) == len(case.items()) == 6
    case.golden()


def test_an_edit_of_an_item_whose_row_left_the_filter_is_logged_before_the_item_goes(staffed):
    case = staffed(LeftScope.DELETE)
    narrow(case)
    case.agree_to_scope()
    case.person_edits("1", name="typed")
    case.push()
    case.pull()
    assert len(case.rows()) == 6
    assert case.rows()["1"]["name"] == "name 1"
    assert {item.key for item in case.items()} == {"3", "4", "5", "6"}
    assert case.conflicts() == [("1", "name", '"typed"', "ROW")]
    case.golden()


def test_a_row_that_comes_back_into_the_filter_gets_an_item_again(staffed):
    case = staffed(LeftScope.DELETE)
    narrow(case)
    case.agree_to_scope()
    case.push()
    case.pull()
    assert len(case.items()) == 4
    case.user_updates(1, city="Oslo")
    case.push()
    case.pull()
    assert {item.key for item in case.items()} == {"1", "3", "4", "5", "6"}
    case.quiet()
    case.golden()
