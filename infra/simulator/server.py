"""HTTP/1.1 over asyncio and httptools, with the ways in which a connection can go wrong on purpose."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, cast

import httptools

from infra.simulator.service import Service
from infra.simulator.wire import Request, Response

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_MAX_HEADERS = 64 * 1024
_HARD_BODY_LIMIT = 64 * 1024 * 1024


class Connection(asyncio.Protocol):
    """One client. Requests of a connection are answered in order, one at a time."""

    def __init__(self, service: Service, connections: set["Connection"]) -> None:
        self._service = service
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not say so
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self._transport = None
        self._waiting.clear()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MAX_HEADERS:
            raise httptools.HttpParserError("headers are too long")
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > _HARD_BODY_LIMIT:
            raise httptools.HttpParserError("the body is too long")
        self._body.append(body)

    def on_message_complete(self) -> None:
        target = self._target.decode("latin-1")
        if "://" in target.partition("?")[0]:
            target = "/" + target.partition("://")[2].partition("/")[2]
        method = self._parser.get_method().decode("latin-1").upper()
        request = Request(method=method, target=target, headers=self._headers, body=b"".join(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        if not self._busy:
            self._next()

    # -- answers

    def _next(self) -> None:
        while self._waiting and self._transport is not None and not self._busy:
            request, keep = self._waiting.popleft()
            answer = self._service.handle(request)
            if isinstance(answer, Response):
                self._deliver(request, answer, keep)
            else:
                self._busy = True
                task = asyncio.ensure_future(self._await(request, answer, keep))
                task.add_done_callback(_raised)

    async def _await(self, request: Request, answer: Awaitable[Response], keep: bool) -> None:
        try:
            response = await answer
        finally:
            self._busy = False
        self._deliver(request, response, keep)
        self._next()

    def _deliver(self, request: Request, response: Response, keep: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        match response.delivery.kind:
            case "whole":
                transport.write(_bytes(response, head=request.method == "HEAD", keep=keep))
                if not keep:
                    transport.close()
            case "reset":
                self._reset()
            case "truncate":
                whole = _bytes(response, head=False, keep=False)
                body = response.encoded()
                transport.write(whole[: len(whole) - (len(body) + 1) // 2])
                transport.close()
            case "silence":
                self._busy = True
                limit = response.delivery.seconds or float(self._service.world.knobs["silence_seconds"])
                asyncio.get_running_loop().call_later(limit, self._reset)
            case "slow":
                self._busy = True
                asyncio.get_running_loop().call_later(response.delivery.seconds, self._wake, request, response, keep)

    def _wake(self, request: Request, response: Response, keep: bool) -> None:
        self._busy = False
        if self._transport is not None:
            self._transport.write(_bytes(response, head=request.method == "HEAD", keep=keep))
            if not keep:
                self._transport.close()
            self._next()

    def _reset(self) -> None:
        """End the connection with a TCP reset, as a dying load balancer does."""
        if self._transport is None:
            return
        raw: Any = self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._transport.write(_bytes(Response(status=status), head=False, keep=False))
            self._transport.close()


def _raised(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "an answer failed", "exception": task.exception()}
        )


def _bytes(response: Response, *, head: bool, keep: bool) -> bytes:
    """Head and body in one piece: two writes would wait for a delayed acknowledgement."""
    body = response.encoded()
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.content is not None:
        lines.append(f"Content-Type: {response.content_type}")
    if response.status != 204:
        lines.append(f"Content-Length: {len(body)}")
    if not keep:
        lines.append("Connection: close")
    text = "\r\n".join(lines) + "\r\n\r\n"
    return text.encode("latin-1", errors="replace") + (b"" if head else body)


async def listen(service: Service, host: str, port: int) -> tuple[asyncio.Server, int, set[Connection]]:
    """Accept on `port` (0: a free one). Returns the server, the port and its open connections."""
    loop = asyncio.get_running_loop()
    service.world.clock.attach(loop)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(service, connections), host, port, backlog=1024)
    return server, server.sockets[0].getsockname()[1], connections
