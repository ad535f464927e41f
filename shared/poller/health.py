"""GET /healthz: nothing hangs in the process. GET /readyz: every slot that is to be read is read here. For probes; JSON."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[], tuple[bool, dict[str, Any]]]


class HealthServer:
    """`live` and `ready` are asked at each request."""

    def __init__(self, address: tuple[str, int], *, live: Answer, ready: Answer) -> None:
        paths = {"/healthz": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version = "SyncBridge", ""
            timeout = 5

            def do_GET(self) -> None:
                answer = paths.get(self.path)
                good, body = (False, {"status": "not found"}) if answer is None else answer()
                payload = json.dumps(body).encode()
                self.send_response(404 if answer is None else 200 if good else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                """Probes are no news."""

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
