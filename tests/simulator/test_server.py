"""HTTP itself: pipelining, malformed requests, sizes, methods that nobody has."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.simulator.client import Client


@pytest.fixture
def raw(sim: Client) -> Iterator[socket.socket]:
    parts = urlsplit(sim.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=15) as connection:
        yield connection


def _all(raw: socket.socket) -> bytes:
    text = b""
    while part := raw.recv(65536):
        text += part
    return text


def test_requests_sent_ahead_are_answered_in_their_order(raw: socket.socket) -> None:
    first = b"GET /_sim/health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /_sim/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    raw.sendall(first * 3 + last)

    assert re.findall(rb"HTTP/1\.1 (\d+)", _all(raw)) == [b"200", b"200", b"200", b"404"]


def test_a_batch_ahead_of_a_read_is_done_before_it(raw: socket.socket, sim: Client) -> None:
    path = sim.new_list()
    token = f"Authorization: Bearer {sim.token()}\r\n".encode()
    body = (
        b'{"requests":[{"id":"1","method":"POST","url":"%s/items","headers":{"Content-Type":"application/json"},'
        b'"body":{"fields":{"Title":"first"}}}]}' % path.encode()
    )
    write = b"POST /v1.0/$batch HTTP/1.1\r\nHost: x\r\n" + token + b"Content-Length: %d\r\n\r\n" % len(body) + body
    read = b"GET /v1.0" + path.encode() + b"/items/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + token + b"\r\n"

    raw.sendall(write + read)

    answers = _all(raw)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b'"Title":"first"' in answers.rpartition(b"HTTP/1.1 200 OK")[2]


@pytest.mark.parametrize(
    "text", [b"no http\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_gets_400_and_the_end(raw: socket.socket, text: bytes) -> None:
    raw.sendall(text)

    assert _all(raw).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_read_whole(raw: socket.socket) -> None:
    raw.sendall(
        b"PUT /_sim/knobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b'10\r\n{"page_size_defa\r\n9\r\nult": 50}\r\n0\r\n\r\n'
    )

    assert b'"page_size_default":50' in _all(raw)


def test_headers_that_are_too_long_end_the_connection(raw: socket.socket) -> None:
    raw.sendall(b"GET /_sim/health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n")

    assert _all(raw).startswith(b"HTTP/1.1 400 ")


def test_a_body_over_four_megabytes_is_413_and_a_path_over_its_limit_414(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "knobs", {"body_max": 1000, "target_max": 500})

    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "x" * 2000}}).status_code == 413
    assert sim.graph("GET", f"{path}/items?$filter={'x' * 1000}").status_code == 414


def test_head_and_options_are_methods_graph_does_not_have_here(sim: Client) -> None:
    path = sim.new_list()
    for method in ("HEAD", "OPTIONS", "PUT"):
        assert sim.graph(method, f"{path}/items/").status_code == 405


def test_the_callers_id_cannot_smuggle_a_header(sim: Client) -> None:
    answer = sim.graph("GET", "/sites/root", headers={"client-request-id": "a\tb"})

    assert answer.headers["client-request-id"] == "ab"


def test_links_are_made_for_the_host_the_caller_used(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    sim.add(path, Title="b")

    headers = {"Host": "graph.microsoft.us", "X-Forwarded-Proto": "https"}
    link = sim.graph("GET", f"{path}/items?$top=1", headers=headers).json()["@odata.nextLink"]

    assert link.startswith(f"https://graph.microsoft.us/v1.0{path}/items?$top=1&$skiptoken=")
