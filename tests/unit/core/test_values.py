"""The laws of canonical values, over every pair of a source type and a list column that carries values both ways."""

import json
import struct
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.definition import Direction, FieldKind
from shared.core.errors import InvariantViolated, Unrepresentable
from shared.core.values import from_item, from_row, to_item, to_row
from tests.unit.core.make import a_field, a_type
from tests.unit.core.sharepoint_storage import stored

UTC = ZoneInfo("UTC")
# Berlin and Havana change their clocks (Havana at midnight), Kiritimati is 14 hours ahead, Pago Pago 11 behind.
ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "Europe/Berlin", "America/Havana", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu")
]

NUMERIC = a_type("numeric", precision=15, scale=4, declared="numeric(15,4)")
FREE_NUMERIC = a_type("numeric")
MOOD = a_type("mood", is_enum=True, enum_labels=("sad", "ok", "happy", "très bien"))
TAGS = a_type("text", is_array=True, declared="text[]")
MOODS = a_type("mood", is_array=True, is_enum=True, enum_labels=MOOD.enum_labels, declared="mood[]")
NUMBERS = a_type("int4", is_array=True, declared="integer[]")

plain = st.text(
    st.characters(
        exclude_categories=("Cs",),
        exclude_characters="\ufffe\uffff" + "".join(map(chr, (*range(9), 11, 12, *range(14, 32)))),
    ),
    max_size=60,
)
choice_texts = st.lists(plain.filter(lambda text: text and ";#" not in text), max_size=5)
dates = st.dates(date(1900, 1, 2), date(8900, 12, 30))
moments = st.datetimes(datetime(1900, 1, 1), datetime(8900, 12, 31, 23, 59, 59))


def literal(elements):
    return "{" + ",".join('"' + e.replace("\\", "\\\\").replace('"', '\\"') + '"' for e in elements) + "}"


def spelled(moment):
    return moment.isoformat(" ").rstrip("0").rstrip(".") if moment.microsecond else moment.isoformat(" ")


def double(value):
    return repr(value).removesuffix(".0")


def single(value):
    packed = struct.pack("f", value)
    nearest = struct.unpack("f", packed)[0]
    return next(text for text in (f"{nearest:.{n}g}" for n in range(1, 10)) if struct.pack("f", float(text)) == packed)


decimals = st.decimals(min_value=-(10**10), max_value=10**10, places=4, allow_nan=False, allow_infinity=False).map(
    lambda d: f"{d:.4f}"
)
short_decimals = st.builds(
    lambda digits, exponent: f"{Decimal(digits).scaleb(exponent):f}",
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(-20, 5),
)
doubles = st.floats(min_value=-1.7e308, max_value=1.7e308, allow_subnormal=False).map(double)
singles = st.floats(width=32, allow_nan=False, allow_infinity=False).map(single)
exact = st.integers(-(2**53), 2**53).map(str)
intervals = st.builds(lambda y, m, d, h, s: f"P{y}Y{m}M{d}DT{h}H{s}S", *[st.integers(0, 11)] * 5)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value, ensure_ascii=False))

