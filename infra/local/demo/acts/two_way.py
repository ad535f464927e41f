"""Act two: people edit the list, users edit the table, both at once; each keeps what it typed, or finds it in the log."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from infra.local.demo import setup
from infra.local.demo.http import DemoError, Json
from infra.local.demo.work import Work, difference, require, require_equal, written
from infra.local.sharepoint import SITE_ZONE, call

_COLUMNS = ("id", "name", "email", "country", "tax_number", "founded_on", "employees", "is_active")
_EDITS = 20
"""Edits of the list that are followed into the table one by one."""
_MERGED = 10
"""Rows that are edited on both sides at once, in two fields."""
_CONFLICTS = 3
_PATIENCE = 30.0
"""Seconds within which an edit has to arrive; how long it takes is what is measured."""


def run(work: Work, *, instance: str, customers: int) -> Mapping[str, object]:
    """The figures of the act. Raises DemoError when anything is not as it has to be."""
    (connection,) = (one["id"] for one in work.api.get("/sharepoint-connections"))
    site = setup.find_site(work, connection)
    setup.introspect(work, instance, "customers")
    definition = setup.define(
        work,
        {
            "name": "Accounts",
            "sync_mode": "TWO_WAY",
            "source_instance_id": instance,
            "source_schema": "business",
            "source_table_name": "customers",
            "sharepoint_connection_id": connection,
            "site_id": site,
            "list_name": "Accounts",
            "field_mappings": setup.mappings(_COLUMNS, title="name"),
        },
    )["id"]
    setup.plan(work, definition, rows=customers)
    ready = setup.provision(work, definition)
    _run(work, definition, "push", "fill the list", created=customers)
    _run(work, definition, "ingress", "read the list for the first time")
    people = _People(work, ready)

    with work.report.step("people edit the list, one after another") as step:
        waits = [_follow(work, people, number) for number in range(_EDITS)]
        notified = sorted(wait.after_notice for wait in waits)
        edited = sorted(wait.after_edit for wait in waits)
        step.count = _EDITS
        step.note = f"in the table {_median(notified):.2f} s after the notice, the slowest {notified[-1]:.2f} s"
    merged = _both_at_once(work, people, definition)
    conflicts = _same_field(work, people, definition)
    _new_and_gone(work, people, definition)

    with work.report.step("read both sides and compare") as step:
        graph = work.graph(work.stack.tenant)
        try:
            found = difference(
                work,
                graph,
                rows="from business.customers",
                site=ready.site,
                list_id=ready.list_id,
                pairs=ready.pairs,
                key=ready.pair("id"),
                zone=ZoneInfo(SITE_ZONE),
            )
        finally:
            graph.close()
        require_equal(found)
        step.count, step.note = found.items, "equal"
    echoes = _run(work, definition, "push", "push again")
    echoes += _run(work, definition, "ingress", "read the list again")
    return {
        "converged": True,
        "merged_edits": merged,
        "conflicts_logged": conflicts,
        "echo_writes": echoes,
        "edits_followed": _EDITS,
        "notification_to_row_p50_s": round(_median(notified), 3),
        "notification_to_row_p99_s": round(notified[-1], 3),
        "edit_to_row_p50_s": round(_median(edited), 3),
        "edit_to_row_p99_s": round(edited[-1], 3),
    }


class _People:
    """Somebody at the list, in a browser: the simulator's surface for people, which the product never uses."""

    def __init__(self, work: Work, ready: setup.Ready) -> None:
        self._url, self._list = work.stack.tenant.url, ready.list_id
        self._fields = {pair.column: pair.field for pair in ready.pairs}
        shown = call(self._url, "GET", f"/_sim/people/lists/{self._list}/items?top=50")["items"]
        self.items: Sequence[tuple[int, str]] = [
            (int(item["id"]), str(item["fields"][self._fields["id"]])) for item in shown
        ]
        """Item and key of some rows."""

    def edit(self, item: int, **values: object) -> None:
        self._ask("PATCH", f"items/{item}", {"fields": {self._fields[name]: value for name, value in values.items()}})

    def add(self, **values: object) -> int:
        fields = {self._fields[name]: value for name, value in values.items()}
        return int(self._ask("POST", "items", {"fields": fields})["id"])

    def delete(self, item: int) -> None:
        self._ask("DELETE", f"items/{item}")

    def value(self, item: int, name: str) -> Any:
        return self._ask("GET", f"items/{item}")["fields"].get(self._fields[name])

    def sees(self, item: int, name: str, wanted: object) -> None:
        """Waits until the item shows it. Raises DemoError when it does not in time."""
        _eventually(lambda: self.value(item, name) == wanted)

    def notified(self, *, since: float) -> float:
        """When the first notice after `since` was sent; in seconds since 1970, for the simulator's clock is this machine's."""
        found: list[float] = []

        def sent() -> bool:
            found[:] = [one["posted"] for one in call(self._url, "GET", "/_sim/notifications")["sent"]]
            found[:] = [posted for posted in found if posted >= since]
            return bool(found)

        _eventually(sent)
        return min(found)

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return call(self._url, method, f"/_sim/people/lists/{self._list}/{path}", body)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    """Seconds until an edit was in its row. SharePoint takes its time before it sends a notice."""

    after_edit: float
    after_notice: float


