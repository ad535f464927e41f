"""An identity is the same bytes whether it comes from a scan or from the log, for every type that a key may have."""

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.families import Family, family_of
from shared.core.source import KeyStrategy
from shared.core.validation_key import _USABLE
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.streams import Slot, scanned

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**20), max_value=10**20).map(str)
YEARS = st.integers(-4700, 290000)


def _date(year: int, rest: str) -> str:
    return f"{year:04d}{rest}" if year > 0 else f"{1 - year:04d}{rest} BC"


DATES = st.builds(
    lambda y, m, d: _date(y, f"-{m:02d}-{d:02d}"), YEARS, st.integers(1, 12), st.integers(1, 28)
) | st.sampled_from(["infinity", "-infinity"])
CLOCKS = st.builds(
    lambda h, m, s, u: f"{h:02d}:{m:02d}:{s:02d}.{u:06d}",
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999),
)  # fmt: skip
MOMENTS = st.builds(
    lambda y, m, d, clock: _date(y, f"-{m:02d}-{d:02d} {clock}"), YEARS, st.integers(1, 12), st.integers(1, 28), CLOCKS
)

NEGATIVE = "numeric(6,-2)"
"""Scales below zero came with PostgreSQL 15."""
TYPES = {
    "int2": st.integers(-(2**15), 2**15 - 1).map(str),
    "int4": st.integers(-(2**31), 2**31 - 1).map(str),
    "int8": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric": NUMBERS | st.sampled_from(["NaN", "Infinity", "-Infinity", "1.00", "0.0", "1e30", "1e-30", "100"]),
    "numeric(12,4)": st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-(10**7), max_value=10**7
    ).map(str),
    NEGATIVE: st.integers(-99_999_999, 99_999_999).map(str),
    "text": TEXTS,
    "varchar(30)": TEXTS,
    "name": TEXTS.filter(lambda text: len(text.encode()) < 64),
    "uuid": st.uuids().map(str),
    "date": DATES,
    "time": CLOCKS | st.just("24:00:00"),
    "time(2)": CLOCKS,
    "timestamp": MOMENTS | st.sampled_from(["infinity", "-infinity"]),
    "timestamptz": MOMENTS.map(lambda text: text if "BC" in text else text + "+05:30") | st.just("infinity"),
    "timestamptz(0)": MOMENTS,
    "bool": st.sampled_from(["true", "false"]),
    "mood": st.sampled_from(["fine", "so-so", 'quo"ted', "back\\slash", "ünï"]),
    "flag": st.sampled_from(["true", "false"]),
    "amount": NUMBERS,
    "label": TEXTS,
}


@pytest.fixture
def types(source: Source) -> Source:
    """Types of somebody's own, and a role and a database whose settings print everything another way."""
    name = source.database.address.dbname
    source.run(
        "create type mood as enum ('fine', 'so-so', 'quo\"ted', E'back\\\\slash', 'ünï')",
        "create domain flag as bool",
        "create domain amount as numeric",
        "create domain label as text",
        f"alter database {name} set datestyle = 'SQL, DMY'",
        f"alter database {name} set timezone = 'Asia/Kathmandu'",
        f"alter database {name} set intervalstyle = 'postgres_verbose'",
        f"alter database {name} set extra_float_digits = -3",
        f"alter database {name} set bytea_output = 'escape'",
    )
    return source


def those_of(source: Source) -> list[str]:
    """The types that this server has."""
    return [type_ for type_ in TYPES if type_ != NEGATIVE or source.admin.info.server_version >= 150_000]


def check(source: Source, slot: Slot, table: str, keys: list[str], rows: list[tuple[str, ...]]) -> None:
    spec = source.spec(table, key=keys)
    with psycopg.connect(source.dsn, autocommit=True) as writer:
        places = ", ".join(["%s"] * len(keys))
        writer.execute(f"delete from {table}")
        written = 0
        for row in rows:
            try:
                written += writer.execute(f"insert into {table} values ({places}) on conflict do nothing", row).rowcount
            except psycopg.DataError:  # a moment that the type does not have
                continue
        found = scanned(source, spec)
        assert len(found) == written
    with slot.feed() as feed:
        assert set(found) <= set(slot.keys(feed))
    with psycopg.connect(source.dsn, autocommit=True) as writer:
        writer.execute(f"delete from {table}")
    with slot.feed() as feed:
        assert set(slot.keys(feed)) == set(found)


@pytest.mark.parametrize("type_", TYPES)
def test_an_identity_from_the_log_is_that_of_a_scan(types, type_):
    if type_ not in those_of(types):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            types.run(f"create table t (k {type_} primary key)")
        return
    types.run(f"create table t (k {type_} primary key)")
    slot = Slot(types, types.spec("t", key=["k"]))

    @settings(max_examples=6, suppress_health_check=list(HealthCheck))
    @given(st.lists(TYPES[type_], min_size=1, max_size=25))
    def agree(values: list[str]) -> None:
        check(types, slot, "t", ["k"], [(value,) for value in values])

    agree()


def test_composite_identities_from_the_log_are_those_of_a_scan(types):
    kinds = ["int8", "numeric", "text", "timestamptz", "bool", "mood", "uuid"]
    columns = ", ".join(f"k{n} {kind}" for n, kind in enumerate(kinds))
    names = [f"k{n}" for n in range(len(kinds))]
    types.run(f"create table t ({columns}, primary key ({', '.join(reversed(names))}))")
    slot = Slot(types, types.spec("t", key=names))

    @settings(max_examples=10, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(*(TYPES[kind] for kind in kinds)), min_size=1, max_size=15))
    def agree(rows: list[tuple[str, ...]]) -> None:
        check(types, slot, "t", names, rows)

    agree()


def test_every_kind_of_key_that_a_definition_may_have_is_among_the_types_above(types):
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(those_of(types)))
    types.run(f"create table every (id int primary key, {columns})")
    spec = types.spec("every", strategy=KeyStrategy.PRIMARY_KEY)
    assert {family_of(column.type) for column in spec.columns} == _USABLE
    assert Family.INTEGER in _USABLE
