"""A receiver of notifications on loopback, whose behaviour a test sets while it runs."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """One POST that arrived."""

    path: str
    query: dict[str, list[str]]
    content_type: str
    body: bytes

    @property
    def notices(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["value"])


@dataclass(slots=True)
class Listener:
    """Answers handshakes properly and notices with `status`, until told otherwise."""

    status: int = 202
    handshake: Callable[[str], tuple[int, str]] = lambda token: (200, token)
    received: list[Received] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = parse_qs(parts.query)
                seen = Received(parts.path, query, self.headers.get("Content-Type", ""), body)
                listener.received.append(seen)
                status, text = listener.status, ""
                if "validationToken" in query:
                    status, text = listener.handshake(query["validationToken"][0])
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # the simulator may hang up on purpose

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/notices"

    @property
    def handshakes(self) -> list[Received]:
        return [one for one in self.received if "validationToken" in one.query]

    @property
    def posts(self) -> list[Received]:
        return [one for one in self.received if "validationToken" not in one.query]
