"""The steps before a first push, as a person would take them in the API's documents page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.local.demo.compare import Kind, Pair
from infra.local.demo.http import Json
from infra.local.demo.work import Work, require
from infra.local.sharepoint import SITE_ZONE, Tenant
from infra.local.source import ROLE, SOURCE

_KINDS: Mapping[str, Kind] = {
    "TEXT": "text",
    "NOTE": "text",
    "CHOICE": "text",
    "NUMBER": "number",
    "CURRENCY": "number",
    "BOOLEAN": "boolean",
    "DATETIME": "datetime",
    "DATE": "date",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A definition whose list stands, and how its columns are compared."""

    definition: str
    site: str
    list_id: str
    pairs: Sequence[Pair]

    def pair(self, column: str) -> Pair:
        """The pair of one source column."""
        return next(pair for pair in self.pairs if pair.column == column)


def register_database(work: Work) -> str:
    """The id of the business database, registered and tested."""
    server, report = work.stack.server, work.report
    with report.step("register the database"):
        instance = work.api.post(
            "/database-instances",
            {
                "name": "business",
                "host": "127.0.0.1",
                "port": server.port,
                "db_name": SOURCE,
                "db_user": ROLE,
                "secret": {"value": work.stack.state.source_password},
                "tls_mode": "disable",  # a server on loopback
            },
        )
    with report.step("test it") as step:
        tested = work.api.post(f"/database-instances/{instance['id']}/test")
        require(tested["health"], "HEALTHY", "the database's health")
        step.note = tested["health"].lower()
    return str(instance["id"])


def introspect(work: Work, instance: str, table: str) -> None:
    """Look at a table's columns, keys and indexes."""
    with work.report.step(f"introspect business.{table}") as step:
        seen = work.api.post(f"/database-instances/{instance}/introspect", {"schema": "business", "table": table})
        (only,) = seen["tables"]
        step.note = f"{len(only['columns'])} columns, {len(only['indexes'])} indexes"


def register_sharepoint(work: Work, tenant: Tenant, *, name: str | None = None) -> str:
    """The id of a connection to the tenant."""
    with work.report.step("register the SharePoint connection"):
        connection = work.api.post(
            "/sharepoint-connections",
            {
                "name": name or f"tenant {tenant.id}",
                "tenant_id": tenant.id,
                "client_id": tenant.client_id,
                "auth_method": "SECRET",
                "secret": {"value": tenant.client_secret},
                "cloud": "CUSTOM",
                "graph_url": tenant.url,
                "login_url": tenant.url,
                "licence_count": tenant.licences,
                "ru_multiplier": tenant.multiplier,
            },
        )
    return str(connection["id"])


def find_site(work: Work, connection: str) -> str:
    """The Graph id of the site named Projects."""
    with work.report.step("discover the site"):
        sites = work.api.get(f"/sharepoint-connections/{connection}/sites", search="Projects")
        require([site["display_name"] for site in sites], ["Projects"], "sites found")
    return str(sites[0]["site_id"])


def mappings(columns: Sequence[str], *, title: str) -> list[dict[str, str]]:
    """Field mappings with what the product proposes for each column's type; one column fills the list's Title."""
    return [
        {"source_column_name": name} | ({"target_column_name": "Title"} if name == title else {}) for name in columns
    ]


def define(work: Work, body: Mapping[str, object]) -> Json:
    """A new definition, in draft."""
    with work.report.step("create the definition with its mappings") as step:
        definition = work.api.post("/sync-definitions", {"site_zone": SITE_ZONE, "schedule": "P1D", **body})
        step.note = f"{len(definition['field_mappings'])} columns"
    return definition


def plan(work: Work, definition: str, *, rows: int) -> None:
    """A dry run says what a push would do and cost."""
    with work.report.step("plan") as step:
        planned = work.api.post(f"/sync-definitions/{definition}/plan")
        require(planned["counts"]["create"], rows, "items that the plan would create")
        step.count, step.ru = rows, planned["cost"]["ru"]
        step.note = f"{rows:,} to create, nothing written yet"


def provision(work: Work, definition: str) -> Ready:
    """Make the list, activate the definition, and learn the columns' real names."""
    with work.report.step("provision the list") as step:
        work.api.post(f"/sync-definitions/{definition}/provision")
        seen = work.api.get(f"/sync-definitions/{definition}")
        step.note = seen["list_name"]
    with work.report.step("activate"):
        work.api.post(f"/sync-definitions/{definition}/activate")
    pairs = [
        Pair(
            column=mapping["source_column_name"],
            field=mapping["target_column_name"],
            kind="json" if mapping["source_type"] in ("json", "jsonb") else _KINDS[mapping["field_kind"]],
        )
        for mapping in seen["field_mappings"]
    ]
    return Ready(definition=definition, site=seen["site_id"], list_id=seen["list_id"], pairs=pairs)
