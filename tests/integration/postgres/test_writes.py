"""Rows are written as everybody writes them: types, defaults, triggers, partitions and all."""

from uuid import uuid4

import pytest

from shared.core.errors import ConfigurationError, NotFound, RowRejected
from shared.core.ids import identity_of, key_texts
from shared.core.source import KeyStrategy, Moved, UpdateRow, Wrote
from tests.integration.postgres.conftest import Opening, Source

TYPES = '''
create schema app;
create type app.mood as enum ('sad', 'so ''so');
create type app."Odd % ""Type""" as enum ('x');
create domain app.email as text check (value like '%@%');
create domain app.code as varchar(3);
create domain app.feeling as app.mood;
create table app.everything (
    id int primary key, big bigint, small smallint, num numeric(10,2), free numeric, flag boolean, r real, d double precision,
    txt text, short varchar(3), fixed char(4), day date, clock time(3), zoned timetz, local timestamp(3), at timestamptz,
    span interval, uid uuid, j json, jb jsonb, raw bytea, mood app.mood, odd app."Odd % ""Type""",
    mail app.email, code app.code, feeling app.feeling, tags text[], shorts varchar(3)[], moods app.mood[], mails app.email[],
    bits bit(3), net inet, cash money, one "char", named name
)
'''
VALUES = {
    "big": "-9223372036854775808",
    "small": "7",
    "num": "1.50",
    "free": "1e-30",
    "flag": "true",
    "r": "1.5",
    "d": "1e+300",
    "txt": "a\\b'\"%s\n\U0001f600",
    "short": "abc",
    "fixed": "ab",
    "day": "2024-02-29",
    "clock": "23:59:59.5",
    "zoned": "10:00:00+02",
    "local": "2024-01-01 10:00:00.123",
    "at": "2024-01-01 10:00:00+00",
    "span": "P1DT2H",
    "uid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "j": '{"a": "b"}',
    "jb": '{"a": [1, null]}',
    "raw": "\\x00ff",
    "mood": "so 'so",
    "odd": "x",
    "mail": "a@b",
    "code": "xyz",
    "feeling": "sad",
    "tags": '{a,"b,c",NULL}',
    "shorts": "{abc,d}",
    "moods": "{sad}",
    "mails": "{a@b}",
    "bits": "101",
    "net": "10.0.0.0/8",
    "cash": "$1.00",
    "one": "q",
    "named": "n",
}


