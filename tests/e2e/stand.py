"""A running stack for the tests of the whole: its host can be killed and started again."""

import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import psycopg
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from infra.local.demo import setup
from infra.local.demo.http import Api
from infra.local.demo.report import Report
from infra.local.demo.work import Work
from infra.local.stack import Options, Stack, start_host
from infra.local.supervisor import Supervisor
from shared.adapters.queue import API_VERSION

COLUMNS = ("id", "code", "name", "status", "budget", "starts_on", "kickoff_at", "notes")
ROWS = 150
# Leases and waits for lost answers that end within the test; what a killed worker held is free again soon.
SETTINGS = {
    "SYNCBRIDGE_LEASE_SECONDS": "8",
    "SYNCBRIDGE_REQUEST_SECONDS": "4",
    "SYNCBRIDGE_SURFACE_SECONDS": "4",
    "SYNCBRIDGE_PAGE_SIZE": "40",
    # A message that failed comes again at once.
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00",
}
WAITING = """
    create function syncbridge.wait() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(77);
        return new;
    end $$;
    create trigger wait before {when} execute function syncbridge.wait();
"""
BEFORE_THE_WRITE = "insert or update on syncbridge.sync_ledger for each row when (new.intents <> '[]')"
WHILE_IT_SCANS = "update on syncbridge.run_tables for each row"
AFTER_THE_WRITE = "update on syncbridge.sync_ledger for each row when (old.intents <> '[]' and new.intents = '[]')"


@dataclass
class Running:
    """The stack, and its host's life."""

    stack: Stack
    supervisor: Supervisor
    options: Options
    opened: list[Api] = field(default_factory=list)

    def work(self) -> Work:
        """Its connections are closed with the stack: a test that fails leaves none to the tests after it."""
        self.opened.append(Api(self.stack.api_url, self.stack.state.host_key))
        return Work(stack=self.stack, api=self.opened[-1], report=Report())

    def close(self) -> None:
        for api in self.opened:
            api.close()

    def kill_host(self) -> None:
        self.stack.host.process.kill()
        self.stack.host.process.wait()

    def kill_host_where(self, instance: str, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Kills it while the history of an orchestration is as wanted: that history. It stands still while it is looked at, or
        it would have gone on between the look and the kill."""
        process, deadline = self.stack.host.process, time.monotonic() + 120
        while True:
            assert time.monotonic() < deadline, "there was no such moment"
            process.send_signal(signal.SIGSTOP)
            found = self._written_history(instance)
            if wanted(found):
                self.kill_host()
                return found
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)

    def _written_history(self, instance: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.stack.state.directory / "host.db")) as state:
            query = "select event from history where instance = ? order by seq"
            return [json.loads(event) for (event,) in state.execute(query, [instance])]

    def start_host(self, **settings: str) -> None:
        """With the stack's settings, and these beside them."""
        host = start_host(self.stack.state, {**self.stack.settings, **settings}, self.options)
        self.supervisor.add(host)
        self.stack = replace(self.stack, host=host)

    @contextmanager
    def short_of_time(self) -> Iterator[Callable[[str], int]]:
        """A host that gives a function five seconds; how many invocations of one it has ended for that."""
        self.kill_host()
        self._forget_notices()
        log = self.stack.state.directory / "host.log"
        there = log.stat().st_size
        self.start_host(AzureFunctionsJobHost__functionTimeout="00:00:05", SYNCBRIDGE_ACTIVITY_SECONDS="1")

        def ended(function: str) -> int:
            with log.open("rb") as text:
                text.seek(there)
                return len(re.findall(rf'invocation\.timeout function="{function}"'.encode(), text.read()))

        try:
            yield ended
        finally:
            self.kill_host()
            self._forget_notices()
            self.start_host()

    def _forget_notices(self) -> None:
        """The messages that a killed host was at stay hidden for ten minutes, and would keep those who wait for an empty queue."""
        with self.notices() as queue, suppress(ResourceNotFoundError):
            queue.clear_messages()

    def notices(self) -> QueueClient:
        """The queue of hints that a list changed."""
        storage = self.stack.settings["SYNCBRIDGE_QUEUE_CONNECTION"]
        return QueueClient.from_connection_string(storage, "graph-notifications", api_version=API_VERSION)

    def unhandled_notices(self) -> int:
        """Messages in it, those that the host is at included."""
        with self.notices() as queue:
            try:
                return queue.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:  # nobody has sent any
                return 0

    @contextmanager
    def held(self, when: str) -> Iterator[psycopg.Connection]:
        """Whoever is about to do that in the metastore waits for a lock: until it is given up (`commit`), or the block ends."""
        dsn = self.stack.server.dsn("syncbridge")
        with psycopg.connect(dsn, autocommit=True) as admin, psycopg.connect(dsn) as holder:
            holder.execute("select pg_advisory_xact_lock(77)")
            admin.execute(WAITING.format(when=when).encode())
            try:
                yield holder
            finally:
                holder.rollback()
                admin.execute("drop function syncbridge.wait() cascade")

    def waiting(self) -> int:
        """Sessions of the metastore that wait for a lock."""
        with psycopg.connect(self.stack.server.dsn("syncbridge")) as admin:
            row = admin.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def tick(self) -> None:
        """The schedule tick, now; back when it is done."""
        self.fire("schedule_tick")

    def fire(self, timer: str) -> None:
        """A function with a timer, now; back when it is done."""
        httpx.post(
            f"{self.stack.host_url}/admin/functions/{timer}",
            headers={"x-functions-key": self.stack.state.host_key},
            json={"input": ""},
            timeout=60,
        ).raise_for_status()

    def history(self, instance: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.stack.host_url}/admin/local/history/{instance}",
            headers={"x-functions-key": self.stack.state.host_key},
        )
        return answer.raise_for_status().json()


def defined(running: Running, work: Work, **more: Any) -> str:
    """A definition of the projects, or of what `more` says; its id."""
    return setup.define(work, body(running, work, **more))["id"]


def body(running: Running, work: Work, **more: Any) -> dict[str, Any]:
    """What is asked for then. The database and the connection are registered once per stack."""
    [database] = work.api.get("/database-instances") or [{"id": setup.register_database(work)}]
    [connection] = work.api.get("/sharepoint-connections") or [
        {"id": setup.register_sharepoint(work, running.stack.tenant)}
    ]
    return {
        "name": "Projects",
        "source_instance_id": database["id"],
        "source_schema": "business",
        "source_table_name": "projects",
        "sharepoint_connection_id": connection["id"],
        "site_id": setup.find_site(work, connection["id"]),
        "list_name": "Projects",
        "field_mappings": setup.mappings(COLUMNS, title="name"),
        **more,
    }
