"""Requests that end in every way at once, and creates whose answer comes late or never."""

import pytest

from tests.scenarios.case import Case

pytestmark = pytest.mark.slow


def test_twenty_writes_of_one_batch_that_end_in_six_ways_are_resolved_each_by_itself(case: Case):
    for key in range(1, 21):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    by_key = {item.key: item.id for item in case.items()}
    for key in range(1, 21):
        case.user_updates(key, city="Rome")
    for key in ("8", "9"):
        case.person_edits(key, name="typed")
    for key in ("10", "11"):
        case.person_deletes(key)
    case.begins()
    throttled = "|".join(str(by_key[key]) for key in ("12", "13", "14", "15", "16"))
    lost = "|".join(str(by_key[key]) for key in ("17", "18", "19"))
    cut = "|".join(str(by_key[key]) for key in ("20",))
    with case.faults(
        (
            {"inner": True, "method": "PATCH", "path": f"items/({throttled})/", "max": 5},
            {"kind": "status", "status": 429, "retry_after": 3},
        ),
        (
            {"inner": True, "method": "PATCH", "path": f"items/({lost})/", "max": 3},
            {"kind": "status", "status": 504, "when": "after"},
        ),
        (
            {"inner": True, "method": "PATCH", "path": f"items/({cut})/", "max": 1},
            {"kind": "status", "status": 500, "when": "after", "body": "empty"},
        ),
    ):
        case.push()
    case.pull()
    rows = case.agreed()
    assert {row["city"] for row in rows.values()} == {"Rome"}
    assert (rows["8"]["name"], rows["9"]["name"]) == ("typed", "typed")
    assert len(case.items()) == 20
    assert {"10", "11"} == {item.key for item in case.items() if item.id not in by_key.values()}
    assert [row for row in case.conflicts() if row[0] not in ("10", "11")] == [], "nobody's value was overwritten"
    case.until_doubts_are_over()
    case.quiet()
    case.golden()


def test_an_answer_that_is_missing_in_a_batch_is_found_out_about_alone(case: Case):
    for key in range(1, 8):
        case.user_inserts(key, name=f"name {key}")
    case.begins()
    with case.faults(({"path": "batch", "nth": [1]}, {"kind": "batch_drop"})):
        case.push()
    assert len(case.agreed()) == len(case.items()) == 7
    case.until_doubts_are_over()
    case.quiet()
    case.golden()


LOST = ({"inner": True, "method": "POST", "max": 1}, {"kind": "status", "status": 504, "when": "after"})


def test_an_edit_of_an_item_whose_create_got_no_answer_is_kept_and_there_is_one_item(case: Case):
    case.user_inserts(1, name="Ann", city="Oslo")
    case.begins()
    with case.faults(LOST):
        case.push(patient=False)
    [item] = case.items()
    case.person_edits(item.id, city="Rome")
    case.push()
    case.pull()
    assert case.agreed() == {"1": {"name": "Ann", "city": "Rome", "age": None}}
    assert not case.conflicts()
    case.until_doubts_are_over()
    case.push()
    case.quiet()
    case.golden()


def test_an_edit_of_an_item_whose_create_got_no_answer_meets_a_change_of_its_row(case: Case):
    case.user_inserts(1, name="Ann", city="Oslo")
    case.begins()
    with case.faults(LOST):
        case.push(patient=False)
    [item] = case.items()
    case.person_edits(item.id, city="Rome")
    case.user_updates(1, city="Bonn", age=41)
    case.push()
    case.pull()
    assert case.agreed() == {"1": {"name": "Ann", "city": "Bonn", "age": 41}}
    assert case.conflicts() == [("1", "city", '"Rome"', "ROW")]
    case.until_doubts_are_over()
    case.push()
    case.quiet()
    case.golden()


def test_a_create_that_lands_after_it_was_given_up_makes_one_item(case: Case):
    case.user_inserts(1, name="Ann", city="Oslo")
    case.begins()
    late = ({"inner": True, "method": "POST", "max": 1}, {"kind": "late", "seconds": 100})
    with case.faults(late):
        case.push(patient=False)
    assert case.items() == []
    case.told("the create has not landed")
    case.push()
    case.pull()
    assert len(case.items()) == 1
    assert case.agreed() == {"1": {"name": "Ann", "city": "Oslo", "age": None}}
    case.until_doubts_are_over()
    case.push()
    case.pull()
    assert len(case.items()) == 1
    case.quiet()
    case.golden()
