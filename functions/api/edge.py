"""The API's outermost layer: bodies of a bounded size, and no error that leaves as anything but a problem document."""

import json
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api.problems import MEDIA_TYPE
from shared.faults import describe

MOST_BYTES = 1 << 20
"""Of a request's body: a definition of a table with all the columns that PostgreSQL allows has less."""

log = logging.getLogger("syncbridge.api")


class _TooLarge(Exception):
    pass


class Edge:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = large = False
        taken = 0

        async def counted() -> Message:
            nonlocal taken, large
            message = await receive()
            taken += len(message.get("body", b""))
            large = taken > MOST_BYTES
            if large:
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if large and not started:  # FastAPI answers 400 to whatever goes wrong while it reads a body
                raise _TooLarge
            started = True
            await send(message)

        try:
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
                await _refuse(send, 422, "invalid_request", "a text holds the character NUL, which no database keeps")
                return
            await self._app(scope, counted, watched)
        except _TooLarge:
            if not started:
                await _refuse(send, 413, "too_large", f"a request's body has at most {MOST_BYTES:,} bytes")
        except (
            Exception
        ) as error:  # the edge of the process: the caller gets a problem document, the log what and where
            log.error("a request failed: %s", describe(error), extra={"action": "request_failed", "code": "unexpected"})  # noqa: TRY400  the traceback ends in the message
            if not started:
                await _refuse(send, 500, "internal", "an internal error; see the log")


async def _refuse(send: Send, status: int, code: str, detail: str) -> None:
    document: dict[str, Any] = {
        "type": f"urn:syncbridge:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
    }
    body = json.dumps(document).encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
