"""Act three: change data capture. Rows are inserted, updated and deleted by SQL, and the list follows, commit by commit."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg

from infra.local.demo import setup
from infra.local.demo.http import DemoError, Graph, Json
from infra.local.demo.work import Work, difference, require_equal
from infra.local.sharepoint import SITE_ZONE

_FILTER = "name like 'Live %'"
_ROWS = f"from business.customers where {_FILTER}"
_COLUMNS = ("id", "name", "country", "employees")
_INSERTS, _UPDATES, _DELETES = 60, 50, 12
_PAUSE = 0.03
"""Seconds between two commits, about: a busy afternoon, not a load test."""


def run(work: Work, *, instance: str) -> Mapping[str, object]:
    """The figures of the act. Raises DemoError when anything is not as it has to be."""
    connection = setup.register_sharepoint(work, work.stack.tenant, name="changes")
    wanted: dict[str, object] = {
        "name": "Live customers",
        "source_instance_id": instance,
        "source_schema": "business",
        "source_table_name": "customers",
        "sharepoint_connection_id": connection,
        "site_id": setup.find_site(work, connection),
        "list_name": "Live customers",
        "row_filter": _FILTER,
        "change_detection": "STREAM",
        "field_mappings": setup.mappings(_COLUMNS, title="name"),
    }
    _publish(work, wanted)
    definition = setup.define(work, wanted)["id"]
    ready = setup.provision(work, definition)
    with work.report.step("wait until the slot is read") as step:
        slot = _until(lambda: _slot(work, instance, definition), 60, "the slot is read and the table watched")
        step.note = slot["slot"]

    graph = work.graph(work.stack.tenant)
    try:
        with work.report.step("insert, update and delete rows, one transaction each") as step:
            watch = _Watch(graph, ready)
            with watch.looking():
                changes = _change(work, watch)
                _until(lambda: not watch.pending, 60, "every change is in the list")
            step.count = changes
            queued = _queued(work)
            in_queue, in_list = queued["p99_s"], _share(watch.seconds, 99)
            step.note = f"in the queue {in_queue * 1000:.0f} ms, in the list {in_list * 1000:.0f} ms after commit (p99)"
        with work.report.step("read back through Graph and compare") as step:
            found = difference(
                work,
                graph,
                rows=_ROWS,
                site=ready.site,
                list_id=ready.list_id,
                pairs=ready.pairs,
                key=ready.pair("id"),
                zone=ZoneInfo(SITE_ZONE),
            )
            require_equal(found)
            step.count, step.note = found.items, "equal"
    finally:
        graph.close()
    return {
        "converged": found.equal,
        "changes": changes,
        "commit_to_queue_p50_s": round(queued["p50_s"], 3),
        "commit_to_queue_p99_s": round(in_queue, 3),
        "commit_to_item_p50_s": round(_share(watch.seconds, 50), 3),
        "commit_to_item_p99_s": round(in_list, 3),
        "rows_at_the_end": found.rows,
        "items_at_the_end": found.items,
    }


def _publish(work: Work, wanted: Mapping[str, object]) -> None:
    """The product names the SQL that its role may not run; the database's administrator runs it."""
    with work.report.step("ask what streaming takes, and grant it") as step:
        try:
            work.api.post("/sync-definitions", {"site_zone": SITE_ZONE, "schedule": "P1D", **wanted})
        except DemoError as refused:
            statements = re.findall(r"((?:create|alter) publication [^;]*;)", str(refused).replace('\\"', '"'))
        else:
            raise DemoError("a table that nobody may publish was taken for a stream")
        if not statements:
            raise DemoError("the refusal does not name the SQL that publishes the table")
        for statement in dict.fromkeys(statements):
            work.execute(statement)
        step.note = "publication"


def _slot(work: Work, instance: str, definition: str) -> Json | None:
    """The slot, once it is read, and the scan after its beginning is over."""
    for slot in work.api.get("/ops/slots"):
        watched = {found["id"] for found in slot["definitions"] if found["watched"]}
        if slot["instance_id"] == instance and slot["streaming"] and definition in watched:
            runs = [run for run in work.api.get("/runs") if run["definition_id"] == definition]
            if any(run["run_type"] == "PUSH" and run["status"] == "COMPLETED" for run in runs):
                return slot
    return None


@dataclass(slots=True)
class _Watch:
    """Looks at the list all the time, through Graph, and notes when each change is there."""

    graph: Graph
    ready: setup.Ready
    seconds: list[float] = field(default_factory=list)
    pending: dict[str, tuple[float, str | None]] = field(default_factory=dict)
    """By row: when it was committed, and the name that its item then has; None: no item."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def expect(self, row: str, name: str | None) -> None:
        """Called right after the commit."""
        with self._lock:
            self.pending[row] = (time.monotonic(), name)

    @contextmanager
    def looking(self) -> Any:
        thread = threading.Thread(target=self._look, name="watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _look(self) -> None:
        key, name = self.ready.pair("id").field, self.ready.pair("name").field
        while not self._stop.is_set():
            seen = {str(item[key]): item.get(name) for item in self.graph.items(self.ready.site, self.ready.list_id)}
            now = time.monotonic()
            with self._lock:
                for row, (committed, wanted) in list(self.pending.items()):
                    if seen.get(row) == wanted:
                        self.seconds.append(now - committed)
                        del self.pending[row]
            self._stop.wait(0.02)


def _change(work: Work, watch: _Watch) -> int:
    """Every change is one transaction of its own; a row is changed again only when the list shows its last change."""
    rows: list[str] = []
    with psycopg.connect(work.source_dsn, autocommit=True) as connection:

        def committed(row: str, name: str | None) -> None:
            watch.expect(row, name)
            threading.Event().wait(_PAUSE)

        for n in range(_INSERTS):
            answer = connection.execute(
                "insert into business.customers (name, country, employees) values (%s, 'DE', %s) returning id",
                [f"Live {n}", n],
            ).fetchone()
            rows.append(str(answer[0]) if answer else "")
            committed(rows[-1], f"Live {n}")
        for n in range(_UPDATES):
            row = rows[n % len(rows)]
            _until(lambda row=row: row not in watch.pending, 60, "a change is in the list")  # type: ignore[misc]
            connection.execute("update business.customers set name = %s where id = %s", [f"Live {n} again", row])
            committed(row, f"Live {n} again")
        for row in rows[:_DELETES]:
            _until(lambda row=row: row not in watch.pending, 60, "a change is in the list")  # type: ignore[misc]
            connection.execute("delete from business.customers where id = %s", [row])
            committed(row, None)
    return _INSERTS + _UPDATES + _DELETES


def _queued(work: Work) -> Mapping[str, float]:
    """How long changes took into the queue, as the poller measured it."""
    (slot,) = httpx.get(f"{work.stack.poller_url}/readyz", timeout=10).json()["slots"]
    found: Mapping[str, float] = slot["commit_to_queue"]
    return found


def _share(seconds: list[float], percent: int) -> float:
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)]


def _until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise DemoError(f"it did not come to this within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return found
