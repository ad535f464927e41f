"""Rows and items that can never be written: they hold up nobody, keep their values, and go on once they are mended."""

import pytest

from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import DAY

pytestmark = pytest.mark.slow

DDL = """
create table public.cities (city text primary key);
insert into public.cities values ('Oslo'), ('Rome'), ('Bonn');
create table public.staff (
    id integer primary key, name varchar(10), city text references public.cities, age bigint check (age < 150)
)
"""


@pytest.fixture
def staffed(new_case: Maker) -> Case:
    """Six people, agreed on, in a table with rules."""
    case = new_case(DDL)
    for key in range(1, 7):
        case.user_inserts(key, name=f"name {key}", city="Oslo", age=40)
    case.push()
    case.pull()
    case.begins()
    return case


def parked(case: Case) -> list[str]:
    return [key for key, state, _ in case.waiting() if state == "PARKED"]


def test_what_the_database_refuses_for_ever_holds_up_nobody_and_keeps_what_people_typed(staffed: Case):
    case = staffed
    case.person_edits("1", name="far too long a name")
    case.person_edits("2", city="Nowhere")
    case.person_edits("3", age=200)
    case.person_edits("4", city="Rome")
    case.pull()
    assert case.rows()["4"]["city"] == "Rome"
    assert parked(case) == ["1", "2", "3"]
    case.told("days pass")
    for day in range(1, 4):
        case.passes(DAY)
        case.user_updates(5, age=40 + day)
        case.person_edits("6", age=40 + day)
        case.pull()
        case.push()
        assert (case.item("5").values["age"], case.rows()["6"]["age"]) == (40 + day, 40 + day)
        assert parked(case) == ["1", "2", "3"]
    assert case.item("1").values["name"] == "far too long a name"
    assert case.item("2").values["city"] == "Nowhere"
    assert case.item("3").values["age"] == 200
    assert [row for key, row in case.rows().items() if key in "123"] == [
        {"name": f"name {n}", "city": "Oslo", "age": 40} for n in (1, 2, 3)
    ]
    case.golden()
    case.person_edits("1", name="short")
    case.owner("insert into public.cities values ('Nowhere')")
    case.owner("alter table public.staff drop constraint staff_age_check")
    case.passes(7 * DAY)
    case.pull()
    case.push()
    case.agreed()
    case.quiet()


def test_the_words_about_a_refused_row_name_the_rule_and_no_value(staffed: Case):
    case = staffed
    case.person_edits("1", name="far too long a name")
    case.person_edits("2", city="Nowhere")
    case.person_edits("3", age=200)
    case.pull()
    length, reference, check = case.explanations()
    assert "longer" in length
    assert "staff_city_fkey" in reference
    assert "staff_age_check" in check
    assert not any(value in f"{length}{reference}{check}" for value in ("far too", "Nowhere", "200"))
    case.golden()


SWALLOW = """
create function public.swallow() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger swallow before update or delete on public.staff for each row when (old.id < 3)
execute function public.swallow()
"""


def test_what_a_trigger_swallows_without_a_word_is_set_aside_and_holds_up_nobody(staffed: Case):
    case = staffed
    case.sql(SWALLOW)
    case.told("the table's owner: a trigger that keeps rows 1 and 2 as they are")
    case.person_edits("1", age=41)
    case.person_deletes("2")
    case.person_edits("3", age=43)
    case.pull()
    assert [case.rows()[key]["age"] for key in "123"] == [40, 40, 43]
    assert parked(case) == ["1", "2"]
    assert all("trigger" in words for words in case.explanations())
    assert case.item("1").values["age"] == 41
    case.golden()
    case.owner("drop trigger swallow on public.staff")
    case.passes(2 * DAY)
    case.pull()
    assert (set(case.agreed()), case.rows()["1"]["age"]) == ({"1", "3", "4", "5", "6"}, 41)
    case.quiet()


def test_what_the_list_refuses_for_ever_holds_up_nobody(new_case: Maker):
    case = new_case()
    case.user_inserts(1, name="x" * 256, city="Oslo")
    case.user_inserts(2, name="Bob", city="\x01")
    case.user_inserts(3, name="Cyd", city="Rome")
    case.begins()
    for day in range(3):
        case.user_updates(3, age=40 + day)
        case.push()
        assert case.item("3").values["age"] == 40 + day
        assert parked(case) == ["1", "2"]
        case.passes(DAY)
    assert len(case.items()) == 1
    assert "255" in case.explanations()[0]
    case.user_updates(1, name="Ann")
    case.user_updates(2, city="Bonn")
    case.push()
    assert len(case.agreed()) == 3
    case.quiet()
    case.golden()


def test_a_row_that_others_refer_to_is_not_deleted_with_its_item_and_says_so(new_case: Maker):
    case = new_case()
    for key in (1, 2, 3, 4):
        case.user_inserts(key, name=f"name {key}")
    case.owner("create table public.desks (staff integer references public.staff)")
    case.sql("insert into public.desks values (1)")
    case.push()
    case.pull()
    case.begins()
    case.person_deletes("1")
    case.person_deletes("2")
    case.pull()
    assert set(case.rows()) == {"1", "3", "4"}
    assert parked(case) == ["1"]
    assert "desks" in case.explanations()[0]
    case.sql("delete from public.desks")
    case.passes(2 * DAY)
    case.push()
    assert not case.waiting(), case.waiting()
    assert set(case.agreed()) == {"3", "4"}
    case.quiet()
    case.golden()
