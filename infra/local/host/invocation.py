"""Calls user code as the Python worker does: arguments through azure-functions' converters, on a loop and threads apart
from the host's own, under functionTimeout.

User code must not run on the host's loop: a function that calls the durable client would wait for itself. In production
these are two processes.
"""

import asyncio
import functools
import logging
import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func
from azure.durable_functions.models.utils import http_utils
from azure.functions import meta

from infra.local.host.indexing import Function, converter
from infra.local.host.logs import origin, say
from infra.local.host.spans import format_span
from infra.local.host.threads import ThreadPool

log = logging.getLogger("localhost.invocation")
_thread_local = threading.local()
_TIMEOUT = "FunctionTimeoutException"


class InvocationFailed(Exception):
    """User code raised, or ran over functionTimeout. ``text`` is what the worker reports: ``Type: message``."""

    def __init__(self, kind: str, message: str, stack: str, at: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.stack, self.at = kind, message, stack, at

    @property
    def timed_out(self) -> bool:
        return self.kind == _TIMEOUT

    @property
    def text(self) -> str:
        return self.message if self.timed_out else f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``value``: the return value's datum, None without a return binding; ``outputs`` by binding name."""

    value: meta.Datum | None = None
    outputs: Mapping[str, meta.Datum] = field(default_factory=dict)


class InvocationContext(func.Context):
    """What a function with a ``context`` parameter gets."""

    def __init__(self, function: Function, invocation_id: str, trace_parent: str = "", trace_state: str = "") -> None:
        self._function, self._id = function, invocation_id
        self._trace = SimpleNamespace(trace_parent=trace_parent, trace_state=trace_state, attributes={})
        self._retry = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return self._function.directory

    @property
    def thread_local_storage(self) -> Any:
        return _thread_local

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return self._retry


class OutValue(func.Out[Any]):
    """The object behind an ``Out[...]`` parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


@functools.cache
def worker_loop() -> asyncio.AbstractEventLoop:
    """One per process: the durable client keeps one HTTP session per process, bound to the loop that first used it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="worker-loop", daemon=True).start()
    return loop


class Invoker:
    """Invokes functions; all methods run on the host's loop."""

    def __init__(self, client_json: Callable[[], str], timeout: timedelta | None, threads: int | None = None) -> None:
        self._client_json, self._timeout = client_json, timeout
        self._pool = ThreadPool(threads or min(32, (os.cpu_count() or 1) + 4))  # the worker's default
        self._running: set[asyncio.Future[Any]] = set()

    async def invoke(
        self, function: Function, trigger: meta.Datum, metadata: Mapping[str, meta.Datum] | None = None
    ) -> Outcome:
        """One invocation. Every fault of user code, a wrong return type included, is an InvocationFailed."""
        invocation_id, started = str(uuid.uuid4()), time.monotonic()
        try:
            arguments, outs = self._arguments(function, trigger, metadata or {}, invocation_id)
            result = await self._call(function, arguments, invocation_id)
            return _outcome(function, result, outs)
        except InvocationFailed:
            raise
        except Exception as error:
            log.debug("stack of %s", function.name, exc_info=True)
            raise InvocationFailed(
                type(error).__name__, str(error), "".join(traceback.format_exception(error)), origin(error)
            ) from None
        finally:
            took = round((time.monotonic() - started) * 1000)
            say(log, logging.DEBUG, "invocation.ended", function=function.name, id=invocation_id, ms=took)

    async def drain(self, seconds: float) -> int:
        """Waits for user code that runs; returns how many calls still did when the time was over."""
        if not self._running:
            return 0
        _, left = await asyncio.wait(set(self._running), timeout=seconds)
        return len(left)

    @property
    def running(self) -> int:
        """Calls of user code that have not ended, hung ones included."""
        return len(self._running)

    async def close(self) -> None:
        """Ends idle threads, and the durable client's HTTP session, for which its SDK has no public end."""
        self._pool.close()
        closing = http_utils._close_session()  # noqa: SLF001
        await asyncio.wait([asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, worker_loop()))], timeout=2)

    def _ended(self, answer: "asyncio.Future[Any]") -> None:
        self._running.discard(answer)
        if not answer.cancelled():
            answer.exception()  # a late error is nobody's; asyncio would complain that it was never looked at

    def _arguments(
        self, function: Function, trigger: meta.Datum, metadata: Mapping[str, meta.Datum], invocation_id: str
    ) -> tuple[dict[str, Any], dict[str, OutValue]]:
        arguments: dict[str, Any] = {}
        for binding in function.inputs:
            if binding is function.trigger:
                arguments[binding.name] = converter(binding.converter).decode(trigger, trigger_metadata=metadata)
            else:
                client = meta.Datum(self._client_json(), "string")
                arguments[binding.name] = converter(binding.converter).decode(client, trigger_metadata=None)
        if function.wants_context:
            arguments["context"] = InvocationContext(function, invocation_id)
        outs = {binding.name: OutValue() for binding in function.outputs}
        return arguments | outs, outs

    async def _call(self, function: Function, arguments: dict[str, Any], invocation_id: str) -> Any:
        future: Future[Any]
        if function.is_async:
            future = asyncio.run_coroutine_threadsafe(function.call(**arguments), worker_loop())
        else:
            future = self._pool.submit(functools.partial(_call_on_thread, function, arguments, invocation_id))
        answer = asyncio.wrap_future(future)
        self._running.add(answer)
        answer.add_done_callback(self._ended)
        seconds = None if self._timeout is None else self._timeout.total_seconds()
        done, _ = await asyncio.wait([answer], timeout=seconds)
        if done:
            return answer.result()
        if not future.cancel() and not function.is_async:
            self._pool.write_off(future)
        limit = format_span(self._timeout or timedelta(0))
        say(log, logging.ERROR, "invocation.timeout", function=function.name, id=invocation_id, limit=limit)
        raise InvocationFailed(
            _TIMEOUT,
            f"Timeout value of {limit} exceeded by function: {function.name}",
            "",
            "functionTimeout",
        )


def _call_on_thread(function: Function, arguments: dict[str, Any], invocation_id: str) -> Any:
    _thread_local.invocation_id = invocation_id
    try:
        return function.call(**arguments)
    except SystemExit as error:  # would end the host's loop
        raise RuntimeError(f"the function called sys.exit({error.code!r})") from error
    finally:
        _thread_local.invocation_id = None


def _outcome(function: Function, result: Any, outs: Mapping[str, OutValue]) -> Outcome:
    if result is not None and function.returned is None:
        raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
    outputs = {}
    for binding in function.outputs:
        value = outs[binding.name].get()
        if value is not None:
            outputs[binding.name] = _encode(binding.converter, value, binding.annotation)
    if function.returned is None:
        return Outcome(outputs=outputs)
    returned = function.returned
    return Outcome(value=_encode(returned.converter, result, returned.annotation), outputs=outputs)


def _encode(kind: str, value: Any, annotation: Any) -> meta.Datum:
    try:
        datum: meta.Datum = converter(kind).encode(value, expected_type=annotation)
    except NotImplementedError:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{kind}" for Python type "{type(value).__name__}"'
        ) from None
    return datum
