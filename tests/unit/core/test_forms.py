"""Spellings: what each type accepts, and how it is written once accepted."""

import json
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.definition import Direction, FieldKind
from shared.core.errors import InvariantViolated, Unrepresentable
from shared.core.values import create_fields, from_item, from_row, patch_fields, to_item, to_row
from shared.core.values.arrays import parse_array, print_array
from shared.core.values.json_forms import json_text, jsonb_text
from shared.core.values.number_forms import double_text, fits_numeric, plain_decimal, plain_integer, single_text
from shared.core.values.texts import units
from shared.core.values.time_forms import (
    date_text,
    interval_text,
    time_text,
    timestamp_text,
    zoned_time_text,
    zoned_timestamp_text,
)
from tests.unit.core.make import a_field, a_type
from tests.unit.core.sharepoint_storage import stored


@pytest.mark.parametrize(
    ("form", "text", "normal"),
    [
        (plain_decimal, "+007.50", "7.5"),
        (plain_decimal, "-0.00", "0"),
        (plain_decimal, ".5", "0.5"),
        (plain_decimal, "5.", "5"),
        (plain_decimal, ".", None),
        (plain_decimal, "1e5", None),
        (plain_decimal, "١", None),
        (plain_decimal, "--1", None),
        (plain_integer, "-042", "-42"),
        (plain_integer, "1.0", None),
        (double_text, "1e400", None),
        (double_text, "-0", "0"),
        (double_text, "1.50", "1.5"),
        (double_text, "1e20", "1e+20"),
        (double_text, "nan", "NaN"),
        (double_text, "+Infinity", "Infinity"),
        (double_text, "1_000", None),
        (double_text, " 1", None),
        (single_text, "0.1", "0.1"),
        (single_text, "0.123456789", None),
        (single_text, "1e39", None),
        (single_text, "3.4028235e38", "3.4028235e+38"),
        (single_text, "-Infinity", "-Infinity"),
        (date_text, "2024-02-29", "2024-02-29"),
        (date_text, "2100-02-29", None),
        (date_text, "2026-13-01", None),
        (date_text, "0000-01-01", None),
        (date_text, "00026-01-01", None),
        (date_text, "0005-02-29 BC", "0005-02-29 BC"),
        (date_text, "0004-02-29 BC", None),
        (date_text, "tomorrow", None),
        (time_text, "12:30", "12:30:00"),
        (time_text, "12:30:00.500000", "12:30:00.5"),
        (time_text, "24:00:00", "24:00:00"),
        (time_text, "24:00:01", None),
        (time_text, "12:60", None),
        (time_text, "allballs", None),
        (zoned_time_text, "12:30+0200", "12:30:00+02"),
        (zoned_time_text, "12:30:00-05:30", "12:30:00-05:30"),
        (zoned_time_text, "12:30Z", "12:30:00+00"),
        (zoned_time_text, "25:00Z", None),
        (zoned_time_text, "12:30", None),
        (timestamp_text, "2026-01-31T12:30", "2026-01-31 12:30:00"),
        (timestamp_text, "2026-01-31 24:00:00", None),
        (timestamp_text, "2026-01-31 25:00:00", None),
        (timestamp_text, "2026-02-31 12:00:00", None),
        (timestamp_text, "now", None),
        (zoned_timestamp_text, "2026-01-31 00:30:00.25+02", "2026-01-30 22:30:00.25+00"),
        (zoned_timestamp_text, "2026-01-31T00:30Z", "2026-01-31 00:30:00+00"),
        (zoned_timestamp_text, "2026-01-31 00:30:00+05:30", "2026-01-30 19:00:00+00"),
        (zoned_timestamp_text, "0044-03-15 12:00:00+01 BC", None),
        (zoned_timestamp_text, "12026-03-15 12:00:00+01", None),
        (zoned_timestamp_text, "0001-01-01 00:00:00+01", None),
        (zoned_timestamp_text, "infinity", "infinity"),
        (interval_text, "PT90M", "PT1H30M"),
        (interval_text, "P1Y14M2W1DT25H-61S", "P2Y2M15DT24H58M59S"),
        (interval_text, "P0D", "PT0S"),
        (interval_text, "PT-0.5S", "PT-0.5S"),
        (interval_text, "P1M-1D", "P1M-1D"),
        (interval_text, "P-14M", "P-1Y-2M"),
        (interval_text, "P", None),
        (interval_text, "P1DT", None),
        (interval_text, "1 day", None),
        (json_text, '{"a" : 1}', '{"a" : 1}'),
        (json_text, "{'a': 1}", None),
        (json_text, "NaN", None),
        (jsonb_text, '{"bb":1,"a":2,"a":3}', '{"a": 3, "bb": 1}'),
        (jsonb_text, "[1.50,1e2,-0,1.5e-2,12e1,-0.0]", "[1.50, 100, 0, 0.015, 120, 0.0]"),
        (jsonb_text, "[-1.25e1, 0e5, 1e-3, null, true]", "[-12.5, 0, 0.001, null, true]"),
        (jsonb_text, '"\\u00e9\\u001f\\n"', '"é\\u001f\\n"'),
        (jsonb_text, '"\\u0000"', None),
        (jsonb_text, '"\\ud800"', None),
        (jsonb_text, "[" * 30_000 + "]" * 30_000, None),
        (jsonb_text, "[1,", None),
    ],
)  # fmt: skip
def test_a_spelling_has_one_normal_form_or_none(form, text, normal):
    assert form(text) == normal
    if normal is not None:
        assert form(normal) == normal


