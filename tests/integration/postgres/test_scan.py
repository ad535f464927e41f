"""The scan: one COPY of every row in scope, in blocks, cancellable, leaving nothing behind."""

from datetime import timedelta

import psycopg
import pytest

from shared.adapters.postgres.address import Limits
from shared.adapters.postgres.stamps import BLOCK_BYTES
from shared.core.errors import NotFound, SourceUnavailable
from tests.integration.postgres.stamps import decode, decode_checksums, scan


def test_a_scan_is_whole_and_comes_in_blocks_of_about_256_kb(source):
    source.run(
        "create table t (id int primary key, a text)", "insert into t select g, g from generate_series(1, 30000) g"
    )
    with source.tables.copy_stamps(source.spec("t")) as stamps:
        parts = list(stamps.rows())
    assert len(decode(parts)) == 30000
    assert len(parts) > 2
    assert all(isinstance(part, bytes) for part in parts)
    assert all(BLOCK_BYTES <= len(part) < BLOCK_BYTES + 1024 for part in parts[:-1])


def test_an_empty_table_is_a_header_and_a_trailer(source):
    source.run("create table t (id int primary key)")
    with source.tables.copy_stamps(source.spec("t")) as stamps:
        assert decode(stamps.rows()) == []


def test_a_scan_s_rows_are_of_one_moment(source):
    source.run(
        "create table t (id int primary key, a text)",
        "insert into t select g, repeat('x', 50) from generate_series(1, 50000) g",
    )
    with source.tables.copy_stamps(source.spec("t")) as stamps:
        blocks = stamps.rows()
        first = next(blocks)
        source.run("delete from t")
        rest = list(blocks)
        counted = decode_checksums(stamps.checksums())
    assert len(decode([first, *rest])) == 50000
    assert sum(rows for rows, _ in counted.values()) == 50000


def test_leaving_a_scan_early_cancels_it_and_gives_the_connection_back(open_source):
    source = open_source(limits=Limits(connections=1, wait=timedelta(seconds=5)))
    source.run("create table t (id int primary key)", "insert into t select generate_series(1, 200000)")
    spec = source.spec("t")
    with source.tables.copy_stamps(spec) as stamps:
        next(stamps.rows())
    with source.tables.copy_stamps(spec):
        pass
    assert len(scan(source.tables, spec)) == 200000


def test_what_the_reader_of_the_blocks_raises_is_not_told_as_the_source_s_error(open_source):
    source = open_source(limits=Limits(connections=1, wait=timedelta(seconds=5)))
    source.run("create table t (id int primary key)", "insert into t select generate_series(1, 200000)")
    spec = source.spec("t")

    def load():
        with source.tables.copy_stamps(spec) as stamps:
            next(stamps.rows())
            raise psycopg.errors.DiskFull("the metastore's")

    with pytest.raises(psycopg.errors.DiskFull):
        load()
    assert len(scan(source.tables, spec)) == 200000


def test_a_scan_that_takes_too_long_ends_as_something_to_try_again(open_source):
    source = open_source(limits=Limits(scan=timedelta(milliseconds=50)))
    source.run(
        "create table t (id int primary key)",
        "insert into t values (1)",
        "create function slow() returns int language sql volatile as 'select 1 from pg_sleep(5)'",
        "create view v as select id, public.slow() as s from t",
    )
    with pytest.raises(SourceUnavailable, match="57014"):
        scan(source.tables, source.spec("v"))


def test_a_server_that_is_cut_off_in_the_middle_is_something_to_try_again(open_source):
    source = open_source(limits=Limits(connections=1))
    source.run(
        "create table t (id int primary key, a text)",
        "insert into t select g, repeat('x', 100) from generate_series(1, 300000) g",
    )
    spec = source.spec("t", columns=["a"])

    def load():
        with source.tables.copy_stamps(spec) as stamps:
            blocks = stamps.rows()
            next(blocks)
            source.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'syncbridge'")
            list(blocks)

    with pytest.raises(SourceUnavailable):
        load()
    assert source.tables.read_rows(spec, ['["1"]'])


