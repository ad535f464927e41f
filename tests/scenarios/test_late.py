"""Rows that change late, all at once, or without a word from the column that is to tell, while people edit their items."""

from collections.abc import Iterator

import psycopg
import pytest

from shared.captures import watermark
from shared.core.definition import ChangeDetection
from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import CITY, DAY, KEY, NAME

pytestmark = pytest.mark.slow

DDL = """
create table public.staff (id integer primary key, name text, city text, changed_at timestamptz not null default now());
create index on public.staff (changed_at, id)
"""


@pytest.fixture
def staffed(new_case: Maker, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Twenty-five people, agreed on; the table is read by a watermark, ten rows a page."""
    monkeypatch.setattr(watermark, "PAGE", 10)
    case = new_case(
        DDL, fields=(NAME, CITY, KEY), change_detection=ChangeDetection.WATERMARK, cursor_column="changed_at"
    )
    case.sql(f'grant pg_read_all_stats to "{case.theatre.role}"')
    case.sql(
        "insert into public.staff select n, 'name ' || n, 'Oslo', now() - interval '1 day' from generate_series(1, 25) n"
    )
    case.push()
    case.pull()
    case.begins()
    return case


@pytest.fixture
def another(staffed: Case) -> Iterator[psycopg.Connection]:
    """A user whose transaction stays open."""
    with psycopg.connect(staffed.stage.addresses["source"]) as connection:
        yield connection


SAYS_BONN = "update public.staff set city = 'Bonn', changed_at = now() where id = 1"


def test_rows_that_share_one_time_are_all_found_and_so_are_those_that_were_pulled(staffed: Case):
    case = staffed
    assert len(case.agreed()) == 25
    assert case.sql("select count(distinct changed_at) from public.staff") == [(1,)]
    case.owner("update public.staff set city = 'Rome', changed_at = now()")
    for key in range(1, 13):
        case.person_edits(str(key), name="typed")
    case.push()
    case.pull()
    rows = case.agreed()
    assert {row["city"] for row in rows.values()} == {"Rome"}
    assert sum(row["name"] == "typed" for row in rows.values()) == 12
    assert case.conflicts() == []
    case.quiet()
    case.golden()


def test_a_change_that_commits_late_is_found_and_merged_with_what_people_typed(staffed: Case, another):
    case = staffed
    another.execute(SAYS_BONN)
    case.told("a user changes row 1 and does not commit")
    case.user_updates(2, city="Rome")
    case.sql("update public.staff set changed_at = clock_timestamp() where id = 2")
    case.person_edits("1", name="typed")
    case.push()
    case.pull(patient=False)
    assert case.rows()["1"] == {"name": "name 1", "city": "Oslo"}
    assert case.item("2").values["city"] == "Rome"
    another.commit()
    case.told("the user commits")
    case.passes(10)
    case.push()
    case.pull()
    assert case.agreed()["1"] == {"name": "typed", "city": "Bonn"}
    assert case.conflicts() == []
    case.quiet()
    case.golden()


def test_a_prepared_transaction_keeps_its_row_until_it_ends_and_nothing_is_passed_over(staffed: Case, another):
    case = staffed
    another.execute(SAYS_BONN)
    another.execute("prepare transaction 'late'")
    case.told("a user prepares a change of row 1")
    case.person_edits("1", name="typed")
    case.user_updates(2, city="Rome")
    case.sql("update public.staff set changed_at = clock_timestamp() where id = 2")
    case.push()
    case.pull(patient=False)
    assert case.rows()["1"] == {"name": "name 1", "city": "Oslo"}
    case.sql("commit prepared 'late'")
    case.told("it is committed")
    case.passes(10)
    case.push()
    case.pull()
    assert case.agreed()["1"] == {"name": "typed", "city": "Bonn"}
    assert case.agreed()["2"]["city"] == "Rome"
    case.quiet()
    case.golden()


@pytest.mark.parametrize(
    "time", ["changed_at", "changed_at - interval '10 years'"], ids=["not-maintained", "set-backwards"]
)
def test_a_change_that_its_column_does_not_tell_is_found_with_the_item_or_by_the_scan(staffed: Case, time: str):
    case = staffed
    assert case.untold() == []
    case.owner(f"update public.staff set city = 'Bonn', changed_at = {time} where id in (1, 2)")
    case.push()
    assert case.item("1").values["city"] == "Oslo"
    case.person_edits("1", name="typed")
    case.pull()
    assert case.item("1").values == {"name": "typed", "city": "Bonn"}
    assert case.rows()["1"] == {"name": "typed", "city": "Bonn"}
    [said] = case.untold()
    assert (
        "The cursor column public.staff.changed_at is not trustworthy: within 30 days 1 row changed without it" in said
    )
    case.passes(DAY)
    assert case.push().counts.untold == 1
    assert case.agreed()["2"]["city"] == "Bonn"
    assert case.conflicts() == []
    [said] = case.untold()
    assert "2 rows changed without it (last seen " in said
    assert "Bonn" not in said
    case.quiet()
    case.golden()


def test_rows_of_one_transaction_id_that_change_without_a_new_one_are_counted_too(new_case: Maker):
    case = new_case(
        "create table public.staff (id integer primary key, name text, city text, x xid8 not null default"
        " pg_current_xact_id()); create index on public.staff (x, id)",
        fields=(NAME, CITY, KEY),
        change_detection=ChangeDetection.WATERMARK,
        cursor_column="x",
    )
    case.sql("insert into public.staff select n, 'name ' || n, 'Oslo' from generate_series(1, 25) n")
    case.push()
    case.pull()
    case.owner("update public.staff set city = 'Bonn' where id in (1, 25)")
    case.push()
    assert case.item("1").values["city"] == "Oslo"
    case.passes(DAY)
    assert case.push().counts.untold == 2
    assert [row["city"] for row in case.agreed().values()].count("Bonn") == 2
    [said] = case.untold()
    assert "2 rows changed without it" in said
    case.quiet()


def test_what_a_scan_finds_before_the_next_watermark_and_what_the_engine_wrote_are_no_reason_for_a_warning(
    staffed: Case, another
):
    case = staffed
    another.execute(SAYS_BONN)
    case.told("a user changes row 1 and does not commit")
    case.owner("update public.staff set city = 'Rome', changed_at = now() where id = 2")
    case.push()
    another.commit()
    case.told("the user commits")
    case.owner("insert into public.staff values (26, 'new', 'Kiel')")
    case.owner("alter table public.staff alter city type varchar(80)")
    case.person_edits("3", name="typed")
    case.pull()
    case.passes(DAY)
    assert case.push().capture == "scan"
    assert {row["city"] for row in case.agreed().values()} == {"Oslo", "Rome", "Bonn", "Kiel"}
    assert case.untold() == []
    case.golden()
