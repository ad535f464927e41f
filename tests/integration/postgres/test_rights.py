"""The set-up check names every missing right, with the SQL that gives it: running that SQL is the proof."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.adapters.postgres.rights import check_source
from shared.core.errors import NotFound
from shared.core.needs import Needs
from shared.core.problems import Problem, Severity
from shared.core.source import KeyStrategy, TableRef
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

ALL = Needs(insert=True, update=("a", "b c"), delete=True)


@pytest.fixture
def role(source: Source) -> Iterator[str]:
    name = f'plain "{source.database.address.dbname}'
    quoted = '"' + name.replace('"', '""') + '"'
    source.run(f"create role {quoted} login password 'pw'")
    yield name
    source.run(f"drop owned by {quoted}", f"drop role {quoted}")


@pytest.fixture
def plain(open_source, role: str) -> Iterator[Source]:
    opened = open_source(user=role, password="pw")
    yield opened
    opened.database.close()


@pytest.fixture
def app(source: Source) -> Source:
    source.run(
        'create schema "My App"',
        'create table "My App".t (id int primary key, a text, "b c" text, u timestamptz default now(), hidden text)',
        """insert into "My App".t values (1, 'x', 'y')""",
    )
    return source


def codes(problems: tuple[Problem, ...]) -> set[str]:
    return {problem.code for problem in problems}


def test_a_superuser_misses_nothing_but_an_index(app):
    spec = app.spec("t", schema="My App", cursor="u")
    problems = check_source(app.database, spec, ALL)
    assert [(p.code, p.severity, p.where) for p in problems] == [
        ("cursor_index_missing", Severity.WARNING, "cursor_column")
    ]
    app.run(problems[0].remedy or "")
    assert check_source(app.database, spec, ALL) == ()


def test_each_remedy_is_sql_that_mends_what_it_stands_beside(app, plain):
    spec = app.spec("t", schema="My App", columns=["id", "a", "b c"], cursor="u")
    missing = codes(check_source(plain.database, spec, ALL))
    assert missing == {
        *("schema_usage_missing", "select_missing", "statistics_missing", "cursor_index_missing"),
        *("insert_missing", "update_missing", "delete_missing"),
    }
    while problems := check_source(plain.database, spec, ALL):
        remedy = problems[0].remedy
        assert remedy
        app.run(remedy)
        left = codes(check_source(plain.database, spec, ALL))
        assert left < missing
        missing = left
    assert list(scan(plain.tables, spec)) == ['["1"]']


def test_rights_on_single_columns_are_enough_and_missing_ones_are_named(app, plain, role):
    quoted = '"' + role.replace('"', '""') + '"'
    app.run(f'grant usage on schema "My App" to {quoted}', f'grant select (id, a) on "My App".t to {quoted}')
    spec = app.spec("t", schema="My App", columns=["a", "b c"], scope="hidden is null")
    (problem,) = check_source(plain.database, spec)
    assert problem.code == "select_missing"
    assert "columns xmin, b c, hidden" in problem.message
    app.run(problem.remedy or "")
    assert check_source(plain.database, spec) == ()
    assert list(scan(plain.tables, spec)) == ['["1"]']


def test_policies_that_would_hide_rows_are_found_before_anything_is_read(app, plain, role):
    quoted = '"' + role.replace('"', '""') + '"'
    app.run(
        f'grant usage on schema "My App" to {quoted}',
        f'grant select on "My App".t to {quoted}',
        'alter table "My App".t enable row level security',
    )
    spec = app.spec("t", schema="My App")
    (problem,) = check_source(plain.database, spec)
    assert problem.code == "rows_hidden"
    app.run(problem.remedy or "")
    assert check_source(plain.database, spec) == ()


def test_views_are_refused_for_writing_with_the_reason(app):
    app.run('create view "My App".v as select * from "My App".t')
    spec = app.spec("v", schema="My App")
    (problem,) = check_source(app.database, spec, Needs(update=("a",)))
    assert problem.code == "not_writable"
    assert check_source(app.database, spec) == ()


def test_keys_that_the_data_does_not_keep_are_counted_and_not_quoted(source):
    source.run(
        "create table k (a text, b int)",
        "insert into k values ('secret', 1), ('secret', 1), ('x', 1), ('x', 2), (null, 1), ('y', null)",
    )
    spec = source.spec("k", key=["a", "b"], strategy=KeyStrategy.COMPOSITE_COLUMNS)
    problems = {problem.code: problem for problem in check_source(source.database, spec)}
    assert set(problems) == {"key_nulls", "key_duplicates"}
    assert "public.k has 2 rows without a value in the key (a, b)" in problems["key_nulls"].message
    assert "public.k has 1 key in (a, b) that more than one row has" in problems["key_duplicates"].message
    assert "secret" not in str(problems)
    source.run("delete from k where a is null or b is null or a = 'secret'")
    assert check_source(source.database, spec) == ()


def test_keys_equal_to_the_type_and_different_in_print_are_one_key_only_for_numbers(source):
    source.run("create table k (a numeric)", "insert into k values (1.0), (1.00)")
    spec = source.spec("k", key=["a"], strategy=KeyStrategy.COMPOSITE_COLUMNS)
    assert codes(check_source(source.database, spec)) == {"key_duplicates"}


def test_counting_stops_at_a_thousand(source):
    source.run("create table k (a int)", "insert into k select null from generate_series(1, 1500)")
    spec = source.spec("k", key=["a"], strategy=KeyStrategy.UNIQUE)
    (problem,) = check_source(source.database, spec)
    assert problem.message.startswith("public.k has 1000 or more rows")


def test_rows_without_a_cursor_value_are_a_warning(source):
    source.run(
        "create table k (a int primary key, u timestamptz)", "create index on k (u)", "insert into k values (1, null)"
    )
    (problem,) = check_source(source.database, source.spec("k", key=["a"], cursor="u"))
    assert (problem.code, problem.severity) == ("cursor_nulls", Severity.WARNING)
    assert "public.k has 1 row without a value" in problem.message


def test_a_table_that_is_gone_is_not_found(source):
    source.run("create table k (a int primary key)")
    spec = source.spec("k", key=["a"])
    with pytest.raises(NotFound):
        check_source(source.database, replace(spec, table=TableRef(schema="public", name="gone")))


def test_the_check_needs_no_more_than_a_transaction_for_reading(app):
    """Whatever it finds: on a database that refuses every write it says the same."""
    spec = app.spec("t", schema="My App", cursor="u")
    before = check_source(app.database, spec, ALL)
    app.run(f'alter database "{app.database.address.dbname}" set default_transaction_read_only to on')
    app.run("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'syncbridge'")
    assert check_source(app.database, spec, ALL) == before
