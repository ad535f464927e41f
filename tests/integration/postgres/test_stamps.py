"""A stamp tells any two rows apart whose text forms differ, whatever PostgreSQL's own hash of the type overlooks."""

import itertools

import pytest

from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

# Values that are different to a person and to PostgreSQL's print. Pairs that a typed hash takes for equal are among them.
VALUES = {
    "int2": ["0", "1", "-32768"],
    "int4": ["0", "1", "-1"],
    "int8": ["0", "1", "9223372036854775807"],
    "bool": ["true", "false"],
    "float4": ["0", "-0", "NaN", "Infinity", "1.5"],
    "float8": ["0", "-0", "NaN", "-Infinity", "0.1"],
    "numeric": ["0", "0.0", "1.0", "1.00", "NaN", "Infinity", "-Infinity"],
    "text": ["", " ", "a", "a ", "A", "é", "e\u0301"],
    "varchar(9)": ["", "a", "a "],
    "char(3)": ["a", "b", ""],
    "uuid": ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"],
    "date": ["2000-01-01", "infinity", "-infinity", "0044-03-15 BC"],
    "time": ["00:00", "24:00", "12:00:00.000001"],
    "timetz": ["00:00+00", "01:00+01", "00:00+01"],
    "timestamp": ["2000-01-01", "2000-01-01 00:00:00.000001", "infinity"],
    "timestamptz": ["2000-01-01 00:00+00", "2000-01-01 00:00:00.000001+00", "-infinity"],
    "interval": ["1 mon", "30 days", "720:00:00", "00:00"],
    "jsonb": ['{"a":{"b":1,"c":2}}', '{"a":{"b":1},"c":2}', "[[1],2]", "[[1,2]]", "null", '""', "1.0", "1.00"],
    "json": ['{"a":1}', '{"a": 1}', '{"a":1,"a":1}'],
    "bytea": ["", "\\x00", "\\x0000"],
    "int4[]": ["{1,2,3,4}", "{{1,2},{3,4}}", "{}", "{NULL}", "[0:0]={1}", "{1}"],
    "text[]": ["{}", "{NULL}", '{"NULL"}', '{""}', "{a,b}", '{"a,b"}'],
    "money": ["0", "1"],
    "point": ["(0,0)", "(0,-0)", "(1,0)"],
    "box": ["(1,1),(0,0)", "(2,2),(0,0)"],
    "tsvector": ["a b", "a", "b a c"],
    "bit(3)": ["B000", "B001"],
    "inet": ["10.0.0.1/32", "10.0.0.1/24", "::1"],
    "int4range": ["empty", "[1,2)", "(,)"],
    "mood": ["happy", "sad"],
    "email": ["a@b", "A@b"],
    "amount": ["1.0", "1.00", "NaN", "Infinity"],
}


@pytest.fixture
def typed(source: Source) -> Source:
    source.run(
        "create type mood as enum ('happy', 'sad')",
        "create domain email as text check (value like '%@%')",
        "create domain base_amount as numeric",
        "create domain amount as base_amount",
    )
    return source


@pytest.mark.parametrize("type_", VALUES)
def test_any_two_values_and_null_have_stamps_of_their_own(typed, type_):
    typed.run(f"create table t (id int primary key, c {type_})")
    values = [None, *VALUES[type_]]
    for number, value in enumerate(values):
        typed.admin.execute(f"insert into t values (%s, %s::{type_})", [number, value])
    spec = typed.spec("t", columns=["c"])
    stamps = scan(typed.tables, spec)
    rows = typed.tables.read_rows(spec, list(stamps))
    for (one, first), (other, second) in itertools.combinations(rows.items(), 2):
        if first.values["c"] != second.values["c"]:
            assert stamps[one] != stamps[other], (first.values["c"], second.values["c"])
    assert {identity: row.stamp for identity, row in rows.items()} == stamps


def test_the_typed_hash_that_the_stamp_avoids_really_is_blind(typed):
    """Should a server stop being blind here, the list of typed types may grow; this says so."""
    pairs = [
        ("0::float8", "null::float8"),
        ("'00:00+00'::timetz", "null::timetz"),
        ("'1 mon'::interval", "'30 days'::interval"),
        ("'{1,2,3,4}'::int4[]", "'{{1,2},{3,4}}'::int4[]"),
        ("'1.0'::numeric", "'1.00'::numeric"),
        ("""'{"a":{"b":1,"c":2}}'::jsonb""", """'{"a":{"b":1},"c":2}'::jsonb"""),
    ]
    for one, other in pairs:
        blind = typed.admin.execute(
            f"select hash_record_extended(row({one}), 0) = hash_record_extended(row({other}), 0)"
        ).fetchone()
        assert blind == (True,), (one, other)


def test_a_renamed_enum_label_is_a_change(typed):
    typed.run("create table t (id int primary key, c mood)", "insert into t values (1, 'happy')")
    before = scan(typed.tables, typed.spec("t"))
    typed.run("alter type mood rename value 'happy' to 'glad'")
    assert scan(typed.tables, typed.spec("t")) != before


def test_null_and_value_change_places_and_the_stamp_sees_it(source):
    source.run(
        "create table t (id int primary key, a int, b int)",
        "insert into t values (1, 7, null), (2, null, 7), (3, null, null), (4, 7, 7)",
    )
    assert len(set(scan(source.tables, source.spec("t", columns=["a", "b"])).values())) == 4


def test_a_row_that_is_not_touched_keeps_its_stamp_whatever_the_session_says(open_source, source):
    source.run(
        "create table t (id timestamptz primary key, f float8, i interval, b bytea, d date)",
        "insert into t values ('2024-06-30 12:00+02', 0.1, '1 mon 3 days 04:05:06', '\\x0102', '2024-06-30')",
    )
    before = scan(source.tables, source.spec("t"))
    database = source.database.address.dbname
    for setting in (
        *("timezone to 'Asia/Tokyo'", "datestyle to 'German, DMY'", "intervalstyle to 'postgres_verbose'"),
        *("extra_float_digits to -5", "bytea_output to 'escape'", "search_path to 'public'", "row_security to on"),
    ):
        source.run(f'alter database "{database}" set {setting}')
    other = open_source()
    spec = other.spec("t")
    assert scan(other.tables, spec) == before
    (identity,) = before
    assert identity == '["2024-06-30 10:00:00+00"]'
    assert dict(other.tables.read_rows(spec, [identity])[identity].values) == {
        "id": "2024-06-30 10:00:00+00",
        "f": "0.1",
        "i": "P1M3DT4H5M6S",
        "b": "\\x0102",
        "d": "2024-06-30",
    }


def test_stamps_of_a_virtual_or_stored_generated_column_follow_what_it_is_made_of(source):
    kinds = ["stored"] + ["virtual"] * (source.admin.info.server_version >= 180000)
    for kind in kinds:
        source.run(
            f"create table t_{kind} (id int primary key, a int, b int generated always as (a * 2) {kind})",
            f"insert into t_{kind} values (1, 1), (2, 2)",
        )
        stamps = scan(source.tables, source.spec(f"t_{kind}", columns=["b"]))
        assert len(set(stamps.values())) == 2
