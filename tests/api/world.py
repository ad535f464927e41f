"""The control API with everything behind it: a source database, a metastore, a tenant, and a driver in place of the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import psycopg

from functions.api.schemas import DefinitionIn, FieldMappingIn
from infra.local.sharepoint import Tenant
from shared.core.errors import SyncError
from shared.core.ids import DefinitionId, RunId
from shared.core.runs import ActiveRun, RunType
from shared.engine import Engine
from tests.api.client import TestClient

PASSWORD = "S3CRET-database-password"
THINGS = """
    create schema app;
    create table app.things (id integer primary key, name text not null, qty integer, note text);
    insert into app.things select n, 'thing ' || n, n, 'note ' || n from generate_series(1, 12) n;
"""


class Refused(AssertionError):
    """An answer had another status than the test expected."""


@dataclass(slots=True, kw_only=True)
class World:
    client: TestClient
    engine: Engine
    source: str
    """DSN of the source database, as its superuser."""
    role: str
    """What the product reads the source as."""
    tenant: Tenant
    answers: list[str] = field(default_factory=list)
    """Every answer's text, for tests that look for what must not be there."""

    # ---- HTTP

    def call(
        self, method: str, path: str, body: object = None, *, expect: int | Sequence[int] = 200, **query: Any
    ) -> Any:
        """One call below /api/v1; the answer's document."""
        answer = self.client.request(method, f"/api/v1{path}", json=body, params=query or None)
        self.answers.append(answer.text)
        wanted = [expect] if isinstance(expect, int) else list(expect)
        if answer.status_code not in wanted:
            raise Refused(f"{method} {path} answered {answer.status_code} instead of {wanted}: {answer.text[:2000]}")
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: object = None, *, expect: int = 200) -> Any:
        return self.call("POST", path, body, expect=expect)

    def refused(self, method: str, path: str, body: object = None, *, status: int, **query: Any) -> dict[str, Any]:
        """The problem document of a call that is refused with this status."""
        problem: dict[str, Any] = self.call(method, path, body, expect=status, **query)
        assert problem["status"] == status
        assert problem["detail"]
        return problem

    # ---- set-up, as a person would do it

    def instance_body(self, **changes: Any) -> dict[str, Any]:
        address = psycopg.conninfo.conninfo_to_dict(self.source)
        body = {
            "name": "business",
            "host": "127.0.0.1",
            "port": int(str(address["port"])),
            "db_name": address["dbname"],
            "db_user": self.role,
            "secret": {"value": PASSWORD},
            "tls_mode": "disable",
        }
        return body | changes

    def connection_body(self, **changes: Any) -> dict[str, Any]:
        body = {
            "name": "contoso",
            "tenant_id": self.tenant.id,
            "client_id": self.tenant.client_id,
            "auth_method": "SECRET",
            "secret": {"value": self.tenant.client_secret},
            "cloud": "CUSTOM",
            "graph_url": self.tenant.url,
            "login_url": self.tenant.url,
            "licence_count": self.tenant.licences,
            "ru_multiplier": self.tenant.multiplier,
        }
        return body | changes

    def instance(self, **changes: Any) -> str:
        return str(self.post("/database-instances", self.instance_body(**changes), expect=201)["id"])

    def connection(self, **changes: Any) -> str:
        return str(self.post("/sharepoint-connections", self.connection_body(**changes), expect=201)["id"])

    def site(self, connection: str) -> str:
        (site,) = self.get(f"/sharepoint-connections/{connection}/sites", search="Projects")
        return str(site["site_id"])

    def body(self, *, instance: str | None = None, connection: str | None = None, **changes: Any) -> dict[str, Any]:
        """A definition of app.things, on a database and a connection that are registered if none is given."""
        known_instances = self.get("/database-instances")
        known_connections = self.get("/sharepoint-connections")
        instance = instance or (known_instances[0]["id"] if known_instances else self.instance())
        connection = connection or (known_connections[0]["id"] if known_connections else self.connection())
        body: dict[str, Any] = {
            "name": "Things",
            "source_instance_id": instance,
            "source_schema": "app",
            "source_table_name": "things",
            "sharepoint_connection_id": connection,
            "site_id": self.site(connection),
            "list_name": "Things",
            "field_mappings": [
                {"source_column_name": "name", "target_column_name": "Title"},
                {"source_column_name": "qty"},
                {"source_column_name": "note"},
            ],
            "schedule": "P1D",
        }
        return body | changes

    def define(self, **changes: Any) -> dict[str, Any]:
        """A draft."""
        created: dict[str, Any] = self.post("/sync-definitions", self.body(**changes), expect=201)
        return created

    def live(self, **changes: Any) -> str:
        """An active definition, its list provisioned."""
        definition = str(self.define(**changes)["id"])
        self.post(f"/sync-definitions/{definition}/provision")
        self.post(f"/sync-definitions/{definition}/activate")
        return definition

    def change(self, definition: str, *, expect: int = 200, **changes: Any) -> dict[str, Any]:
        """Puts the definition as it is, with changes."""
        seen = self.get(f"/sync-definitions/{definition}")
        body = {name: seen[name] for name in DefinitionIn.model_fields} | changes
        body["field_mappings"] = [
            {name: mapping[name] for name in FieldMappingIn.model_fields if name in mapping}
            for mapping in body["field_mappings"]
        ]
        answer: dict[str, Any] = self.call("PUT", f"/sync-definitions/{definition}", body, expect=expect)
        return answer

    # ---- runs, without a host

    def start(self, definition: str, *, trigger: str = "MANUAL") -> ActiveRun:
        return self.engine.start_run(DefinitionId(UUID(definition)), trigger=trigger, requested_by="test")[0]

    def run(self, definition: str, *, trigger: str = "MANUAL") -> dict[str, Any]:
        """Starts a run and drives it to its end, as the orchestration does; the run as the API shows it."""
        run = self.start(definition, trigger=trigger)
        self.drive(run)
        return self.seen(run.id)

    def drive(self, run: ActiveRun) -> None:
        engine, definition = self.engine, run.definition
        workers = engine.begin_run(definition, run.id)
        if workers is None:
            return
        try:
            held = engine.capture(definition, run.id).held
            while not held:
                settled = engine.settle(definition, run.id)
                held = settled.hold is not None
                assert settled.wait is None, f"the run has to wait {settled.wait} s"
                if not settled.more:
                    break
            engine.finish_run(definition, run.id, held=held, error=None)
        except SyncError as error:
            engine.finish_run(definition, run.id, held=False, error=(error.code, error.message))

    def ingress(self, definition: str) -> dict[str, Any]:
        """Reads the list's changes and settles what they mean, as an ingress run does; the run as the API shows it."""
        run, _ = self.engine.start_run(
            DefinitionId(UUID(definition)), trigger="MANUAL", requested_by="test", run_type=RunType.INGRESS
        )
        self.read(run)
        return self.seen(run.id)

    def read(self, run: ActiveRun) -> None:
        """Drives an ingress run that somebody has started to its end."""
        engine, known = self.engine, run.definition
        if engine.begin_run(known, run.id) is None:
            return
        read = engine.capture_list(known, run.id, workers=1)
        assert read.wait is None, f"the run has to wait {read.wait} s"
        while not read.held and engine.settle(known, run.id).more:
            pass
        engine.finish_run(known, run.id, held=read.held, error=None)

    def sync(self, definition: str) -> None:
        """An ingress and a push, twice: what one of them causes the other may have to finish."""
        for _ in range(2):
            for run in (self.ingress(definition), self.run(definition)):
                assert run["status"] == "COMPLETED", run

    def seen(self, run: RunId | str) -> dict[str, Any]:
        shown: dict[str, Any] = self.get(f"/runs/{run}")
        return shown

    # ---- both sides

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the source's superuser."""
        with psycopg.connect(self.source, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def metastore(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.engine.settings.metastore_dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def sim(self, method: str, path: str, body: object = None) -> Any:
        """The simulator's control surface."""
        answer = httpx.request(method, f"{self.tenant.url}{path}", json=body, timeout=30)
        if answer.is_error:
            raise Refused(f"the simulator refused {method} {path}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def person(self, definition: str) -> "Person":
        return Person(self, str(self.get(f"/sync-definitions/{definition}")["list_id"]))

    def items(self, definition: str) -> dict[str, dict[str, Any]]:
        """Items of the definition's list as people see them, by title."""
        list_id = self.get(f"/sync-definitions/{definition}")["list_id"]
        found = self.sim("GET", f"/_sim/people/lists/{list_id}/items?top=5000")
        return {item["fields"]["Title"]: item for item in found["items"]}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works in the list."""

    world: World
    list_id: str

    def _path(self, item: Mapping[str, Any] | None = None) -> str:
        return f"/_sim/people/lists/{self.list_id}/items" + (f"/{item['id']}" if item else "")

    def add(self, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.world.sim("POST", self._path(), {"fields": fields})
        return made

    def edit(self, item: Mapping[str, Any], **fields: Any) -> None:
        self.world.sim("PATCH", self._path(item), {"fields": fields})

    def delete(self, item: Mapping[str, Any]) -> None:
        self.world.sim("DELETE", self._path(item))


def written(run: Mapping[str, Any]) -> tuple[int, int, int]:
    """Created, updated, deleted."""
    return run["created"], run["updated"], run["deleted"]
