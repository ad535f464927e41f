"""What discovery and introspection saw: sites, lists, tables. And plans, which are computed from it."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from shared.adapters.metastore.codec import dumps, jsonable, read
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.control_ports import Plan
from shared.core.catalog import KnownList, KnownSite
from shared.core.errors import NotFound
from shared.core.ids import ConnectionId, DefinitionId, InstanceId, ListId, SiteId
from shared.core.snapshot import TableSnapshot
from shared.core.source import TableRef

SQL = load("catalog")


class InventoryStore:
    """Satisfies the port Inventory."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def save_sites(self, sites: Sequence[KnownSite]) -> None:
        with self._metastore.connection() as connection, connection.transaction():
            for site in sites:
                connection.execute(
                    SQL["put_site"],
                    {
                        "connection": site.connection_id,
                        "site": site.site_id,
                        "display_name": site.display_name,
                        "web_url": site.web_url,
                    },
                )

    def sites(self, connection_id: ConnectionId) -> Sequence[KnownSite]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["sites"], {"connection": connection_id}).fetchall()
        return [
            KnownSite(
                connection_id=connection_id,
                site_id=SiteId(site),
                display_name=name,
                web_url=url,
            )
            for site, name, url in rows
        ]

    def save_lists(self, lists: Sequence[KnownList]) -> None:
        with self._metastore.connection() as connection, connection.transaction():
            for known in lists:
                connection.execute(
                    SQL["put_list"],
                    {
                        "connection": known.connection_id,
                        "site": known.site_id,
                        "list": known.list_id,
                        "display_name": known.display_name,
                        "web_url": known.web_url,
                        "template": known.template,
                    },
                )

    def lists(self, connection_id: ConnectionId, site_id: SiteId) -> Sequence[KnownList]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["lists"], {"connection": connection_id, "site": site_id}).fetchall()
        return [
            KnownList(
                connection_id=connection_id,
                site_id=site_id,
                list_id=ListId(list_id),
                display_name=name,
                web_url=url,
                template=template,
            )
            for list_id, name, url, template in rows
        ]


_PARTS = ("columns", "constraints", "indexes")


class SnapshotStore:
    """Satisfies the port Snapshots."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def save(self, instance_id: InstanceId, snapshot: TableSnapshot) -> bool:
        document = jsonable(snapshot)
        # The estimate of rows moves all the time and is no change of the schema.
        lasting = document | {"estimated_rows": None}
        details = {name: value for name, value in document.items() if name not in _PARTS}
        with self._metastore.connection() as connection:
            made = connection.execute(
                SQL["put_snapshot"],
                {
                    "instance": instance_id,
                    "schema": snapshot.table.schema,
                    "table": snapshot.table.name,
                    "fingerprint": hashlib.blake2b(dumps(lasting).encode(), digest_size=16).digest(),
                    "details": dumps(details),
                    **{name: dumps(document[name]) for name in _PARTS},
                },
            )
        return made.rowcount == 1

    def latest(self, instance_id: InstanceId, table: TableRef) -> TableSnapshot | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(
                SQL["latest_snapshot"], {"instance": instance_id, "schema": table.schema, "table": table.name}
            ).fetchall()
        if not rows:
            return None
        columns, constraints, indexes, details = rows[0]
        return read(TableSnapshot, {**details, "columns": columns, "constraints": constraints, "indexes": indexes})

    def tables(self, instance_id: InstanceId) -> Sequence[TableRef]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["snapshot_tables"], {"instance": instance_id}).fetchall()
        return [TableRef(schema=schema, name=name) for schema, name in rows]


class PlanStore:
    """Satisfies the port Plans."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def add(self, plan: Plan) -> None:
        with self._metastore.connection() as connection:
            connection.execute(
                SQL["put_plan"],
                {
                    "id": plan.id,
                    "definition": plan.definition,
                    "document": dumps(plan.document),
                    "base": plan.base,
                    "created_by": plan.created_by,
                },
            )

    def get(self, plan_id: UUID) -> Plan:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["plan"], {"id": plan_id}).fetchall()
        if not rows:
            raise NotFound(f"there is no plan {plan_id}")
        found, definition, document, base, created_by, created_at, applied_at = rows[0]
        return Plan(
            id=found,
            definition=DefinitionId(definition),
            document=document,
            base=bytes(base),
            created_by=created_by,
            created_at=created_at,
            applied_at=applied_at,
        )

    def made_for(self, definition: DefinitionId) -> bool:
        """Whether there is a plan of the definition as it is now."""
        with self._metastore.connection() as connection:
            return connection.execute(SQL["plan_made"], {"id": definition}).fetchone() == (True,)

    def mark_applied(self, plan_id: UUID) -> bool:
        with self._metastore.connection() as connection:
            return connection.execute(SQL["mark_plan_applied"], {"id": plan_id}).rowcount == 1
