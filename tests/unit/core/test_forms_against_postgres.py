"""The normal forms are what a real PostgreSQL prints: a text that is accepted and written comes back as it is."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from shared.core.source import SourceType
from shared.core.values.arrays import parse_array, print_array
from shared.core.values.forms import form_of
from tests.fixtures.postgres import Databases
from tests.unit.core.make import a_type

_SETTINGS = (
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex"
    " -c client_encoding=UTF8"
)


@pytest.fixture(scope="module")
def connection(databases: Databases) -> Iterator[psycopg.Connection]:
    dsn = databases.create()
    with psycopg.connect(dsn, autocommit=True, options=_SETTINGS) as connection:
        yield connection
    databases.drop(dsn)


whole = st.integers(-(10**6), 10**6)
clocks = st.times().map(lambda t: t.isoformat()) | st.sampled_from(["24:00:00", "12:30", "00:00:00.100"])
stamps = st.datetimes().map(lambda m: m.isoformat(" ")) | st.datetimes().map(lambda m: m.isoformat())
offsets = st.sampled_from(["Z", "+00", "-00:00", "+02", "-0330", "+05:30", "+05:30:15", "-12"])
floats = st.floats(allow_nan=True).map(repr) | st.floats(width=32).map(repr)
intervals = st.builds(
    lambda y, m, w, d, h, mi, s: f"P{y}Y{m}M{w}W{d}DT{h}H{mi}M{s}S",
    *[st.integers(-500, 500)] * 6,
    st.decimals(min_value=-500, max_value=500, places=6).map(lambda d: f"{d:f}"),
)
documents = st.recursive(
    st.sampled_from(
        [
            "null",
            "true",
            "-0",
            "0.0",
            "1.50",
            "1e2",
            "1.5E-3",
            "-2.50e+1",
            '"é\\u0041\\n\\u001f"',
            '"\\ud83d\\ude00"',
            '"\\""',
            "1E400",
            "0e3",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: "[" + " , ".join(parts) + "]"),
        st.lists(st.tuples(st.sampled_from(["a", "b", "aa", "é", "z", ""]), inner), max_size=5).map(
            lambda pairs: "{" + ",".join(f'"{k}" :{v}' for k, v in pairs) + "}"
        ),
    ),
    max_leaves=12,
)
CASES = {
    "int4": whole.map(str) | st.sampled_from(["+5", "007", "-0"]),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30).map(lambda d: f"{d:f}") | st.sampled_from(["NaN", "Infinity", "-infinity"]),
    "float8": floats | st.sampled_from(["1e20", "-0", "infinity", "1e-400", ".5"]),
    "float4": floats | whole.map(str) | st.sampled_from(["0.1", "1e-45", "3.4028235e38"]),
    "date": st.dates().map(str) | st.sampled_from(["infinity", "0044-03-15 BC", "12026-02-28"]),
    "time": clocks,
    "timetz": st.builds(lambda clock, offset: clock + offset, clocks, offsets),
    "timestamp": stamps | st.sampled_from(["-infinity", "0044-03-15 12:00:00 BC", "12026-02-28 00:00:00"]),
    "timestamptz": st.builds(lambda stamp, offset: stamp + offset, stamps, offsets) | st.sampled_from(["infinity", "0044-03-15 12:00:00+00 BC"]),
    "interval": intervals,
    "jsonb": documents,
    "json": documents,
    "uuid": st.uuids().map(lambda u: str(u).upper()),
    "text": st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20),
    "bool": st.sampled_from(["true", "F"]),
}  # fmt: skip
RESPELLED = {"numeric", "float4", "float8"}
"""PostgreSQL keeps trailing zeros, -0, and writes 1e+15 where Python writes its digits: the same number is what counts."""
once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def printed(connection: psycopg.Connection, name: str, text: str) -> str:
    row = connection.execute(sql.SQL("select %s::{}::text").format(sql.Identifier(name)), [text]).fetchone()
    assert row is not None
    return row[0]


def normal(declared: SourceType, text: str) -> str | None:
    return form_of(declared).normal(declared, text)


@pytest.mark.parametrize("name", CASES)
@once
@given(data=st.data())
def test_what_is_accepted_is_printed_by_postgresql_in_its_normal_form(connection, name, data):
    declared = a_type(name)
    accepted = normal(declared, data.draw(CASES[name]))
    if accepted is not None:
        out = printed(connection, name, accepted)
        assert normal(declared, out) == accepted
        assert out == accepted or name in RESPELLED


@pytest.mark.parametrize("name", CASES)
@once
@given(data=st.data())
def test_what_postgresql_prints_is_always_accepted(connection, name, data):
    declared = a_type(name)
    text = data.draw(CASES[name])
    try:
        out = printed(connection, name, text)
    except psycopg.DataError:
        return
    expected = normal(declared, out)
    assert expected is not None
    again = printed(connection, name, expected)
    assert normal(declared, again) == expected
    assert again == out or name in RESPELLED


@once
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
        | st.sampled_from(["NULL", "", "{", '"', "\\", ",", " a "]),
        max_size=5,
    )
)
def test_arrays_are_read_as_postgresql_prints_them_and_printed_as_it_reads_them(connection, elements):
    row = connection.execute("select %s::text[]::text, %s::text[]", [elements, print_array(elements)]).fetchone()
    assert row is not None
    assert parse_array(row[0]) == tuple(elements)
    assert row[1] == elements
