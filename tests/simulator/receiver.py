"""A webhook receiver on loopback, whose answers a test sets."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Receiver:
    def __init__(self) -> None:
        self.status = 202
        self.delay = 0.0
        self.posts: list[dict[str, Any]] = []
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = parse_qs(urlsplit(self.path).query)
                token = query.get("validationToken")
                text = token[0].encode() if token else b""
                if not token:
                    time.sleep(receiver.delay)  # the receiver itself is slow: that is what is tested
                    with receiver.arrived:
                        receiver.posts.append(json.loads(body))
                        receiver.arrived.notify_all()
                self.send_response(200 if token else receiver.status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                try:
                    self.wfile.write(text)
                except OSError:
                    return  # the sender had enough

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def wait(self, count: int) -> list[dict[str, Any]]:
        """All POSTs once there are `count` of them."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, timeout=60), (
                f"{len(self.posts)} of {count} came"
            )
            return list(self.posts)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
