"""Act one: a table of the database becomes a list, and stays equal to it."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from infra.local.demo import setup
from infra.local.demo.compare import Difference
from infra.local.demo.http import Json
from infra.local.demo.work import Work, difference, require, require_equal, written
from infra.local.sample.generate import add_projects
from infra.local.sharepoint import SITE_ZONE

_COLUMNS = (
    "id", "code", "name", "customer_id", "status", "priority", "headcount", "budget", "spent", "remaining", "discount",
    "progress", "risk", "is_billable", "country", "starts_on", "ends_on", "kickoff_at", "reviewed_at", "details",
    "notes", "reference", "created_at", "updated_at", "deleted_at",
)  # fmt: skip
_ADDED = 100
_CHANGE = """
    update business.projects set name = 'Renamed ' || id, budget = budget / 2, notes = null, status = 'done'
    where id % 100 = 7 and id <= 15000
"""
_REMOVE = "delete from business.projects where id % 100 = 11 and id <= 4000"


def run(work: Work, *, instance: str, projects: int) -> Mapping[str, object]:
    """The figures of the act. Raises DemoError when anything is not as it has to be."""
    tenant = work.stack.tenant
    setup.introspect(work, instance, "projects")
    connection = setup.register_sharepoint(work, tenant)
    site = setup.find_site(work, connection)
    definition = setup.define(
        work,
        {
            "name": "Projects",
            "source_instance_id": instance,
            "source_schema": "business",
            "source_table_name": "projects",
            "sharepoint_connection_id": connection,
            "site_id": site,
            "list_name": "Projects",
            "field_mappings": setup.mappings(_COLUMNS, title="name"),
        },
    )["id"]
    setup.plan(work, definition, rows=projects)
    ready = setup.provision(work, definition)

    first = push(work, definition, "push", created=projects)
    with work.report.step("read back through Graph and compare") as step:
        require_equal(found := _difference(work, ready))
        step.count, step.note = found.items, "equal"
    second = push(work, definition, "push again")

    with work.report.step("change, add and remove rows in the database") as step:
        changed, removed = work.execute(_CHANGE), work.execute(_REMOVE)
        add_projects(work.source_dsn, first=projects + 1, count=_ADDED, seed=1)
        step.count = changed + removed + _ADDED
        step.note = f"{changed} / {_ADDED} / {removed}"
    third = push(work, definition, "push exactly those", created=_ADDED, updated=changed, deleted=removed)
    with work.report.step("read back through Graph and compare") as step:
        require_equal(found := _difference(work, ready))
        step.count, step.note = found.items, "equal"
    return {
        "rows": projects,
        "items": first["created"],
        "ru": first["ru"],
        "second_push_writes": written(second),
        "second_push_ru": second["ru"],
        "changes": changed + removed + _ADDED,
        "change_writes": written(third),
        "change_ru": third["ru"],
        "rows_at_the_end": found.rows,
        "items_at_the_end": found.items,
    }


def push(
    work: Work,
    definition: str,
    name: str,
    *,
    created: int = 0,
    updated: int = 0,
    deleted: int = 0,
    seconds: float = 170,
) -> Json:
    """A manual run over HTTP, followed to its end, that has to write exactly this."""
    with work.report.step(name) as step:
        started = work.api.post(f"/ops/sync/{definition}", direction="push")
        run = work.api.finished(started["run_id"], seconds=seconds)
        require(run["status"], "COMPLETED", f"the run's status ({run['error_message'] or '; '.join(run['notes'])})")
        for count, wanted in (("created", created), ("updated", updated), ("deleted", deleted), ("items_failed", 0)):
            require(run[count], wanted, f"{name}: {count}")
        step.count, step.ru = written(run), run["ru"]
        step.note = f"{created:,} created, {updated:,} updated, {deleted:,} deleted" if step.count else "no writes"
    return run


def _difference(work: Work, ready: setup.Ready) -> Difference:
    graph = work.graph(work.stack.tenant)
    try:
        return difference(
            work,
            graph,
            rows="from business.projects",
            site=ready.site,
            list_id=ready.list_id,
            pairs=ready.pairs,
            key=ready.pair("id"),
            zone=ZoneInfo(SITE_ZONE),
        )
    finally:
        graph.close()
