"""The admin API: the state of the host, its functions, firing one by hand, and the durable clock.

``/admin/host/*`` and ``/admin/functions/*`` are the real host's (learn.microsoft.com, functions-manually-run-non-http);
``/admin/local/*`` exists only here, for tests.
"""

import json
from datetime import timedelta

from aiohttp import web
from azure.functions import meta

from infra.local.host.dispatch import Dispatcher
from infra.local.host.durable.engine import Engine
from infra.local.host.durable.store import DurableStore
from infra.local.host.http import json_error
from infra.local.host.indexing import Function
from infra.local.host.invocation import InvocationFailed, Invoker
from infra.local.host.queues import manual_metadata
from infra.local.host.spans import parse_span
from infra.local.host.timers import Timers


class Admin:
    def __init__(
        self,
        functions: list[Function],
        invoker: Invoker,
        dispatcher: Dispatcher,
        timers: Timers,
        engine: Engine,
        store: DurableStore,
    ) -> None:
        self._invoker = invoker
        self._functions = {function.name.lower(): function for function in functions}
        self._dispatcher, self._timers, self._engine, self._store = dispatcher, timers, engine, store

    async def handle(self, request: web.Request, tail: str) -> web.Response:
        parts = [part for part in tail.split("/") if part]
        match request.method, parts:
            case "GET", ["host", "status"]:
                return self._status()
            case "GET", ["functions"]:
                return web.json_response([_shown(function) for function in self._functions.values()])
            case "GET" | "POST" as method, ["functions", name]:
                function = self._functions.get(name.lower())
                if function is None:
                    return web.Response(status=404)
                return web.json_response(_shown(function)) if method == "GET" else await self._fire(request, function)
            case "POST", ["local", "clock"]:
                return await self._advance(request)
            case "GET", ["local", "history", instance_id]:
                return web.json_response(self._store.history(instance_id))
        return web.Response(status=404)

    def _status(self) -> web.Response:
        counters = self._engine.counters
        return web.json_response(
            {
                "id": "localhost",
                "state": "Running",
                "version": "local stand-in",
                "functionCount": len(self._functions),
                "running": self._invoker.running,
                "episodes": counters.episodes,
                "activities": counters.activities,
                "durableTime": self._engine.clock.now().isoformat(),
            }
        )

    async def _fire(self, request: web.Request, function: Function) -> web.Response:
        """Runs a timer or queue function now. The real host answers 202 before the run; this one after it."""
        text = await request.text()
        try:
            given = json.loads(text).get("input") if text else None
        except (ValueError, AttributeError):
            return json_error(400, 'the body must be a JSON object such as {"input": "text"}')
        try:
            match function.trigger.type:
                case "timerTrigger":
                    await self._timers.fire(function)
                case "queueTrigger":
                    metadata = manual_metadata(self._engine.clock.now())
                    await self._dispatcher.run(function, meta.Datum(str(given or ""), "string"), metadata)
                case other:
                    return json_error(
                        400, f"{function.name} has a {other}: only timer and queue functions can be fired"
                    )
        except InvocationFailed as error:
            return json_error(500, f"{function.name} failed: {error.kind} at {error.at}")
        return web.Response(status=202)

    async def _advance(self, request: web.Request) -> web.Response:
        try:
            span = parse_span(str((await request.json())["advance"]))
        except (ValueError, KeyError, TypeError):
            return json_error(400, 'the body must be {"advance": "hh:mm:ss"}')
        if span > timedelta(days=3660):
            return json_error(400, "the clock can jump ten years at a time")
        self._engine.advance(span)
        return web.json_response({"durableTime": self._engine.clock.now().isoformat()})


def _shown(function: Function) -> dict[str, object]:
    bindings = [binding.raw for binding in (*function.inputs, *function.outputs)]
    return {"name": function.name, "isDisabled": function.disabled, "config": {"bindings": bindings}}
