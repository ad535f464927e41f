"""The table changes under a definition: nothing is emptied on either side, and words say what changed."""

import pytest

from shared.core.definition import ConflictPolicy, GuardSettings
from shared.core.errors import Conflicting
from shared.usecases.columns import BY_STREAM, look_at_columns
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


WATCHED = GuardSettings(change_floor=1)
"""Rows that all change at once hold the definition, however few they are."""


@pytest.fixture
def watched(new_case: Maker) -> Case:
    return staff(new_case(guards=WATCHED))


@pytest.mark.parametrize("policy", [ConflictPolicy.SOURCE_WINS, ConflictPolicy.DESTINATION_WINS])
def test_a_renamed_column_pauses_its_field_alone_and_goes_on_from_what_was_agreed_once_it_is_back(
    new_case: Maker, policy: ConflictPolicy
):
    case = new_case(guards=WATCHED, conflict_policy=policy)
    case.user_inserts(3, name="Cyd", city="Lima", age=63)
    staff(case)
    case.owner("alter table public.staff rename column city to town")
    case.person_edits("1", city="Bonn", age=42)
    case.person_edits("3", city="Kiel")
    case.sql("update public.staff set town = 'Nice', age = age + 1 where id > 1")
    assert [case.pull().status, case.push().status] == ["COMPLETED", "COMPLETED"]
    assert "city is gone" in case.paused()["city"]
    assert any("City is paused since" in sentence for sentence in case.health())
    assert [row["age"] for row in case.agreed().values()] == [42, 53, 64]
    assert case.shown("city") == ["Bonn", "Rome", "Kiel"]
    assert case.sql("select town from public.staff order by id") == [("Oslo",), ("Nice",), ("Nice",)]
    case.owner("alter table public.staff rename column town to city")
    case.push()
    won, lost = ("Nice", "Kiel") if policy is ConflictPolicy.SOURCE_WINS else ("Kiel", "Nice")
    assert [row["city"] for row in case.agreed().values()] == ["Bonn", "Nice", won]
    assert [(key, column, value) for key, column, value, _ in case.conflicts()] == [("3", "city", f'"{lost}"')]
    assert (case.paused(), case.holds()) == ({}, {})
    case.quiet()
    case.golden()


def test_a_column_that_is_dropped_and_made_anew_empties_nothing_and_goes_on_when_a_person_says_so(watched: Case):
    case = watched
    case.owner("alter table public.staff drop column city")
    case.person_edits("1", city="Bonn", age=42)
    case.user_inserts(3, name="Cyd", age=63)
    case.pull()
    case.push()
    assert [row["age"] for row in case.agreed().values()] == [42, 52, 63]
    city = next(m.no for m in case.record.fields if m.source.name == "city")
    for change, said in (
        ("add column city integer", "city was text and is integer now"),
        ("drop column city", "is gone"),
    ):
        case.owner(f"alter table public.staff {change}")
        with pytest.raises(Conflicting, match=said):
            case.engine.resume_field(case.id, city, actor="test")
    case.owner("alter table public.staff add column city text")
    case.push()
    assert "made anew" in case.paused()["city"]
    assert case.shown("city") == ["Bonn", "Rome", None]
    case.told("a person resumes the field city")
    case.engine.resume_field(case.id, city, actor="test")
    assert case.push().status == "HELD"
    case.engine.plan(case.id, actor="test")
    case.release("POLICY_CHANGED")
    case.push()
    assert [row["city"] for row in case.agreed().values()] == ["Bonn", "Rome", None]
    assert (case.conflicts(), case.holds()) == ([], {})
    case.quiet()
    case.golden()


def test_a_column_that_is_made_anew_before_anybody_has_seen_it_go_empties_nothing(staffed: Case):
    case = staffed
    case.owner("alter table public.staff drop column city, add column city text")
    case.user_updates(1, age=42)
    case.person_edits("2", city="Pisa")
    case.pull()
    case.push()
    assert "made anew" in case.paused()["city"]
    assert case.shown("city") == ["Oslo", "Pisa"]
    assert [row["age"] for row in case.agreed().values()] == [42, 52]
    case.told("a person resumes the field city")
    case.engine.resume_field(case.id, next(m.no for m in case.record.fields if m.source.name == "city"), actor="test")
    case.push()
    case.engine.plan(case.id, actor="test")
    case.release("POLICY_CHANGED")
    case.push()
    assert [row["city"] for row in case.agreed().values()] == ["Oslo", "Pisa"]
    assert (case.paused(), case.conflicts(), case.holds()) == ({}, [], {})
    case.quiet()
    case.golden()