def test_every_type_takes_the_text_that_it_prints(source: Source, desk: Opening):
    source.run(TYPES, "insert into app.everything (id) values (1)")
    here = desk("everything", schema="app")
    (inserted, updated) = here.write(here.insert("2", **VALUES), here.update("1", **VALUES))
    for outcome in (inserted, updated):
        written = dict(outcome.row.values)
        again = here.insert("3", **{name: text for name, text in written.items() if name != "id"})
        (copied,) = here.apply(again)
        assert {**copied.row.values, "id": None} == {**written, "id": None}
    changed = {"free": "0.000000000000000000000000000001"}
    assert dict(inserted.row.values) == {"id": "2"} | VALUES | changed


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("short", "abcd"),
        ("fixed", "abcde"),
        ("code", "abcd"),
        ("shorts", "{abcd}"),
        ("bits", "1010"),
        ("num", "123456789.00"),
        ("small", "32768"),
        ("mood", "glad"),
        ("mail", "nobody"),
        ("mails", "{nobody}"),
        ("day", "2023-02-29"),
        ("uid", "zz-zz"),
        ("jb", "{"),
        ("raw", "\\xf"),
        ("txt", "a\0b"),
        ("txt", "a\ud800b"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_and_never_cut(source: Source, desk: Opening, column: str, text: str):
    source.run(TYPES, "insert into app.everything (id) values (1)")
    here = desk("everything", schema="app")
    for change in (here.update("1", **{column: text}), here.insert("2", **{column: text})):
        with pytest.raises(RowRejected) as refused:
            here.apply(change)
        assert refused.value.code == "row_refused"
        assert text not in refused.value.message
    assert here.row("1").values[column] is None


KEYS = [
    ("int8", ["9223372036854775807"]),
    ("numeric(10,2)", ["1.5"]),
    ("text", ["a\"b\\c'%s é\t"]),
    ('text collate "C"', [""]),
    ("varchar(10)", ["x "]),
    ("char(4)", ["ab"]),
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("date", ["2024-02-29"]),
    ("timestamptz", ["2024-01-01 10:00:00.5+00"]),
    ("timestamp(3)", ["2024-01-01 10:00:00.123"]),
    ("boolean", ["true"]),
    ("bytea", ["\\x00ff"]),
    ("inet", ["10.0.0.1/32"]),
    ("mood", ["so 'so"]),
]


@pytest.mark.parametrize(("type_", "key"), KEYS, ids=[type_ for type_, _ in KEYS])
def test_rows_are_found_by_keys_of_every_type_whatever_the_role_s_own_settings(
    source: Source, desk: Opening, type_: str, key: list[str]
):
    name = source.database.address.dbname
    source.run(
        "create type mood as enum ('sad', 'so ''so')",
        f"create table t (id {type_} primary key, a text)",
        f"alter database {name} set timezone = 'Asia/Kolkata'",
        f"alter database {name} set datestyle = 'German, DMY'",
        f"alter database {name} set intervalstyle = 'sql_standard'",
        f"alter database {name} set bytea_output = 'escape'",
    )
    here = desk("t")
    assert here.write(here.insert(*key, a="1")) == [Wrote(row=here.row(*key))]
    assert here.identities() == {identity_of(key)}
    assert here.write(here.update(*key, a="2")) == [Wrote(row=here.row(*key))]
    assert here.row(*key).values["a"] == "2"
    assert here.write(here.delete(*key)) == [Wrote(row=None)]
    assert here.identities() == set()


def test_keys_of_several_columns_and_hostile_names_are_written_exactly(source: Source, desk: Opening):
    source.run(
        'create schema "S % ""q"" ."',
        'create table "S % ""q"" ."."t;%s" ("K 1" int, "%s" text, "v""%" text, primary key ("%s", "K 1"))',
        """insert into "S % ""q"" ."."t;%s" values (1, 'a', 'x'), (1, 'b', 'x'), (2, 'a', 'x')""",
    )
    here = desk("t;%s", schema='S % "q" .', key=["K 1", "%s"])
    outcomes = here.write(
        here.update("1", "a", **{'v"%': "new"}), here.delete("2", "a"), here.insert("3", "a", **{'v"%': "made"})
    )
    assert all(isinstance(outcome, Wrote) for outcome in outcomes)
    rows = source.admin.execute('select "K 1", "%s", "v""%" from "S % ""q"" ."."t;%s" order by 1, 2').fetchall()
    assert rows == [(1, "a", "new"), (1, "b", "x"), (3, "a", "made")]


def test_a_page_writes_hundreds_of_rows_with_one_statement_for_each_set_of_columns(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, a text, b text)",
        "insert into t select g, 'a', 'b' from generate_series(1, 300) g",
        "create table statements (n int generated always as identity)",
        "create function note() returns trigger language plpgsql as $$ begin"
        " insert into statements default values; return null; end $$",
        "create trigger note after insert or update or delete on t for each statement execute function note()",
    )
    here = desk("t")
    rows = source.tables.read_rows(here.spec, [identity_of([str(n)]) for n in range(1, 301)])
    changes = [
        UpdateRow(op=uuid4(), identity=row.identity, version=row.version, values={"b" if number % 2 else "a": "new"})
        for number, row in enumerate(rows.values())
    ]
    outcomes = here.write(*changes, *(here.insert(str(n), a="x") for n in range(1001, 1201)))
    assert all(isinstance(outcome, Wrote) for outcome in outcomes)
    # Two sets of columns and one insert.
    assert source.admin.execute("select count(*) from statements").fetchone() == (3,)
    assert source.admin.execute("select count(*) from t where a = 'new' or b = 'new'").fetchone() == (300,)