@pytest.mark.parametrize(
    ("text", "precision", "scale", "fits"),
    [
        ("123.45", 5, 2, True),
        ("123.456", 6, 2, False),
        ("1234.5", 5, 2, False),
        ("0", 2, 2, True),
        ("0.05", 2, 2, True),
        ("1", 2, 2, False),
        ("0.0012", 2, 4, True),
        ("0.012", 2, 4, False),
        ("12300", 3, -2, True),
        ("12310", 3, -2, False),
        ("-99", 2, None, True),
        ("Infinity", None, None, True),
        ("Infinity", 5, 2, False),
        ("9" * 500, None, None, True),
    ],
)
def test_a_decimal_fits_a_numeric_that_keeps_all_its_digits(text, precision, scale, fits):
    assert fits_numeric(text, precision, scale) is fits


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("{}", ()),
        ("{a,b}", ("a", "b")),
        ('{"a,b","c\\"d","e\\\\f",""}', ("a,b", 'c"d', "e\\f", "")),
        ('{NULL,"NULL"}', (None, "NULL")),
        ("[2:3]={a,b}", ("a", "b")),
        ("{ a , b }", ("a", "b")),
        ("{{a},{b}}", None),
        ("{a", None),
        ("a}", None),
        ("{a,}", None),
        ("{a}b}", None),
        ('{"a"b}', None),
        ("{", None),
        ("", None),
    ],
)  # fmt: skip
def test_an_array_literal_is_read_element_by_element(text, elements):
    assert parse_array(text) == elements


@given(st.lists(st.text(max_size=10), max_size=6))
def test_an_array_literal_that_was_printed_is_read_back(elements):
    assert parse_array(print_array(elements)) == tuple(elements)


@given(st.text(max_size=40))
def test_length_is_counted_as_utf_16_does(text):
    assert units(text) == len(text.encode("utf-16-le")) // 2


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(documents)
@settings(max_examples=60)
def test_a_document_printed_as_jsonb_is_the_same_document(document):
    printed = jsonb_text(json.dumps(document))
    assert printed is not None
    exact = {"parse_float": Decimal, "parse_int": Decimal}
    assert json.loads(printed, **exact) == json.loads(json.dumps(document), **exact)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("kind", "type_", "text"),
    [
        (FieldKind.TEXT, "text", "x" * 256),
        (FieldKind.TEXT, "text", "😀" * 128),
        (FieldKind.NOTE, "text", "x" * 64_000),
        (FieldKind.TEXT, "text", "a\x0bb"),
        (FieldKind.TEXT, "text", "a\ufffe"),
        (FieldKind.TEXT, "text", "a\ud800"),
        (FieldKind.NUMBER, "int8", str(2**53 + 1)),
        (FieldKind.NUMBER, "int8", str(-(2**53) - 2)),
        (FieldKind.NUMBER, "int8", str(10**18)),
        (FieldKind.NUMBER, "numeric", "12345678901234567.89"),
        (FieldKind.NUMBER, "numeric", "0.1234567890123456"),
        (FieldKind.NUMBER, "numeric", "1e-400"),
        (FieldKind.NUMBER, "numeric", "NaN"),
        (FieldKind.NUMBER, "numeric", "9" * 400),
        (FieldKind.NUMBER, "float8", "Infinity"),
        (FieldKind.NUMBER, "float8", "NaN"),
        (FieldKind.BOOLEAN, "bool", "maybe"),
        (FieldKind.DATETIME, "timestamptz", "infinity"),
        (FieldKind.DATETIME, "timestamptz", "0044-03-15 12:00:00+00 BC"),
        (FieldKind.DATETIME, "timestamptz", "1899-12-31 23:59:59.9+00"),
        (FieldKind.DATETIME, "timestamptz", "8901-01-01 00:00:00+00"),
        (FieldKind.DATETIME, "timestamptz", "12026-01-01 00:00:00+00"),
        (FieldKind.DATETIME, "timestamptz", "2026-02-30 00:00:00+00"),
        (FieldKind.DATE, "date", "infinity"),
        (FieldKind.DATE, "date", "1900-01-01"),
        (FieldKind.DATE, "date", "8900-12-31"),
        (FieldKind.DATE, "date", "2026-02-30"),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), "{{a}}"),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), "{NULL}"),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), '{""}'),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), '{"a;#b"}'),
        (FieldKind.LOOKUP, "int4", "0"),
        (FieldKind.LOOKUP, "int8", str(2**31)),
    ],
)
def test_what_a_list_would_cut_round_or_refuse_is_refused_before_it_is_sent(kind, type_, text):
    field = a_field(kind, type_)
    with pytest.raises(Unrepresentable, match=r"^col \(.*\) holds a value that the list column .* accepted is "):
        from_row(field, text)
    only_pulled = a_field(kind, type_, direction=Direction.PULL_ONLY)
    assert from_row(only_pulled, text) == text


