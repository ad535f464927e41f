"""Values that one side cannot hold, or spells in its own way: decided once, visibly, and no ping-pong."""

import unicodedata

import pytest

from shared.core.definition import FieldKind
from shared.core.draft import DraftField
from tests.scenarios.case import Case, Maker
from tests.scenarios.staff import CITY, KEY, NAME

pytestmark = pytest.mark.slow

COMPOSED, DECOMPOSED = "Zo\u00eb", unicodedata.normalize("NFD", "Zo\u00eb")


def field(name: str, kind: FieldKind | None = None) -> DraftField:
    return DraftField(source_column_name=name, kind=kind)


def parked(case: Case) -> list[str]:
    return [key for key, state, _ in case.waiting() if state == "PARKED"]


# ---- texts


@pytest.mark.parametrize("character", ["\x01", "\x0b", "\x1f", "\ufffe"], ids=["soh", "vt", "us", "nonchar"])
def test_a_control_character_in_a_row_sets_aside_that_row_with_words(case: Case, character: str):
    case.user_inserts(1, name=f"An{character}n", city="Oslo")
    case.user_inserts(2, name="Bob", city="Oslo")
    case.begins()
    case.push()
    assert [item.key for item in case.items()] == ["2"]
    assert parked(case) == ["1"]
    assert "name" in case.explanations()[0]
    assert character not in case.explanations()[0]
    case.user_updates(1, name="Ann")
    case.push()
    assert len(case.agreed()) == 2
    case.golden()


@pytest.mark.parametrize("character", ["\x00", "\x01"], ids=["nul", "soh"])
def test_a_character_in_an_item_that_lists_or_databases_refuse_goes_no_further(case: Case, character: str):
    case.user_inserts(1, name="Ann", city="Oslo")
    case.user_inserts(2, name="Bob", city="Oslo")
    case.push()
    case.pull()
    case.begins()
    case.stage.ask("PUT", "rules/VAL-TEXT-XML", {"broken": True})
    case.person_edits("1", city=f"Ro{character}me")
    case.person_edits("2", city="Bonn")
    case.pull()
    assert case.rows()["2"]["city"] == "Bonn"
    assert case.rows()["1"]["city"] == "Oslo"
    assert parked(case) == ["1"]
    assert "city" in case.explanations()[0]
    case.person_edits("1", city="Rome")
    case.pull()
    case.push()
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


TEXTS = (COMPOSED, DECOMPOSED, "zo\u00eb", "ZO\u00cb", " Zo\u00eb ", "Zo\u00eb  Z.", "\U0001f600", "'\"<&>;#")


def test_texts_go_both_ways_exactly_as_they_were_written(case: Case):
    for key, text in enumerate(TEXTS):
        case.user_inserts(key, name="Ann", city=text)
    case.push()
    case.pull()
    assert [case.item(str(key)).values["city"] for key in range(len(TEXTS))] == list(TEXTS)
    for key, text in enumerate(TEXTS):
        case.person_edits(str(key), name=text)
    case.pull()
    assert case.sql("select name, city from public.staff order by id") == [(text, text) for text in TEXTS]
    case.quiet()
    case.golden()


def test_a_change_of_form_or_case_alone_is_a_change(case: Case):
    case.user_inserts(1, name="Ann", city=COMPOSED)
    case.push()
    case.pull()
    case.begins()
    for text in (DECOMPOSED, COMPOSED.lower(), COMPOSED):
        case.person_edits("1", city=text)
        case.pull()
        assert case.sql("select city from public.staff") == [(text,)]
    for text in (DECOMPOSED, COMPOSED.upper()):
        case.user_updates(1, city=text)
        case.push()
        assert case.item("1").values["city"] == text
    case.quiet()
    case.golden()


def test_nothing_is_one_value_in_the_list_and_blank_rows_stay_as_they_are(case: Case):
    case.user_inserts(1, name="Ann", city="")
    case.user_inserts(2, name="Bob", city=None)
    case.push()
    case.pull()
    case.begins()
    case.quiet()
    assert case.sql("select city from public.staff order by id") == [("",), (None,)]
    case.user_updates(1, city=None)
    case.user_updates(2, city="")
    case.quiet()
    assert case.sql("select city from public.staff order by id") == [(None,), ("",)]
    case.person_edits("1", city="Rome")
    case.pull()
    case.person_edits("1", city=None)
    case.pull()
    assert case.sql("select city from public.staff order by id") == [(None,), ("",)]
    case.quiet()
    case.golden()


