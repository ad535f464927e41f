"""What is read of tables, partitions, inheritance parents, views, and tables with row-level security or few rights."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from shared.adapters.postgres.translation import translate
from shared.core.errors import ConfigurationError, PermissionMissing, RowsHidden
from shared.core.source import KeyStrategy, RelationKind
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

_NONE = timedelta(0)


@pytest.fixture
def role(source: Source) -> Iterator[str]:
    """A role of this test's own that may log in and nothing else."""
    name = f"reader_{source.database.address.dbname}"
    source.run(f"create role {name} login password 'pw'")
    yield name
    source.run(f"drop owned by {name}", f"drop role {name}")


@pytest.fixture
def reader(open_source, role: str) -> Iterator[Source]:
    """The database as that role reads it."""
    opened = open_source(user=role, password="pw")
    yield opened
    opened.database.close()


def test_an_inheritance_parent_is_read_without_its_children_s_rows(source):
    source.run(
        "create table parent (id int primary key, a text)",
        "create table child (primary key (id)) inherits (parent)",
        "insert into parent values (1, 'parent')",
        "insert into child values (1, 'child'), (2, 'child')",
    )
    spec = source.spec("parent")
    assert list(scan(source.tables, spec)) == ['["1"]']
    rows = source.tables.read_rows(spec, ['["1"]', '["2"]'])
    assert {identity: row.values["a"] for identity, row in rows.items()} == {'["1"]': "parent"}
    assert source.tables.select_identities(spec, 10, None) == ('["1"]',)


def test_a_partitioned_table_is_read_whole_with_versions(source):
    source.run(
        "create table p (id int primary key, a text) partition by range (id)",
        "create table p_low partition of p for values from (0) to (10) partition by list (id)",
        "create table p_low_1 partition of p_low for values in (1)",
        "create table p_high partition of p for values from (10) to (20)",
        "insert into p values (1, 'low'), (10, 'high')",
    )
    spec = source.spec("p")
    assert spec.relation is RelationKind.PARTITIONED
    assert set(scan(source.tables, spec)) == {'["10"]', '["1"]'}
    rows = source.tables.read_rows(spec, ['["1"]', '["10"]'])
    assert len(rows) == 2
    assert all(row.version.isdigit() for row in rows.values())
    assert list(scan(source.tables, source.spec("p_high"))) == ['["10"]']