PAIRS = [
    (FieldKind.TEXT, "text", plain),
    (FieldKind.NOTE, "varchar", plain),
    (FieldKind.TEXT, a_type("bpchar", length=60), plain.map(lambda text: text.rstrip(" "))),
    (FieldKind.TEXT, "citext", plain),
    (FieldKind.TEXT, "uuid", st.uuids().map(str)),
    (FieldKind.TEXT, "bool", st.sampled_from(["true", "false"])),
    (FieldKind.TEXT, "int8", st.integers(-(2**63), 2**63 - 1).map(str)),
    (FieldKind.TEXT, NUMERIC, decimals),
    (
        FieldKind.TEXT,
        FREE_NUMERIC,
        st.decimals(allow_infinity=False, allow_nan=False, places=9).map(lambda d: f"{d:f}")
        | st.just("NaN")
        | st.just("-Infinity"),
    ),
    (
        FieldKind.TEXT,
        "float8",
        st.floats(allow_nan=False, allow_infinity=False).map(double) | st.sampled_from(["NaN", "Infinity", "-0"]),
    ),
    (FieldKind.TEXT, "float4", singles),
    (FieldKind.TEXT, "date", dates.map(str) | st.sampled_from(["infinity", "0044-03-15 BC", "12026-01-01"])),
    (FieldKind.TEXT, "time", st.times().map(time.isoformat) | st.just("24:00:00")),
    (FieldKind.TEXT, "timetz", st.times().map(lambda t: f"{t.isoformat()}+05:30")),
    (FieldKind.TEXT, "timestamp", moments.map(spelled) | st.just("-infinity")),
    (FieldKind.TEXT, "timestamptz", moments.map(lambda m: spelled(m) + "+00") | st.just("0044-03-15 12:00:00+00 BC")),
    (FieldKind.TEXT, "interval", intervals),
    (FieldKind.NOTE, "json", documents),
    (FieldKind.NOTE, "jsonb", documents),
    (FieldKind.TEXT, MOOD, st.sampled_from(MOOD.enum_labels)),
    (FieldKind.CHOICE, MOOD, st.sampled_from(MOOD.enum_labels)),
    (FieldKind.CHOICE, "text", plain),
    (FieldKind.NUMBER, "int2", st.integers(-(2**15), 2**15 - 1).map(str)),
    (FieldKind.NUMBER, "int4", st.integers(-(2**31), 2**31 - 1).map(str)),
    (FieldKind.NUMBER, "int8", exact),
    (FieldKind.NUMBER, NUMERIC, decimals),
    (FieldKind.CURRENCY, FREE_NUMERIC, short_decimals),
    (FieldKind.NUMBER, "float8", doubles.filter(lambda text: float(text) == 0 or abs(float(text)) > 2.3e-308)),
    (FieldKind.NUMBER, "float4", singles),
    (FieldKind.BOOLEAN, "bool", st.sampled_from(["true", "false", "t", "f"])),
    (FieldKind.DATETIME, "timestamp", moments.map(spelled)),
    (FieldKind.DATETIME, "timestamptz", moments.map(lambda m: spelled(m) + "+00")),
    (FieldKind.DATE, "date", dates.map(str)),
    (FieldKind.MULTICHOICE, TAGS, choice_texts.map(literal)),
    (FieldKind.MULTICHOICE, MOODS, st.lists(st.sampled_from(MOODS.enum_labels)).map(literal)),
    (
        FieldKind.MULTICHOICE,
        NUMBERS,
        st.lists(st.integers(-(2**31), 2**31 - 1)).map(lambda ns: "{" + ",".join(map(str, ns)) + "}"),
    ),
    (FieldKind.LOOKUP, "int4", st.integers(1, 2**31 - 1).map(str)),
    (FieldKind.PERSON, "int8", st.integers(1, 2**31 - 1).map(str)),
]
IDS = [f"{kind}-{type_ if isinstance(type_, str) else type_.declared}" for kind, type_, _ in PAIRS]
TEXT_KINDS = {FieldKind.TEXT, FieldKind.NOTE, FieldKind.CHOICE}
few = settings(max_examples=30, deadline=None)
every_pair = pytest.mark.parametrize(("kind", "type_", "texts"), PAIRS, ids=IDS)


@every_pair
@few
@given(data=st.data(), zone=st.sampled_from(ZONES))
def test_a_value_survives_the_journey_to_the_list_and_back(kind, type_, texts, data, zone):
    field = a_field(kind, type_)
    canonical = from_row(field, data.draw(texts | st.none()))
    assert from_item(field, stored(field, to_item(field, canonical, zone), zone), zone) == canonical


@every_pair
@few
@given(data=st.data())
def test_a_value_survives_the_journey_to_the_row_and_back(kind, type_, texts, data):
    field = a_field(kind, type_)
    canonical = from_row(field, data.draw(texts | st.none()))
    assert from_row(field, to_row(field, canonical)) == canonical


@every_pair
@few
@given(data=st.data(), zone=st.sampled_from(ZONES))
def test_a_value_that_went_round_once_goes_round_for_ever_without_a_change(kind, type_, texts, data, zone):
    field = a_field(kind, type_)
    first = from_row(field, data.draw(texts | st.none()))
    again = from_row(field, to_row(field, from_item(field, stored(field, to_item(field, first, zone), zone), zone)))
    assert to_item(field, again, zone) == to_item(field, first, zone)