def test_a_locked_table_is_waited_for_briefly_and_then_tried_again_later(open_source):
    source = open_source(limits=Limits(lock=timedelta(milliseconds=50)))
    source.run("create table t (id int primary key)")
    spec = source.spec("t")
    source.run("begin", "lock table t in access exclusive mode")
    with pytest.raises(SourceUnavailable, match="55P03"):
        scan(source.tables, spec)
    source.run("rollback")
    assert scan(source.tables, spec) == {}


@pytest.mark.parametrize(
    "change", ["drop table t", "alter table t drop column a", "alter table t rename column a to b"]
)
def test_a_table_or_column_that_went_away_is_drift_with_words(source, change):
    source.run("create table t (id int primary key, a text)")
    spec = source.spec("t")
    source.run(change)
    for work in (lambda: scan(source.tables, spec), lambda: source.tables.read_rows(spec, ['["1"]'])):
        with pytest.raises(NotFound, match="introspect the table again") as raised:
            work()
        assert raised.value.code == "schema_drift"


def test_the_scope_s_values_reach_a_copy_as_values(source):
    source.run("create table t (id int primary key, a text, b boolean, c date, d numeric)")
    hostile = ["'; drop table t; --", "\\", "\\'; --", "%s", "%", "$1", "a\nb", '"', "é\U0001f600"]
    for number, value in enumerate(hostile):
        source.admin.execute("insert into t values (%s, %s, true, '2024-05-01', 1.5)", [number, value])
        quoted = value.replace("'", "''")
        spec = source.spec("t", scope=f"a = '{quoted}' and b = true and c > '2024-01-01' and d < 2.50 and id >= 0")
        assert list(scan(source.tables, spec)) == [f'["{number}"]']
        assert source.tables.select_identities(spec, 10, None) == (f'["{number}"]',)


def test_a_filter_that_is_unknown_for_a_row_leaves_it_out_everywhere(source):
    source.run("create table t (id int primary key, a int)", "insert into t values (1, 1), (2, null), (3, 2)")
    spec = source.spec("t", scope="a <> 1")
    assert list(scan(source.tables, spec)) == ['["3"]']
    assert [row.in_scope for _, row in sorted(source.tables.read_rows(spec, ['["1"]', '["2"]', '["3"]']).items())] == [
        False,
        False,
        True,
    ]


def test_identities_by_condition_come_in_pages_in_the_order_of_their_bytes(source):
    source.run(
        "create table t (k text primary key)", "insert into t values ('b'), ('B'), ('a'), ('é'), ('z'), ('10'), ('9')"
    )
    spec = source.spec("t", key=["k"])
    found, after = [], None
    while page := source.tables.select_identities(spec, 2, after):
        found += page
        after = page[-1]
    assert found == sorted(found, key=lambda identity: identity.encode())
    assert len(found) == 7


def test_estimates_cover_tables_views_and_partitions(source):
    source.run(
        "create table t (id int primary key)",
        "insert into t select generate_series(1, 5000)",
        "create view v as select * from t",
        "create table p (id int primary key) partition by range (id)",
        "create table p1 partition of p for values from (0) to (2000)",
        "create table p2 partition of p for values from (2000) to (9000)",
        "insert into p select generate_series(1, 5000)",
        "analyze t",
        "analyze p",
    )
    for name in ("t", "v", "p"):
        assert source.tables.estimated_rows(source.spec(name)) == 5000


def test_who_the_server_is_comes_from_a_plain_role_too(open_source):
    source = open_source()
    source.run("drop role if exists plain_p1", "create role plain_p1 login password 'pw'")
    try:
        plain = open_source(user="plain_p1", password="pw")
        assert plain.tables.server_identity() == source.tables.server_identity()
        assert source.tables.server_identity().timeline == 1
        plain.database.close()
    finally:
        source.run("drop role plain_p1")
