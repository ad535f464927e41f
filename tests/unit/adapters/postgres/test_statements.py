"""The statements, word for word: quoted names from the spec, values as parameters, nothing else."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared.adapters.postgres
from shared.adapters.postgres import statements, stream_statements
from shared.adapters.postgres.queries import queries
from shared.core.errors import ConfigurationError
from shared.core.source import RelationKind, TableRef
from tests.unit.adapters.postgres.specs import column, spec

ID, AMOUNT, NOTE = column("id", "int4"), column("amount", "numeric"), column("note")
CHANGED = column("changed", "timestamptz")
IDENTITY = (
    """coalesce('["' || "t"."id"::pg_catalog.text || '"]',"""
    ' pg_catalog.json_build_array("t"."id"::pg_catalog.text)::pg_catalog.text)'
)
STAMP = 'pg_catalog.hash_record_extended(row("t"."id", "t"."amount"::pg_catalog.text collate "C", "t"."note"), 0)'


def text(statement) -> str:
    return statement.as_string(None)


def test_a_scan_copies_identity_and_stamp_of_the_rows_in_scope():
    statement, values = statements.scan(spec(ID, AMOUNT, NOTE, scope="note = 'it''s' or amount > 2.5"))
    assert text(statement) == (
        f'copy (select {IDENTITY}, {STAMP} from only "app"."orders" as "t" where %s and'
        ' (("t"."note" = %s) or ("t"."amount" > %s)) and not false) to stdout (format binary)'
    )
    assert values == [True, "it's", Decimal("2.5")]


def test_a_scan_of_some_buckets_asks_for_the_bit_of_each_row_s_bucket():
    statement, values = statements.scan(spec(ID, AMOUNT, NOTE, scope="amount > 2.5"), b"bits")
    bucket = f'(pg_catalog.hashtextextended(({IDENTITY}) collate "C", 0) & 65535)::pg_catalog.int4'
    assert text(statement) == (
        f'copy (select {IDENTITY}, {STAMP} from only "app"."orders" as "t" where pg_catalog.get_bit(%s, {bucket}) = 1'
        ' and ("t"."amount" > %s) and not false) to stdout (format binary)'
    )
    assert values == [b"bits", Decimal("2.5")]


def test_checksums_hash_identity_and_stamp_together():
    statement, values = statements.checksums(spec(ID, AMOUNT, NOTE, scope="amount > 2.5"))
    assert text(statement) == (
        "copy (select (pg_catalog.hashtextextended(i, 0) & 65535)::pg_catalog.int4, count(*),"
        " pg_catalog.bit_xor(pg_catalog.hashtextextended(i, s))"
        f' from (select ({IDENTITY}) collate "C" as i, {STAMP} as s from only "app"."orders" as "t"'
        ' where %s and ("t"."amount" > %s) and not false limit all) as x group by 1) to stdout (format binary)'
    )
    assert values == [True, Decimal("2.5")]


def test_rows_are_read_by_key_arrays_that_are_cast_to_the_key_s_types():
    key = (ID, column("code", "varchar"))
    statement, values = statements.read_rows(spec(*key, NOTE, key=2, scope="note is not null"))
    assert text(statement) == (
        'select pg_catalog.json_build_array("t"."id"::pg_catalog.text, "t"."code"::pg_catalog.text)::pg_catalog.text,'
        ' pg_catalog.hash_record_extended(row("t"."id", "t"."code", "t"."note"), 0), "t".xmin::pg_catalog.text,'
        ' (("t"."note" is not null) and not false) is true, false,'
        ' "t"."id"::pg_catalog.text, "t"."code"::pg_catalog.text, "t"."note"::pg_catalog.text'
        ' from (select distinct "k0"::pg_catalog."int4" as "k0", "k1"::pg_catalog."varchar" as "k1"'
        ' from unnest(%s::pg_catalog.text[], %s::pg_catalog.text[]) as a ("k0", "k1")) as a'
        ' join only "app"."orders" as "t" on "t"."id" = "a"."k0" and "t"."code" = "a"."k1"'
    )
    assert values == []


def test_a_page_goes_on_by_a_row_comparison_and_never_by_or():
    statement = text(statements.watermark_page(spec(ID, NOTE, cursor_column=CHANGED), start="after"))
    assert statement == (
        f'select {IDENTITY}, pg_catalog.hash_record_extended(row("t"."id", "t"."note"), 0),'
        ' "t"."changed"::pg_catalog.text from only "app"."orders" as "t"'
        ' where ("t"."changed", "t"."id") > (%s::pg_catalog."timestamptz", %s::pg_catalog."int4")'
        ' order by "t"."changed", "t"."id" limit %s'
    )
    assert " or " not in statement


def test_a_page_may_begin_at_a_position_or_at_the_beginning():
    at, beginning = (
        text(statements.watermark_page(spec(ID, cursor_column=CHANGED), start=s)) for s in ("at", "beginning")
    )
    assert '"t"."changed" >= %s::pg_catalog."timestamptz" order' in at
    assert '"t"."changed" is not null order' in beginning


@pytest.mark.parametrize(
    ("relation", "only", "version"),
    [
        (RelationKind.TABLE, True, True),
        (RelationKind.PARTITIONED, False, True),
        (RelationKind.VIEW, False, False),
        (RelationKind.MATERIALIZED_VIEW, False, False),
        (RelationKind.FOREIGN_TABLE, False, False),
    ],
)
def test_inheritance_children_are_left_out_and_versions_are_those_of_tables(relation, only, version):
    statement = text(statements.read_rows(spec(ID, relation=relation))[0])
    assert ('join only "app"' in statement) is only
    assert ("xmin" in statement) is version


@pytest.mark.parametrize(
    "name",
    ["int2", "int4", "int8", "bool", "uuid", "date", "time", "timestamp", "timestamptz", "bytea", "text", "varchar"],
)
def test_types_whose_hash_sees_every_change_go_into_the_stamp_as_they_are(name):
    assert text(statements.stamped(column("c", name))) == '"t"."c"'


@pytest.mark.parametrize(
    "of",
    [
        *(column("c", name) for name in ("numeric", "json", "jsonb", "xml", "interval", "timetz")),
        *(column("c", name) for name in ("bpchar", "citext", "money", "bit", "point", "tsvector", "int4range", "name")),
        column("c", "int4", is_array=True),
        column("c", "mood", is_enum=True),
        column("c", "text", deterministic_collation=False),
        column("c", "app.text"),
    ],
    ids=lambda c: f"{c.type.name}{'[]' * c.type.is_array}",
)
def test_all_other_types_go_into_the_stamp_as_their_bytes(of):
    assert text(statements.stamped(of)) == '"t"."c"::pg_catalog.text collate "C"'


@pytest.mark.parametrize("name", ["float4", "float8"])
def test_floating_point_numbers_go_into_the_stamp_as_their_bits(name):
    assert text(statements.stamped(column("c", name))) == f'"pg_catalog"."{name}send"("t"."c")'
    array = column("c", name, is_array=True)
    assert text(statements.stamped(array)) == '"t"."c"::pg_catalog.text collate "C"'


def test_an_identity_is_built_by_hand_only_where_no_text_needs_escaping():
    both = text(statements.identity(spec(ID, AMOUNT, key=2)))
    assert both.startswith(
        """coalesce('["' || "t"."id"::pg_catalog.text || '", "' ||"""
        """ pg_catalog.trim_scale("t"."amount"::pg_catalog.numeric)::pg_catalog.text || '"]', """
    )
    for other in (
        column("k"),
        column("k", "bpchar"),
        column("k", "mood", is_enum=True),
        column("k", "int4", is_array=True),
    ):
        assert text(statements.identity(spec(ID, other, key=2))).startswith("pg_catalog.json_build_array(")


def test_the_soft_delete_column_is_stamped_once():
    gone = column("gone", "bool")
    assert text(statements.stamp(spec(ID, NOTE, soft_delete_column=gone))).count('"gone"') == 1
    assert text(statements.stamp(spec(ID, gone, soft_delete_column=gone))).count('"gone"') == 1


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("bool", 'coalesce("t"."gone", false)'),
        ("int2", 'coalesce("t"."gone" <> 0, false)'),
        ("timestamptz", '("t"."gone" is not null)'),
        ("text", '("t"."gone" is not null)'),
    ],
)
def test_what_a_soft_delete_column_says(type_, expected):
    assert text(statements.soft_deleted(spec(ID, soft_delete_column=column("gone", type_)))) == expected


def test_numeric_keys_lose_their_trailing_zeros():
    assert text(statements.key_text(AMOUNT)) == (
        'pg_catalog.trim_scale("t"."amount"::pg_catalog.numeric)::pg_catalog.text'
    )


def test_keys_of_types_that_cannot_be_cast_back_are_compared_as_text():
    statement = text(statements.read_rows(spec(column("k", "citext")))[0])
    assert '"t"."k"::pg_catalog.text collate "C" = "a"."k0"' in statement


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("app.mood", '"app"."mood"'),
        ('"My App"."Mo""od"', '"My App"."Mo""od"'),
        ('app."x\'; drop"', '"app"."x\'; drop"'),
    ],
)
def test_an_enum_key_is_cast_to_its_own_type_quoted_anew(declared, expected):
    statement = text(statements.read_rows(spec(column("k", "mood", is_enum=True, declared=declared)))[0])
    assert f'"k0"::{expected} as "k0"' in statement


@pytest.mark.parametrize("declared", ["mood", "app.mood; drop table x", 'a"b.c', "app.mood[]", "a.b.c", "app.mood\n"])
def test_what_is_not_exactly_a_type_s_name_never_becomes_sql(declared):
    statement = text(statements.read_rows(spec(column("k", "mood", is_enum=True, declared=declared)))[0])
    assert declared not in statement.replace('"', "")
    assert '"t"."k"::pg_catalog.text collate "C" = "a"."k0"' in statement


@pytest.mark.parametrize(
    ("scope", "expected", "values"),
    [
        (
            "a = 1 and not (b <> 'x' or c is null)",
            '(("t"."a" = %s) and (not (("t"."b" <> %s) or ("t"."c" is null))))',
            [1, "x"],
        ),
        ("a not in (1, 2)", '("t"."a" not in (%s, %s))', [1, 2]),
        ("a in ('%s')", '("t"."a" in (%s))', ["%s"]),
        ("a between 1 and 2.50", '("t"."a" between %s and %s)', [1, Decimal("2.50")]),
        ("a not between 'a' and 'b'", '("t"."a" not between %s and %s)', ["a", "b"]),
        ("a like 'x%' and b not ilike '_'", '(("t"."a" like %s) and ("t"."b" not ilike %s))', ["x%", "_"]),
        ("a is not null", '("t"."a" is not null)', []),
        ("a = true", '("t"."a" = %s)', [True]),
        ('"we""ird %s" >= 0', '("t"."we""ird %%s" >= %s)', [0]),
    ],
)
def test_a_row_filter_has_its_values_beside_it(scope, expected, values):
    rendered, found = statements.render(spec(ID, scope=scope).scope)
    assert (text(rendered), found) == (expected, values)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_names_that_postgresql_would_cut_or_refuse_are_refused(name):
    with pytest.raises(ConfigurationError, match="1 to 63 bytes"):
        statements.identifier(name)
    with pytest.raises(ConfigurationError):
        statements.scan(spec(ID, table=TableRef(schema="app", name=name)))


@given(st.text(min_size=1, max_size=63))
def test_a_name_stays_one_quoted_name(name):
    try:
        quoted = text(statements.identifier(name))
    except ConfigurationError:
        assert "\0" in name or len(name.encode(errors="surrogatepass")) > 63
        return
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "").count('"') == 0
    assert quoted[1:-1].replace('""', '"').replace("%%", "%") == name


def test_a_table_without_key_is_refused_with_words():
    with pytest.raises(ConfigurationError, match="no key"):
        statements.scan(spec(ID, key=0))


@pytest.mark.parametrize("type_", ["text", "numeric", "float8", "timetz", "xid", "interval"])
def test_a_cursor_column_of_another_type_is_refused_with_the_types_that_are_accepted(type_):
    with pytest.raises(ConfigurationError, match="is timestamptz, timestamp, date"):
        statements.watermark_page(spec(ID, cursor_column=column("c", type_)), start="at")


def test_a_watermark_without_cursor_column_is_refused_with_words():
    with pytest.raises(ConfigurationError, match="has no cursor column"):
        statements.watermark_page(spec(ID), start="at")


def test_remedies_quote_every_name_and_show_percent_signs_once():
    odd = spec(ID, table=TableRef(schema="s%", name='t"; drop'), cursor_column=CHANGED)
    assert statements.grant_usage(odd, "ro le") == 'grant usage on schema "s%" to "ro le";'
    assert statements.grant_on_table(odd, "select", "r") == 'grant select on "s%"."t""; drop" to "r";'
    assert statements.grant_on_table(odd, "update", "r", ["a%b", "c"]) == (
        'grant update ("a%b", "c") on "s%"."t""; drop" to "r";'
    )
    assert statements.grant_statistics("r") == 'grant pg_read_all_stats to "r";'
    assert statements.allow("r", "bypassrls") == 'alter role "r" bypassrls;'
    assert statements.create_cursor_index(odd) == ('create index concurrently on "s%"."t""; drop" ("changed", "id");')
    assert stream_statements.full_replica_identity(odd.table) == 'alter table "s%"."t""; drop" replica identity full;'


def test_no_third_module_of_the_adapter_composes_identifiers():
    package = Path(shared.adapters.postgres.__file__).parent
    for module in package.glob("*.py"):
        if module.name not in {"statements.py", "write_statements.py"}:
            assert "sql.Identifier" not in module.read_text(encoding="utf-8"), module.name


@pytest.mark.parametrize("file", ["introspection.sql", "rights.sql", "watermark.sql"])
def test_every_static_statement_is_found_under_its_described_name(file):
    path = Path(shared.adapters.postgres.__file__).parent / file
    declared = [
        line.removeprefix("-- name: ")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("-- name: ")
    ]
    assert declared
    assert list(queries(file)) == declared
    assert all(body for body in queries(file).values())