def test_a_column_that_is_not_given_gets_its_default_and_a_given_null_stays_null(source: Source, desk: Opening):
    source.run("create table t (id int primary key, a text default 'A', b text default 'B')")
    here = desk("t")
    (wrote,) = here.write(here.insert("1", b=None))
    assert wrote.row.values == {"id": "1", "a": "A", "b": None}


@pytest.mark.parametrize("kind", ["always as identity", "by default as identity"])
def test_a_key_that_the_database_would_number_can_be_given(source: Source, desk: Opening, kind: str):
    source.run(f"create table t (id int generated {kind} primary key, a text)")
    here = desk("t")
    (wrote,) = here.write(here.insert("7", a="x"))
    assert wrote.row.identity == identity_of(["7"])


def test_a_column_that_the_database_computes_is_never_written(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, n int generated always as identity,"
        " a text, loud text generated always as (upper(a)) stored)",
        "insert into t values (1)",
    )
    here = desk("t")
    for change in (here.update("1", loud="x"), here.insert("2", loud="x")):
        with pytest.raises(RowRejected) as refused:
            here.apply(change)
        assert (refused.value.code, refused.value.field) == ("generated_column", "loud")
    with pytest.raises(RowRejected) as refused:
        here.apply(here.update("1", n="5"))
    assert "428C9" in refused.value.message
    (wrote,) = here.write(here.update("1", a="x"))
    assert wrote.row.values["loud"] == "X"


def test_a_parent_s_children_by_inheritance_keep_their_rows(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, a text)",
        "create table child () inherits (t)",
        # In one transaction: so all of them have one version, too.
        "insert into t values (1, 'parent'); insert into child values (1, 'child'), (2, 'child')",
    )
    here = desk("t")
    here.write(here.update("1", a="new"), here.insert("2", a="new"))
    here.write(here.delete("1"))
    assert source.admin.execute("select id, a from child order by 1").fetchall() == [(1, "child"), (2, "child")]
    assert source.admin.execute("select id, a from only t order by 1").fetchall() == [(2, "new")]


def test_rows_of_a_partitioned_table_are_written_and_move_between_its_partitions(source: Source, desk: Opening):
    source.run(
        "create table t (id int, region text, a text, primary key (id, region)) partition by list (region)",
        "create table north partition of t for values in ('n')",
        "create table south partition of t for values in ('s')",
        "create table p (id int primary key, region int) partition by hash (id)",
        "create table p0 partition of p for values with (modulus 2, remainder 0)",
        "create table p1 partition of p for values with (modulus 2, remainder 1)",
        "insert into t values (1, 'n', 'x')",
    )
    here = desk("t", key=["id"], strategy=KeyStrategy.COMPOSITE_COLUMNS)
    (wrote,) = here.write(here.update("1", region="s"))
    assert wrote == Wrote(row=here.row("1"))
    assert source.admin.execute("select tableoid::regclass::text from t").fetchone() == ("south",)
    there = desk("p")
    there.write(*(there.insert(str(n), region="1") for n in range(10)))
    there.write(there.delete("3"), there.update("4", region="2"))
    assert len(there.identities()) == 9
    with pytest.raises(RowRejected):
        here.apply(here.update("1", region="nowhere"))


def test_a_row_that_a_user_has_moved_to_another_partition_has_moved(source: Source, desk: Opening):
    source.run(
        "create table t (id int, region text, a text, primary key (id, region)) partition by list (region)",
        "create table north partition of t for values in ('n')",
        "create table south partition of t for values in ('s')",
        "insert into t values (1, 'n', 'x')",
    )
    here = desk("t", key=["id"], strategy=KeyStrategy.COMPOSITE_COLUMNS)
    change = here.update("1", a="mine")
    source.run("update t set region = 's'")
    assert here.apply(change) == [Moved()]


# ---------------------------------------------------------------- triggers


