"""The watermark: how far is certain, what a page holds, and what may be stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from shared.adapters.postgres import statements
from shared.adapters.postgres.rights import check_source
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError
from shared.core.runs import WatermarkCursor
from shared.core.source import KeyStrategy
from shared.core.untold import NUMBER_OVERLAP, OVERLAP
from shared.ports import WatermarkBound, WatermarkPage
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

_NONE = timedelta(0)
CURSORS = {
    "timestamptz": "'2024-01-01 00:00+00'::timestamptz + g * interval '1 hour'",
    "timestamp": "'2024-01-01'::timestamp + g * interval '1 hour'",
    "date": "'2024-01-01'::date + g",
    "smallint": "g",
    "int": "g * 1000",
    "bigint": "g * 10000000000",
    "xid8": "g::text::xid8",
}


def read(
    source: Source,
    spec: SourceSpec,
    after: WatermarkCursor | None,
    *,
    limit: int = 100,
    bound: WatermarkBound | None = None,
    overlap: timedelta = _NONE,
) -> WatermarkPage:
    return source.tables.watermark_page(
        spec, after, limit=limit, bound=bound or source.tables.watermark_bound(spec), overlap=overlap
    )


def cursor(value: str, identity: str | None = None, **details: str) -> WatermarkCursor:
    return WatermarkCursor(value=value, identity=identity, fingerprint=b"f", details=details)


@contextmanager
def open_transaction(source: Source, *statements: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(source.dsn) as connection:
        for statement in statements or ("select 1",):
            connection.execute(statement)
        yield connection


def moment(bound: WatermarkBound) -> datetime:
    assert bound.upper is not None
    return datetime.fromisoformat(bound.upper)


@pytest.fixture
def stamped(source: Source) -> SourceSpec:
    source.run("create table t (id int primary key, u timestamptz default now())", "insert into t values (1)")
    return source.spec("t", cursor="u")


def server_now(source: Source) -> datetime:
    (now,) = source.admin.execute("select now()").fetchone() or (None,)
    return now


def test_with_nothing_open_the_bound_is_a_second_ago(source, stamped):
    before = server_now(source)
    bound = source.tables.watermark_bound(stamped)
    assert bound.exact
    assert before - timedelta(seconds=1) <= moment(bound) <= server_now(source) - timedelta(seconds=1)


def test_the_bound_lies_below_a_transaction_that_has_written_nothing_yet(source, stamped):
    with open_transaction(source) as connection:
        (began,) = connection.execute("select now()").fetchone() or (None,)
        assert moment(source.tables.watermark_bound(stamped)) <= began - timedelta(seconds=1)
        connection.execute("update t set u = now()")
        connection.commit()
    assert source.tables.watermark_bound(stamped).exact


def test_a_transaction_of_another_database_does_not_hold_the_bound(source, stamped, database):
    with psycopg.connect(database()) as elsewhere:
        (began,) = elsewhere.execute("select now() + interval '1 s'").fetchone() or (None,)
        while server_now(source) <= began:
            pass
        assert moment(source.tables.watermark_bound(stamped)) > began - timedelta(seconds=1)


def test_while_a_prepared_transaction_exists_the_watermark_does_not_move(source, stamped):
    with open_transaction(source, "update t set u = now()") as connection:
        connection.execute("prepare transaction 'two-phase'")
    bound = source.tables.watermark_bound(stamped)
    assert (bound.upper, bound.exact) == (None, True)
    assert "prepared transaction" in bound.reason
    page = read(source, stamped, None, bound=bound)
    assert page.identities
    assert page.safe is None
    source.run("commit prepared 'two-phase'")
    assert source.tables.watermark_bound(stamped).upper is not None


def test_a_prepared_transaction_of_another_database_does_not_matter(source, stamped, database):
    with psycopg.connect(database()) as elsewhere:
        elsewhere.execute("create table x ()")
        elsewhere.execute("prepare transaction 'other'")
    assert source.tables.watermark_bound(stamped).upper is not None


def test_without_the_right_to_see_others_the_bound_is_not_exact_and_says_so(open_source, source, stamped):
    role = f"blind_{source.database.address.dbname}"
    source.run(f"create role {role} login password 'pw'", f"grant select on t to {role}")
    try:
        blind = open_source(user=role, password="pw")
        bound = blind.tables.watermark_bound(stamped)
        assert not bound.exact
        assert "grant pg_read_all_stats" in bound.reason
        source.run(f"grant pg_read_all_stats to {role}")
        assert blind.tables.watermark_bound(stamped).exact
        blind.database.close()
    finally:
        source.run(f"drop owned by {role}", f"drop role {role}")


def test_a_session_that_hides_its_activity_makes_the_bound_inexact(source, stamped):
    with open_transaction(source, "set track_activities = off", "commit", "update t set u = now()"):
        bound = source.tables.watermark_bound(stamped)
        assert not bound.exact
        assert "track_activities" in bound.reason


def test_local_times_are_bounded_below_whatever_zone_wrote_them(source):
    source.run("create table t (id int primary key, u timestamp default now())")
    spec = source.spec("t", cursor="u")
    bound = moment(source.tables.watermark_bound(spec))
    for zone in ("Etc/GMT+12", "Pacific/Honolulu", "UTC", "Asia/Tokyo"):
        source.run(f"set timezone to '{zone}'")
        (written,) = source.admin.execute("insert into t values ((select count(*) from t)) returning u").fetchone() or (
            None,
        )
        assert bound < written
    assert bound > server_now(source).astimezone(UTC).replace(tzinfo=None) - timedelta(hours=13)


def test_an_integer_cursor_is_honest_about_what_it_cannot_know(source):
    source.run(
        "create table t (id int primary key, n bigint)",
        "insert into t select g, g * 100000 from generate_series(1, 5) g",
    )
    bound = source.tables.watermark_bound(source.spec("t", cursor="n"))
    assert (bound.upper, bound.exact) == ("500000", False)
    assert "the next scan finds" in bound.reason


def test_an_xid8_cursor_is_exact_below_every_open_and_prepared_transaction_without_any_right(source):
    source.run("create table t (id int primary key, x xid8 default pg_current_xact_id())", "insert into t values (1)")
    spec = source.spec("t", cursor="x")
    with open_transaction(source, "insert into t values (2)") as connection:
        (open_id,) = connection.execute("select pg_current_xact_id()::text").fetchone() or (None,)
        bound = source.tables.watermark_bound(spec)
        assert bound == WatermarkBound(upper=open_id, exact=True)
        connection.execute("prepare transaction 'xid'")
    source.run("insert into t values (3)")
    assert source.tables.watermark_bound(spec).upper == open_id
    page = read(source, spec, None)
    assert [identity for identity, _ in page.identities] == ['["1"]', '["3"]']
    assert page.safe is not None
    assert (page.safe.value, page.safe.identity) == (open_id, None)
    source.run("commit prepared 'xid'")
    again = read(source, spec, page.safe)
    assert [identity for identity, _ in again.identities] == ['["2"]', '["3"]']


@pytest.mark.parametrize("type_", CURSORS)
def test_pages_follow_the_cursor_and_the_key_without_gap_or_double(source, type_):
    source.run(
        f'create table t (k text collate "C", n numeric, c {type_}, primary key (k, n))',
        f"insert into t select 'k' || g % 7, g + 0.50, {CURSORS[type_].replace('g', '(g / 10)')} from generate_series(1, 100) g",
        "create index on t (c, k, n)",
    )
    spec = source.spec("t", key=["k", "n"], cursor="c")
    far = WatermarkBound(
        upper="32000" if type_ in {"smallint", "int", "bigint"} else "9999" if type_ == "xid8" else "2030-01-01",
        exact=True,
    )
    seen, position = [], None
    while True:
        page = read(source, spec, position, limit=7, bound=far)
        seen += page.identities
        position = page.last
        if page.complete:
            break
    stamps = scan(source.tables, spec)
    assert dict(seen) == stamps
    assert len(seen) == 100


def test_thousands_of_equal_stamps_are_paged_by_the_key(source, stamped):
    source.run("insert into t select g from generate_series(2, 2500) g")
    seen, position = set(), None
    bound = source.tables.watermark_bound(stamped)
    for _ in range(3):
        page = read(source, stamped, position, limit=1000, bound=bound)
        seen |= {identity for identity, _ in page.identities}
        position = page.last
    assert page.complete
    assert len(seen) == 2500


def test_a_page_stores_its_last_row_below_the_bound_and_the_bound_above_it(source):
    source.run(
        "create table t (id int primary key, u timestamptz)",
        "insert into t select g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 minute' from generate_series(1, 9) g",
    )
    spec = source.spec("t", cursor="u")
    bound = WatermarkBound(upper="2024-01-01 00:05:00+00", exact=True)
    low = read(source, spec, None, limit=3, bound=bound)
    assert low.safe is not None
    assert (low.safe.value, low.safe.identity) == ("2024-01-01 00:03:00+00", '["3"]')
    # A row at the bound itself may still get company: it is not passed.
    at = read(source, spec, low.last, limit=2, bound=bound)
    assert at.safe is not None
    assert (at.safe.value, at.safe.identity) == (bound.upper, None)
    high = read(source, spec, low.last, limit=100, bound=bound)
    assert high.safe is not None
    assert (high.safe.value, high.safe.identity) == (bound.upper, None)
    assert [i for i, _ in read(source, spec, high.safe, bound=bound).identities] == [
        '["5"]',
        '["6"]',
        '["7"]',
        '["8"]',
        '["9"]',
    ]


def test_the_stored_position_never_goes_back(source, stamped):
    ahead = cursor("2031-01-01 00:00:00+00")
    source.run("insert into t values (2, '2032-01-01')")
    page = read(source, stamped, ahead)
    assert [identity for identity, _ in page.identities] == ['["2"]']
    assert page.safe is None


def test_an_empty_page_is_complete_and_moves_nothing(source, stamped):
    position = cursor("2099-01-01 00:00:00+00", '["1"]')
    page = read(source, stamped, position)
    assert page == WatermarkPage(identities=(), last=position, safe=None, complete=True)


def test_an_inexact_bound_reads_the_overlap_again_and_stores_no_step_back(source):
    source.run(
        "create table t (id int primary key, u timestamptz)",
        "insert into t select g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 minute' from generate_series(1, 60) g",
    )
    spec = source.spec("t", cursor="u")
    bound = WatermarkBound(upper="2024-01-01 01:00:00+00", exact=False)
    stored = cursor("2024-01-01 00:50:00+00", '["50"]')
    first = read(source, spec, stored, limit=5, bound=bound, overlap=timedelta(minutes=15))
    assert [identity for identity, _ in first.identities] == [f'["{n}"]' for n in range(35, 40)]
    assert first.safe is None
    second = read(source, spec, first.last, limit=5, bound=bound)
    assert [identity for identity, _ in second.identities] == [f'["{n}"]' for n in range(40, 45)]
    assert second.safe is None
    third = read(source, spec, second.last, limit=10, bound=bound)
    assert third.safe is not None
    assert (third.safe.value, dict(third.safe.details)) == ("2024-01-01 00:54:00+00", {})
    exact = read(
        source, spec, stored, bound=WatermarkBound(upper=bound.upper, exact=True), overlap=timedelta(minutes=15)
    )
    assert next(identity for identity, _ in exact.identities) == '["51"]'


def test_an_integer_s_overlap_stays_within_its_type(source):
    source.run("create table t (id int primary key, n smallint)", "insert into t values (1, -32768), (2, 32767)")
    spec = source.spec("t", cursor="n")
    page = read(source, spec, cursor("-32760"), overlap=timedelta(minutes=1))
    assert len(page.identities) == 2
    assert NUMBER_OVERLAP > 8


def test_rows_without_a_cursor_value_are_left_to_the_scan(source, stamped):
    source.run("insert into t values (2, null), (3, now())")
    assert {identity for identity, _ in read(source, stamped, None).identities} == {'["1"]', '["3"]'}


def test_stamps_in_the_future_are_seen_again_until_their_time_has_come(source, stamped):
    source.run("insert into t values (2, 'infinity'), (3, now() + interval '1 day')")
    page = read(source, stamped, None)
    assert page.safe is not None
    assert {identity for identity, _ in read(source, stamped, page.safe).identities} >= {'["2"]', '["3"]'}


def test_a_row_that_left_the_scope_or_was_soft_deleted_is_a_change(source):
    source.run(
        "create table t (id int primary key, a text, gone bool, u timestamptz default now())",
        "insert into t values (1, 'in', false), (2, 'out', false), (3, 'in', true)",
    )
    spec = source.spec("t", scope="a = 'in'", soft_delete="gone", cursor="u")
    assert {identity for identity, _ in read(source, spec, None).identities} == {'["1"]', '["2"]', '["3"]'}


def test_a_page_is_served_by_the_index_on_cursor_and_key(source):
    source.run(
        "create table t (id int primary key, u timestamptz)",
        "insert into t select g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 s' from generate_series(1, 50000) g",
        "create index t_u on t (u, id)",
        "analyze t",
    )
    spec = source.spec("t", cursor="u")
    for start, parameters in (("after", ["2024-01-01 08:00:00+00", "28800"]), ("at", ["2024-01-01 08:00:00+00"])):
        with source.database.transaction(spec.table) as connection:
            statement = statements.watermark_page(spec, start=start)
            plan = connection.execute(
                b"explain (analyze, costs off) " + statement.as_bytes(connection), [*parameters, 100]
            ).fetchall()
        lines = [line for (line,) in plan]
        assert any("Index Cond" in line for line in lines), lines
        assert not any("Rows Removed" in line or "Sort" in line for line in lines), lines


def test_a_column_that_cannot_be_a_cursor_is_refused(source):
    source.run("create table t (id int primary key, a text)")
    with pytest.raises(ConfigurationError, match="cannot be the cursor"):
        source.tables.watermark_bound(source.spec("t", cursor="a"))


def test_the_fingerprint_of_a_position_travels_with_its_pages(source, stamped):
    page = read(source, stamped, cursor("2020-01-01 00:00:00+00"))
    assert page.last is not None
    assert page.last.fingerprint == b"f"
    assert page.safe is not None
    assert page.safe.fingerprint == b"f"


def test_what_a_materialized_view_shows_late_is_read_all_the_same(source, stamped):
    source.run("update t set u = now() - interval '1 hour'", "create materialized view v as select * from t")
    spec = source.spec("v", cursor="u", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    # As if it had begun a minute ago, and the other one half a minute later.
    with open_transaction(source, "update t set u = now() - interval '60 seconds'") as late:
        source.run("insert into t values (2, now() - interval '30 seconds')", "refresh materialized view v")
        late.commit()
    position = read(source, spec, None).safe
    source.run("refresh materialized view v")
    assert '["1"]' in [identity for identity, _ in read(source, spec, position, overlap=OVERLAP).identities]
    assert [problem.code for problem in check_source(source.database, spec)] == ["cursor_refreshed"]
