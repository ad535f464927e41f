"""From an edit in the list to the run that reads it: notice, webhook, queue, orchestration; and what is lost on the way."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest

from infra.local.demo import setup
from infra.local.demo.work import Work
from infra.local.sharepoint import call
from tests.e2e.stand import ROWS, Running, defined

pytestmark = pytest.mark.slow

T = TypeVar("T")
PENDING = """
    select 1 from syncbridge.list_watches w join syncbridge.sync_definitions d on d.id = w.sync_def_id
     where w.noticed > w.taken and d.state = 'ACTIVE'
"""


@dataclass
class Watched:
    """A definition of the projects whose list is subscribed to. Neither schedule nor polls come within the test."""

    running: Running
    work: Work
    definition: str
    list_id: str

    def runs(self) -> list[dict[str, Any]]:
        """Readings of the list, the oldest first."""
        found = self.work.api.get("/runs", definition_id=self.definition, limit=500)
        return [run for run in reversed(found) if run["run_type"] == "INGRESS"]

    def wait(self, wanted: Callable[[], T | None], *, seconds: float = 60) -> T:
        deadline = time.monotonic() + seconds
        while (found := wanted()) is None:
            assert time.monotonic() < deadline, self.runs()[-3:]
            time.sleep(0.05)
        return found

    def quiet(self) -> int:
        """How many readings there were, once every notice is answered.

        Looked for in the order in which a notice goes its way, so that none slips past; and twice, for a reading that ended
        in between may have written, which is noticed again."""

        def settled() -> int | None:
            on_way = any(
                endpoint["waiting"] or endpoint["in_flight"] or endpoint["again"]
                for endpoint in self.sim("notifications")["endpoints"]
            )
            if on_way or self.running.unhandled_notices() or self.metastore(PENDING):
                return None
            runs = self.work.api.get("/runs", definition_id=self.definition, limit=500)
            under_way = any(run["end_time"] is None and run["run_type"] != "CDC" for run in runs)
            return None if under_way else len(self.runs())

        while True:
            before = self.wait(settled)
            if settled() == before:
                return before

    def subscriptions(self) -> list[dict[str, Any]]:
        """Those to this list."""
        return [one for one in self.sim("subscriptions")["subscriptions"] if self.list_id in one["resource"]]

    def restart_host(self, **settings: str) -> None:
        """Killed, and started again with these settings beside its own."""
        self.running.kill_host()
        self.running.start_host(**settings)

    def sim(self, path: str, method: str = "GET", body: object = None) -> dict[str, Any]:
        return call(self.running.stack.simulator.url, method, f"/_sim/{path}", body)

    def source(self, statement: str) -> list[tuple[Any, ...]]:
        return self._ask("business", statement)

    def metastore(self, statement: str) -> list[tuple[Any, ...]]:
        return self._ask("syncbridge", statement)

    def _ask(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.running.stack.server.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def items(self) -> list[dict[str, Any]]:
        return list(self.sim(f"people/lists/{self.list_id}/items?top=5000")["items"])

    def title_of(self, item: Mapping[str, Any]) -> str:
        return next(str(now["fields"]["Title"]) for now in self.items() if now["id"] == item["id"])

    def edit(self, item: Mapping[str, Any], title: str) -> None:
        self.sim(f"people/lists/{self.list_id}/items/{item['id']}", "PATCH", {"fields": {"Title": title}})

    def read(self, *, after: int, marked: int = 1) -> dict[str, Any]:
        """The first reading after so many that found something."""

        def found() -> dict[str, Any] | None:
            for run in self.runs()[after:]:
                if run["end_time"] is not None and run["captured"].get("marked", 0) >= marked:
                    return run
            return None

        return self.wait(found)


@pytest.fixture(scope="module")
def listening(roomy: Running) -> Watched:
    work = roomy.work()
    definition = defined(roomy, work, poll_interval="P1D")
    ready = setup.provision(work, definition)
    made = Watched(roomy, work, definition, ready.list_id)
    pushed = work.api.finished(work.api.post(f"/ops/sync/{definition}", direction="push")["run_id"], seconds=120)
    assert (pushed["status"], pushed["created"]) == ("COMPLETED", ROWS)
    roomy.tick()
    made.quiet()
    assert len(made.items()) == ROWS
    return made


@pytest.fixture
def watched(listening: Watched) -> Iterator[Watched]:
    """As every test finds it: active, subscribed to, and quiet."""
    listening.quiet()
    yield listening
    listening.sim("knobs", "PUT", {"notification_lost_rate": 0})
    listening.work.api.post(f"/sync-definitions/{listening.definition}/activate")
    listening.running.tick()


def test_activation_subscribes_and_its_health_says_so(watched: Watched):
    (subscription,) = watched.subscriptions()
    assert subscription["notificationUrl"] == f"{watched.running.stack.host_url}/api/graph/notifications"
    assert subscription["lifecycleNotificationUrl"] == f"{watched.running.stack.host_url}/api/graph/lifecycle"
    health = watched.work.api.get(f"/sync-definitions/{watched.definition}")["health"]
    assert any(said.startswith("The list's changes are noticed;") for said in health)

    watched.work.api.post(f"/sync-definitions/{watched.definition}/deactivate")
    assert watched.subscriptions() == []


def test_an_edit_is_noticed_read_and_in_a_list_that_is_only_pushed_written_back_and_logged(watched: Watched):
    before = watched.quiet()
    item = watched.items()[0]
    watched.edit(item, "logged")

    run = watched.read(after=before)
    assert (run["trigger"], run["status"]) == ("NOTICE", "COMPLETED")
    watched.quiet()
    assert watched.title_of(item) == item["fields"]["Title"]
    found = watched.work.api.get("/conflicts", definition_id=watched.definition)
    assert [one["winner"] for one in found if json.loads(one["losing_value"]) == "logged"] == ["ROW"]


def test_what_ended_lately_is_still_known_to_the_host_after_it_was_told_to_forget(watched: Watched):
    instance = f"run-{UUID(watched.runs()[-1]['id']).hex}"
    watched.running.fire("purge_history")
    assert watched.running.history(instance) != []


def test_many_edits_are_all_read_by_readings_that_never_run_side_by_side(watched: Watched):
    before = watched.quiet()
    items = watched.items()[:30]
    for item in items:
        watched.edit(item, "a person's title")
    watched.quiet()
    runs = watched.runs()[before:]
    assert sum(run["captured"].get("marked", 0) for run in runs) >= len(items)
    assert all(first["end_time"] <= second["queued_at"] for first, second in pairwise(runs))
    assert [watched.title_of(item) for item in items] == [item["fields"]["Title"] for item in items]


def test_a_notice_that_was_answered_and_not_yet_taken_from_the_queue_outlives_the_host(watched: Watched):
    before = watched.quiet()
    item = watched.items()[0]
    watched.restart_host(**{"AzureWebJobs.list_noticed.Disabled": "true"})
    sent = len(watched.sim("notifications")["sent"])
    watched.edit(item, "a person's title")
    watched.wait(lambda: [one for one in watched.sim("notifications")["sent"][sent:] if one["status"] == 202] or None)
    assert watched.metastore(PENDING) == []
    assert len(watched.runs()) == before

    watched.restart_host()
    assert watched.read(after=before)["trigger"] == "NOTICE"
    watched.quiet()
    assert watched.title_of(item) == item["fields"]["Title"]


def test_a_subscription_that_vanished_is_made_again_and_the_list_is_read_at_once(watched: Watched):
    before = watched.quiet()
    (gone,) = watched.subscriptions()
    watched.sim(f"subscriptions/{gone['id']}", "DELETE")
    item = watched.items()[0]
    watched.edit(item, "a person's title")
    # A day later:
    watched.metastore(
        "update syncbridge.list_subscriptions set look_at = now(), verified_at = verified_at - interval '1 day'"
    )
    watched.running.tick()

    (made,) = watched.subscriptions()
    assert made["id"] != gone["id"]
    assert watched.read(after=before)["trigger"] == "NOTICE"
    watched.quiet()
    assert watched.title_of(item) == item["fields"]["Title"]


def test_a_list_that_nobody_notices_is_polled(watched: Watched):
    before = watched.quiet()
    watched.sim("knobs", "PUT", {"notification_lost_rate": 1})
    item = watched.items()[0]
    watched.edit(item, "a person's title")
    watched.metastore("update syncbridge.list_watches set next_at = now()")
    watched.running.tick()

    assert watched.read(after=before)["trigger"] == "POLL"
    watched.wait(lambda: watched.title_of(item) == item["fields"]["Title"] or None)


def test_both_ways_an_edit_in_the_list_is_in_the_table(watched: Watched):
    work = watched.work
    definition = defined(
        watched.running,
        work,
        name="Customers",
        source_table_name="customers",
        list_name="Customers",
        sync_mode="TWO_WAY",
        poll_interval="P1D",
        field_mappings=[
            mapping | {"sync_direction": "BIDIRECTIONAL"}
            for mapping in setup.mappings(("name", "country", "employees"), title="name")
        ],
    )
    ready = setup.provision(work, definition)
    pushed = work.api.finished(work.api.post(f"/ops/sync/{definition}", direction="push")["run_id"], seconds=120)
    assert pushed["status"] == "COMPLETED", pushed
    both = Watched(watched.running, work, definition, ready.list_id)
    watched.running.tick()
    before = both.quiet()

    item = both.items()[0]
    title = item["fields"]["Title"]
    both.edit(item, f"{title}, renamed")

    def followed() -> bool | None:
        return both.source(f"select 1 from business.customers where name = '{title}, renamed'") != [] or None

    assert both.wait(followed)
    run = both.read(after=before)
    assert (run["trigger"], run["rows_updated"]) == ("NOTICE", 1)
    both.quiet()
    assert both.title_of(item) == f"{title}, renamed"
    work.api.post(f"/sync-definitions/{definition}/deactivate")
