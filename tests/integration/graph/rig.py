"""The product's Graph client against the simulator, with its people and its faults."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.adapters.graph.auth import ClientSecret, TokenSource, token_source
from shared.adapters.graph.client import GraphClient, Timing, open_http, user_agent
from shared.adapters.graph.clouds import Endpoints, custom_endpoints
from shared.adapters.graph.items import SharePointLists
from shared.adapters.graph.provision import Provisioner
from shared.core.backlog import Lane
from shared.core.definition import FieldKind, TargetList
from shared.core.ids import ConnectionId, DefinitionId, ItemId, ListId, SiteId
from shared.core.provisioning import ColumnPlan, ListPlan
from tests.fakes.budget import OpenBudget

TENANT = "c0ffee00-0000-4000-8000-00000000c0de"
SYNC = ("5afe0000-0000-4000-8000-000000000001", "simulator-secret")
SELECTED = ("5afe0000-0000-4000-8000-00000000005e", "simulator-selected-secret")
READER = ("5afe0000-0000-4000-8000-00000000004d", "simulator-read-secret")
CONNECTION = ConnectionId(UUID(int=1))


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  this is the clock

    def monotonic(self) -> float:
        return time.monotonic()


class RealIds:
    def uuid(self) -> UUID:
        return uuid4()


class Wires:
    """HTTP clients to one simulator, kept over tests: making one loads certificates."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = open_http(Timing())
        self.control = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self.control.close()


class Rig:
    """One simulator, emptied; the apps of its tenant; a person at it."""

    def __init__(self, wires: Wires) -> None:
        url = wires.url
        self.timing = Timing()
        self.http, self.control = wires.http, wires.control
        self.budget = OpenBudget()
        self.endpoints: Endpoints = custom_endpoints(url, url, allowed_hosts=frozenset({"127.0.0.1"}))
        self._tokens: dict[tuple[str, str], TokenSource] = {}
        self.reset()
        sites = self.ask("GET", "tenants")["tenants"][0]["sites"]
        self.sites = {site["path"]: SiteId(site["id"]) for site in sites}
        self.site = self.sites["/sites/hr"]

    def reset(self) -> None:
        """Empty the simulator; tokens die with it."""
        self._tokens.clear()
        self.ask("POST", "reset")
        self.knobs(throttling=False)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.control.request(method, f"/_sim/{path}", json=body, headers=headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def knobs(self, **values: Any) -> None:
        self.ask("PUT", "knobs", values)

    def faults(self, *rules: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        self.ask("PUT", "faults", {"seed": 1, "rules": [{"match": match, "fault": fault} for match, fault in rules]})

    def calm(self) -> None:
        self.ask("DELETE", "faults")

    def fired(self) -> int:
        return int(self.ask("GET", "faults")["fired"])

    def tokens(self, app: tuple[str, str] = SYNC) -> TokenSource:
        if app not in self._tokens:
            self._tokens[app] = token_source(
                self.endpoints,
                tenant=TENANT,
                client_id=app[0],
                credential=ClientSecret(secret=app[1]),
                http=self.http,
                clock=RealClock(),
            )
        return self._tokens[app]

    def client(self, app: tuple[str, str] = SYNC) -> GraphClient:
        return GraphClient(
            http=self.http,
            cloud=self.endpoints,
            tokens=self.tokens(app),
            budget=self.budget,
            lane=Lane.PUSH,
            clock=RealClock(),
            ids=RealIds(),
            agent=user_agent("Test", "1"),
            timing=self.timing,
        )

    def provisioner(self, app: tuple[str, str] = SYNC) -> Provisioner:
        return Provisioner(self.client(app), self.site)

    def lists(self, columns: Sequence[str], app: tuple[str, str] = SYNC) -> SharePointLists:
        return SharePointLists(self.client(app), columns)

    # -- people

    def add(self, list_id: ListId, fields: Mapping[str, Any]) -> ItemId:
        return ItemId(self.ask("POST", f"people/lists/{list_id}/items", {"fields": fields})["id"])

    def edit(self, list_id: ListId, item_id: ItemId, fields: Mapping[str, Any]) -> str:
        return str(self.ask("PATCH", f"people/lists/{list_id}/items/{item_id}", {"fields": fields})["etag"])

    def remove(self, list_id: ListId, item_id: ItemId) -> None:
        self.ask("DELETE", f"people/lists/{list_id}/items/{item_id}")

    def rows(self, list_id: ListId) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"people/lists/{list_id}/items?top=5000")["items"])

    def columns(self, list_id: ListId) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"people/lists/{list_id}")["columns"])

    def all_lists(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "people/lists")["lists"])


def plan(*columns: ColumnPlan, name: str = "Projects", definition: int = 7) -> ListPlan:
    return ListPlan(definition_id=DefinitionId(UUID(int=definition)), display_name=name, columns=columns or COLUMNS)


COLUMNS = (
    ColumnPlan(name="Title", display_name="Project", kind=FieldKind.TEXT, is_title=True, required=True),
    ColumnPlan(name="amount", display_name="Amount", kind=FieldKind.NUMBER, indexed=True),
    ColumnPlan(name="status", display_name="Status", kind=FieldKind.CHOICE, choices=("open", "closed")),
)


def target_of(site: SiteId, list_id: ListId, key_column: str) -> TargetList:
    return TargetList(connection_id=CONNECTION, site_id=site, list_id=list_id, key_column=key_column)
