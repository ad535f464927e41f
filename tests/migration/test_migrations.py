import re
import threading
from pathlib import Path

import psycopg
import pytest

from shared.adapters.metastore import migrate as command
from shared.adapters.metastore.migrations import Migration, Standing, check, migrate, read_migrations
from shared.core.errors import ConfigurationError, MetastoreUnavailable

FOLDER = Path(command.__file__).parent
SCHEMA = FOLDER / "schema.sql"

# What a schema is, apart from the order of columns: everything that a statement can notice.
CATALOG = """
select 'relation', c.relname, c.relkind::text, c.relpersistence::text, coalesce(c.reloptions::text, '') from pg_class c where c.relnamespace = 'syncbridge'::regnamespace
union all
select 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end || ' ' || a.attidentity::text || a.attgenerated::text,
       coalesce(pg_get_expr(d.adbin, d.adrelid), '') || coalesce((select ' collate ' || collname from pg_collation where oid = a.attcollation), '')
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where c.relnamespace = 'syncbridge'::regnamespace and c.relkind = 'r'
union all
select 'constraint', conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'syncbridge'::regnamespace
union all
select 'index', tablename::text, indexname::text, '', indexdef from pg_indexes where schemaname = 'syncbridge'
union all
select 'sequence', sequencename::text, data_type::text, increment_by::text, cache_size::text from pg_sequences where schemaname = 'syncbridge'
order by 1, 2, 3, 4, 5
"""


def catalog(dsn: str) -> list[tuple[str, ...]]:
    with psycopg.connect(dsn) as connection:
        connection.execute("drop table if exists syncbridge.schema_migrations")
        return connection.execute(CATALOG).fetchall()


def step(number: int, text: str, name: str = "step") -> Migration:
    return Migration(number=number, name=name, text=text)


def history(dsn: str) -> list[tuple[int, str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "select number, name, release from syncbridge.schema_migrations order by 1"
        ).fetchall()


def test_all_migrations_together_make_the_schema_that_schema_sql_shows(database):
    migrated, written = database(), database()
    migrate(migrated)
    with psycopg.connect(written) as connection:
        connection.execute("create schema syncbridge")
        connection.execute(SCHEMA.read_text("utf-8"))

    assert catalog(migrated) == catalog(written)


def test_migrations_are_numbered_without_gaps_and_named_by_what_they_do():
    migrations = read_migrations()

    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(re.fullmatch(r"[a-z0-9_]{5,60}", migration.name) for migration in migrations)


@pytest.mark.parametrize(
    "name", ["1_short.sql", "0001-dashes.sql", "0001_Upper.sql", "0001_.sql", "notes.txt", "0002_gap.sql"]
)
def test_a_badly_named_migration_is_refused(tmp_path, name):
    (tmp_path / name).write_text("select 1")

    with pytest.raises(ConfigurationError, match="migration"):
        read_migrations(tmp_path)


def test_a_number_used_twice_is_refused(tmp_path):
    for name in ("0001_one.sql", "0001_other.sql"):
        (tmp_path / name).write_text("select 1")

    with pytest.raises(ConfigurationError, match="0002 was expected"):
        read_migrations(tmp_path)


def test_migrating_twice_applies_nothing_the_second_time(pg_dsn):
    assert migrate(pg_dsn, release="1.0") == tuple(range(1, len(read_migrations()) + 1))
    assert migrate(pg_dsn, release="1.1") == ()
    assert {release for *_, release in history(pg_dsn)} == {"1.0"}


def test_only_what_is_missing_is_applied(pg_dsn):
    first = step(1, "create table syncbridge.a (n int)")
    migrate(pg_dsn, migrations=[first])

    applied = migrate(pg_dsn, release="2", migrations=[first, step(2, "create table syncbridge.b (n int)")])

    assert applied == (2,)
    assert history(pg_dsn) == [(1, "step", "unreleased"), (2, "step", "2")]


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(pg_dsn):
    steps = [step(1, "create table syncbridge.a (n int)"), step(2, "create table syncbridge.b (n int); select 1 / 0")]

    with pytest.raises(Exception, match="22012"):
        migrate(pg_dsn, migrations=steps)

    assert history(pg_dsn) == [(1, "step", "unreleased")]
    with psycopg.connect(pg_dsn) as connection:
        assert connection.execute("select to_regclass('syncbridge.b')").fetchone() == (None,)


def test_a_migration_that_was_changed_after_it_had_been_applied_stops_everything(pg_dsn):
    migrate(pg_dsn, migrations=[step(1, "select 1")])

    with pytest.raises(ConfigurationError, match="0001_step was changed") as caught:
        migrate(pg_dsn, migrations=[step(1, "select 2"), step(2, "create table syncbridge.b (n int)")])

    assert caught.value.code == "migration_changed"
    assert len(history(pg_dsn)) == 1


def test_a_migration_below_the_newest_that_is_applied_is_refused(pg_dsn):
    migrate(pg_dsn, migrations=[step(2, "select 1")])

    with pytest.raises(ConfigurationError, match="older than the newest"):
        migrate(pg_dsn, migrations=[step(1, "select 1"), step(2, "select 1")])


def test_two_deployments_at_once_apply_each_migration_once(pg_dsn):
    steps = [step(n, f"create table syncbridge.t{n} (n int)") for n in range(1, 6)]
    applied, errors = [], []

    def deploy():
        try:
            applied.extend(migrate(pg_dsn, migrations=steps))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=deploy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (sorted(applied), errors) == ([1, 2, 3, 4, 5], [])


def test_the_check_says_whether_the_schema_is_behind_current_or_ahead(pg_dsn):
    wanted = len(read_migrations())
    empty = check(pg_dsn)
    migrate(pg_dsn)
    current = check(pg_dsn)
    migrate(pg_dsn, migrations=[*read_migrations(), step(wanted + 1, "select 1")])
    ahead = check(pg_dsn)

    assert [(found.standing, found.applied) for found in (empty, current, ahead)] == [
        (Standing.BEHIND, 0),
        (Standing.CURRENT, wanted),
        (Standing.AHEAD, wanted + 1),
    ]
    with pytest.raises(ConfigurationError, match="migrate"):
        empty.require()
    current.require()
    ahead.require()


def test_a_server_that_is_away_is_said_to_be_away():
    with pytest.raises(MetastoreUnavailable):
        check("postgresql://127.0.0.1:1/none?connect_timeout=2")


def test_the_command_migrates_and_checks(pg_dsn, capsys):
    environ = {"SYNCBRIDGE_METASTORE_DSN": pg_dsn}

    codes = [command.main(["--check"], environ), command.main([], environ), command.main(["--check"], environ)]

    assert codes == [1, 0, 0]
    assert capsys.readouterr().out.splitlines()[-1].endswith("current")


@pytest.mark.parametrize(
    "environ", [{}, {"SYNCBRIDGE_METASTORE_DSN": "postgresql://127.0.0.1:1/none?connect_timeout=2"}]
)
def test_the_command_says_in_a_sentence_why_it_cannot(environ, capsys):
    assert command.main([], environ) == 2

    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
