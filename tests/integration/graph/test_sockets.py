"""The client over real sockets, against servers that break the protocol."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.adapters.graph import urls
from shared.adapters.graph.client import MAX_CONNECTIONS, Request, Timing, open_http
from shared.core.errors import Doubt, GraphUnavailable
from tests.unit.adapters.graph.world import LIST, SITE, World, answer

READ = Request(method="GET", address=urls.items(SITE, LIST), action="graph.test", ru=2)
WRITE = Request(method="POST", address=urls.items(SITE, LIST), action="graph.test", ru=2, body={"x": 1}, writes=True)
HASTY = Timing(connect=1.0, pool=1.0, write=1.0, read=0.2, body=0.2)


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Reads each request and lets `talk` answer it; closes the connection after. What is left unread when a socket is
    closed makes the system reset the connection, and the answer is lost on its way."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    seen = b""
                    while not _whole(seen):
                        seen += connection.recv(4096)
                    talk(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _whole(seen: bytes) -> bool:
    head, end, body = seen.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def sending(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def silent(connection: socket.socket) -> None:
    connection.recv(1_000_000)


UNANSWERED = {
    "closed without a word": sending(b""),
    "half a status line": sending(b"HTTP/1.1 20"),
    "half the headers": sending(b"HTTP/1.1 200 OK\r\nContent-Type: appl"),
    "no HTTP at all": sending(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "silence": silent,
}
CUT = {
    "half the body": b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"value": [',
    "half a chunk": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n{"value": [',
    # Whole to HTTP: without "close" the next request might meet the end of this connection.
    "broken gzip": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "cut JSON": b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"value": [',
}


@pytest.fixture
def world() -> Iterator[World]:
    made = World(lambda _: answer(200))
    made.timing = HASTY
    made.http = open_http(HASTY)
    yield made
    made.http.close()


@pytest.mark.parametrize("name", UNANSWERED)
def test_a_write_without_an_answer_is_in_doubt_and_a_read_is_none(world: World, name: str) -> None:
    with server(UNANSWERED[name]) as url:
        client = world.client_over(world.http, url)
        with pytest.raises(Doubt):
            client.send(WRITE)
        with pytest.raises(GraphUnavailable) as caught:
            client.send(READ)
        assert caught.value.code == "graph_unavailable"


@pytest.mark.parametrize("name", CUT)
def test_a_cut_answer_keeps_its_status_and_is_unreadable(world: World, name: str) -> None:
    with server(sending(CUT[name])) as url:
        client = world.client_over(world.http, url)
        for request in (WRITE, READ):
            found = client.send(request)
            assert (found.status, found.readable) == (200, False)
        with pytest.raises(GraphUnavailable):
            client.get(READ.address, action="graph.test", ru=2)


def test_a_port_that_nobody_listens_on_was_never_written_to(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = world.client_over(world.http, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(GraphUnavailable) as caught:
            client.send(WRITE)
    assert caught.value.code == "not_sent"
    assert world.budget.taken == 0


def test_a_process_opens_at_most_eight_connections(world: World) -> None:
    pool = world.http._transport._pool  # type: ignore[attr-defined]
    assert pool._max_connections == MAX_CONNECTIONS == 8