def test_an_item_that_is_emptied_gives_an_empty_text_where_nothing_is_not_allowed(new_case: Maker):
    case = new_case(
        "create table public.staff (id integer primary key, name text, city text not null)", fields=(NAME, CITY, KEY)
    )
    case.user_inserts(1, name="Ann", city="Oslo")
    case.push()
    case.pull()
    case.begins()
    case.person_edits("1", city=None)
    case.pull()
    assert case.sql("select city from public.staff") == [("",)]
    case.quiet()
    case.golden()


@pytest.mark.parametrize("trims", [False, True], ids=["kept", "trimmed"])
def test_blanks_that_sharepoint_may_cut_make_no_ping_pong(case: Case, trims: bool):
    case.stage.ask("PUT", "knobs", {"trim_text": trims})
    case.user_inserts(1, name="Ann ", city=" Oslo")
    case.push()
    case.pull()
    case.begins()
    case.look_at_everything()
    case.push()
    case.pull()
    case.quiet()
    case.look_at_everything()
    case.quiet()
    case.golden()


# ---- numbers

NUMBERS = """
create table public.staff (id integer primary key, name text, big bigint, exact numeric, approximate double precision)
"""


@pytest.fixture
def counted(new_case: Maker) -> Case:
    numbers = (field(name, FieldKind.NUMBER) for name in ("big", "exact", "approximate"))
    return new_case(NUMBERS, fields=(NAME, *numbers, KEY))


CHANGED = (
    ("big", "9007199254740993"),
    ("exact", "12345678901234567.89"),
    ("exact", "NaN"),
    ("approximate", "NaN"),
    ("approximate", "Infinity"),
    ("approximate", "-Infinity"),
)
KEPT = (
    ("big", "9007199254740992"),
    ("big", "-9007199254740992"),
    ("exact", "123456789012.345"),
    ("exact", "0.1"),
    ("approximate", "0.1"),
    ("approximate", "-0"),
    ("approximate", "1e300"),
)


def test_numbers_that_a_double_would_change_set_aside_their_rows_and_no_other(counted: Case):
    case = counted
    for key, (column, value) in enumerate(CHANGED):
        case.user_inserts(key, name="Ann", **{column: value})
    case.user_inserts(9, name="Bob", big=1)
    case.push()
    assert [item.key for item in case.items()] == ["9"]
    assert parked(case) == [str(key) for key in range(len(CHANGED))]
    for (column, _), explanation in zip(CHANGED, case.explanations(), strict=True):
        assert column in explanation
        assert not any(digits in explanation for digits in ("9007", "12345"))
    case.golden()


def test_numbers_that_a_double_keeps_go_there_and_stay(counted: Case):
    case = counted
    for key, (column, value) in enumerate(KEPT):
        case.user_inserts(key, name="Ann", **{column: value})
    case.push()
    case.pull()
    for key, (column, value) in enumerate(KEPT):
        assert float(case.item(str(key)).values[column]) == float(value)
        case.person_edits(str(key), name="Anna")
    case.pull()
    for key, (column, value) in enumerate(KEPT):
        assert case.sql(f"select {column} = '{value}' from public.staff where id = {key}") == [(True,)]
    case.quiet()
    case.golden()


def test_numbers_of_any_length_go_both_ways_as_text(new_case: Maker):
    fields = (NAME, field("big", FieldKind.TEXT), field("exact", FieldKind.TEXT), KEY)
    case = new_case(NUMBERS, fields=fields)
    case.sql("insert into public.staff values (1, 'Ann', 9007199254740993, 12345678901234567.89)")
    case.push()
    case.pull()
    case.begins()
    assert case.people("GET", "/items/1")["fields"][case.column("exact")] == "12345678901234567.89"
    case.person_edits("1", big="9007199254740995", exact="98765432109876543.21")
    case.pull()
    assert case.sql("select big::text, exact::text from public.staff") == [("9007199254740995", "98765432109876543.21")]
    case.quiet()
    case.golden()


@pytest.mark.parametrize("value", [1e300, 1.5, 2e16], ids=["large", "fraction", "beyond-2-to-the-53"])
def test_a_number_that_the_tables_column_cannot_hold_sets_aside_its_item_and_no_other(counted: Case, value: float):
    case = counted
    case.sql("insert into public.staff (id, name, big) values (1, 'Ann', 1), (2, 'Bob', 1)")
    case.push()
    case.pull()
    case.begins()
    case.person_edits("1", big=value)
    case.person_edits("2", big=2)
    case.pull()
    assert case.sql("select big from public.staff order by id") == [(1,), (2,)]
    assert parked(case) == ["1"]
    assert "big" in case.explanations()[0]
    case.golden()


# ---- times

TIMES = """
create table public.staff (id integer primary key, name text, born date, seen timestamptz, noted timestamp)
"""


