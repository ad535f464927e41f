"""How long a person's edit of the list takes into its row, through the local host: notice, webhook, queue, orchestration.

One edit after the other, each followed until its row has it. The simulator sends a notice at once here, so that the figure is
the product's own part; SharePoint takes up to a minute before it (infra/simulator/RULES.md).
"""

import statistics
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg

from infra.local.demo import setup
from infra.local.demo.http import Api
from infra.local.demo.report import Report
from infra.local.demo.work import Work
from infra.local.sample.generate import Counts
from infra.local.sharepoint import call
from infra.local.stack import Options, Stack, bring_up
from infra.local.state import load
from infra.local.supervisor import Supervisor
from tests.bench.figures import Figure

_ROWS = 50
_PATIENCE = 30.0
"""Seconds within which an edit has to arrive; the bench fails when one does not."""
_READ = "select name from business.customers where id = %s"
_WRITE = "update business.customers set name = %s where id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """A two-way definition whose list is subscribed to."""

    work: Work
    site: str
    list_id: str
    name: str
    """The list column of `name`."""
    rows: Mapping[int, str]
    """Keys by item."""


def latencies(*, count: int) -> list[Figure]:
    """Milliseconds from an edit to its row: the median and the 99th percentile."""
    with TemporaryDirectory(prefix="syncbridge-bench-") as directory:
        Path(directory).chmod(0o711)  # PostgreSQL's user passes through it
        supervisor = Supervisor()
        try:
            options = Options(counts=Counts.for_projects(10 * _ROWS), multiplier=1_000)
            stack = bring_up(load(Path(directory) / "stack"), supervisor, options, lambda _: None)
            call(stack.simulator.url, "PUT", "/_sim/knobs", {"notification_delay_min": 0, "notification_delay_max": 0})
            with redirect_stdout(StringIO()):  # the steps of the set-up are no figures
                watched = _watched(stack)
            edits = [_followed(watched, number) for number in range(count)]
            bare = _bare(watched, count)
            watched.work.api.close()
        finally:
            supervisor.stop_all()
    note = "bare httpx and psycopg told what to look at: GET of the item, UPDATE of its row"
    return [
        Figure(name=f"edit_to_row_{name}", value=_cut(edits, share), unit="ms", against=_cut(bare, share), note=note)
        for name, share in (("p50", 50), ("p99", 99))
    ]


def _watched(stack: Stack) -> _Watched:
    work = Work(stack=stack, api=Api(stack.api_url, stack.state.host_key), report=Report())
    connection = setup.register_sharepoint(work, stack.tenant)
    body: dict[str, Any] = {
        "name": "Customers",
        "sync_mode": "TWO_WAY",
        "source_instance_id": setup.register_database(work),
        "source_schema": "business",
        "source_table_name": "customers",
        "sharepoint_connection_id": connection,
        "site_id": setup.find_site(work, connection),
        "list_name": "Customers",
        "poll_interval": "P1D",  # only a notice can be the reason for a reading
        "field_mappings": setup.mappings(("id", "name", "email", "country", "employees", "is_active"), title="name"),
    }
    definition = setup.define(work, body)["id"]
    ready = setup.provision(work, definition)
    for direction in ("push", "ingress"):
        run = work.api.finished(work.api.post(f"/ops/sync/{definition}", direction=direction)["run_id"], seconds=120)
        if run["status"] != "COMPLETED":
            raise RuntimeError(f"the first {direction} ended with {run['status']}: {run['error_message']}")
    _subscribed(stack)
    items = call(stack.simulator.url, "GET", f"/_sim/people/lists/{ready.list_id}/items?top={_ROWS}")["items"]
    key, name = ready.pair("id").field, ready.pair("name").field
    rows = {int(item["id"]): str(item["fields"][key]) for item in items}
    return _Watched(work=work, site=ready.site, list_id=ready.list_id, name=name, rows=rows)


def _subscribed(stack: Stack) -> None:
    """Returns once the schedule tick has subscribed."""
    deadline = time.monotonic() + _PATIENCE
    while not call(stack.simulator.url, "GET", "/_sim/subscriptions")["subscriptions"]:
        if time.monotonic() > deadline:
            raise RuntimeError("nobody has subscribed to the list's changes")
        time.sleep(0.1)


def _followed(watched: _Watched, number: int) -> float:
    """Milliseconds from a person's edit to its row. Raises RuntimeError when it does not arrive."""
    item, key = list(watched.rows.items())[number % len(watched.rows)]
    wanted = f"Renamed {number}"
    with psycopg.connect(watched.work.source_dsn, autocommit=True) as source:
        edited = {"fields": {watched.name: wanted}}
        url = watched.work.stack.simulator.url
        began = time.perf_counter()
        call(url, "PATCH", f"/_sim/people/lists/{watched.list_id}/items/{item}", edited)
        while (source.execute(_READ, [key]).fetchone() or ("",))[0] != wanted:
            if time.perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"edit {number} did not arrive within {_PATIENCE:.0f} s")
            time.sleep(0.005)
        return (time.perf_counter() - began) * 1000


def _bare(watched: _Watched, count: int) -> list[float]:
    """Milliseconds of reading one item through Graph and writing its row, by somebody who knows that there is a change."""
    tenant, took = watched.work.stack.tenant, []
    form = {
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "scope": "https://graph.microsoft.com/.default",
        "grant_type": "client_credentials",
    }
    with (
        httpx.Client(base_url=tenant.url, timeout=30) as http,
        psycopg.connect(watched.work.source_dsn, autocommit=True) as source,
    ):
        token = http.post(f"/{tenant.id}/oauth2/v2.0/token", data=form).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        for number in range(count):
            item, key = list(watched.rows.items())[number % len(watched.rows)]
            began = time.perf_counter()
            path = f"/v1.0/sites/{watched.site}/lists/{watched.list_id}/items/{item}?$expand=fields"
            fields = http.get(path).raise_for_status().json()["fields"]
            source.execute(_WRITE, [fields[watched.name], key])
            took.append((time.perf_counter() - began) * 1000)
    return took


def _cut(took: list[float], percent: int) -> float:
    return statistics.quantiles(took, n=100, method="inclusive")[percent - 1]
