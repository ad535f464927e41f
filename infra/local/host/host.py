"""Puts the parts together, starts them, and stops them in order."""

import asyncio
import errno
import logging
import os
import secrets
import sys
from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from aiohttp import web

from infra.local.host.admin import Admin
from infra.local.host.auth import Keys, load_keys
from infra.local.host.clock import Clock
from infra.local.host.dispatch import Dispatcher
from infra.local.host.durable.binding import Addresses
from infra.local.host.durable.calls import DurableCalls
from infra.local.host.durable.engine import Engine
from infra.local.host.durable.management import Management
from infra.local.host.durable.store import DurableStore
from infra.local.host.errors import HostError
from infra.local.host.http import ANSWER_SECONDS, MAX_BODY_BYTES, HttpFront, Limits
from infra.local.host.indexing import Function, load_functions
from infra.local.host.invocation import Invoker
from infra.local.host.logs import origin, say
from infra.local.host.queues import QueueListener, QueueOutputs, address
from infra.local.host.settings import (
    HostConfig,
    LocalSettings,
    apply_values,
    overridden,
    parse_host,
    parse_local,
    read_json,
    resolve,
)
from infra.local.host.state import StateFile
from infra.local.host.storage import Connections
from infra.local.host.timers import Timers

log = logging.getLogger("localhost")
DEFAULT_PORT = 7071


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line. ``port`` 0 takes a free one; ``state`` None keeps everything in memory."""

    root: Path
    port: int | None = None
    state: Path | None = None
    settings: Path | None = None
    skip_time: bool = False
    enforce_keys: bool = True
    answer_seconds: float = ANSWER_SECONDS
    drain_seconds: float = 10.0


class Host:
    """One function app. ``async with`` it: inside, it is listening; leaving drains and stops."""

    def __init__(self, options: Options, environment: MutableMapping[str, str]) -> None:
        """Reads the settings and indexes the app. HostError on everything that a person has to correct."""
        root = options.root.resolve()
        self.options, self._environment = options, environment
        local = _local_settings(options.settings or root / "local.settings.json", required=options.settings is not None)
        apply_values(local.values, environment)
        config = parse_host(overridden(read_json(root / "host.json"), environment))
        hub = resolve(config.durable.hub_name, environment.get, "host.json: hubName")
        self.config: HostConfig = replace(config, durable=replace(config.durable, hub_name=hub))
        for warning in (*local.warnings, *config.warnings):
            log.warning(warning)
        self.functions = load_functions(root, self.config, environment)
        self.state = StateFile(options.state)
        self.keys: Keys = load_keys(self.state, environment, enforced=options.enforce_keys)
        self._port = next(port for port in (options.port, local.port, DEFAULT_PORT) if port is not None)
        self.port = 0
        self.leftover = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            self.state.close()
            raise
        return self

    async def _start(self) -> None:
        clock = Clock(self.state.clock_offset())
        connections = Connections(self._environment)
        rpc_path = f"/durabletask/{secrets.token_urlsafe(16)}/"
        listeners = [f for f in self.functions if f.trigger.type == "queueTrigger" and not f.disabled]
        await self._check_storage(connections)
        self._invoker = Invoker(
            lambda: self._addresses(rpc_path).client_json(), self.config.function_timeout, _threads(self._environment)
        )
        dispatcher = Dispatcher(self._invoker, QueueOutputs(connections, self.config.queues, self._stack))
        store = DurableStore(self.state)
        calls = DurableCalls(self._invoker, [f for f in self.functions if not f.disabled])
        self.engine = Engine(store, clock, calls, self.config.durable, skip_time=self.options.skip_time)
        timers = Timers(self.functions, dispatcher, self.state, Clock())
        admin = Admin(self.functions, self._invoker, dispatcher, timers, self.engine, store)
        self.port = await self._listen(dispatcher, admin, store, rpc_path)
        self._tasks = [asyncio.create_task(self.engine.run()), asyncio.create_task(timers.run())]
        for function in listeners:
            listener = QueueListener(function, dispatcher, connections, self.config.queues)
            self._tasks.append(asyncio.create_task(listener.run()))

    def _addresses(self, rpc_path: str) -> Addresses:
        return Addresses(
            base=self.url, rpc=f"{self.url}{rpc_path}", hub=self.config.durable.hub_name, key=self.keys.system
        )

    async def _listen(self, dispatcher: Dispatcher, admin: Admin, store: DurableStore, rpc_path: str) -> int:
        body_bytes = int(self._environment.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or MAX_BODY_BYTES)
        management: list[Management] = []  # made below: its addresses need the port

        async def durable(request: web.Request, tail: str) -> web.Response:
            return await management[0].handle(request, tail)

        self.front = HttpFront(
            self.functions,
            dispatcher,
            self.config,
            self.keys,
            Limits(answer_seconds=self.options.answer_seconds, body_bytes=body_bytes),
            admin=admin.handle,
            durable=durable,
            rpc_path=rpc_path,
        )
        runner = web.AppRunner(self.front.application(), access_log=None, shutdown_timeout=self.options.drain_seconds)
        await runner.setup()
        self._runner = runner
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        try:
            await site.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise HostError(
                    f"Port {self._port} is taken: stop the program that has it, or start with --port 0 for a free one."
                ) from None
            raise HostError(f"The host cannot listen on 127.0.0.1:{self._port}: {error.strerror}.") from None
        self.port = int(runner.addresses[0][1])
        management.append(Management(self.engine, store, self._addresses(rpc_path)))
        return self.port

    async def _check_storage(self, connections: Connections) -> None:
        names = {
            address(binding).connection
            for function in self.functions
            if not function.disabled
            for binding in (function.trigger, *function.outputs, function.returned)
            if binding is not None and binding.type in ("queueTrigger", "queue")
        }
        for name in sorted(names):
            await connections.check(name)

    async def watch(self) -> None:
        """Returns only by raising: a listener or the engine has ended, which none does by itself."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for error in [task.exception() for task in done]:
            log.error("a listener died", exc_info=error)
        raise HostError(
            "A part of the host died, so it stopped; the log has the stack. This is a fault of the host itself."
        )

    async def __aexit__(self, *_: object) -> None:
        """No new work; what runs may end within ``drain_seconds``; then everything closes."""
        self.front.draining = True
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                say(log, logging.ERROR, "listener.died", error=type(result).__name__, at=origin(result))
        began = asyncio.get_running_loop().time()
        unfinished = await self.engine.drain(self.options.drain_seconds)
        left = max(0.0, began + self.options.drain_seconds - asyncio.get_running_loop().time())
        self.leftover = max(unfinished, await self._invoker.drain(left))
        await self._stack.aclose()
        await self._invoker.close()
        self.state.close()
        say(log, logging.INFO, "host.stopped", unfinished=self.leftover)