@pytest.mark.parametrize(("kind", "type_"), [(kind, type_) for kind, type_, _ in PAIRS if kind in TEXT_KINDS], ids=str)
@few
@given(
    texts_in_cell=plain | exact | doubles | documents | st.sampled_from(["today", "now", "NULL", "1,5", "0x10", "t"])
)
def test_what_a_person_types_is_kept_exactly_or_refused(kind, type_, texts_in_cell):
    field = a_field(kind, type_)
    canonical = from_item(field, {"Col": texts_in_cell}, UTC)
    try:
        written = to_row(field, canonical)
    except Unrepresentable:
        return
    assert from_row(field, written) == canonical
    assert from_item(field, {} if canonical is None else {"Col": canonical}, UTC) == canonical


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_the_list_is_kept_exactly_by_a_double_column(value):
    field = a_field(FieldKind.NUMBER, "float8")
    canonical = from_item(field, {"Col": value}, UTC)
    if value == 0 or 2.3e-308 < abs(value) < 1.79e308:
        assert from_row(field, to_row(field, canonical)) == canonical


@pytest.mark.parametrize("value", [5e-324, 2.225073858507e-311, 2.2250738585072014e-308, -1.7976931348623157e308])
@pytest.mark.parametrize("type_", ["float8", "numeric"])
def test_a_number_with_fewer_than_15_digits_in_a_double_goes_neither_way(value, type_):
    field = a_field(FieldKind.NUMBER, type_)
    with pytest.raises(Unrepresentable, match=r"1\.79e308|15 significant"):
        from_row(field, f"{Decimal(repr(value)):f}" if type_ == "numeric" else repr(value))
    with pytest.raises(Unrepresentable):
        to_row(field, from_item(field, {"Col": value}, UTC))


@pytest.mark.parametrize("value", ["5e-324", "1.7976931348623157e+308"])
def test_every_double_is_kept_as_text(value):
    field = a_field(FieldKind.TEXT, "float8")
    assert to_row(field, from_row(field, value)) == value


@pytest.mark.parametrize(
    "type_",
    [
        "int2",
        "int4",
        "int8",
        "float4",
        NUMERIC,
        FREE_NUMERIC,
        a_type("numeric", precision=3, scale=-2),
        a_type("numeric", precision=2, scale=5),
    ],
    ids=str,
)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**6), 10**6)
    | st.sampled_from([0.001, 12300, 0.00012, 99999.5, 2.0**63])
)
def test_a_number_in_the_list_is_kept_exactly_or_refused_by_every_number_column(type_, value):
    field = a_field(FieldKind.NUMBER, type_)
    canonical = from_item(field, {"Col": value}, UTC)
    try:
        written = to_row(field, canonical)
    except Unrepresentable:
        return
    assert Decimal(written) == Decimal(str(canonical))


@every_pair
def test_an_error_names_the_column_and_never_shows_the_value(kind, type_, texts):
    field = a_field(kind, type_)
    secret = "s3cr3t\x01"
    attempts = [
        lambda: from_row(field, literal([secret]) if kind is FieldKind.MULTICHOICE else secret),
        lambda: to_row(field, 1.5),
        lambda: from_item(field, {"Col": {secret: 1}, "ColLookupId": [secret]}, UTC),
        lambda: to_item(field, 1.5, UTC),
    ]
    for attempt in attempts:
        with pytest.raises((Unrepresentable, InvariantViolated)) as caught:
            attempt()
        assert "s3cr3t" not in repr(caught.value)
        assert "col" in caught.value.message


PUSHED_TOO = {"direction": Direction.BIDIRECTIONAL}


@pytest.mark.parametrize("text", ["a\x01b", "\x0b", "\ufffe"])
def test_a_text_that_the_list_could_not_show_again_is_written_to_no_row(text):
    field = a_field(FieldKind.TEXT, a_type("text"), **PUSHED_TOO)
    with pytest.raises(Unrepresentable, match="control characters"):
        to_row(field, text)
    assert to_row(replace(field, direction=Direction.PULL_ONLY), text) == text


@pytest.mark.parametrize(
    ("kind", "type_", "value"), [(FieldKind.CHOICE, a_type("text"), "new"), (FieldKind.MULTICHOICE, TAGS, ("new",))]
)
def test_a_choice_that_the_definition_does_not_have_is_written_to_no_row(kind, type_, value):
    field = replace(a_field(kind, type_, **PUSHED_TOO), choices=("old", "older"))
    with pytest.raises(Unrepresentable, match="2 choices"):
        to_row(field, value)
    written = to_row(replace(field, choices=("old", "new")), value)
    assert from_row(replace(field, choices=("old", "new")), written) == value
    assert to_row(replace(field, direction=Direction.PULL_ONLY), value) == written
