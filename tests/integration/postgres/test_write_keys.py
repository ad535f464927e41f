"""Keys for rows that are to be made: read from texts as the column prints them, drawn, or made."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from shared.adapters.postgres.connection import PINNED, SourceDatabase
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.postgres.writing import PostgresWriter
from shared.core.errors import ConfigurationError, NotFound, PermissionMissing
from shared.core.ids import identity_of
from shared.core.source import KeyStrategy, Wrote
from tests.fixtures.postgres import Databases
from tests.integration.postgres.conftest import (
    Ids,
    ManualClock,
    Opener,
    Opening,
    Source,
    address_of,
    admit_all,
)

DIGITS = st.text("0123456789", min_size=1, max_size=25)
NUMBERS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "+", " "]),
    DIGITS,
    st.sampled_from(["", ".", ".0", ".50", ".005"]),
    st.sampled_from(["", " ", "e2", "E-1", "x"]),
)
YEARS = st.integers(1, 9999)
DAYS = st.builds(
    "{:04}-{}-{}{}".format, YEARS, st.integers(0, 13), st.integers(0, 32), st.sampled_from(["", " BC", "x"])
)
MOMENTS = st.builds(
    "{}{}{}:{:02}{}{}".format,
    DAYS,
    st.sampled_from([" ", "T"]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.sampled_from(["", ":59", ":59.999999", ":59.9999999", ":60"]),
    st.sampled_from(["", "Z", "+05:30", "-08", " America/New_York", " nowhere"]),
)
HEXES = st.text("0123456789abcdefABCDEF", min_size=0, max_size=40)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)

TYPES = {
    "smallint": NUMBERS,
    "integer": NUMBERS,
    "bigint": NUMBERS,
    "numeric": NUMBERS | st.sampled_from(["NaN", "Infinity", "1e400"]),
    "numeric(10,2)": NUMBERS,
    "numeric(3,-1)": NUMBERS,
    "boolean": st.sampled_from(["t", "TRUE", "yes", "off", "0", "1", "2", "", " no "]),
    "text": TEXTS,
    'text collate "C"': TEXTS,
    "varchar(5)": TEXTS,
    "char(5)": TEXTS,
    "uuid": st.uuids().map(str) | st.uuids().map(lambda u: f"{{{u.hex.upper()}}}") | HEXES,
    "date": DAYS | st.sampled_from(["infinity", "Jan 5, 2024", "2024.060", "J2460000", "now", "yesterday"]),
    "timestamp": MOMENTS,
    "timestamp(3)": MOMENTS,
    "timestamptz": MOMENTS,
    "time": MOMENTS.map(lambda text: text.partition(" ")[2]),
    "bytea": HEXES.map(lambda text: "\\x" + text) | TEXTS,
    "inet": st.ip_addresses().map(str) | st.ip_addresses(v=4).map(lambda a: f"{a}/24") | TEXTS,
    "macaddr": HEXES | st.just("08:00:2b:01:02:03"),
    "mood": st.sampled_from(["sad", "SAD", "so 'so", "", "%s"]),
    "code": TEXTS | st.sampled_from(["A1", "abc ", "abcd"]),
}
FROM_15_ON = {"numeric(3,-1)"}


@dataclass(frozen=True)
class Scribe:
    """A writer, and a user who stores texts under the same settings."""

    source: Source
    writer: PostgresWriter


@pytest.fixture(scope="module")
def scribe(databases: Databases) -> Iterator[Scribe]:
    dsn = databases.create()
    with (
        psycopg.connect(dsn, autocommit=True) as admin,
        SourceDatabase(address_of(dsn), admit=admit_all) as database,
    ):
        admin.execute("create type mood as enum ('sad', 'so ''so', '%s')")
        admin.execute("create domain code as varchar(3) check (value <> '')")
        for number, type_ in enumerate(TYPES):
            known = type_ not in FROM_15_ON or admin.info.server_version >= 150000
            admin.execute(f"create table t{number} (id {type_ if known else 'numeric'} primary key)")
        for name, value in PINNED.items():
            if name != "search_path":
                admin.execute(sql.SQL("select set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value)))
        writer = PostgresWriter(database, flusher=database, clock=ManualClock(), ids=Ids())
        yield Scribe(Source(dsn=dsn, admin=admin, database=database, tables=PostgresSource(database)), writer)
    databases.drop(dsn)


@pytest.mark.parametrize("type_", TYPES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_a_key_text_becomes_what_a_row_with_it_prints_and_nothing_where_no_row_can_have_it(
    scribe: Scribe, type_: str, data
):
    table = f"t{list(TYPES).index(type_)}"
    spec = scribe.source.spec(table)
    texts = data.draw(st.lists(TYPES[type_], min_size=1, max_size=6))
    printed = scribe.writer.identities(spec, [[text] for text in texts])
    assert len(printed) == len(texts)
    for text, identity in zip(texts, printed, strict=True):
        assert identity == stored(scribe.source, table, text, spec)


def stored(source: Source, table: str, text: str, spec) -> str | None:
    """The identity of a row that somebody stores with this key."""
    if text in ("now", "yesterday") and spec.key.columns[0].type.name == "date":
        return None
    source.admin.execute(sql.SQL("truncate {}").format(sql.Identifier(table)))
    try:
        source.admin.execute(sql.SQL("insert into {} values (%s)").format(sql.Identifier(table)), [text])
    except (psycopg.DataError, psycopg.IntegrityError):
        return None
    (identity,) = source.tables.select_identities(spec, 2, None)
    return identity


def test_keys_of_several_columns_are_read_together_and_one_bad_text_spoils_only_its_own(source: Source, desk: Opening):
    source.run('create table t (a numeric(10,2), "b %" timestamptz, primary key (a, "b %"))')
    here = desk("t", key=["a", "b %"])
    good, also = ["1.50", "2024-01-01 12:00:00+02"], ["2", "2024-01-01 00:00:00Z"]
    keys = [good, ["x", "2024-01-01"], also, ["1", "nothing"], good, ["1"], ["1", "2024-01-01", "3"]]
    one, two = identity_of(["1.5", "2024-01-01 10:00:00+00"]), identity_of(["2", "2024-01-01 00:00:00+00"])
    assert here.writer.identities(here.spec, keys) == [one, None, two, None, one, None, None]


def test_thousands_of_key_texts_are_read_although_some_are_none(source: Source, desk: Opening):
    source.run("create table t (id int primary key)")
    here = desk("t")
    texts = [[str(number) if number % 500 else "no number"] for number in range(3000)]
    found = here.writer.identities(here.spec, texts)
    assert [identity is None for identity in found] == [number % 500 == 0 for number in range(3000)]


def test_a_key_column_that_has_another_type_now_is_no_reason_to_take_texts_for_no_key(source: Source, desk: Opening):
    source.run("create table t (id int primary key)")
    here = desk("t")
    source.run("alter table t alter id type text")
    with pytest.raises(NotFound) as drifted:
        here.writer.identities(here.spec, [["x"]])
    assert drifted.value.code == "schema_drift"


# ---------------------------------------------------------------- keys that are made


NUMBERED = [
    "id int generated always as identity primary key",
    "id bigint generated by default as identity (start -100 increment -7) primary key",
    "id serial primary key",
    "id smallserial primary key",
    "id numeric(12,2) primary key default nextval('\"odd ''s\"')",
    "id text primary key default nextval('\"odd ''s\"')",
]


@pytest.mark.parametrize("column", NUMBERED)
def test_numbers_are_drawn_from_the_sequence_that_numbers_the_key(source: Source, desk: Opening, column: str):
    source.run('create sequence "odd \'s"', f"create table t ({column}, a text)")
    here = desk("t")
    reserved = here.writer.reserve(here.spec, 3)
    assert len(set(reserved)) == 3
    assert here.identities() == set()
    outcomes = here.write(*(here.insert(*[key_of(identity)], a="mine") for identity in reserved))
    assert all(isinstance(outcome, Wrote) for outcome in outcomes)
    source.run("insert into t (a) values ('theirs')")
    assert len(here.identities()) == 4


def key_of(identity: str) -> str:
    return identity.removeprefix('["').removesuffix('"]')


def test_numbers_that_rows_have_already_are_passed_over(source: Source, desk: Opening):
    source.run("create table t (id serial primary key)", "insert into t values (2), (3), (5)")
    here = desk("t")
    reserved = here.writer.reserve(here.spec, 3)
    assert len(reserved) == 3
    assert not set(reserved) & here.identities()


def test_a_sequence_far_behind_the_rows_is_told_with_the_sql_that_lifts_it(source: Source, desk: Opening):
    source.run('create table "T %" (id serial primary key)', 'insert into "T %" select generate_series(1, 1000)')
    here = desk("T %")
    with pytest.raises(ConfigurationError) as told:
        here.writer.reserve(here.spec, 2)
    assert told.value.code == "sequence_behind"
    source.run(told.value.message.split(": ", 1)[1].split("already: ")[1])
    assert here.writer.reserve(here.spec, 2) == [identity_of(["1001"]), identity_of(["1002"])]


def test_a_sequence_or_a_column_that_is_at_its_end_is_told(source: Source, desk: Opening):
    source.run(
        "create table t (id int generated always as identity (maxvalue 2) primary key)",
        "create sequence s start 32768",
        "create table u (id smallint primary key default nextval('s'))",
    )
    for here, count in ((desk("t"), 3), (desk("u"), 1)):
        with pytest.raises(ConfigurationError) as told:
            here.writer.reserve(here.spec, count)
        assert told.value.code == "sequence_exhausted"


def test_uuids_are_made_where_the_key_is_one_also_behind_a_domain_and_beside_a_number(source: Source, desk: Opening):
    source.run(
        "create domain reference as uuid",
        "create table t (id reference, no int generated always as identity, primary key (no, id))",
    )
    here = desk("t", key=["no", "id"])
    reserved = here.writer.reserve(here.spec, 2)
    numbers = [identity.split('"')[1] for identity in reserved]
    made = {UUID(identity.split('"')[3]) for identity in reserved}
    assert numbers == ["1", "2"]
    assert len(made) == 2
    assert all(uuid.version == 4 for uuid in made)


@pytest.mark.parametrize(
    "columns",
    [
        "id int primary key",
        "id text primary key default 'x'",
        "id int primary key default (nextval('s') * 2)",
        "id text primary key default ('A' || nextval('s'))",
        "id text primary key default gen_random_uuid()::text",
    ],
)
def test_a_key_that_can_be_made_neither_way_is_told_with_its_column(source: Source, desk: Opening, columns: str):
    source.run("create sequence s", f"create table t ({columns})")
    here = desk("t")
    with pytest.raises(ConfigurationError) as told:
        here.writer.reserve(here.spec, 1)
    assert told.value.code == "key_cannot_be_made"
    assert " id (" in told.value.message


def test_a_key_with_one_column_that_cannot_be_made_is_not_made_at_all(source: Source, desk: Opening):
    source.run("create table t (no int generated always as identity, region text, primary key (no, region))")
    here = desk("t", key=["no", "region"])
    with pytest.raises(ConfigurationError) as told:
        here.writer.reserve(here.spec, 1)
    assert "region (text)" in told.value.message
    assert source.admin.execute("select nextval('t_no_seq')").fetchone() == (1,)


def test_a_sequence_that_this_role_may_not_draw_from_is_told_with_the_grant(
    source: Source, open_source: Opener, desk: Opening
):
    name = f"drawer_{source.database.address.dbname}"
    source.run(
        "create table t (id int generated always as identity primary key)",
        f"create role {name} login password 'pw'",
        f"grant select, insert on t to {name}",
    )
    opened = open_source(user=name, password="pw")
    here = desk("t", of=opened, spec=source.spec("t"))
    with pytest.raises(PermissionMissing) as missing:
        here.writer.reserve(here.spec, 1)
    source.run(missing.value.remedy)
    assert here.writer.reserve(here.spec, 1) == [identity_of(["1"])]
    opened.database.close()
    source.run(f"drop owned by {name}", f"drop role {name}")


def test_a_key_without_a_unique_index_can_be_reserved_but_not_inserted(source: Source, desk: Opening):
    source.run("create table t (id int generated always as identity)")
    here = desk("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    assert here.writer.reserve(here.spec, 1) == [identity_of(["1"])]
    with pytest.raises(ConfigurationError):
        here.apply(here.insert("1"))
