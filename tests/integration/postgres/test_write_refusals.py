"""What the database refuses is told to a person: which rule of which table, what to grant, and never a value."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shared.adapters.postgres.rights import check_source
from shared.core.errors import (
    ConfigurationError,
    PermissionMissing,
    PreconditionFailed,
    RowRejected,
    RowsHidden,
    SourceUnavailable,
)
from shared.core.needs import Needs
from shared.core.source import RowChange, Wrote
from tests.integration.postgres.conftest import Desk, Opener, Opening, Source

CANARY = "the-row-s-value"

TABLES = """
create table parent (id int primary key);
create table t (
    id int primary key,
    a text not null default '',
    code text unique,
    parent int references parent deferrable initially deferred,
    small varchar(20),
    n int check (n > 0)
);
create table child (id int primary key, t int references t);
create function complain() returns trigger language plpgsql as $$
begin raise exception 'no % here', new.a; end $$;
create trigger complain before insert or update on t for each row when (new.small = 'raise') execute function complain();
create function break() returns trigger language plpgsql as $$
begin raise exception 'no % here', new.a using errcode = 'ZX001'; end $$;
create trigger break before insert or update on t for each row when (new.small = 'code') execute function break();
create function divide() returns trigger language plpgsql as $$ begin new.n := 1 / 0; return new; end $$;
create trigger divide before insert or update on t for each row when (new.small = 'zero') execute function divide();
create table log (a text check (length(a) < 3));
create function log() returns trigger language plpgsql as $$ begin insert into log values (new.a); return new; end $$;
create trigger log before insert or update on t for each row when (new.small = 'log') execute function log();
insert into t (id, code) values (1, 'x'), (2, 'the-row-s-value');
insert into child values (1, 1);
"""


@pytest.fixture
def here(source: Source, desk: Opening) -> Desk:
    source.run(TABLES)
    return desk("t")


REFUSALS = [
    (
        {"code": CANARY},
        "another row has the same value where values are unique (constraint t_code_key; SQLSTATE 23505)",
    ),
    (
        {"parent": "77", "a": CANARY},
        "it refers to a row that is not there, or another row still refers to it (constraint t_parent_fkey; SQLSTATE 23503)",
    ),
    ({"n": "-1", "a": CANARY}, "a check does not hold (constraint t_n_check; SQLSTATE 23514)"),
    ({"a": None, "code": "c"}, "a column that must have a value has none (column a; SQLSTATE 23502)"),
    ({"small": CANARY * 2}, "a text is longer than its column takes (SQLSTATE 22001)"),
    ({"n": CANARY}, "a text is no value of its column's type (SQLSTATE 22P02)"),
    (
        {"small": "raise", "a": CANARY},
        "a trigger's function raised an exception (function complain; SQLSTATE P0001)",
    ),
    ({"small": "code", "a": CANARY}, "a rule of the database (function break; SQLSTATE ZX001)"),
    (
        {"small": "zero", "a": CANARY},
        "a value is none of its column's type, or an expression cannot cope with it (function divide; SQLSTATE 22012)",
    ),
    (
        {"small": "log", "a": CANARY},
        "a check does not hold (constraint log_a_check, table public.log, function log; SQLSTATE 23514)",
    ),
]


@pytest.mark.parametrize(("values", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_a_refused_row_is_told_with_the_rule_and_without_a_value(here: Desk, values, reason):
    for change in (here.update("1", **values), here.insert("3", **values)):
        with pytest.raises(RowRejected) as refused:
            here.apply(change)
        assert refused.value.message == f"public.t: the database refused the row: {reason}"
        assert refused.value.code == "row_refused"
        assert CANARY not in repr(refused.value.context)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


def test_a_row_that_others_refer_to_is_not_deleted(here: Desk):
    with pytest.raises(RowRejected) as refused:
        here.apply(here.delete("1"))
    assert "constraint child_t_fkey, table public.child" in refused.value.message


def test_a_value_too_large_for_an_index_is_the_row_s_fault(source: Source, desk: Opening):
    source.run("create table t (id int primary key, a text)", "create index on t (a)")
    here = desk("t")
    text = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(6000))
    with pytest.raises(RowRejected):
        here.apply(here.insert("1", a=text))


def test_a_character_that_the_database_s_encoding_has_not_is_the_row_s_fault(
    source: Source, open_source: Opener, desk: Opening
):
    name = f"{source.database.address.dbname}_latin1"
    source.run(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    try:
        latin = open_source(source.dsn.rsplit("/", 1)[0] + f"/{name}")
        latin.run("create table t (id int primary key, a text)")
        here = desk("t", of=latin, spec=latin.spec("t"))
        assert here.write(here.insert("1", a="é")) == [Wrote(row=here.row("1"))]
        with pytest.raises(RowRejected):
            here.apply(here.update("1", a="€"))
        latin.database.close()
        latin.admin.close()
    finally:
        source.run(f"drop database {name} with (force)")


def test_a_serialization_failure_of_a_trigger_is_no_fault_of_the_row(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key)",
        "create function f() returns trigger language plpgsql as $$ begin raise exception using errcode = '40001'; end $$",
        "create trigger f before insert on t for each row execute function f()",
    )
    here = desk("t")
    with pytest.raises(PreconditionFailed):
        here.apply(here.insert("1"))


@pytest.mark.parametrize("reason", ["default_transaction_read_only = on"])
def test_a_database_that_asks_not_to_be_written_to_is_left_alone(source: Source, desk: Opening, reason: str):
    """A server that is short of disk does so on Azure; it could be overruled, and is not."""
    source.run("create table t (id int primary key)", f"alter database {source.database.address.dbname} set {reason}")
    here = desk("t")
    with pytest.raises(SourceUnavailable) as refused:
        here.begin()
    assert refused.value.code == "read_only"


# ---------------------------------------------------------------- rights


@dataclass(frozen=True)
class Plain:
    name: str
    source: Source


@pytest.fixture
def plain(source: Source, open_source: Opener) -> Iterator[Plain]:
    """A role that may do nothing at all."""
    name = f"plain_{source.database.address.dbname}"
    source.run(f"create role {name} login password 'pw'")
    opened = open_source(user=name, password="pw")
    yield Plain(name, opened)
    opened.database.close()
    source.run(f"drop owned by {name}", f"drop role {name}")


def test_a_role_that_may_only_read_insert_update_and_delete_does_everything(
    source: Source, plain: Plain, desk: Opening
):
    source.run(
        "create table t (id int generated always as identity primary key, a text, no int generated by default as identity)",
        f"grant select, insert, update, delete on t to {plain.name}",
        "insert into t (a) values ('x'), ('y')",
    )
    here = desk("t", of=plain.source, spec=source.spec("t", columns=["id", "a"]))
    transaction = here.begin()
    transaction.apply([here.update("1", a="new"), here.delete("2"), here.insert("9", a="made")])
    transaction.commit()
    assert len(here.writer.fate([transaction.transaction])) == 1
    assert {row.identity for row in (here.row("1"), here.row("9"))} == {'["1"]', '["9"]'}
    assert check_source(plain.source.database, here.spec, Needs(insert=True, update=("a",), delete=True)) == ()


def test_each_right_that_a_write_misses_comes_with_the_sql_that_gives_it(source: Source, plain: Plain, desk: Opening):
    source.run(
        "create schema app",
        "create sequence app.numbers",
        "create table app.t (id int primary key, a text, b text, no int default nextval('app.numbers'))",
        f"grant usage on schema app to {plain.name}",
        f"grant select on app.t to {plain.name}",
        "insert into app.t (id, no) values (1, 1), (2, 2)",
    )
    spec = source.spec("t", schema="app", columns=["id", "a"])
    here = desk("t", of=plain.source, spec=spec)
    needs = Needs(insert=True, update=("a",), delete=True)
    listed = {problem.remedy for problem in check_source(plain.source.database, spec, needs)}

    def misses(change: RowChange, *remedies: str) -> None:
        with pytest.raises(PermissionMissing) as missing:
            here.apply(change)
        assert missing.value.remedy == " ".join(remedies)
        assert set(remedies) <= listed
        source.run(*remedies)
        here.write(change)

    role = f'"{plain.name}"'
    misses(here.update("1", a="x"), f'grant update ("a") on "app"."t" to {role};')
    misses(here.delete("2"), f'grant delete on "app"."t" to {role};')
    misses(
        here.insert("3", a="y"),
        f'grant insert on "app"."t" to {role};',
        f'grant usage on sequence "app"."numbers" to {role};',
    )
    assert check_source(plain.source.database, spec, needs) == ()


def test_who_may_delete_and_not_update_may_lock_nothing_and_is_told_so(source: Source, plain: Plain, desk: Opening):
    source.run(
        "create table t (id int primary key)", f"grant select, delete on t to {plain.name}", "insert into t values (1)"
    )
    here = desk("t", of=plain.source, spec=source.spec("t"))
    (problem,) = check_source(plain.source.database, here.spec, Needs(delete=True))
    assert problem.code == "lock_missing"
    with pytest.raises(PermissionMissing) as missing:
        here.apply(here.delete("1"))
    assert missing.value.remedy == problem.remedy
    source.run(problem.remedy)
    assert here.write(here.delete("1")) == [Wrote(row=None)]


@pytest.mark.parametrize("function", ["pg_logical_emit_message", "pg_control_system", "pg_xact_status"])
def test_functions_that_everybody_may_call_are_asked_for_where_somebody_took_them_away(
    source: Source, plain: Plain, desk: Opening, function: str
):
    source.run("create table t (id int primary key)", f"grant select, insert on t to {plain.name}")
    (signature,) = source.admin.execute(
        "select oid::regprocedure::text from pg_proc where proname = %s order by 1 desc limit 1", [function]
    ).fetchone()
    source.run(f"revoke execute on function {signature} from public")
    here = desk("t", of=plain.source, spec=source.spec("t"))
    (problem,) = check_source(plain.source.database, here.spec, Needs(insert=True))
    assert problem.code == "function_missing"
    if function != "pg_xact_status":
        with pytest.raises(PermissionMissing) as missing:
            here.begin()
        assert missing.value.remedy == problem.remedy
    else:
        transaction = here.begin()
        with pytest.raises(PermissionMissing):
            here.writer.fate([transaction.transaction])
        transaction.close()
    source.run(problem.remedy)
    assert check_source(plain.source.database, here.spec, Needs(insert=True)) == ()
    assert here.write(here.insert("1")) == [Wrote(row=here.row("1"))]


def test_rows_that_a_policy_would_hide_are_not_written_around(source: Source, plain: Plain, desk: Opening):
    source.run(
        "create table t (id int primary key, a text)",
        "insert into t values (1, 'x')",
        f"grant select, insert, update, delete on t to {plain.name}",
    )
    here = desk("t", of=plain.source, spec=source.spec("t"))
    update, delete = here.update("1", a="y"), here.delete("1")
    source.run("alter table t enable row level security", "create policy p on t using (id > 5)")
    for change in (update, delete, here.insert("2")):
        with pytest.raises(RowsHidden):
            here.apply(change)
    assert "rows_hidden" in {p.code for p in check_source(plain.source.database, here.spec, Needs(delete=True))}
    source.run(f"alter role {plain.name} bypassrls")
    here.write(update)


def test_a_trigger_s_missing_right_is_told_without_a_remedy_that_would_not_help(
    source: Source, plain: Plain, desk: Opening
):
    source.run(
        "create table t (id int primary key)",
        "create table log (id int)",
        "create function log() returns trigger language plpgsql as $$ begin insert into log values (1); return new; end $$",
        "create trigger log before insert on t for each row execute function log()",
        f"grant select, insert on t to {plain.name}",
    )
    here = desk("t", of=plain.source, spec=source.spec("t"))
    with pytest.raises(PermissionMissing) as missing:
        here.apply(here.insert("1"))
    assert missing.value.message == "public.t: permission denied for table log"
    assert missing.value.remedy == ""


def test_set_up_finds_what_new_rows_need(source: Source, plain: Plain):
    source.run(
        "create sequence s",
        "create table t (id int not null default nextval('s'), a text, no int default nextval('s'))",
        f"grant select, insert on t to {plain.name}",
    )
    spec = source.spec("t", columns=["id", "a"])
    needs = Needs(insert=True, reserve=True)
    found = {
        (problem.code, problem.message.split(" column ")[-1])
        for problem in check_source(plain.source.database, spec, needs)
    }
    assert {code for code, _ in found} == {"key_not_unique", "sequence_missing"}
    for problem in check_source(plain.source.database, spec, needs):
        source.run(problem.remedy)
    assert check_source(plain.source.database, spec, needs) == ()


def test_a_broken_trigger_is_the_table_s_fault_and_not_the_row_s(source: Source, desk: Opening):
    source.run(
        "create table t (id int primary key)",
        "create function f() returns trigger language plpgsql as $$ begin perform 1 from nowhere; return new; end $$",
        "create trigger f before insert on t for each row execute function f()",
    )
    here = desk("t")
    with pytest.raises(ConfigurationError):
        here.apply(here.insert("1"))
