"""Where scenarios are played, once per test process: PostgreSQL as source and metastore, the simulator over HTTP, one
virtual clock for both and for the production engine, which sees the source as an ordinary role."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from psycopg import sql

from shared.adapters.graph.client import GraphClient
from shared.adapters.metastore.pool import Metastore
from shared.adapters.secrets import SealingKey, SecretResolver
from shared.core.backlog import Lane
from shared.core.catalog import Cloud, ConnectionAuth, DatabaseInstance, SharePointConnection
from shared.core.ids import ConnectionId, InstanceId, SiteId
from shared.engine import Engine
from shared.handles import CONNECTIONS, INSTANCES, Graphs, Secrets
from shared.ports import Clock, IdSource
from shared.settings import from_env
from tests.fixtures.postgres import Databases
from tests.simulation.stage import TENANT, Stage, borrowed_stage

LEASE, REQUEST, SURFACE = 60, 5, 290
"""Seconds: how long claims and requests live, and how late a lost request may take effect."""
INSTANCE, CONNECTION = InstanceId(UUID(int=1)), ConnectionId(UUID(int=2))
APP = ("5afe0000-0000-4000-8000-00000000005e", "simulator-selected-secret")
"""Sites.Selected: it sees only the sites that it is granted."""
PASSWORD = "scenario-password"
_numbers = itertools.count(1)


class ReseededIds:
    """UUIDs from a seed that every case sets anew."""

    def __init__(self) -> None:
        self.dice = Random(0)

    def uuid(self) -> UUID:
        return UUID(int=self.dice.getrandbits(128), version=4)


def engine_on(addresses: Mapping[str, str], clock: Clock, ids: IdSource, metastore: Metastore) -> Engine:
    """The production engine of a stage; of any process."""
    secrets = Secrets(resolver=SecretResolver(environ={}), key=SealingKey(key=bytes(range(32))))
    settings = from_env(
        {
            "SYNCBRIDGE_METASTORE_DSN": addresses["metastore"],
            "SYNCBRIDGE_ALLOWED_HOSTS": "127.0.0.1",
            "SYNCBRIDGE_LEASE_SECONDS": str(LEASE),
            "SYNCBRIDGE_REQUEST_SECONDS": str(REQUEST),
            "SYNCBRIDGE_SURFACE_SECONDS": str(SURFACE),
            "SYNCBRIDGE_POOL_SIZE": "4",
        }
    )
    return Engine(settings, clock=clock, ids=ids, metastore=metastore, secrets=secrets)


class PatientGraphs(Graphs):
    """Its clients wait in virtual time."""

    advance: Callable[[float], None]

    def client(self, connection: SharePointConnection, lane: Lane) -> GraphClient:
        client = Graphs.client(self, connection, lane)
        client._sleep = self.advance
        return client


class Theatre:
    def __init__(self, stage: Stage) -> None:
        self.stage, self.clock = stage, stage.clock
        stage.rows.prepare_threshold = None  # types are dropped and made anew under it
        self.ids = ReseededIds()
        self.role = f"scenario_{os.getpid()}_{next(_numbers)}"
        stage.rows.execute(
            sql.SQL("create role {} login password {}").format(sql.Identifier(self.role), sql.Literal(PASSWORD))
        )
        self.engine = engine_on(stage.addresses, stage.clock, self.ids, stage.metastore)
        kept = self.engine.graphs
        patient = PatientGraphs(**{one.name: getattr(kept, one.name) for one in fields(kept) if one.init})
        patient.advance = stage.advance
        self.engine.graphs = patient
        patient.open()
        self._register(self.engine.secrets)

    def _register(self, secrets: Secrets) -> None:
        source = urlsplit(self.stage.addresses["source"])
        self.engine.stores.instances.add(
            DatabaseInstance(
                id=INSTANCE,
                name="people",
                host=source.hostname or "",
                port=source.port or 5432,
                db_name=source.path.removeprefix("/"),
                db_user=self.role,
                secret=secrets.seal(INSTANCES, INSTANCE, PASSWORD),
                tls_mode="disable",
            ),
            actor="test",
        )
        address = self.stage.addresses["simulator"]
        self.engine.stores.connections.add(
            SharePointConnection(
                id=CONNECTION,
                name="contoso",
                tenant_id=TENANT,
                client_id=APP[0],
                auth_method=ConnectionAuth.SECRET,
                secret=secrets.seal(CONNECTIONS, CONNECTION, APP[1]),
                cloud=Cloud.CUSTOM,
                graph_url=address,
                login_url=address,
                licence_count=1_000_000,
                ru_multiplier=1000.0,
            ),
            actor="test",
        )

    def close(self) -> None:
        self.engine.sources.close()
        self.engine.graphs.close()
        self.engine.queue.close()
        name = sql.Identifier(self.role)
        self.stage.rows.execute(sql.SQL("drop owned by {} cascade").format(name))
        self.stage.rows.execute(sql.SQL("drop role {}").format(name))

    def clear(self, seed: str) -> None:
        """As before the first case, but for the time."""
        stage = self.stage
        self.ids.dice = Random(seed)
        for path in ("faults", "rules", "knobs", "requests"):
            stage.ask("DELETE", path)
        stage.ask("PUT", "knobs", {"throttling": False})
        stage.sql.execute(
            "truncate syncbridge.sync_backlog, syncbridge.sync_renames, syncbridge.sync_ledger, syncbridge.conflicts, syncbridge.run_tables,"
            " syncbridge.sync_definitions cascade"
        )
        stage.rows.execute("drop schema public cascade")
        stage.rows.execute("create schema public")
        stage.rows.execute(sql.SQL("grant usage on schema public to {}").format(sql.Identifier(self.role)))

    def site(self, zone: str) -> tuple[str, SiteId]:
        """A site of its own, where the application may manage lists: its path and its id."""
        path = f"/sites/case-{next(_numbers)}"
        self.change_site(path, title=path, timezone=zone)
        return path, SiteId(self.grant_site(path)["id"])

    def grant_site(self, path: str) -> dict[str, Any]:
        return self.change_site(path, grants=[{"client_id": APP[0], "roles": ["manage"]}])

    def change_site(self, path: str, **changes: Any) -> dict[str, Any]:
        tenant = self.stage.ask("POST", "tenants", {"id": TENANT, "sites": [{"path": path, **changes}]})
        [site] = [site for site in tenant["sites"] if site["path"] == path]
        return dict(site)


@contextmanager
def open_theatre(databases: Databases, folder: Path) -> Iterator[Theatre]:
    with borrowed_stage(databases, folder) as stage:
        theatre = Theatre(stage)
        try:
            yield theatre
        finally:
            theatre.close()
