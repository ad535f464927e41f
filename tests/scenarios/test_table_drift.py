"""The table changes under a definition: nothing is emptied in the list, and words say what changed."""

import pytest

from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import AGE, CITY, KEY, NAME

pytestmark = pytest.mark.slow


def staff(case: Case) -> Case:
    """Two people, agreed on."""
    case.user_inserts(1, name="Ann", city="Oslo", age=41)
    case.user_inserts(2, name="Bob", city="Rome", age=52)
    case.push()
    case.pull()
    case.begins()
    return case


@pytest.fixture
def staffed(case: Case) -> Case:
    return staff(case)


@pytest.mark.parametrize("change", ["rename column city to town", "drop column city"], ids=["renamed", "dropped"])
def test_a_column_that_the_table_does_not_have_any_more_empties_nothing_in_the_list(staffed: Case, change: str):
    case = staffed
    case.owner(f"alter table public.staff {change}")
    case.person_edits("1", age=42)
    for run in (case.pull, case.push):
        assert run().status == "HELD"
        assert "introspect the table again" in case.holds()["CONFIGURATION"]
        assert "city" in case.holds()["CONFIGURATION"]
        case.release("CONFIGURATION")
    assert (case.item("1").values["city"], case.item("2").values["city"]) == ("Oslo", "Rome")
    if change.startswith("rename"):
        case.owner("alter table public.staff rename column town to city")
        case.pull()
        assert case.agreed()["1"]["age"] == 42
    case.golden()


def test_a_column_of_a_narrower_type_goes_on_and_refuses_only_what_it_cannot_hold(staffed: Case):
    case = staffed
    case.owner("alter table public.staff alter column age type smallint")
    case.user_updates(1, age=42)
    case.person_edits("2", age=53000)
    case.push()
    case.pull()
    assert case.item("1").values["age"] == 42
    assert (case.rows()["2"]["age"], case.item("2").values["age"]) == (52, 53000)
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["2"]
    assert "22003" in case.explanations()[0]
    case.person_edits("2", age=53)
    case.pull()
    assert [row["age"] for row in case.agreed().values()] == [42, 53]
    case.quiet()
    case.golden()


def test_a_value_of_a_new_type_that_the_list_cannot_keep_sets_aside_its_row_and_no_other(staffed: Case):
    case = staffed
    case.owner("alter table public.staff alter column age type text")
    case.user_updates(1, age="many")
    case.user_updates(2, age="53")
    case.push()
    assert (case.item("1").values["age"], case.item("2").values["age"]) == (41, 53)
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["1"]
    assert "age" in case.explanations()[0]
    case.user_updates(1, age="42")
    case.push()
    assert case.item("1").values["age"] == 42
    case.golden()


def test_a_column_that_became_not_null_refuses_an_emptied_item_and_keeps_the_rows_value(staffed: Case):
    case = staffed
    case.owner("alter table public.staff alter column age set not null")
    case.person_edits("1", age=None)
    case.person_edits("2", age=53)
    case.pull()
    assert [row["age"] for row in case.rows().values()] == [41, 53]
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["1"]
    assert "column age" in case.explanations()[0]
    case.person_edits("1", age=42)
    case.pull()
    assert [row["age"] for row in case.agreed().values()] == [42, 53]
    case.quiet()
    case.golden()


def test_a_new_column_of_the_table_has_no_effect_and_keeps_its_values(staffed: Case):
    case = staffed
    case.owner("alter table public.staff add column phone text not null default 'none'")
    case.sql("update public.staff set phone = '1' where id = 1")
    case.person_edits("1", city="Bonn")
    case.pull()
    case.push()
    assert case.agreed()["1"]["city"] == "Bonn"
    assert case.sql("select phone from public.staff order by id") == [("1",), ("none",)]
    case.quiet()
    case.golden()


PARTITIONED = """
create table public.staff (id integer primary key, name text, city text, age bigint) partition by range (id);
create table public.few partition of public.staff for values from (0) to (10);
"""


def test_a_new_partition_is_part_of_its_table_both_ways(new_case: Maker):
    case = staff(new_case(PARTITIONED))
    case.owner("create table public.more partition of public.staff for values from (10) to (20)")
    case.user_inserts(11, name="Eva", city="Lima", age=30)
    case.person_adds(id=12, name="Fay", city="Bonn", age=31)
    case.push()
    case.pull()
    assert set(case.agreed()) == {"1", "2", "11", "12"}
    case.person_edits("11", city="Rome")
    case.pull()
    assert case.agreed()["11"]["city"] == "Rome"
    case.quiet()
    case.golden()


def test_an_item_whose_key_no_partition_takes_is_set_aside_until_there_is_one(new_case: Maker):
    case = staff(new_case(PARTITIONED))
    case.person_adds(id=12, name="Fay", city="Bonn", age=31)
    case.person_edits("1", city="Bonn")
    case.pull()
    assert case.rows()["1"]["city"] == "Bonn"
    assert set(case.rows()) == {"1", "2"}
    assert [key for key, state, _ in case.waiting() if state == "PARKED"] == ["12"]
    case.owner("create table public.more partition of public.staff for values from (10) to (20)")
    case.passes(24 * 3600)
    case.push()
    assert set(case.agreed()) == {"1", "2", "12"}
    case.quiet()
    case.golden()


def test_a_partition_that_is_detached_deletes_no_items_without_a_person(new_case: Maker):
    case = new_case(PARTITIONED, fields=(NAME, CITY, AGE, KEY))
    case.owner("create table public.more partition of public.staff for values from (10) to (20)")
    for key in (1, 11, 12, 13, 14, 15):
        case.user_inserts(key, name=f"name {key}")
    case.push()
    case.pull()
    case.begins()
    case.owner("alter table public.staff detach partition public.more")
    assert case.push().status == "HELD"
    assert set(case.holds()) == {"FEWER_ROWS", "DELETE_GUARD"}
    assert len(case.items()) == 6
    case.owner("alter table public.staff attach partition public.more for values from (10) to (20)")
    case.release("FEWER_ROWS")
    case.push()
    assert len(case.agreed()) == 6
    case.golden()