def _threads(environment: MutableMapping[str, str]) -> int | None:
    text = environment.get("PYTHON_THREADPOOL_THREAD_COUNT")
    if not text:
        return None
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise HostError(f"PYTHON_THREADPOOL_THREAD_COUNT is {text!r}: it must be a whole number from 1 to 1000.")
    return int(text)


def _local_settings(path: Path, *, required: bool) -> LocalSettings:
    if not path.exists() and not required:
        return LocalSettings()
    return parse_local(read_json(path), path.name)


def describe(functions: list[Function], front: HttpFront, url: str) -> list[str]:
    """The list that is printed at start: every function with its trigger."""
    lines = []
    routes = {route.function.name: route for route in front.routes}
    for function in functions:
        route, raw = routes.get(function.name), function.trigger.raw
        if function.disabled:
            shown = "disabled"
        elif route is not None:
            shown = f"[{','.join(sorted(route.methods)) if route.methods else 'every method'}] {url}/{route.template}"
        else:
            detail = raw.get("schedule") or raw.get("queueName") or ""
            shown = f"{function.trigger.type} {detail}".strip()
        lines.append(f"  {function.name}: {shown}")
    return lines


def leave(host: Host) -> None:
    """Ends the process although user code still runs on daemon threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    if host.leftover:
        os._exit(0)