def _follow(work: Work, people: _People, number: int) -> _Wait:
    item, key = people.items[number]
    edited = time.time()
    people.edit(item, name=f"Renamed in the list {number}")
    _until(work, "select name from business.customers where id = %s", [key], f"Renamed in the list {number}")
    arrived = time.time()
    return _Wait(after_edit=arrived - edited, after_notice=max(0.0, arrived - people.notified(since=edited)))


def _median(sorted_seconds: Sequence[float]) -> float:
    return sorted_seconds[len(sorted_seconds) // 2]


def _both_at_once(work: Work, people: _People, definition: str) -> int:
    with work.report.step("both sides edit the same rows at once, in two fields") as step:
        chosen = people.items[_EDITS : _EDITS + _MERGED]
        for number, (item, key) in enumerate(chosen):
            _update(work, "update business.customers set employees = %s where id = %s", [100_000 + number, key])
            people.edit(item, email=f"list{number}@example.com")
        _finished(work, definition, "push")
        for number, (item, key) in enumerate(chosen):
            _until(work, "select email::text from business.customers where id = %s", [key], f"list{number}@example.com")
            people.sees(item, "employees", 100_000 + number)
            require(people.value(item, "email"), f"list{number}@example.com", "the person's edit in the item")
        require(_conflicts(work, definition), 0, "conflicts of edits of different fields")
        step.count, step.note = _MERGED, "each keeps both edits"
    return _MERGED


def _same_field(work: Work, people: _People, definition: str) -> int:
    with work.report.step("both sides edit the same field at once") as step:
        for number, (item, key) in enumerate(people.items[-_CONFLICTS:]):
            _update(work, "update business.customers set tax_number = %s where id = %s", [f"ROW-{number}", key])
            people.edit(item, tax_number=f"LIST-{number}")
        _finished(work, definition, "push")
        for number, (item, _) in enumerate(people.items[-_CONFLICTS:]):
            people.sees(item, "tax_number", f"ROW-{number}")
        logged = _conflicts(work, definition)
        require(logged, _CONFLICTS, "conflicts in the log")
        step.count, step.note = logged, "the row wins, the person's value is in the log"
    return logged


def _new_and_gone(work: Work, people: _People, definition: str) -> None:
    added = "select count(*) from business.customers where name = 'Added in the list'"
    with work.report.step("a person adds an item, and deletes it again") as step:
        item = people.add(name="Added in the list", country="DE", employees=7, is_active=True)
        _until(work, added, [], 1)
        people.delete(item)
        _until(work, added, [], 0)
        step.note = "its row came, and went"
    with work.report.step("a user adds a row, and deletes it again") as step:
        _update(work, "insert into business.customers (name, country) values ('Added in the table', 'AT')", [])
        require(_finished(work, definition, "push")["created"], 1, "items created")
        _update(work, "delete from business.customers where name = 'Added in the table'", [])
        require(_finished(work, definition, "push")["deleted"], 1, "items deleted")
        step.note = "its item came, and went"


def _run(work: Work, definition: str, direction: str, name: str, *, created: int = 0) -> int:
    """A manual run of one direction, followed to its end; how much it wrote, on both sides."""
    with work.report.step(name) as step:
        run = _finished(work, definition, direction)
        require(run["created"], created, f"{name}: created")
        step.count, step.ru = written(run) + _rows(run), run["ru"]
        step.note = "" if step.count else "no writes"
    return written(run) + _rows(run)


def _finished(work: Work, definition: str, direction: str) -> Json:
    started = work.api.post(f"/ops/sync/{definition}", direction=direction)
    run = work.api.finished(started["run_id"], seconds=120)
    require(run["status"], "COMPLETED", f"the run's status ({run['error_message'] or '; '.join(run['notes'])})")
    return run


def _rows(run: Mapping[str, int]) -> int:
    return run["rows_inserted"] + run["rows_updated"] + run["rows_deleted"]


def _conflicts(work: Work, definition: str) -> int:
    return len(work.api.get("/conflicts", definition_id=definition))


def _update(work: Work, statement: str, values: Sequence[object]) -> None:
    with psycopg.connect(work.source_dsn) as connection:
        connection.execute(statement.encode(), values)


def _until(work: Work, query: str, values: Sequence[object], wanted: object) -> None:
    """Waits until the source answers so. Raises DemoError when it does not in time."""
    with psycopg.connect(work.source_dsn, autocommit=True) as connection:
        _eventually(lambda: (connection.execute(query.encode(), values).fetchone() or (None,))[0] == wanted)


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise DemoError(f"an edit did not arrive within {_PATIENCE:.0f} s")
        time.sleep(0.02)
