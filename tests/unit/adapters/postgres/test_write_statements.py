"""Statements that write, word for word: every name with its schema, every value a parameter, casts without modifiers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.postgres import write_statements
from shared.adapters.postgres.fates import TransactionName, parse_name
from shared.adapters.postgres.write_statements import TypeName
from shared.core.source import RelationKind
from tests.unit.adapters.postgres.specs import column, spec

ID = column("id", "int4", declared="integer")
CODE = column('co"de %', "varchar", declared="character varying(3)")
SPEC = spec(ID, CODE, column("note"), key=2)
TYPES = {
    "id": TypeName(schema="pg_catalog", name="int4"),
    'co"de %': TypeName(schema="pg_catalog", name="varchar", modifiers="(3)"),
    "note": TypeName(schema="app", name="Mood"),
}
KEYS = (
    '"t"."id" operator(pg_catalog.=) "v"."k0"::pg_catalog."int4"'
    ' and "t"."co""de %%" operator(pg_catalog.=) "v"."k1"::pg_catalog."varchar"'
)


def arrays(*names: str) -> str:
    listed = ", ".join("pg_catalog.unnest(%s::pg_catalog.text[])" for _ in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'rows from ({listed}) as "v" ({quoted})'


def text(statement) -> str:
    return statement.as_string(None)


def test_an_update_compares_key_and_version_and_says_which_rows_it_wrote():
    assert text(write_statements.update_rows(SPEC, ["note"], TYPES)) == (
        'update only "app"."orders" as "t" set "note" = "v"."c0"::"app"."Mood"'
        f" from {arrays('n', 'x', 'k0', 'k1', 'c0')}"
        f' where {KEYS} and "t".xmin::pg_catalog.text operator(pg_catalog.=) "v"."x" returning "v"."n"'
    )


def test_a_delete_compares_key_and_version_and_says_which_rows_it_deleted():
    statement = write_statements.delete_rows(spec(ID, CODE, key=2, relation=RelationKind.PARTITIONED))
    assert text(statement) == (
        f'delete from "app"."orders" as "t" using {arrays("n", "x", "k0", "k1")}'
        f' where {KEYS} and "t".xmin::pg_catalog.text operator(pg_catalog.=) "v"."x" returning "v"."n"'
    )


def test_an_insert_passes_over_conflicts_of_the_key_only():
    start = (
        'insert into "app"."orders" as "t" ("id", "co""de %%", "note")'
        ' select "v"."k0"::"pg_catalog"."int4", "v"."k1"::"pg_catalog"."varchar", "v"."c0"::"app"."Mood"'
        f" from {arrays('k0', 'k1', 'c0')}"
    )
    assert text(write_statements.insert_rows(SPEC, ["note"], TYPES, arbiter=True)) == (
        f'{start} on conflict ("id", "co""de %%") do nothing'
    )
    assert text(write_statements.insert_rows(SPEC, ["note"], TYPES, arbiter=False)) == (
        f'{start} where not exists (select from only "app"."orders" as "t" where {KEYS})'
    )


def test_a_key_that_is_an_identity_is_given_all_the_same():
    plain, numbered = spec(ID), spec(replace(ID, identity=True))
    assert "overriding" not in text(write_statements.insert_rows(plain, [], TYPES, arbiter=True))
    assert '("id") overriding system value select' in text(
        write_statements.insert_rows(numbered, [], TYPES, arbiter=True)
    )


@pytest.mark.parametrize(("lock", "words"), [("no key update", "for no key update of"), ("update", "for update of")])
def test_locks_wait_for_nobody(lock, words):
    assert text(write_statements.lock_rows(SPEC, lock)).endswith(f'{words} "t" skip locked')


def test_key_texts_are_read_with_the_types_own_modifiers():
    assert 'as "t" ("id" "pg_catalog"."int4", "co""de %%" "pg_catalog"."varchar"(3))' in text(
        write_statements.print_identities(SPEC, TYPES)
    )


def test_remedies_are_statements_that_can_be_copied():
    assert write_statements.grant_on_sequence("My App", "s", 'r"1') == 'grant usage on sequence "My App"."s" to "r""1";'
    assert write_statements.grant_on_function("pg_xact_status", ["xid8"], "r") == (
        'grant execute on function pg_catalog."pg_xact_status"("xid8") to "r";'
    )
    assert write_statements.create_key_index(SPEC) == 'create unique index on "app"."orders" ("id", "co""de %");'
    assert write_statements.lift_sequence("a", "s%'", SPEC, "id") == (
        """select setval('"a"."s%''"', (select max("id") from "app"."orders"));"""
    )


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**31 - 1), st.integers(3, 2**64 - 1))
def test_a_transaction_s_name_reads_back(system, timeline, xid):
    name = TransactionName(system=str(system), timeline=timeline, xid=xid)
    assert parse_name(str(name)) == name
    assert int(name.version) == xid % 2**32


@pytest.mark.parametrize(
    "text_",
    [
        "",
        "1/2",
        "1/2/3/4",
        "a/1/1",
        "1/1/x",
        "1/-1/3",
        "1/1/18446744073709551616",
        "1/2147483648/3",
        "١/1/3",
        "1/1/3\n",
    ],
)
def test_what_is_no_transaction_s_name_is_none(text_):
    assert parse_name(text_) is None
