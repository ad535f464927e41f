"""The HTTP front: function routes, the admin API, and the durable endpoints, on one loopback port."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from azure.functions import meta

from infra.local.host.auth import DROPPED_HEADERS, Keys, Level, level_of
from infra.local.host.dispatch import Dispatcher
from infra.local.host.indexing import Function
from infra.local.host.invocation import InvocationFailed
from infra.local.host.logs import say
from infra.local.host.routing import Route, make_routes
from infra.local.host.settings import HostConfig

log = logging.getLogger("localhost.http")
ANSWER_SECONDS = 230.0  # the platform's load balancer gives up then, on every plan
MAX_BODY_BYTES = 104_857_600  # FUNCTIONS_REQUEST_BODY_SIZE_LIMIT's default

Endpoint = Callable[[web.Request, str], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an answer may take (seconds) and how large a request body may be (bytes)."""

    answer_seconds: float = ANSWER_SECONDS
    body_bytes: int = MAX_BODY_BYTES


class HttpFront:
    """``rpc_path`` is an unguessable path: what stands behind it needs no key, and web pages can reach loopback."""

    def __init__(
        self,
        functions: list[Function],
        dispatcher: Dispatcher,
        config: HostConfig,
        keys: Keys,
        limits: Limits,
        *,
        admin: Endpoint,
        durable: Endpoint,
        rpc_path: str,
    ) -> None:
        self._dispatcher, self._config, self._keys, self._limits = dispatcher, config, keys, limits
        self._admin, self._durable, self._rpc_path = admin, durable, rpc_path
        self.routes = make_routes(functions, config.route_prefix)
        self._late: set[asyncio.Task[web.Response]] = set()
        self.draining = False

    def application(self) -> web.Application:
        app = web.Application(client_max_size=self._limits.body_bytes)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.path_safe
        if path.startswith(self._rpc_path):
            return await self._durable(request, request.path[len(self._rpc_path) :])
        if path.startswith("/runtime/webhooks/durabletask/"):
            return await self._guarded(request, "system", self._durable, "/runtime/webhooks/durabletask/")
        if path == "/admin" or path.startswith("/admin/"):
            if path.rstrip("/") == "/admin/host/ping":
                return web.Response(status=200)
            return await self._guarded(request, "admin", self._admin, "/admin/")
        if self.draining:  # the durable client of a function that still runs is served above
            return web.Response(status=503)
        response = await self._function(request, path)
        response.headers.update(self._config.custom_headers)
        return response

    async def _guarded(self, request: web.Request, level: Level, endpoint: Endpoint, prefix: str) -> web.Response:
        if not self._keys.allows(level, _presented(request)):
            return web.Response(status=401)
        return await endpoint(request, request.path[len(prefix) :])

    async def _function(self, request: web.Request, path: str) -> web.Response:
        for route in self.routes:
            values = route.match(request.method, path)
            if values is not None:
                break
        else:
            return web.Response(status=404)
        if not self._keys.allows(level_of(route.function.trigger.raw.get("authLevel")), _presented(request)):
            return web.Response(status=401)
        body = await request.read()  # aiohttp answers 413 by itself when the body is larger than allowed
        work = asyncio.create_task(self._run(route, _request_datum(request, path, values, body)))
        done, _ = await asyncio.wait([work], timeout=self._limits.answer_seconds)
        if done:
            return work.result()
        # The function goes on, as it would behind the load balancer; only its answer is lost.
        self._late.add(work)
        work.add_done_callback(self._late.discard)
        say(log, logging.WARNING, "http.late", function=route.function.name, seconds=self._limits.answer_seconds)
        return web.Response(status=504)

    async def _run(self, route: Route, datum: meta.Datum) -> web.Response:
        name = route.function.name
        try:
            outcome = await self._dispatcher.run(route.function, datum)
        except InvocationFailed as error:
            say(log, logging.ERROR, "http.failed", function=name, error=error.kind, at=error.at)
            return web.Response(status=500)
        except Exception as error:  # an output binding: its queue is away or refused the message
            say(log, logging.ERROR, "http.output_failed", function=name, error=type(error).__name__)
            return web.Response(status=500)
        return _response(outcome.value)


def _presented(request: web.Request) -> str | None:
    return request.headers.get("x-functions-key") or request.query.get("code")


def _request_datum(request: web.Request, path: str, params: dict[str, str], body: bytes) -> meta.Datum:
    """The request as the host sends it to the worker: header names in lower case, repeated ones joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        if key.startswith(DROPPED_HEADERS):
            continue
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query[name] = f"{query[name]},{value}" if name in query else value
    raw_query = request.rel_url.raw_query_string
    url = f"{request.url.origin()}{path}" + (f"?{raw_query}" if raw_query else "")
    return meta.Datum(
        {
            "method": meta.Datum(request.method, "string"),
            "url": meta.Datum(url, "string"),
            "headers": _texts(headers),
            "query": _texts(query),
            "params": _texts(params),
            "body": meta.Datum(body, "bytes"),
        },
        "http",
    )


def _texts(values: dict[str, str]) -> dict[str, meta.Datum]:
    return {name: meta.Datum(value, "string") for name, value in values.items()}


def _response(datum: meta.Datum | None) -> web.Response:
    if datum is None:
        return web.Response(status=204)
    if datum.type != "http":
        return web.Response(text=str(datum.value))
    parts: dict[str, Any] = datum.value
    body = parts["body"].value
    response = web.Response(status=int(parts["status_code"].value), body=body)
    for name, value in parts["headers"].items():
        if name.lower() not in ("content-length", "transfer-encoding", "connection"):
            response.headers[name] = value.value
    for cookie in parts.get("cookies") or []:
        for morsel in cookie.values():
            response.headers.add("Set-Cookie", morsel.OutputString())
    return response


def json_error(status: int, message: str) -> web.Response:
    """An error body of the admin API."""
    return web.Response(status=status, text=json.dumps({"Message": message}), content_type="application/json")