@pytest.fixture(
    params=["Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"], ids=["berlin", "pacific", "kiritimati"]
)
def dated(request: pytest.FixtureRequest, new_case: Maker) -> Case:
    return new_case(TIMES, zone=request.param, fields=(NAME, field("born"), field("seen"), field("noted"), KEY))


DAYS = ("2024-03-31", "2024-10-27", "2024-02-29", "1999-12-31")


def test_a_date_stays_its_date_both_ways_in_every_zone(dated: Case):
    case = dated
    for key, day in enumerate(DAYS):
        case.user_inserts(key, name="Ann", born=day)
    case.push()
    case.pull()
    for key in range(len(DAYS)):
        case.person_edits(str(key), name="Anna")
    case.pull()
    assert case.sql("select born::text from public.staff order by id") == [(day,) for day in DAYS]
    later = case.sql("select (born + 1)::text from public.staff order by id")
    for key, (day,) in enumerate(later):
        case.person_edits(str(key), born=day)
    case.pull()
    assert case.sql("select born::text from public.staff order by id") == later
    case.quiet()
    case.golden()


def test_a_day_that_was_chosen_under_another_zone_of_the_site_is_set_aside_and_not_taken_for_the_day_before(
    new_case: Maker,
):
    case = new_case(TIMES, zone="Europe/Berlin", fields=(NAME, field("born"), KEY))
    for key in (1, 2):
        case.user_inserts(key, name="Ann", born="2024-07-10")
    case.push()
    case.pull()
    case.theatre.change_site(case.site, timezone="Asia/Tokyo")
    case.person_edits("1", born="2024-07-12")
    case.person_edits("2", name="Anna")
    case.pull()
    assert case.sql("select name, born::text from public.staff order by id") == [
        ("Ann", "2024-07-10"),
        ("Anna", "2024-07-10"),
    ]
    assert parked(case) == ["1"]
    assert "set site_zone to the site's own" in case.explanations()[0]
    case.theatre.change_site(case.site, timezone="Europe/Berlin")
    case.person_edits("1", born="2024-07-12")
    case.pull()
    assert case.sql("select born::text from public.staff where id = 1") == [("2024-07-12",)]
    case.quiet()
    case.golden()


def test_times_around_a_change_of_the_clocks_keep_their_instant(dated: Case):
    case = dated
    case.sql(
        "insert into public.staff (id, name, seen) values (1, 'gap', '2024-03-31 01:30:00+00'),"
        " (2, 'overlap', '2024-10-27 00:30:00+00'), (3, 'overlap again', '2024-10-27 01:30:00+00')"
    )
    case.push()
    case.pull()
    seen = "select to_char(seen at time zone 'UTC', 'MM-DD HH24:MI:SS') from public.staff order by id"
    before = case.sql(seen)
    for key in ("1", "2", "3"):
        case.person_edits(key, name="seen")
    case.pull()
    assert case.sql(seen) == before
    case.person_edits("2", seen="2024-10-27T02:30:00Z")
    case.pull()
    assert case.sql(seen)[1] == ("10-27 02:30:00",)
    case.quiet()
    case.golden()


def test_fractions_of_a_second_stay_in_the_row_and_round_to_no_other_day(dated: Case):
    case = dated
    case.sql("insert into public.staff (id, name, noted) values (1, 'Ann', '2024-12-31 23:59:59.9999999')")
    case.sql("insert into public.staff (id, name, noted) values (2, 'Bob', '2024-12-31 23:59:59.999')")
    case.push()
    case.pull()
    noted = "select noted::text from public.staff order by id"
    assert case.sql(noted) == [("2025-01-01 00:00:00",), ("2024-12-31 23:59:59.999",)]
    case.person_edits("2", name="Rob")
    case.pull()
    assert case.sql(noted)[1] == ("2024-12-31 23:59:59.999",)
    case.quiet()
    case.golden()


NO_TIMES = (
    ("born", "infinity"),
    ("born", "0044-03-15 BC"),
    ("seen", "infinity"),
    ("seen", "-infinity"),
    ("noted", "0001-01-01 BC"),
)


def test_times_that_no_list_has_set_aside_their_rows_with_words(dated: Case):
    case = dated
    for key, (column, value) in enumerate(NO_TIMES):
        case.user_inserts(key, name="Ann", **{column: value})
    case.user_inserts(9, name="Bob")
    case.push()
    assert [item.key for item in case.items()] == ["9"]
    assert parked(case) == [str(key) for key in range(len(NO_TIMES))]
    assert [column in told for (column, _), told in zip(NO_TIMES, case.explanations(), strict=True)] == [True] * 5
    case.golden()