def test_what_after_triggers_and_deferred_ones_make_of_a_row_is_read_back(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, a text, b text, c text)",
        "insert into t values (1)",
        "create function mark() returns trigger language plpgsql as $$ begin"
        " if tg_argv[0] = 'b' then update t set b = new.a || '!' where id = new.id;"
        " else update t set c = new.a || '?' where id = new.id; end if; return null; end $$",
        "create trigger b after insert or update of a on t for each row execute function mark('b')",
        "create constraint trigger c after insert or update of a on t deferrable initially deferred"
        " for each row execute function mark('c')",
    )
    here = desk("t")
    one, two = here.write(here.update("1", a="x"), here.insert("2", a="y"))
    assert one == Wrote(row=here.row("1"))
    assert two == Wrote(row=here.row("2"))
    assert (one.row.values["b"], one.row.values["c"], two.row.values["c"]) == ("x!", "x?", "y?")


def test_triggers_and_defaults_see_the_settings_that_everybody_s_writes_have(source: Source, desk: Opening):
    """A trigger that stamps a time without zone would stamp another one under our pinned zone, and a watermark that goes
    by it would miss the row."""
    name = source.database.address.dbname
    source.run(
        f"alter database {name} set timezone = 'Asia/Kolkata'",
        f"alter database {name} set search_path = helpers, public",
        f"alter database {name} set default_transaction_isolation = 'serializable'",
        f"alter database {name} set synchronous_commit = 'off'",
        "create schema helpers",
        "create function helpers.shout(text) returns text language sql as $$ select upper($1) $$",
        "create table public.t (id int primary key, a text, zone text default current_setting('timezone'), path text,"
        " isolation text, synchronous text)",
        """create function helpers.fill() returns trigger language plpgsql as $$ begin
            new.a := shout(new.a);
            new.zone := current_setting('timezone');
            new.path := current_setting('search_path');
            new.isolation := current_setting('transaction_isolation');
            new.synchronous := current_setting('synchronous_commit');
            return new; end $$""",
        "create trigger fill before update on public.t for each row execute function helpers.fill()",
    )
    here = desk("t")
    here.write(here.insert("1", a="x"))
    assert here.row("1").values["zone"] == "Asia/Kolkata"
    (wrote,) = here.write(here.update("1", a="x"))
    assert dict(wrote.row.values) == {
        "id": "1",
        "a": "X",
        "zone": "Asia/Kolkata",
        "path": "helpers, public",
        "isolation": "read committed",
        "synchronous": "on",
    }


def test_operators_that_somebody_put_into_the_path_do_not_decide_which_rows_are_written(source: Source, desk: Opening):
    name = source.database.address.dbname
    source.run(
        "create schema evil",
        "create function evil.always(int, int) returns boolean language sql as $$ select true $$",
        "create function evil.always(text, text) returns boolean language sql as $$ select true $$",
        "create operator evil.= (leftarg = int, rightarg = int, function = evil.always)",
        "create operator evil.= (leftarg = text, rightarg = text, function = evil.always)",
        "create table public.t (id int primary key, a text)",
        "insert into t values (1, 'one'), (2, 'two')",
        f"alter database {name} set search_path = evil, pg_catalog, public",
    )
    here = desk("t")
    here.write(here.update("1", a="new"))
    here.write(here.delete("1"))
    assert here.identities() == {identity_of(["2"])}
    assert here.row("2").values["a"] == "two"


def test_a_row_that_a_trigger_removes_after_it_was_written_reads_back_as_gone(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, a text)",
        "create table archive (id int, a text)",
        "insert into t values (1, 'x'), (2, 'x')",
        "create function archive() returns trigger language plpgsql as $$ begin"
        " delete from t where id = new.id; insert into archive values (new.*); return null; end $$",
        "create trigger archive after update on t for each row when (new.a = 'done') execute function archive()",
    )
    here = desk("t")
    gone, stays = here.write(here.update("1", a="done"), here.update("2", a="open"))
    assert gone == Wrote(row=None)
    assert stays.row.values["a"] == "open"
    assert source.admin.execute("select id from archive").fetchall() == [(1,)]