@pytest.mark.parametrize(
    ("kind", "type_", "value"),
    [
        (FieldKind.NUMBER, "int2", 2**15),
        (FieldKind.NUMBER, "int4", "1.5"),
        (FieldKind.NUMBER, "int8", "1e+18"),
        (FieldKind.NUMBER, a_type("numeric", precision=4, scale=2), "0.125"),
        (FieldKind.NUMBER, "float4", "0.123456789"),
        (FieldKind.NUMBER, "float8", True),
        (FieldKind.TEXT, "uuid", "not one"),
        (FieldKind.TEXT, "date", "tomorrow"),
        (FieldKind.TEXT, a_type("varchar", length=3), "four"),
        (FieldKind.TEXT, "text", "a\0b"),
        (FieldKind.TEXT, "point", "(1,2)"),
        (FieldKind.NOTE, a_type("text", is_array=True), "{a}"),
        (FieldKind.CHOICE, a_type("mood", is_enum=True, enum_labels=("ok",)), "glad"),
        (FieldKind.BOOLEAN, "bool", "yes"),
        (FieldKind.DATETIME, "timestamptz", "soon"),
        (FieldKind.DATE, "date", "2026-02-30"),
        (FieldKind.MULTICHOICE, a_type("int4", is_array=True), ("one",)),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), "one"),
        (FieldKind.LOOKUP, "int2", 2**20),
        (FieldKind.PERSON, "int4", "7"),
    ],
)
def test_what_a_column_cannot_keep_exactly_is_refused_before_it_is_written(kind, type_, value):
    with pytest.raises(Unrepresentable, match="holds a value that col"):
        to_row(a_field(kind, type_), value)


@pytest.mark.parametrize(
    ("kind", "type_", "fields"),
    [
        (FieldKind.TEXT, "text", {"Col": 1}),
        (FieldKind.NUMBER, "int4", {"Col": "1"}),
        (FieldKind.NUMBER, "int4", {"Col": True}),
        (FieldKind.NUMBER, "float8", {"Col": float("inf")}),
        (FieldKind.NUMBER, "float8", {"Col": 10**400}),
        (FieldKind.BOOLEAN, "bool", {"Col": 1}),
        (FieldKind.DATETIME, "timestamptz", {"Col": "soon"}),
        (FieldKind.DATETIME, "timestamptz", {"Col": "0001-01-01T00:00:00Z"}),
        (FieldKind.DATETIME, "timestamptz", {"Col": 5}),
        (FieldKind.DATE, "date", {"Col": "9999-12-31T23:00:00-05:00"}),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), {"Col": "a"}),
        (FieldKind.MULTICHOICE, a_type("text", is_array=True), {"Col": [1]}),
        (FieldKind.LOOKUP, "int4", {"ColLookupId": "x"}),
        (FieldKind.LOOKUP, "int4", {"ColLookupId": True}),
    ],
)
def test_json_of_another_type_than_the_mapping_says_is_refused(kind, type_, fields):
    with pytest.raises(Unrepresentable):
        from_item(a_field(kind, type_), fields, UTC)


# ---------------------------------------------------------------- single decisions


