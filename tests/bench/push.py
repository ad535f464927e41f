"""A push: what it costs in resource units, and how fast it goes when no budget holds it back."""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg

from infra.local.sharepoint import Tenant
from tests.bench.figures import Figure
from tests.bench.stand import UNLIMITED, Place, Pushed, Stand

WRITE_RU = 2
"""https://learn.microsoft.com/en-us/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online"""


def costs(stand: Stand, *, rows: int, changed: int) -> list[Figure]:
    """RU per created, changed and unchanged row by the simulator's log. Raises when the engine counted otherwise."""
    tenant = stand.tenant("costs", multiplier=UNLIMITED)
    place = stand.place(tenant)
    created = _spent(stand, place, {"created": rows})
    with psycopg.connect(stand.source) as source:
        source.execute(
            "update business.projects set name = name || '!', priority = 6 - priority where id <= %s", [changed]
        )
    updated = _spent(stand, place, {"updated": changed})
    unchanged = _spent(stand, place, {})
    reading = _reading(stand, place, rows)
    price = f"{WRITE_RU} RU: the published price of one write"
    return [
        Figure(name="ru_per_created_row", value=created / rows, unit="RU/row", against=WRITE_RU, note=price),
        Figure(name="ru_per_changed_row", value=updated / changed, unit="RU/row", against=WRITE_RU, note=price),
        Figure(
            name="ru_per_unchanged_row",
            value=unchanged / rows,
            unit="RU/row",
            against=reading / rows,
            note="reading the list to compare it, 200 items with fields to a page",
        ),
    ]


def _spent(stand: Stand, place: Place, wanted: dict[str, int]) -> int:
    """RU of one push, as both sides counted them."""
    since = stand.sequence()
    run = stand.push(place, workers=2).run
    did = {name: run[name] for name in ("created", "updated", "deleted", "items_failed") if run[name]}
    if did != wanted:
        raise RuntimeError(f"the push did {did}, not {wanted}")
    logged = sum(request["ru"] for request in stand.requests(since, place.tenant.client_id))
    if logged != run["ru"]:
        raise RuntimeError(f"the engine counted {run['ru']} RU, the simulator {logged}")
    return int(logged)


def _reading(stand: Stand, place: Place, rows: int) -> int:
    since, seen = stand.sequence(), 0
    link: str | None = f"{place.tenant.url}/v1.0/sites/{place.site}/lists/{place.list_id}/items?$expand=fields&$top=200"
    headers = {"Authorization": f"Bearer {stand.token(place.tenant)}"}
    with httpx.Client(headers=headers, timeout=60) as http:
        while link:
            page = http.get(link).raise_for_status().json()
            seen += len(page["value"])
            link = page.get("@odata.nextLink")
    if seen != rows:
        raise RuntimeError(f"the list holds {seen} items, not {rows}")
    return sum(request["ru"] for request in stand.requests(since, place.tenant.client_id))


def rates(stand: Stand, *, rows: int, concurrency: tuple[int, ...], rounds: int) -> list[Figure]:
    """Creates a second by concurrent settle activities, beside bare httpx that posts the engine's own bodies."""
    tenant = stand.tenant("rates", multiplier=UNLIMITED)
    recorded = stand.place(tenant)
    bodies = record(stand, recorded, rows)
    figures = []
    for workers in concurrency:
        ours, bare = [], []
        for _ in range(rounds):
            ours.append(rows / _whole(stand.push(stand.place(tenant), workers=workers), rows).seconds)
            empty = stand.place(tenant)
            sent = [body.replace(recorded.list_id.encode(), empty.list_id.encode()) for body in bodies]
            bare.append(rows / _bare(stand.token(tenant), tenant, sent, workers))
        figures.append(
            Figure(
                name=f"engine_creates_{workers}_in_flight",
                value=statistics.median(ours),
                unit="rows/s",
                against=statistics.median(bare),
                note=f"bare httpx, the same $batch bodies ready-made, {workers} in flight",
            )
        )
    return figures


def record(stand: Stand, place: Place, rows: int) -> list[bytes]:
    """Push, and give the bodies of the $batch requests that the engine sent."""
    bodies: list[bytes] = []

    def note(request: httpx.Request) -> None:
        if request.url.path.endswith("$batch"):
            bodies.append(request.content)

    http = stand.engine.graphs._http
    assert http is not None
    http.event_hooks = {"request": [note]}
    _whole(stand.push(place, workers=1), rows)
    http.event_hooks = {}
    return bodies


def _whole(pushed: Pushed, rows: int) -> Pushed:
    if (pushed.run["created"], pushed.run["items_failed"]) != (rows, 0):
        raise RuntimeError(f"{rows} rows were not created: {pushed.run}")
    return pushed


def _bare(token: str, tenant: Tenant, bodies: list[bytes], workers: int) -> float:
    """Seconds."""
    left, lock = iter(bodies), threading.Lock()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=tenant.url, headers=headers, timeout=60, trust_env=False) as http:

        def work(_: Any) -> None:
            while True:
                with lock:
                    body = next(left, None)
                if body is None:
                    return
                answer = http.post("/v1.0/$batch", content=body)
                wanted = body.count(b'"method"')
                if answer.content.count(b'"status":201') != wanted:
                    raise RuntimeError(f"not all of {wanted} items were created: {answer.text[:500]}")

        with ThreadPoolExecutor(workers) as pool:
            began = time.perf_counter()
            list(pool.map(work, range(workers)))
            return time.perf_counter() - began
