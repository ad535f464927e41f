"""Messages that cannot be handled, given by the host again and again: where they end, who sees them, and how they come back."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from infra.local.demo import setup
from infra.local.demo.work import Work
from infra.local.sharepoint import call
from tests.e2e.stand import AFTER_THE_WRITE, BEFORE_THE_WRITE, Running, defined
from tests.host.running import until

pytestmark = pytest.mark.slow

REFUSE = """
    create function syncbridge.refuse() returns trigger language plpgsql as $$
    begin
        if new.source_identity = '["{row}"]' then raise exception 'not this one'; end if;
        return new;
    end $$;
    create trigger refuse before insert on syncbridge.sync_backlog for each row execute function syncbridge.refuse();
"""


@dataclass
class Streaming:
    """Tasks, streamed from the log into their list by the stack's own poller and host."""

    running: Running
    work: Work
    definition: str
    list_id: str

    def deliveries(self, function: str) -> list[int]:
        """Dequeue counts of the failed deliveries, as the host logged them."""
        log = (self.running.stack.state.directory / "host.log").read_text()
        return [int(count) for count in re.findall(rf'queue\.failed function="{function}" dequeues=(\d+)', log)]

    def titles(self) -> list[str]:
        found = call(self.running.stack.simulator.url, "GET", f"/_sim/people/lists/{self.list_id}/items?top=5000")
        return sorted(item["fields"]["Title"] for item in found["items"])

    def rows(self) -> list[str]:
        with psycopg.connect(self.work.source_dsn) as source:
            return sorted(title for (title,) in source.execute("select title from business.tasks where id <= 20"))

    def metastore(self, statement: str) -> None:
        with psycopg.connect(self.running.stack.server.dsn("syncbridge"), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def streaming(roomy: Running) -> Iterator[Streaming]:
    work = roomy.work()
    work.execute("create publication arcore_publication for table business.tasks with (publish_via_partition_root)")
    definition = defined(
        roomy,
        work,
        name="Tasks",
        source_table_name="tasks",
        list_name="Tasks",
        change_detection="STREAM",
        row_filter="id <= 20",
        field_mappings=setup.mappings(("id", "title"), title="title"),
    )
    ready = setup.provision(work, definition)

    def scanned() -> bool:
        roomy.tick()
        runs = work.api.get("/runs", definition_id=definition)
        return any(slot["streaming"] for slot in work.api.get("/ops/slots")) and any(
            run["run_type"] == "PUSH" and run["status"] == "COMPLETED" and run["created"] for run in runs
        )

    until(scanned, seconds=90)
    yield Streaming(roomy, work, definition, ready.list_id)
    work.api.post(f"/sync-definitions/{definition}/deactivate")
    work.api.close()


def test_a_change_that_fails_five_times_is_set_aside_with_its_reason_and_comes_back_by_the_api(streaming: Streaming):
    api, before = streaming.work.api, len(streaming.deliveries("changes_arrived"))
    streaming.metastore(REFUSE.format(row=1))
    streaming.work.execute("update business.tasks set title = 'refused' where id = 1")

    [parked] = until(lambda: api.get("/ops/changes/parked"))
    until(lambda: "SQLSTATE P0001" in api.get("/ops/changes/parked")[0]["reason"])
    assert (parked["queue"], parked["code"], parked["state"]) == ("cdc-changes", "failed_repeatedly", "PARKED")
    assert streaming.deliveries("changes_arrived")[before:] == [1, 2, 3, 4, 5]
    streaming.work.execute("update business.tasks set title = 'not refused' where id = 2")
    until(lambda: "not refused" in streaming.titles())
    assert "refused" not in streaming.titles(), "it holds up nobody, and is not forgotten"

    streaming.metastore("drop function syncbridge.refuse cascade")
    answer = api.post(f"/ops/changes/parked/{parked['id']}/replay", {"reason": "mended"})
    assert answer["state"] == "REPLAYED"
    until(lambda: "refused" in streaming.titles())
    assert api.get("/ops/changes/parked") == []


def test_a_notice_that_is_none_is_dropped_after_five_times_and_the_audit_says_so(streaming: Streaming):
    before = len(streaming.deliveries("list_noticed"))

    def dropped() -> list[dict[str, Any]]:
        found = streaming.work.api.get("/audit", subject_id="graph-notifications")
        return [entry for entry in found if entry["action"] == "notice dropped"]

    with streaming.running.notices() as queue:
        until(lambda: queue.send_message(base64.b64encode(b"no notice").decode()))
    [entry] = until(dropped)
    assert set(entry["after"]) == {"message_sha256"}
    assert streaming.deliveries("list_noticed")[before:] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("when", [BEFORE_THE_WRITE, AFTER_THE_WRITE], ids=["before", "after"])
def test_a_trigger_that_runs_over_its_time_around_its_writes_is_given_its_message_again_and_nothing_is_doubled(
    streaming: Streaming, when: str
):
    """The thread that the host gave up goes on once the lock is free: what it does still lands."""
    before = len(streaming.deliveries("changes_arrived"))
    with streaming.running.short_of_time() as ended, streaming.running.held(when) as lock:
        streaming.work.execute(
            "update business.tasks set title = title || ' late' where id = 3;"
            "delete from business.tasks where id = (select max(id) from business.tasks where id <= 20);"
            "insert into business.tasks (id, project_id, title, position)"
            " select min(id) - 1, min(project_id), 'made ' || min(id), min(position) - 1 from business.tasks",
        )
        until(lambda: ended("changes_arrived"))
        lock.commit()
        until(lambda: streaming.titles() == streaming.rows())
        assert streaming.deliveries("changes_arrived")[before] == 1
        path = f"/sync-definitions/{streaming.definition}/backlog"
        until(lambda: streaming.work.api.get(path)["due"] == streaming.work.api.get(path)["later"] == 0)
    assert streaming.titles() == streaming.rows()
    assert streaming.work.api.get("/ops/changes/parked") == []
