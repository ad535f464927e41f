"""The last act: the smallest tenant's budget sets the pace, and the service never has to refuse anything."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import psycopg

from infra.local.demo import setup
from infra.local.demo.acts.push import push
from infra.local.demo.http import Json
from infra.local.demo.work import Work, difference, require, require_equal
from infra.local.sharepoint import SITE_ZONE, add_tenant, call

# Units a minute for one app in a tenant of up to 1,000 licences, as "Avoid getting throttled or blocked in SharePoint
# Online" on learn.microsoft.com has it.
_PER_MINUTE = 1_250
_ROWS = "from business.customers where country in ('DE', 'FR', 'PL')"
_FILTER = _ROWS.partition(" where ")[2]
_COLUMNS = ("id", "name", "email", "country", "founded_on", "employees", "rating", "is_active", "updated_at")


def run(work: Work, *, instance: str) -> Mapping[str, object]:
    """The figures of the act. Raises DemoError when anything is not as it has to be."""
    url = work.stack.simulator.url
    tenant = add_tenant(url, name="small", licences=1_000, multiplier=1)
    with psycopg.connect(work.source_dsn) as connection:
        counted = connection.execute(f"select count(*) {_ROWS}".encode()).fetchone()
    rows = 0 if counted is None else int(counted[0])
    connection_id = setup.register_sharepoint(work, tenant)
    definition = setup.define(
        work,
        {
            "name": "Customers",
            "source_instance_id": instance,
            "source_schema": "business",
            "source_table_name": "customers",
            "sharepoint_connection_id": connection_id,
            "site_id": setup.find_site(work, connection_id),
            "list_name": "Customers",
            "row_filter": _FILTER,
            "field_mappings": setup.mappings(_COLUMNS, title="name"),
        },
    )["id"]
    ready = setup.provision(work, definition)

    began = time.monotonic()
    pushed = push(work, definition, f"push where {_FILTER}", created=rows)
    minutes = (time.monotonic() - began) / 60
    log = call(url, "GET", f"/_sim/requests?list={ready.list_id}&limit=1000000")["requests"]
    refused, busiest = _refused(log), _busiest_minute(log)
    require(refused, 0, "answers with 429 or 503")
    with work.report.step("read back through Graph and compare") as step:
        graph = work.graph(tenant)
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
        graph.close()
        require_equal(found)
        step.count, step.note = found.items, "equal"
    print(f"  The busiest minute cost {busiest:,} RU of {_PER_MINUTE:,}; the service refused nothing.")
    return {
        "rows": rows,
        "items": found.items,
        "ru": pushed["ru"],
        "minutes": round(minutes, 2),
        "ru_of_the_busiest_minute": busiest,
        "ceiling": _PER_MINUTE,
        "refused": refused,
    }


def _refused(log: Sequence[Json]) -> int:
    """Answers with 429 or 503, those inside batches included."""
    statuses = [answer["status"] for entry in log for answer in (entry, *entry["inner"])]
    return sum(status in (429, 503) for status in statuses)


def _busiest_minute(log: Sequence[Json]) -> int:
    """Resource units of the clock minute that had most: that is how the service counts them."""
    minutes: Counter[str] = Counter()
    for entry in log:
        minutes[entry["time"][:16]] += entry["ru"]
    return max(minutes.values(), default=0)
