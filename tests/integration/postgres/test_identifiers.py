"""Whatever a schema, a table or a column is called, it is read as itself and nothing else is touched."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from shared.adapters.postgres.introspection import introspect
from shared.core.errors import ConfigurationError, NotFound
from shared.core.ids import identity_of
from shared.core.scope import Compare, Operator
from shared.core.source import TableRef
from tests.integration.postgres.stamps import scan

PIECES = [
    '"',
    "'",
    "%",
    "%s",
    "%%",
    "{}",
    "{0}",
    "\\",
    ";",
    "--",
    "/*",
    ".",
    " ",
    "\n",
    "$1",
    ":a",
    "é",
    "\U0001f600",
    "A",
    "a",
]
NAMES = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=63),
).filter(lambda name: len(name.encode()) <= 63)


def quoted(*names: str) -> sql.Identifier:
    return sql.Identifier(*names)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(schema=NAMES, table=NAMES, columns=st.lists(NAMES, min_size=4, max_size=4, unique=True))
@example(schema="public", table='t"; drop table canary; --', columns=["id", 'a" from canary --', "%s", "%b%(x)s"])
@example(schema="x" * 63, table="é" * 31, columns=["xmin ", "t", "a", "k0"])
def test_any_name_that_postgresql_takes_is_read_exactly(source, schema, table, columns):
    assume(not schema.startswith("pg_"))
    assume(not {*columns} & {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
    key, second, value, moved = columns
    execute = source.admin.execute
    source.run("create table if not exists canary (a int)", "truncate canary", "insert into canary values (7)")
    if schema != "public":
        execute(sql.SQL("create schema {}").format(quoted(schema)))
    try:
        execute(
            sql.SQL("create type {} as enum ('a', 'b')").format(quoted(schema, "m" + table[:10])),
        )
        execute(
            sql.SQL(
                "create table {} ({} {}, {} int, {} text, {} timestamptz default now(), primary key ({}, {}))"
            ).format(
                quoted(schema, table),
                quoted(key),
                quoted(schema, "m" + table[:10]),
                quoted(second),
                quoted(value),
                quoted(moved),
                quoted(key),
                quoted(second),
            )
        )
        execute(
            sql.SQL("insert into {} values ('a', 1, 'v'), ('b', 1, 'w'), ('b', 2, null)").format(quoted(schema, table))
        )
        spec = source.spec(table, schema=schema, key=[key, second], cursor=moved, soft_delete=None)
        scoped = replace(spec, scope=Compare(column=value, operator=Operator.EQUAL, value="w%s"))
        all_three = {identity_of(["a", "1"]), identity_of(["b", "1"]), identity_of(["b", "2"])}
        stamps = scan(source.tables, spec)
        assert set(stamps) == all_three
        assert scan(source.tables, scoped) == {}
        rows = source.tables.read_rows(spec, list(all_three))
        assert {identity: row.values[value] for identity, row in rows.items()} == dict(
            zip(sorted(all_three), ["v", "w", None], strict=True)
        )
        assert set(source.tables.read_rows(scoped, list(all_three))) == all_three
        bound = source.tables.watermark_bound(spec)
        page = source.tables.watermark_page(spec, None, limit=1, bound=bound, overlap=timedelta(0))
        rest = source.tables.watermark_page(spec, page.last, limit=9, bound=bound, overlap=timedelta(0))
        assert dict((*page.identities, *rest.identities)) == stamps
        assert source.tables.select_identities(scoped, 5, None) == ()
        assert source.tables.estimated_rows(spec) >= 0
        assert source.admin.execute("select a from canary").fetchall() == [(7,)]
    finally:
        if schema == "public":
            execute(sql.SQL("drop table if exists {}").format(quoted(schema, table)))
            execute(sql.SQL("drop type if exists {}").format(quoted(schema, "m" + table[:10])))
        else:
            execute(sql.SQL("drop schema {} cascade").format(quoted(schema)))


def test_a_name_that_would_be_cut_is_refused_instead_of_meaning_another_column(source):
    long = "c" * 63
    source.run(f"create table t (id int primary key, {long} text)")
    with pytest.raises(NotFound):
        introspect(source.database, TableRef(schema="public", name="t" * 64))
    spec = source.spec("t")
    cut = replace(spec, columns=(replace(spec.columns[1], name=long + "x"),))
    with pytest.raises(ConfigurationError, match="1 to 63 bytes"):
        scan(source.tables, cut)


@pytest.mark.parametrize("name", ["T", "t ", " t", "public.t", '"t"', "t\0", "\ud800"])
def test_names_are_matched_exactly(source, name):
    source.run("create table t (id int primary key)")
    with pytest.raises(NotFound, match="upper and lower case") as raised:
        introspect(source.database, TableRef(schema="public", name=name))
    assert raised.value.code == "no_table"


def test_a_type_that_is_called_like_a_built_in_one_is_not_taken_for_it(source):
    source.run(
        "create schema app",
        "create type app.int4 as (a text, b text)",
        "create type app.text as enum ('x', 'y')",
        "create table app.t (id int primary key, c app.int4, e app.text)",
        "insert into app.t values (1, ('a', 'b'), 'x'), (2, null, null)",
    )
    spec = source.spec("t", schema="app")
    assert [column.type.name for column in spec.columns] == ["int4", "app.int4", "app.text"]
    before = scan(source.tables, spec)
    source.run("alter type app.text rename value 'x' to 'z'")
    assert scan(source.tables, source.spec("t", schema="app")) != before
