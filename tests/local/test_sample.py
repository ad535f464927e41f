import psycopg
import pytest

from infra.local.sample.generate import Counts, add_projects, create

TABLES = ("customers", "projects", "tasks", "invoices")
# numeric, interval, … as catalog names; text[] shows up as _text.
TYPES_THAT_MATTER = {
    "int2", "int4", "int8", "numeric", "float4", "float8", "bool", "text", "varchar", "bpchar", "date", "time",
    "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "bytea", "_text", "_int4",
}  # fmt: skip


@pytest.fixture
def sample(pg_dsn):
    create(pg_dsn, counts=Counts.for_projects(300))
    return pg_dsn


def digest(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return [
            connection.execute(
                f"select count(*), md5(string_agg(t::text, '|' order by t::text)) from business.{table} t"
            ).fetchone()
            for table in TABLES
        ]


def test_one_seed_gives_the_same_rows_in_every_table(database):
    one, two, other = database(), database(), database()
    create(one, counts=Counts.for_projects(300), seed=7)
    create(two, counts=Counts.for_projects(300), seed=7)
    create(other, counts=Counts.for_projects(300), seed=8)

    assert digest(one) == digest(two)
    assert [count for count, _ in digest(one)] == [30, 300, 300, 150]
    assert all(mine != theirs for mine, theirs in zip(digest(one), digest(other), strict=True))


def test_the_tables_use_every_type_and_kind_of_column_that_the_product_has_to_know(sample):
    with psycopg.connect(sample) as connection:
        columns = connection.execute(
            "select t.typname, t.typtype, a.attgenerated, a.attidentity from pg_attribute a"
            " join pg_class c on c.oid = a.attrelid and c.relkind = 'r' join pg_type t on t.oid = a.atttypid"
            " where c.relnamespace = 'business'::regnamespace and a.attnum > 0"
        ).fetchall()
        keys = connection.execute(
            "select array_length(conkey, 1) from pg_constraint where contype = 'p'"
            " and connamespace = 'business'::regnamespace order by 1"
        ).fetchall()

    assert {name for name, *_ in columns} >= TYPES_THAT_MATTER
    assert {kind for _, kind, *_ in columns} >= {"b", "e", "d"}, "base types, enums and domains"
    assert {generated for _, _, generated, _ in columns} == {"", "s"}
    assert {identity for *_, identity in columns} == {"", "d"}
    assert keys == [(1,), (1,), (1,), (2,)]


def test_every_value_fits_a_sharepoint_list(sample):
    with psycopg.connect(sample) as connection:
        names, notes, earliest, latest = connection.execute(
            "select max(length(name)), max(length(notes)), min(starts_on)::text, max(ends_on)::text from business.projects"
        ).fetchone()
        illegal = connection.execute(
            "select count(*) from business.projects where name || coalesce(notes, '') ~ E'[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f]'"
        ).fetchone()

    assert names <= 255
    assert notes <= 63_999
    assert earliest >= "1900-01-01"
    assert latest <= "8900-12-31"
    assert illegal == (0,)


def test_the_next_insert_and_added_projects_do_not_collide_with_generated_keys(sample):
    add_projects(sample, first=1001, count=50, seed=1)
    with psycopg.connect(sample) as connection:
        inserted = connection.execute(
            "insert into business.projects (code, name, customer_id, starts_on)"
            " select 'NEW', 'New', id, '2026-01-01' from business.customers limit 1 returning id"
        ).fetchone()
        count = connection.execute("select count(*) from business.projects").fetchone()

    assert inserted == (301,)
    assert count == (351,)


def test_an_update_moves_updated_at_by_itself(sample):
    with psycopg.connect(sample, autocommit=True) as connection:
        before = connection.execute("select now()").fetchone()
        connection.execute("update business.projects set name = 'changed' where id = 1")
        after = connection.execute("select updated_at from business.projects where id = 1").fetchone()

    assert after > before
