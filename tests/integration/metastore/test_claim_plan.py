"""The claim's plan when the planner knows nothing: an empty backlog is what it was last told about, and then a scan marks."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from shared.adapters.metastore.backlog import SQL, BacklogStore
from tests.integration.metastore.support import LANES, definition_id, mark, token

pytestmark = pytest.mark.slow

MARKS, PAGE = 2_000, 100


def _rows_read(node: dict[str, Any]) -> float:
    """Rows that the plan's nodes looked at, those that they threw away included."""
    looked = node["Actual Rows"] * node["Actual Loops"]
    thrown = sum(float(value) for name, value in node.items() if name.startswith("Rows Removed by"))
    return float(looked) + thrown * node["Actual Loops"] + sum(map(_rows_read, node.get("Plans", ())))


def test_a_claim_reads_its_page_and_not_the_whole_backlog_when_statistics_say_that_it_is_empty(
    backlog: BacklogStore, sql: psycopg.Connection
) -> None:
    former, definition = definition_id(), definition_id()
    backlog.mark(former, [mark(n) for n in range(MARKS)])
    sql.execute("delete from syncbridge.sync_backlog")
    sql.execute("analyze syncbridge.sync_backlog")
    backlog.mark(definition, [mark(n) for n in range(MARKS)])

    parameters = {"definition": definition, "lanes": [int(lane) for lane in LANES], "limit": PAGE}
    statement = "explain (analyze, format json) " + SQL["claim"]
    row = sql.execute(statement, {**parameters, "lease": timedelta(minutes=5), "token": token()}).fetchone()

    assert row is not None
    plan = row[0][0]["Plan"]
    assert plan["Actual Rows"] == PAGE
    assert _rows_read(plan) < MARKS
