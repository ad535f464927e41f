"""What a push is measured on: PostgreSQL with source and metastore (fsync on), the simulator, the engine of this process.

The definition is made through the control API, as a user would; activities are driven as the orchestration drives them.
"""

import base64
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx

from functions.api.app import create_app
from infra.local.postgres import start as start_postgres
from infra.local.sample.generate import Counts
from infra.local.sharepoint import Tenant, add_tenant, call
from infra.local.simulator import Simulator
from infra.local.simulator import start as start_simulator
from infra.local.source import ROLE, SOURCE, prepare_metastore, prepare_source
from shared.core.ids import DefinitionId
from shared.engine import Engine
from shared.settings import from_env
from tests.api.client import TestClient

PASSWORD = "of a database that is thrown away"
UNLIMITED = 1_000.0
"""Times the smallest tier's budget, the most that can be bought here: 10,000 writes a second."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A definition of business.projects with its list, and the tenant that the list is in."""

    definition: DefinitionId
    site: str
    list_id: str
    tenant: Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    seconds: float
    run: dict[str, Any]
    """As the API shows it."""


@dataclass(slots=True, kw_only=True)
class Stand:
    source: str
    """DSN of the source, as its superuser."""
    metastore: str
    simulator: Simulator
    engine: Engine
    api: TestClient
    instance: str = ""
    _connections: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """One call below /api/v1."""
        answer = self.api.request(method, f"/api/v1{path}", json=body, params=query or None)
        if answer.is_error:
            raise RuntimeError(f"{method} {path} was answered with {answer.status_code}: {answer.text[:1000]}")
        return answer.json()

    def tenant(self, name: str, *, multiplier: float) -> Tenant:
        """A tenant of the smallest tier that bought its budget `multiplier` times, registered as a connection."""
        tenant = add_tenant(self.simulator.url, name=name, licences=1, multiplier=multiplier)
        body = {
            "name": name,
            "tenant_id": tenant.id,
            "client_id": tenant.client_id,
            "auth_method": "SECRET",
            "secret": {"value": tenant.client_secret},
            "cloud": "CUSTOM",
            "graph_url": tenant.url,
            "login_url": tenant.url,
            "licence_count": 1,
            "ru_multiplier": multiplier,
        }
        self._connections[name] = self.call("POST", "/sharepoint-connections", body)["id"]
        return tenant

    def place(self, tenant: Tenant) -> Place:
        """A new active definition with an empty list."""
        name = f"Projects {next(_numbers)}"
        connection = self._connections[tenant.client_id.removesuffix("-app")]
        (site,) = self.call("GET", f"/sharepoint-connections/{connection}/sites", search="Projects")
        body = {
            "name": name,
            "source_instance_id": self.instance,
            "source_schema": "business",
            "source_table_name": "projects",
            "sharepoint_connection_id": connection,
            "site_id": site["site_id"],
            "list_name": name,
            "schedule": "P1D",
        }
        made = self.call("POST", "/sync-definitions", body)["id"]
        self.call("POST", f"/sync-definitions/{made}/provision")
        self.call("POST", f"/sync-definitions/{made}/activate")
        list_id = self.call("GET", f"/sync-definitions/{made}")["list_id"]
        return Place(definition=DefinitionId(UUID(made)), site=site["site_id"], list_id=list_id, tenant=tenant)

    def push(self, place: Place, *, workers: int, seconds: float = 300.0) -> Pushed:
        """A whole run, or as much of it as is started within `seconds`: capture, then laps of `workers` activities."""
        engine, definition = self.engine, place.definition
        run, _ = engine.start_run(definition, trigger="BENCH", requested_by="bench")
        began = time.perf_counter()
        if engine.begin_run(definition, run.id) is None or engine.capture(definition, run.id).held:
            raise RuntimeError(f"the run is held: {self.call('GET', f'/runs/{run.id}')}")
        with ThreadPoolExecutor(workers) as pool:
            while time.perf_counter() - began < seconds:
                answers = list(pool.map(lambda _: engine.settle(definition, run.id), range(workers)))
                if any(answer.hold for answer in answers):
                    raise RuntimeError(f"the run is held: {[answer.hold for answer in answers]}")
                waits = [answer.wait for answer in answers if answer.wait is not None]
                if not waits and not any(answer.more for answer in answers):
                    break
                if waits:
                    time.sleep(min(*waits, max(seconds - (time.perf_counter() - began), 0.0)))
        elapsed = time.perf_counter() - began
        engine.finish_run(definition, run.id, held=False, error=None)
        return Pushed(seconds=elapsed, run=self.call("GET", f"/runs/{run.id}"))

    # ---- the simulator's side

    def sequence(self) -> int:
        """The number of the last request that the simulator has seen."""
        return int(call(self.simulator.url, "GET", "/_sim/requests?limit=1")["seq"])

    def requests(self, since: int, app: str) -> list[dict[str, Any]]:
        """The simulator's log of an app's requests, oldest first."""
        found = call(self.simulator.url, "GET", f"/_sim/requests?since={since}&limit=200000")["requests"]
        return [request for request in found if request["app"] == app]

    def token(self, tenant: Tenant) -> str:
        """A bearer token of the tenant's app."""
        form = {
            "client_id": tenant.client_id,
            "client_secret": tenant.client_secret,
            "scope": "https://graph.microsoft.com/.default",
            "grant_type": "client_credentials",
        }
        answer = httpx.post(f"{tenant.url}/{tenant.id}/oauth2/v2.0/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])


@contextmanager
def stand(rows: int) -> Iterator[Stand]:
    """Everything started, with `rows` projects in the source; everything stopped and removed at the end."""
    server = start_postgres(durable=True)
    try:
        with TemporaryDirectory(prefix="syncbridge-bench-") as folder:
            simulator = start_simulator(Path(folder))
            try:
                call(simulator.url, "PUT", "/_sim/knobs", {"request_log_size": 200_000})
                prepare_source(server, password=PASSWORD, counts=Counts.for_projects(rows))
                engine = Engine.from_settings(
                    from_env(
                        {
                            "SYNCBRIDGE_METASTORE_DSN": prepare_metastore(server),
                            "SYNCBRIDGE_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
                            "SYNCBRIDGE_ALLOWED_HOSTS": "127.0.0.1",
                            "SYNCBRIDGE_ACTIVITY_SECONDS": "5",
                        }
                    )
                )
                engine.open()
                try:
                    with TestClient(create_app(lambda: engine)) as api:
                        made = Stand(
                            source=server.dsn(SOURCE),
                            metastore=engine.settings.metastore_dsn,
                            simulator=simulator,
                            engine=engine,
                            api=api,
                        )
                        body = {
                            "name": "business",
                            "host": "127.0.0.1",
                            "port": server.port,
                            "db_name": SOURCE,
                            "db_user": ROLE,
                            "secret": {"value": PASSWORD},
                            "tls_mode": "disable",
                        }
                        made.instance = made.call("POST", "/database-instances", body)["id"]
                        yield made
                finally:
                    engine.close()
            finally:
                simulator.stop()
    finally:
        server.remove()
