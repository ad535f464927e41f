"""Rows are read by exactly the identity that was asked for."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.errors import ConfigurationError, NotFound
from shared.core.ids import identity_of, key_texts
from shared.core.source import KeyStrategy
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

SOME_TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30)


def test_a_row_comes_with_stamp_version_scope_and_text_forms(source):
    source.run(
        "create table t (id int primary key, a text, gone boolean)",
        "insert into t values (1, 'x', null), (2, 'y', false), (3, 'x', true), (4, null, null)",
    )
    spec = source.spec("t", scope="a = 'x'", soft_delete="gone", columns=["a", "gone"])
    rows = source.tables.read_rows(spec, [identity_of([str(number)]) for number in range(1, 6)])
    assert {i: (r.in_scope, r.soft_deleted, dict(r.values)) for i, r in rows.items()} == {
        '["1"]': (True, False, {"a": "x", "gone": None}),
        '["2"]': (False, False, {"a": "y", "gone": "false"}),
        '["3"]': (False, True, {"a": "x", "gone": "true"}),
        '["4"]': (False, False, {"a": None, "gone": None}),
    }
    version = source.admin.execute("select xmin::text from t where id = 1").fetchone()
    assert (rows['["1"]'].version,) == version
    assert scan(source.tables, spec) == {'["1"]': rows['["1"]'].stamp}


def test_a_row_comes_with_its_own_time_although_no_field_has_that_column(source):
    source.run(
        "create table t (id int primary key, a text, at timestamptz)",
        "insert into t values (1, 'x', '2026-01-31 12:00+01')",
    )
    spec = source.spec("t", columns=["a"], cursor="at")
    before = source.tables.read_rows(spec, ['["1"]'])['["1"]']
    assert {"a": "x", "at": "2026-01-31 11:00:00+00"} == before.values
    source.run("update t set at = now()")
    assert before.stamp == source.tables.read_rows(spec, ['["1"]'])['["1"]'].stamp, "no field has changed"


def test_the_version_changes_with_every_write(source):
    source.run("create table t (id int primary key, a text)", "insert into t values (1, 'x')")
    spec = source.spec("t")
    before = source.tables.read_rows(spec, ['["1"]'])['["1"]']
    source.run("update t set a = a")
    after = source.tables.read_rows(spec, ['["1"]'])['["1"]']
    assert before.version != after.version
    assert before.stamp == after.stamp


@pytest.mark.parametrize(
    ("type_", "stored", "asked", "found"),
    [
        ("numeric", "1.00", '["1"]', True),
        ("numeric", "1.00", '["1.00"]', False),
        ("numeric", "1.00", '["1.0"]', False),
        ("numeric", "NaN", '["NaN"]', True),
        ("numeric(12,4)", "12345.6000", '["12345.6"]', True),
        ("char(5)", "ab", '["ab"]', True),
        ("char(5)", "ab", '["ab   "]', False),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]', True),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", '["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]', False),
        ("timestamptz", "2024-06-30 12:00+02", '["2024-06-30 10:00:00+00"]', True),
        ("timestamptz", "2024-06-30 12:00+02", '["2024-06-30 12:00:00+02"]', False),
        ("date", "2024-06-30", '["2024-06-30"]', True),
        ("date", "2024-06-30", '["30 June 2024"]', False),
        ("time", "24:00", '["24:00:00"]', True),
        ("bytea", "\\x00ff", '["\\\\x00ff"]', True),
        ("boolean", "t", '["true"]', True),
        ("boolean", "t", '["t"]', False),
        ("inet", "10.0.0.1/32", '["10.0.0.1/32"]', True),
        ("inet", "10.0.0.1/32", '["10.0.0.1"]', False),
        ("bigint", "007", '["7"]', True),
        ("bigint", "007", '["07"]', False),
        ("bigint", "7", '[ "7" ]', False),
        ("bigint", "7", '["\\u0037"]', False),
        ("interval", "1 mon", '["P1M"]', True),
        ("interval", "1 mon", '["P30D"]', False),
        ("jsonb", '{"a": 1}', '["{\\"a\\": 1}"]', True),
        ("float8", "0.1", '["0.1"]', True),
        ("shape", 'o\'k "x"', '["o\'k \\"x\\""]', True),
        ("shape", 'o\'k "x"', '["none of the labels"]', False),
        ("positive", "5", '["5"]', True),
        ("positive", "5", '["-5"]', False),
    ],
)
def test_an_identity_is_compared_as_text_and_not_by_the_type_s_own_equality(source, type_, stored, asked, found):
    source.run(
        'create schema "Odd ""One"',
        """create type "Odd ""One".shape as enum ('o''k "x"', 'b')""",
        "create domain positive as int check (value > 0)",
    )
    declared = '"Odd ""One".shape' if type_ == "shape" else type_
    source.run(f"create table t (k {declared} primary key)")
    source.admin.execute(f"insert into t values (%s::{declared})", [stored])
    spec = source.spec("t", key=["k"])
    assert set(source.tables.read_rows(spec, [asked])) == ({asked} if found else set())
    # Whatever the type, what the scan prints is what the look finds.
    printed = scan(source.tables, spec)
    assert set(source.tables.read_rows(spec, list(printed))) == set(printed)
    assert {identity_of([text]) for text in _prints(source)} == set(printed)


def _prints(source: Source) -> list[str]:
    """The key's text forms by another road than the adapter's."""
    source.run("set timezone to 'UTC'", "set intervalstyle to 'iso_8601'")
    rows = source.admin.execute(
        "select case when pg_typeof(k) = 'numeric'::regtype then trim_scale(k::text::numeric)::text else k::text end from t"
        if source.admin.execute("select pg_typeof(k) = 'numeric'::regtype from t").fetchone() == (True,)
        else "select k::text from t"
    ).fetchall()
    return [text for (text,) in rows]


@pytest.mark.parametrize("locale", ["C"])
def test_case_insensitive_text_by_domain_or_collation_never_finds_another_spelling(source, locale):
    source.run(f'create table t (k text collate "{locale}" primary key)', "insert into t values ('Ab'), ('AB')")
    found = source.tables.read_rows(source.spec("t", key=["k"]), ['["Ab"]', '["ab"]', '["aB"]'])
    assert set(found) == {'["Ab"]'}


def test_texts_that_are_none_of_the_key_s_type_are_absent_and_hold_nobody_up(source):
    source.run("create table t (a int, b date, c uuid, primary key (a, b, c))")
    good = ("1", "2024-01-01", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    source.admin.execute("insert into t values (%s, %s, %s)", good)
    asked = [
        identity_of(good),
        *(identity_of(bad) for bad in [("x", *good[1:]), ("99999999999", *good[1:]), (good[0], "2024-02-30", good[2])]),
        *(
            identity_of(bad)
            for bad in [(*good[:2], ""), good[:2], (*good, "more"), ("1\0", *good[1:]), ("\ud800", *good[1:])]
        ),
        *("", "[]", "{}", "null", "[1]", "not json", '["1"', "['1']"),
    ]
    assert set(source.tables.read_rows(source.spec("t", key=["a", "b", "c"]), asked)) == {identity_of(good)}


@pytest.mark.parametrize(("now", "asked"), [("text using 'k' || id", '["k1"]'), ("numeric using id + 0.5", '["1.5"]')])
def test_a_key_that_changed_its_type_is_drift_and_never_absence(source, now, asked):
    source.run("create table t (id int primary key)", "insert into t values (1)")
    spec = source.spec("t")
    source.run(f"alter table t alter id type {now}")
    with pytest.raises(NotFound, match="introspect the table again") as raised:
        source.tables.read_rows(spec, [asked])
    assert raised.value.code == "schema_drift"


def test_a_row_that_cannot_be_computed_is_an_error_and_never_absence(source):
    source.run(
        "create table base (id int primary key, d int)",
        "insert into base values (1, 1), (2, 0)",
        "create view v as select id, 1 / d as q from base",
    )
    spec = source.spec("v")
    assert set(source.tables.read_rows(spec, ['["1"]'])) == {'["1"]'}
    with pytest.raises(ConfigurationError, match="reading a row failed inside the database") as raised:
        source.tables.read_rows(spec, ['["1"]', '["2"]'])
    assert raised.value.code == "unreadable_rows"
    with pytest.raises(ConfigurationError, match="reading a row failed"):
        scan(source.tables, spec)


def test_two_rows_under_one_identity_are_refused_without_naming_it(source):
    source.run("create table t (a text, b int)", "insert into t values ('secret-key', 1), ('secret-key', 2), ('x', 3)")
    spec = source.spec("t", key=["a"], strategy=KeyStrategy.COMPOSITE_COLUMNS)
    assert set(source.tables.read_rows(spec, ['["x"]'])) == {'["x"]'}
    with pytest.raises(ConfigurationError, match=r"two rows of public.t have the same key in \(a\)") as raised:
        source.tables.read_rows(spec, ['["secret-key"]'])
    assert raised.value.code == "duplicate_key"
    assert "secret-key" not in str(raised.value)


def test_identities_built_by_hand_are_those_that_json_would_build(source):
    source.run(
        "create table t (a int, b numeric, c date, d timestamptz, e uuid, f boolean)",
        "insert into t values (-5, 1.50, '0044-03-15 BC', 'infinity', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', false),"
        " (0, 'NaN', '-infinity', '2024-01-01 00:00:00.5+02', '00000000-0000-0000-0000-000000000000', true),"
        " (1, null, '2024-01-01', now(), '00000000-0000-0000-0000-000000000001', null)",
    )
    spec = source.spec("t", key=list("abcdef"), strategy=KeyStrategy.COMPOSITE_COLUMNS)
    source.run("set timezone to 'UTC'")
    expected = source.admin.execute(
        "select json_build_array(a::text, trim_scale(b)::text, c::text, d::text, e::text, f::text)::text from t"
    ).fetchall()
    found = scan(source.tables, spec)
    assert {(identity,) for identity in found} == set(expected)
    whole = [identity for identity in found if "null" not in identity]
    assert [identity_of(key_texts(identity)) for identity in whole] == whole
    assert set(source.tables.read_rows(spec, list(found))) == set(whole)


def test_asking_twice_and_for_nothing_is_fine(source):
    source.run("create table t (id numeric primary key)", "insert into t values (1)")
    spec = source.spec("t")
    assert source.tables.read_rows(spec, []) == {}
    assert set(source.tables.read_rows(spec, ['["1"]', '["1"]', '["1.0"]'])) == {'["1"]'}


def test_pages_beyond_a_statement_s_size_are_read_whole(source):
    source.run("create table t (id int primary key)", "insert into t select generate_series(1, 2500)")
    asked = [identity_of([str(number)]) for number in range(-200, 2600)]
    assert len(source.tables.read_rows(source.spec("t"), asked)) == 2500


def test_a_look_by_key_uses_the_key_s_index(source):
    source.run(
        "create table t (a int, b text, c date, primary key (a, b, c))",
        "insert into t select g, 'k' || g, date '2000-01-01' + g from generate_series(1, 20000) g",
        "analyze t",
    )
    from shared.adapters.postgres import statements

    spec = source.spec("t", key=["a", "b", "c"])
    statement, values = statements.read_rows(spec)
    with source.database.transaction(spec.table) as connection:
        explained = connection.execute(
            b"explain " + statement.as_bytes(connection), [*values, ["5"], ["k5"], ["2000-01-06"]]
        ).fetchall()
    assert any("Index" in line for (line,) in explained), explained


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(keys=st.lists(st.tuples(SOME_TEXT, st.integers(-(2**31), 2**31 - 1)), unique=True, max_size=8), other=SOME_TEXT)
def test_identities_are_byte_equal_on_both_sides_and_find_their_rows(source, keys, other):
    source.run("drop table if exists t", "create table t (k text, n int, primary key (k, n))")
    with source.admin.cursor() as cursor:
        cursor.executemany("insert into t values (%s, %s)", keys)
    spec = source.spec("t", key=["k", "n"])
    expected = {identity_of([text, str(number)]) for text, number in keys}
    assert set(scan(source.tables, spec)) == expected
    found = source.tables.read_rows(spec, [*expected, identity_of([other, "0"])])
    assert set(found) >= expected
    assert set(found) - expected == set()
    assert {(row.values["k"], row.values["n"]) for row in found.values()} == {(k, str(n)) for k, n in keys}
