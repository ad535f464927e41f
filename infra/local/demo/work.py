"""What the acts share: the way to the stack, and the answers of its API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from infra.local.demo.compare import Difference, Pair, compare
from infra.local.demo.http import Api, DemoError, Graph
from infra.local.demo.report import Report
from infra.local.sharepoint import Tenant
from infra.local.source import SOURCE
from infra.local.stack import Stack

# How PostgreSQL prints values for the comparison.
_SETTINGS = "-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One demo: the running stack, the API's client and the report."""

    stack: Stack
    api: Api
    report: Report

    @property
    def source_dsn(self) -> str:
        """The business database, as its owner."""
        return self.stack.server.dsn(SOURCE)

    def graph(self, tenant: Tenant) -> Graph:
        """A reader of its own for a tenant: what is compared does not pass through the product."""
        return Graph(tenant.url, tenant=tenant.id, client=tenant.client_id, secret=tenant.client_secret)

    def execute(self, statement: str) -> int:
        """The number of rows that a statement changed in the source."""
        with psycopg.connect(self.source_dsn) as connection:
            return connection.execute(statement.encode()).rowcount


def difference(
    work: Work, graph: Graph, *, rows: str, site: str, list_id: str, pairs: Sequence[Pair], key: Pair, zone: ZoneInfo
) -> Difference:
    """Read both sides whole and compare them; `rows` is the part of a select after its columns."""
    columns = ", ".join(f"{pair.column}::text" for pair in dict.fromkeys((key, *pairs)))
    with psycopg.connect(work.source_dsn, options=_SETTINGS, row_factory=dict_row) as connection:
        read = connection.execute(f"select {columns} {rows}".encode()).fetchall()
    return compare(read, list(graph.items(site, list_id)), pairs, key=key, zone=zone)


def require(found: object, wanted: object, what: str) -> None:
    """Raises DemoError unless they are equal."""
    if found != wanted:
        raise DemoError(f"{what}: {wanted} expected, {found} found")


def require_equal(found: Difference) -> None:
    """Raises DemoError with the first disagreements."""
    if not found.equal:
        raise DemoError(
            f"the list and the table differ: {found.rows} rows, {found.items} items, {found.missing} missing, "
            f"{found.surplus} too many, {found.differing} differing; {'; '.join(found.examples)}"
        )


def written(run: Mapping[str, int]) -> int:
    """Creates, updates and deletes of a run."""
    return run["created"] + run["updated"] + run["deleted"]
