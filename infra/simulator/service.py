"""The whole simulator without sockets: a request in, an answer out."""

import json
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.simulator import defaults
from infra.simulator.auth import Auth
from infra.simulator.batching import Batching
from infra.simulator.control import Control
from infra.simulator.errors import Unfit, no_segment
from infra.simulator.faults import Faults
from infra.simulator.graph import Graph
from infra.simulator.journal import Entry
from infra.simulator.notices import Notices
from infra.simulator.routes import Routes
from infra.simulator.subscriptions import Subscriptions
from infra.simulator.wire import Answer, Delivery, Request, Response, segments
from infra.simulator.world import World


class Service:
    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.world = World(folder)
        self.faults = Faults()
        self.access = Auth(self.world)
        self.notices = Notices(self.world)
        subscriptions = Subscriptions(self.world, self.access, self.notices)
        self.routes = Routes(self.world, self.access, subscriptions)
        self.graph = Graph(self.world, self.access, self.routes, self.faults)
        self.batching = Batching(self.world, self.access, self.graph)
        self.control = Control(self)
        if not self.world.tenants:
            defaults.populate(self.world)
        if config:
            self.control.configure(config)
        self.world.commit()
        self.notices.arm_all()

    def handle(self, request: Request) -> Answer:
        """Answer one request that came over the wire."""
        path = request.path
        if path.startswith("/v1.0/") or path == "/v1.0":
            return self._logged(request)
        if path == "/_sim" or path.startswith("/_sim/"):
            return self.control.handle(request)
        return self._login(request)

    def _logged(self, request: Request) -> Answer:
        world = self.world
        entry = world.journal.open(time=world.clock.text(), method=request.method, path=request.target)
        entry.user_agent = request.headers.get("user-agent", "")
        entry.if_match = "if-match" in request.headers
        started = time.perf_counter()
        if len(request.target) > int(world.knobs["target_max"]):
            return self._closed(entry, Response(status=414), started)
        if len(request.body) > int(world.knobs["body_max"]):
            return self._closed(entry, Response(status=413), started)
        batch = request.path.rstrip("/") == "/v1.0/$batch" or request.path == "/v1.0/%24batch"
        answer = self.batching.handle(request, entry) if batch else self.graph.handle(request, entry)
        if isinstance(answer, Response):
            return self._closed(entry, answer, started)
        return self._close_later(entry, answer, started)

    async def _close_later(self, entry: Entry, answer: Awaitable[Response], started: float) -> Response:
        return self._closed(entry, await answer, started)

    def _closed(self, entry: Entry, response: Response, started: float) -> Response:
        entry.status = 0 if response.delivery.kind in ("reset", "silence") else response.status
        entry.duration_ms = round((time.perf_counter() - started) * 1000, 3)
        self.world.journal.close(entry)
        return response

    def _login(self, request: Request) -> Answer:
        match segments(request.path):
            case [tenant, "oauth2", "v2.0", "token"] if request.method == "POST":
                fired = self.faults.choose(request)
                if fired is not None and fired.kind in ("status", "reset", "silence"):
                    return fired.response()
                answer = self.access.token(request, tenant)
                if fired is not None and fired.kind in ("slow", "truncate"):
                    return replace(answer, delivery=Delivery(kind=fired.kind, seconds=fired.seconds))
                return answer
            case [tenant, "v2.0", ".well-known", "openid-configuration"] if request.method == "GET":
                return self.access.openid(request, tenant)
            case [tenant, "discovery", "v2.0", "keys"] if request.method == "GET" and tenant:
                return Response(status=200, content={"keys": []})
            case parts:
                return self.graph.errand(request, self.graph.refusal(request, no_segment((parts or [""])[0][:200])))

    async def close(self) -> None:
        await self.notices.close()
        self.world.close()


def read_config(path: Path) -> dict[str, Any]:
    """A configuration file: knobs, rules, tenants, faults, clock. Raises ValueError."""
    doc = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(doc, dict):
        raise Unfit(f"{path} must hold a JSON object")
    return doc