def test_fields_that_are_all_made_anew_stop_the_definition_and_empty_nothing_once_it_is_saved_again(staffed: Case):
    case = staffed
    names = ("name", "city", "age")
    case.owner("alter table public.staff drop column name, drop column city, drop column age")
    case.owner("alter table public.staff add column name text, add column city text, add column age bigint")
    for _ in range(2):
        assert case.push().status == "HELD"
        assert "made anew" in case.holds()["SCHEMA_DRIFT"]
        case.release("SCHEMA_DRIFT")
    case.told("a person saves the definition again")
    case.save()
    case.provision()
    assert case.push().status == "HELD"
    case.engine.plan(case.id, actor="test")
    case.release("POLICY_CHANGED")
    case.push()
    assert [[row[name] for name in names] for row in case.agreed().values()] == [
        ["Ann", "Oslo", 41],
        ["Bob", "Rome", 52],
    ]
    assert (case.paused(), case.conflicts(), case.holds()) == ({}, [], {})
    case.quiet()
    case.golden()


def test_a_field_that_goes_on_wants_the_scheduled_run_whoever_dies_over_it(staffed: Case):
    case = staffed
    case.owner("alter table public.staff rename column city to town")
    case.pull()
    assert not case.record.run_wanted
    case.sql("update public.staff set town = 'Nice' where id = 1")
    case.owner("alter table public.staff rename column town to city")
    saved = look_at_columns(
        case.record, source=case.admin, definitions=case.engine.stores.definitions, at=case.time(), seen_by=BY_STREAM
    )
    assert (saved.resumed, saved.record.run_wanted, case.paused()) == (True, True, {})
    [run] = case.engine.start_due_runs()
    case.drive(run)
    assert case.agreed()["1"]["city"] == "Nice"
    case.golden()


def test_a_column_that_goes_while_a_run_is_under_way_pauses_its_field_and_the_run_goes_on(watched: Case):
    case, engine = watched, watched.engine
    case.user_updates(1, age=42)
    run, _ = engine.start_run(case.id, trigger="SCHEDULE", requested_by="test")
    assert engine.begin_run(case.id, run.id) is not None
    case.owner("alter table public.staff drop column city")
    assert not engine.capture(case.id, run.id).held
    case.owner("alter table public.staff rename column name to title")
    settled = engine.settle(case.id, run.id)
    assert (settled.hold, settled.more) == (None, True)
    while engine.settle(case.id, run.id).more:
        pass
    engine.finish_run(case.id, run.id, held=False, error=None)
    assert set(case.paused()) == {"city", "name"}
    assert case.item("1").values == {"age": 42}
    assert (case.shown("city"), case.shown("name")) == (["Oslo", "Rome"], ["Ann", "Bob"])
    assert case.holds() == {}
    case.golden()


def test_a_column_that_is_made_anew_while_a_run_is_under_way_empties_nothing(staffed: Case):
    case, engine = staffed, staffed.engine
    case.user_updates(1, age=42)
    run, _ = engine.start_run(case.id, trigger="SCHEDULE", requested_by="test")
    assert engine.begin_run(case.id, run.id) is not None
    case.owner("alter table public.staff drop column city, add column city text")
    assert not engine.capture(case.id, run.id).held
    while engine.settle(case.id, run.id).more:
        pass
    engine.finish_run(case.id, run.id, held=False, error=None)
    assert "made anew" in case.paused()["city"]
    assert case.item("1").values == {"name": "Ann", "age": 42}
    assert case.shown("city") == ["Oslo", "Rome"]
    assert case.holds() == {}
    case.golden()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop column name, drop column city, drop column age", "name is gone"),
        ("alter column id type bigint", "id was integer and is bigint now"),
    ],
    ids=["every field", "the key"],
)
def test_a_table_without_any_field_or_with_another_key_holds_the_definition_both_ways(
    staffed: Case, change: str, said: str
):
    case = staffed
    case.owner(f"alter table public.staff {change}")
    case.person_edits("1", city="Bonn")
    for run in (case.pull, case.push):
        assert run().status == "HELD"
        assert said in case.holds()["SCHEMA_DRIFT"]
        case.release("SCHEMA_DRIFT")
    assert case.shown("city") == ["Bonn", "Rome"]
    assert case.paused() == {}
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


def test_a_column_of_another_kind_of_type_pauses_its_field_until_it_is_as_it_was(watched: Case):
    case = watched
    case.owner("alter table public.staff alter column age type text")
    case.user_updates(1, age="many", city="Bonn")
    case.person_edits("2", age=53, city="Kiel")
    case.pull()
    case.push()
    assert "age was bigint and is text now" in case.paused()["age"]
    assert [row["city"] for row in case.agreed().values()] == ["Bonn", "Kiel"]
    assert case.sql("select age from public.staff order by id") == [("many",), ("52",)]
    assert case.shown("age") == [41, 53]
    case.user_updates(1, age="42")
    case.owner("alter table public.staff alter column age type bigint using age::bigint")
    case.push()
    assert [row["age"] for row in case.agreed().values()] == [42, 53]
    assert (case.paused(), case.conflicts()) == ({}, [])
    case.quiet()
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
