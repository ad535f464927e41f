"""The list's columns change under a definition: nothing is emptied on the other side, and words say what changed."""

import pytest

from shared.core.definition import FieldKind
from shared.core.draft import DraftField
from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import AGE, KEY, NAME

pytestmark = pytest.mark.slow

DDL = """
create type public.city as enum ('Oslo', 'Rome', 'Bonn');
create table public.staff (id integer primary key, name text, city public.city, age bigint)
"""


@pytest.fixture
def staffed(new_case: Maker) -> Case:
    """Two people, agreed on; cities are chosen, ages are numbers."""
    case = new_case(DDL, fields=(NAME, DraftField(source_column_name="city"), AGE, KEY))
    case.user_inserts(1, name="Ann", city="Oslo", age=41)
    case.user_inserts(2, name="Bob", city="Rome", age=52)
    case.push()
    case.pull()
    case.begins()
    return case


def test_a_column_that_people_rename_is_still_the_same_column(staffed: Case):
    case = staffed
    case.owner_of_list("PATCH", "city", {"displayName": "Town"})
    case.person_edits("1", city="Bonn")
    case.user_updates(2, city="Oslo")
    case.pull()
    case.push()
    assert [row["city"] for row in case.agreed().values()] == ["Bonn", "Oslo"]
    case.quiet()
    case.golden()


def test_a_column_that_was_removed_empties_nothing_in_the_table(staffed: Case):
    case = staffed
    case.owner_of_list("DELETE", "city")
    case.person_edits("1", name="Anna")
    assert case.pull().status == "HELD"
    assert case.rows()["1"] == {"name": "Ann", "city": "Oslo", "age": 41}
    assert set(case.holds()) == {"CONFIGURATION"}
    assert case.column("city") in case.holds()["CONFIGURATION"]
    case.golden()


def test_a_column_that_was_made_anew_before_anybody_looked_empties_nothing_in_the_table(staffed: Case):
    """People see an empty column of the same name; an item that is edited for another reason shows no value in it."""
    case = staffed
    name = case.column("age")
    case.owner_of_list("DELETE", "age")
    case.people("POST", "/columns", {"name": name, "displayName": "Age", "number": {}})
    case.told("the list's owner makes a column of that name anew")
    case.person_edits("1", name="Anna")
    assert case.pull().status == "HELD"
    assert case.rows()["1"] == {"name": "Ann", "city": "Oslo", "age": 41}
    assert "made anew" in case.holds()["CONFIGURATION"]
    case.release("CONFIGURATION")
    assert case.pull().status == "HELD"
    case.told("a person provisions the list again")
    case.provision()
    case.release("CONFIGURATION")
    assert case.push().status == "HELD"
    case.engine.plan(case.id, actor="test")
    case.release("POLICY_CHANGED")
    case.push()
    assert [(row["name"], row["age"]) for row in case.agreed().values()] == [("Anna", 41), ("Bob", 52)]
    assert (case.conflicts(), case.holds()) == ([], {})
    case.quiet()
    case.golden()


def test_a_column_that_was_removed_holds_a_push_and_names_the_column(staffed: Case):
    case = staffed
    case.owner_of_list("DELETE", "city")
    case.user_updates(1, city="Bonn")
    assert case.push().status == "HELD"
    assert case.column("city") in case.holds()["CONFIGURATION"]
    assert case.rows()["1"]["city"] == "Bonn"
    case.golden()


@pytest.mark.parametrize("facet", ["text", "choice"])
def test_a_column_of_another_type_empties_nothing_in_the_table(staffed: Case, facet: str):
    case = staffed
    body = {"text": {}} if facet == "text" else {"choice": {"choices": ["young", "old"]}}
    case.owner_of_list("POST", "age", body, "retype")
    case.person_edits("1", name="Anna")
    assert case.pull().status == "HELD"
    assert case.rows()["1"] == {"name": "Ann", "city": "Oslo", "age": 41}
    assert case.column("age") in case.holds()["CONFIGURATION"]
    case.golden()


def test_a_column_that_became_required_sets_aside_the_row_without_a_value_and_nothing_else(staffed: Case):
    case = staffed
    case.stage.ask("PUT", "knobs", {"required_enforced": True})
    case.owner_of_list("PATCH", "age", {"required": True})
    case.user_inserts(3, name="Cyd", city="Oslo")
    case.user_inserts(4, name="Dan", city="Oslo", age=63)
    case.user_updates(1, age=None)
    case.push()
    assert case.item("4").values["age"] == 63
    assert case.rows()["1"]["age"] is None
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["1", "3"]
    case.user_updates(1, age=42)
    case.user_updates(3, age=19)
    case.push()
    case.agreed()
    case.quiet()
    case.golden()


def test_a_choice_that_was_removed_stays_in_the_rows_that_have_it(staffed: Case):
    case = staffed
    case.owner_of_list("PATCH", "city", {"choice": {"choices": ["Rome", "Bonn"]}})
    case.person_edits("1", name="Anna")
    case.user_updates(2, city="Oslo")
    case.pull()
    case.push()
    assert [row["city"] for row in case.agreed().values()] == ["Oslo", "Oslo"]
    case.quiet()
    case.golden()


def test_a_choice_that_was_removed_and_is_refused_sets_aside_its_row_and_no_other(staffed: Case):
    case = staffed
    case.stage.ask("PUT", "knobs", {"choice_outside": "refuse"})
    case.owner_of_list("PATCH", "city", {"choice": {"choices": ["Rome", "Bonn"]}})
    case.user_updates(1, city="Bonn")
    case.user_updates(2, city="Oslo")
    case.push()
    assert case.item("1").values["city"] == "Bonn"
    assert case.item("2").values["city"] == "Rome"
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["2"]
    assert case.rows()["2"]["city"] == "Oslo"
    case.golden()


def test_a_choice_that_the_table_does_not_have_sets_aside_its_row_and_names_the_column(staffed: Case):
    case = staffed
    case.owner_of_list("PATCH", "city", {"choice": {"choices": ["Oslo", "Rome", "Bonn", "Lima"]}})
    case.person_edits("1", city="Lima")
    case.person_edits("2", city="Oslo")
    case.pull()
    assert [row["city"] for row in case.rows().values()] == ["Oslo", "Oslo"]
    assert [key for key, _, _ in case.waiting()] == ["1"]
    assert "city" in case.explanations()[0]
    assert case.item("1").values["city"] == "Lima"
    case.person_edits("1", city="Rome")
    case.pull()
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


def test_a_choice_that_the_definition_does_not_have_is_left_in_the_list_until_people_choose_another(new_case: Maker):
    chosen = DraftField(source_column_name="city", kind=FieldKind.CHOICE, choices=("Oslo", "Rome"))
    case = new_case(fields=(NAME, chosen, AGE, KEY))
    case.user_inserts(1, name="Ann", city="Oslo", age=41)
    case.push()
    case.pull()
    case.begins()
    case.owner_of_list("PATCH", "city", {"choice": {"choices": ["Oslo", "Rome", "Lima"]}})
    case.person_edits("1", city="Lima", age=42)
    case.pull()
    assert case.rows()["1"] == {"name": "Ann", "city": "Oslo", "age": 41}
    assert [key for key, _, _ in case.waiting()] == ["1"]
    assert "choices" in case.explanations()[0]
    case.person_edits("1", city="Rome")
    case.pull()
    assert case.agreed()["1"] == {"name": "Ann", "city": "Rome", "age": 42}
    case.quiet()
    case.golden()