@pytest.mark.parametrize("kind", ["view", "materialized view"])
def test_rows_of_views_have_no_version(source, kind):
    source.run(
        "create table t (id int primary key, a text)",
        "insert into t values (1, 'x')",
        f"create {kind} v as select * from t",
    )
    spec = source.spec("v", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    assert list(scan(source.tables, spec)) == ['["1"]']
    assert source.tables.read_rows(spec, ['["1"]'])['["1"]'].version == ""


def test_a_view_has_a_stamp_of_its_own_values(source):
    source.run(
        "create table t (id int primary key, a text)",
        "insert into t values (1, 'x')",
        "create view v as select id, upper(a) as a from t",
    )
    spec = source.spec("v")
    before = scan(source.tables, spec)
    source.run("update t set a = 'y'")
    assert scan(source.tables, spec) != before


def test_rows_that_a_policy_would_hide_stop_every_kind_of_reading(source, reader, role):
    source.run(
        "create table t (id int primary key, a int, u timestamptz default now())",
        "insert into t select g, g % 3 from generate_series(1, 9) g",
        "alter table t enable row level security",
        "create policy some_rows on t using (a = 1)",
        f"grant select on t to {role}",
    )
    spec = source.spec("t", cursor="u")
    assert reader.tables.watermark_bound(spec)
    bound = source.tables.watermark_bound(spec)
    for read in (
        lambda: scan(reader.tables, spec),
        lambda: reader.tables.read_rows(spec, ['["1"]']),
        lambda: reader.tables.select_identities(spec, 5, None),
        lambda: reader.tables.estimated_rows(spec),
        lambda: reader.tables.watermark_page(spec, None, limit=5, bound=bound, overlap=_NONE),
    ):
        with pytest.raises(RowsHidden, match="would look like deletions"):
            read()
    source.run(f"alter role {role} bypassrls")
    assert len(scan(reader.tables, spec)) == 9
    assert len(scan(source.tables, spec)) == 9


def test_a_policy_is_recognised_whatever_language_the_server_speaks(source, reader, role, monkeypatch):
    source.run(
        "create table t (id int primary key)", "alter table t enable row level security", f"grant select on t to {role}"
    )
    with psycopg.connect(source.dsn, autocommit=True) as connection:
        connection.execute(f"set role {role}")
        connection.execute("set row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
            connection.execute("select from t")
    monkeypatch.setattr(type(raised.value.diag), "message_primary", "Politik für Tabelle")
    assert isinstance(translate(raised.value, "public.t"), RowsHidden)


@pytest.mark.parametrize("missing", ["schema", "table", "column"])
def test_a_missing_right_is_an_error_that_names_the_object(source, reader, role, missing):
    source.run(
        "create schema app", "create table app.t (id int primary key, a text)", "insert into app.t values (1, 'x')"
    )
    if missing != "schema":
        source.run(f"grant usage on schema app to {role}")
    if missing == "column":
        source.run(f"grant select (id) on app.t to {role}")
    spec = source.spec("t", schema="app")
    for read in (lambda: scan(reader.tables, spec), lambda: reader.tables.read_rows(spec, ['["1"]'])):
        with pytest.raises(PermissionMissing, match=r"app\.t: permission denied for (schema app|table t)"):
            read()


def test_select_on_the_mapped_columns_and_xmin_is_all_that_reading_needs(source, reader, role):
    source.run(
        "create schema app",
        "create table app.t (id int primary key, a text, hidden text)",
        "insert into app.t values (1, 'x', 'y')",
        f"grant usage on schema app to {role}",
        f"grant select (id, a, xmin) on app.t to {role}",
    )
    spec = source.spec("t", schema="app", columns=["id", "a"])
    assert list(scan(reader.tables, spec)) == ['["1"]']
    assert reader.tables.read_rows(spec, ['["1"]'])['["1"]'].version.isdigit()


def test_a_function_or_operator_that_somebody_planted_is_never_run_by_us(source, reader, role):
    """Names resolve in pg_catalog alone, so that a look-alike with a better matching signature is not found."""
    source.run(
        "create table t (id int primary key, a text, u timestamptz default now())",
        "insert into t values (1, 'x')",
        "create table canary (hit text)",
        f"grant select on t to {role}",
        f"grant all on canary to {role}",
        "grant all on schema public to public",
        "create function public.json_build_array(text) returns json language plpgsql as"
        " $$ begin insert into public.canary values ('f'); return '[]'; end $$",
        "create function public.evil(int, int) returns boolean language plpgsql as"
        " $$ begin insert into public.canary values ('o'); return true; end $$",
        "create operator public.= (leftarg = int, rightarg = int, function = public.evil)",
        f"alter role {role} set search_path to public, pg_catalog",
    )
    spec = source.spec("t", cursor="u", scope="id = 1")
    assert list(scan(reader.tables, spec)) == ['["1"]']
    assert set(reader.tables.read_rows(spec, ['["1"]'])) == {'["1"]'}
    bound = reader.tables.watermark_bound(spec)
    assert reader.tables.watermark_page(spec, None, limit=5, bound=bound, overlap=_NONE).identities
    assert source.admin.execute("select count(*) from canary").fetchone() == (0,)


def test_reading_cannot_write_even_where_the_table_is_a_view_that_would(source):
    source.run(
        "create table log (a text)",
        "create table t (id int primary key)",
        "insert into t values (1)",
        "create function noisy(int) returns int language plpgsql as"
        " $$ begin insert into public.log values ('x'); return $1; end $$",
        "create view v as select public.noisy(id) as id from t",
    )
    with pytest.raises(ConfigurationError, match="reading only"):
        scan(source.tables, source.spec("v"))
    assert source.admin.execute("select count(*) from log").fetchone() == (0,)
