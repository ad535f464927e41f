"""A client over a handler instead of a network, with a clock that only sleeping moves."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from shared.adapters.graph.client import GraphClient, Timing, open_http, user_agent
from shared.adapters.graph.clouds import custom_endpoints
from shared.adapters.graph.items import SharePointLists
from shared.core.backlog import Lane
from shared.core.definition import TargetList
from shared.core.ids import ConnectionId, ListId, SiteId

SITE = SiteId("contoso.sharepoint.com,11111111-1111-1111-1111-111111111111,22222222-2222-2222-2222-222222222222")
LIST = ListId("33333333-3333-3333-3333-333333333333")
GUID = "44444444-4444-4444-4444-444444444444"
ROOT = "http://127.0.0.1:1/v1.0"
TARGET = TargetList(connection_id=ConnectionId(UUID(int=1)), site_id=SITE, list_id=LIST, key_column="SyncBridgeKey")
ITEMS = f"/sites/{SITE}/lists/{LIST}/items"

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeClock:
    at: float = 1_000_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class FakeBudget:
    """Grants after the waits in `waits`; remembers what it was told."""

    waits: list[float] = field(default_factory=list)
    taken: int = 0
    lanes: list[Lane] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)
    observed: list[tuple[int, int, float]] = field(default_factory=list)

    def take(self, ru: int, lane: Lane) -> float:
        if self.waits and (wait := self.waits.pop(0)) > 0:
            return wait
        self.taken += ru
        self.lanes.append(lane)
        return 0.0

    def charge(self, ru: int) -> None:
        self.taken += ru

    def penalize(self, seconds: float) -> None:
        self.penalties.append(seconds)

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        self.observed.append((limit, remaining, reset))


@dataclass
class FakeTokens:
    renewals: int = 0
    failures: list[Exception] = field(default_factory=list)

    def bearer(self, *, renew: bool = False) -> str:
        if renew:
            self.renewals += 1
            if self.failures:
                raise self.failures.pop(0)
        return f"canary-token-{self.renewals}"


@dataclass
class Ids:
    last: int = 0

    def uuid(self) -> UUID:
        self.last += 1
        return UUID(int=self.last)


@dataclass
class World:
    handler: Handler
    budget: FakeBudget = field(default_factory=FakeBudget)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    clock: FakeClock = field(default_factory=FakeClock)
    timing: Timing = field(default_factory=Timing)
    requests: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        def recorded(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return self.handler(request)

        self.http = open_http(self.timing, transport=httpx.MockTransport(recorded))
        self.client = self.client_over(self.http)

    def client_over(self, http: httpx.Client, root: str = "http://127.0.0.1:1") -> GraphClient:
        return GraphClient(
            http=http,
            cloud=custom_endpoints(root, root, allowed_hosts=frozenset({"127.0.0.1"})),
            tokens=self.tokens,
            budget=self.budget,
            lane=Lane.PUSH,
            clock=self.clock,
            ids=Ids(),
            agent=user_agent("Contoso", "1.0"),
            timing=self.timing,
            sleep=self.clock.sleep,
        )

    @property
    def lists(self) -> SharePointLists:
        return SharePointLists(self.client, ("Title", "Amount"))


def members(world: World) -> list[dict[str, Any]]:
    """What the batches asked for, one by one."""
    return [
        asked
        for request in world.requests
        if request.url.path.endswith("$batch")
        for asked in json.loads(request.content)["requests"]
    ]


def answer(status: int, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=headers, content=b"" if body is None else json.dumps(body).encode())


def error(code: str, message: str = "", inner: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"code": code, "message": message, "innerError": {"date": "2026-01-01T00:00:00"}}
    if inner is not None:
        made["innerError"]["code"] = inner
    return {"error": made}


def inner(status: int, body: Any = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {"status": status, "body": body, "headers": headers or {}}


def batching(member: Callable[[dict[str, Any]], dict[str, Any] | None], *, other: Handler | None = None) -> Handler:
    """Answers a $batch member by member, last one first; None leaves a member out. Other requests go to `other`."""

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/$batch"):
            return other(request) if other is not None else answer(200, {"id": str(LIST)})
        members: Sequence[dict[str, Any]] = json.loads(request.content)["requests"]
        made = [(asked["id"], member(asked)) for asked in reversed(members)]
        return answer(200, {"responses": [{"id": number} | got for number, got in made if got is not None]})

    return handle


def shown(item_id: int, version: int = 1, **fields: Any) -> dict[str, Any]:
    """A listItem as Graph shows it."""
    etag = f'"{GUID},{version}"'
    return {
        "@odata.etag": etag,
        "id": str(item_id),
        "eTag": etag,
        "createdDateTime": "2026-01-01T00:00:00Z",
        "lastModifiedDateTime": "2026-01-02T00:00:00Z",
        "fields": {"@odata.etag": etag, "EditorLookupId": "7", **fields},
    }


def later(clock: FakeClock, seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