def test_a_delete_that_a_trigger_turns_into_a_mark_is_written_and_shows_the_mark(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key, a text, gone boolean)",
        "insert into t values (1, 'x'), (2, 'x')",
        "create function keep() returns trigger language plpgsql as $$ begin"
        " update t set gone = true where id = old.id; return null; end $$",
        "create trigger keep before delete on t for each row when (old.id = 1) execute function keep()",
    )
    here = desk("t", soft_delete="gone")
    kept, deleted = here.write(here.delete("1"), here.delete("2"))
    assert kept == Wrote(row=here.row("1"))
    assert kept.row.soft_deleted
    assert deleted == Wrote(row=None)


def test_a_new_row_whose_key_a_trigger_changes_is_refused_because_it_could_not_be_found_again(
    source: Source, desk: Opening
):
    source.run(
        "create table t (id int primary key, a text)",
        "create function renumber() returns trigger language plpgsql as $$ begin new.id := 100; return new; end $$",
        "create trigger renumber before insert on t for each row execute function renumber()",
    )
    here = desk("t")
    with pytest.raises(RowRejected) as refused:
        here.apply(here.insert("1", a="x"))
    assert refused.value.code == "key_changed"
    assert here.identities() == set()


# ---------------------------------------------------------------- what is no table any more


def test_what_is_no_ordinary_table_is_not_written_to_even_if_it_was_one(source: Source, desk: Opening):
    source.run("create table t (id int primary key, a text)", "insert into t values (1, 'x')")
    source.run("create view v as select * from t")
    view = desk("v", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    with pytest.raises(ConfigurationError) as refused:
        view.begin().close()
    assert refused.value.code == "not_writable"
    source.run("drop view v")
    here = desk("t")
    change = here.update("1", a="y")
    source.run("alter table t rename to base", "create view t as select * from base")
    with pytest.raises(ConfigurationError) as refused:
        here.begin()
    assert refused.value.code == "not_writable"
    source.run("drop view t")
    with pytest.raises(NotFound):
        here.begin()
    source.run("create table t (id text primary key, a text)")
    with pytest.raises(NotFound) as drifted:
        here.apply(change)
    assert drifted.value.code == "schema_drift"
    source.run("drop table t", "alter table base rename to t", "alter table t rename column a to z")
    with pytest.raises(NotFound) as drifted:
        here.apply(change)
    assert drifted.value.code == "schema_drift"


def test_two_rows_with_one_key_are_not_written_but_told(source: Source, desk: Opening):
    source.run("create table t (id int, a text)", "insert into t values (1, 'x')")
    here = desk("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    change = here.update("1", a="new")
    source.run("insert into t values (1, 'y')")
    with pytest.raises(ConfigurationError) as told:
        here.apply(change)
    assert told.value.code == "duplicate_key"


def test_new_rows_need_an_index_that_keeps_their_key_unique(source: Source, desk: Opening):
    source.run("create table t (id int not null, a text)", "create unique index on t (id) where a is null")
    here = desk("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    with pytest.raises(ConfigurationError) as told:
        here.apply(here.insert("1"))
    assert told.value.code == "key_not_unique"
    source.run(told.value.message.split(": ", 1)[1])
    assert here.write(here.insert("1")) == [Wrote(row=here.row("1"))]
    assert here.apply(here.insert("1")) == [Moved()]


def test_a_key_whose_uniqueness_may_be_deferred_takes_new_rows_and_passes_over_those_that_are_there(
    source: Source, desk: Opening
):
    source.run(
        "create table t (id int, a text, constraint k unique (id) deferrable initially deferred)",
        "insert into t values (1, 'theirs')",
    )
    here = desk("t", strategy=KeyStrategy.UNIQUE)
    assert here.apply(here.insert("1", a="mine")) == [Moved()]
    assert here.write(here.insert("2", a="mine")) == [Wrote(row=here.row("2"))]
    assert key_texts(here.row("2").identity) == ("2",)
