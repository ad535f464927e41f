"""The watermark's cursor and its marks live and die together, whenever the worker is killed."""

import signal
import subprocess
import sys

import psycopg
import pytest

from infra.local.simulator import ROOT
from shared.adapters.metastore.codec import dumps
from shared.core.draft import DraftDefinition
from shared.core.source import KeyStrategy
from tests.scenarios.watermark_worker import DEFINITION

pytestmark = pytest.mark.slow

ROWS = 250


def work(source: str, metastore: str, where: str) -> int:
    command = [sys.executable, "-m", "tests.scenarios.watermark_worker", source, metastore, where]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


@pytest.mark.parametrize(("where", "marked"), [("inside", 0), ("after", 100)], ids=["before the commit", "after it"])
def test_a_worker_killed_around_the_cursors_move_loses_no_row(pg_dsn: str, metastore: str, where: str, marked: int):
    with psycopg.connect(pg_dsn, autocommit=True) as source:
        source.execute("create table t (id int primary key, u timestamptz not null)")
        source.execute(
            "insert into t select g, now() - interval '1 day' + g * interval '1 s' from generate_series(1, %s) g",
            [ROWS],
        )
    with psycopg.connect(metastore, autocommit=True) as kept:
        draft = DraftDefinition(name="t", key_strategy=KeyStrategy.PRIMARY_KEY, fields=())
        kept.execute(
            "insert into syncbridge.sync_definitions"
            " (id, source_schema, source_table_name, source_relation, draft, resolved)"
            " values (%s, 'public', 't', 'r', %s, '{}')",
            [DEFINITION, dumps(draft)],
        )

        def state() -> tuple[int, int]:
            [(marks, cursors)] = kept.execute(
                "select (select count(*) from syncbridge.sync_backlog), (select count(*) from syncbridge.sync_cursors)"
            ).fetchall()
            return marks, cursors

        assert work(pg_dsn, metastore, where) == -signal.SIGKILL
        assert state() == (marked, 1 if marked else 0), "marks and cursor are both there, or neither"
        assert work(pg_dsn, metastore, "never") == 0
        assert state() == (ROWS, 1)