def test_empty_text_and_null_are_one_value_and_a_not_null_column_gets_the_empty_text_back():
    field = a_field(FieldKind.TEXT, "text")
    assert from_row(field, "") is from_row(field, None) is from_item(field, {"Col": ""}, UTC) is None
    assert to_row(field, None) is None
    assert to_row(a_field(FieldKind.TEXT, "text", nullable=False), None) == ""
    assert to_row(a_field(FieldKind.MULTICHOICE, a_type("text", is_array=True), nullable=False), None) == "{}"
    with pytest.raises(Unrepresentable, match="NOT NULL"):
        to_row(a_field(FieldKind.NUMBER, "int4", nullable=False), None)


def test_line_ends_are_one_line_end():
    field = a_field(FieldKind.NOTE, "text")
    assert from_row(field, "a\r\nb\rc\n") == from_item(field, {"Col": "a\nb\r\nc\r"}, UTC) == "a\nb\nc\n"


def test_a_yes_no_without_a_value_is_no_only_where_null_is_impossible():
    assert from_item(a_field(FieldKind.BOOLEAN, "bool"), {}, UTC) is None
    assert from_item(a_field(FieldKind.BOOLEAN, "bool", nullable=False), {}, UTC) is False


def test_times_are_cut_to_the_second_and_never_rounded_up():
    field = a_field(FieldKind.DATETIME, "timestamptz")
    assert from_row(field, "2026-12-31 23:59:59.999999+00") == "2026-12-31T23:59:59Z"
    assert from_item(field, {"Col": "2026-12-31T23:59:59.9999999Z"}, UTC) == "2026-12-31T23:59:59Z"
    assert from_row(field, "2026-06-01 00:30:00+02") == "2026-05-31T22:30:00Z"
    assert from_row(a_field(FieldKind.DATETIME, "timestamp"), "2026-06-01 00:30:00") == "2026-06-01T00:30:00Z"


def test_a_date_is_sent_as_noon_and_read_from_a_midnight_that_is_an_hour_off():
    field, berlin = a_field(FieldKind.DATE, "date"), ZoneInfo("Europe/Berlin")
    assert to_item(field, "2024-03-31", berlin) == {"Col": "2024-03-31T10:00:00Z"}
    for shown in ("2024-03-30T22:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T00:00:00Z", "2024-03-31T10:00:00Z"):
        assert from_item(field, {"Col": shown}, berlin) == "2024-03-31"


@pytest.mark.parametrize("site", ["Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney", "America/Los_Angeles"])
def test_a_date_of_a_site_that_has_another_zone_than_was_set_is_refused_and_not_read_as_another_day(site):
    field = a_field(FieldKind.DATE, "date")
    shown = stored(field, to_item(field, "2026-07-10", UTC), ZoneInfo(site))
    assert from_item(field, shown, ZoneInfo(site)) == "2026-07-10"
    with pytest.raises(Unrepresentable, match="site_zone"):
        from_item(field, shown, ZoneInfo("UTC"))


def test_a_time_of_day_in_a_date_only_column_is_refused():
    with pytest.raises(Unrepresentable, match="midnight of a day"):
        from_item(a_field(FieldKind.DATE, "date"), {"Col": "2024-03-31T19:30:00Z"}, ZoneInfo("Europe/Berlin"))


def test_numbers_are_compared_at_fifteen_digits_and_whole_ones_exactly():
    field = a_field(FieldKind.NUMBER, "float8")
    assert from_item(field, {"Col": 0.1 + 0.2}, UTC) == from_row(field, "0.3") == "0.3"
    assert from_item(field, {"Col": 3.0}, UTC) == 3
    assert from_item(field, {"Col": -0.0}, UTC) == 0
    assert from_item(field, {"Col": 2.0**53}, UTC) == 2**53
    assert from_item(field, {"Col": 1234567890123456.5}, UTC) == 1234567890123460


def test_a_decimal_as_text_shows_the_places_that_its_column_declares():
    field = a_field(FieldKind.TEXT, a_type("numeric", precision=20, scale=2))
    assert to_item(field, from_row(field, "12.50"), UTC) == {"Col": "12.50"}
    assert to_item(field, "NaN", UTC) == {"Col": "NaN"}
    assert from_item(field, {"Col": "12.5"}, UTC) == from_item(field, {"Col": "+12.50"}, UTC) == "12.5"


def test_char_loses_its_padding_on_both_sides():
    field = a_field(FieldKind.TEXT, a_type("bpchar", length=5))
    assert from_row(field, "ab   ") == from_item(field, {"Col": "ab "}, UTC) == "ab"


def test_a_choice_outside_of_the_list_s_choices_is_refused_unless_there_are_none():
    text = a_type("text")
    assert from_row(a_field(FieldKind.CHOICE, text), "anything") == "anything"
    assert from_row(a_field(FieldKind.CHOICE, text, choices=("a",)), "a") == "a"
    with pytest.raises(Unrepresentable, match="one of the 1 choices"):
        from_row(a_field(FieldKind.CHOICE, text, choices=("a",)), "b")


def test_a_type_that_is_known_by_its_text_is_pushed_as_it_is():
    field = a_field(FieldKind.NOTE, "point", direction=Direction.PUSH_ONLY)
    assert from_row(field, "(1,2)") == from_item(field, {"Col": "(1,2)"}, UTC) == "(1,2)"
    array = a_field(FieldKind.NOTE, a_type("float8", is_array=True), direction=Direction.PUSH_ONLY)
    assert from_row(array, "{1,2}") == from_item(array, {"Col": "{1,2}"}, UTC) == "{1,2}"


def test_ids_are_read_from_the_members_that_carry_them():
    assert from_item(a_field(FieldKind.LOOKUP, "int4"), {"ColLookupId": "42"}, UTC) == 42
    assert from_item(a_field(FieldKind.PERSON, "int4"), {"ColLookupId": ""}, UTC) is None
    counter = a_field(FieldKind.COUNTER, "int4", target="ID", direction=Direction.PULL_ONLY, is_system_field=True)
    assert from_item(counter, {"id": "7"}, UTC) == 7
    assert to_row(counter, 7) == "7"


def test_a_system_field_is_never_written_to_the_list():
    with pytest.raises(InvariantViolated, match="SharePoint's own"):
        to_item(a_field(is_system_field=True), "x", UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FieldKind.TEXT, 1),
        (FieldKind.NUMBER, True),
        (FieldKind.BOOLEAN, 1),
        (FieldKind.DATETIME, "x"),
        (FieldKind.DATE, 5),
        (FieldKind.MULTICHOICE, "a"),
        (FieldKind.LOOKUP, "7"),
        (FieldKind.UNKNOWN, "x"),
        (FieldKind.COUNTER, 5),
    ],
)
def test_a_canonical_value_of_another_kind_is_a_bug(kind, value):
    with pytest.raises(InvariantViolated):
        to_item(a_field(kind, "int4"), value, UTC)


def test_a_column_that_graph_does_not_describe_is_never_read_or_written():
    field = a_field(FieldKind.UNKNOWN)
    for attempt in (
        lambda: from_row(field, "x"),
        lambda: to_row(field, "x"),
        lambda: from_item(field, {"Col": "x"}, UTC),
    ):
        with pytest.raises(InvariantViolated):
            attempt()


def test_a_patch_clears_with_null_and_a_creation_leaves_nulls_out():
    name, owner = a_field(target="Name"), a_field(FieldKind.LOOKUP, "int4", target="Owner")
    tags = a_field(FieldKind.MULTICHOICE, a_type("text", is_array=True), target="Tags")
    values = [(name, None), (owner, None), (tags, ("a", "b"))]
    assert patch_fields(values, UTC) == {
        "Name": None,
        "OwnerLookupId": None,
        "Tags@odata.type": "Collection(Edm.String)",
        "Tags": ["a", "b"],
    }
    assert create_fields(values, UTC) == {"Tags@odata.type": "Collection(Edm.String)", "Tags": ["a", "b"]}
    assert patch_fields([(tags, None)], UTC) == {"Tags": None}


@given(
    st.text(max_size=200),
    st.sampled_from(
        [
            plain_decimal,
            double_text,
            single_text,
            date_text,
            time_text,
            zoned_time_text,
            timestamp_text,
            zoned_timestamp_text,
            interval_text,
            json_text,
            jsonb_text,
        ]
    ),
)
def test_no_text_breaks_a_form_and_normal_forms_are_stable(text, form):
    normal = form(text)
    assert normal is None or form(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "0" * 60_000 + "x",
        "1" * 60_000 + "x",
        "." * 60_000,
        "P" + "1" * 60_000,
        "{" + '"' * 60_000,
        "{" + "\\a" * 30_000,
    ],
    ids=["zeros", "ones", "dots", "duration", "quotes", "escapes"],
)
@pytest.mark.timeout(5)
def test_hostile_texts_are_judged_in_linear_time(text):
    for form in (
        plain_decimal,
        double_text,
        single_text,
        date_text,
        timestamp_text,
        interval_text,
        json_text,
        jsonb_text,
        parse_array,
    ):
        form(text)
