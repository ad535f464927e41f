"""How fast and how small the simulator is, beside a bare server that answers the same bytes on the same machine.

Client and servers are processes of their own; client and bare server are this file started with `client` and `bare`.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httptools
import httpx
import uvloop

from infra.local.simulator import ROOT, Simulator, start
from tests.bench.figures import Figure

CONNECTIONS = 16
BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    seconds: float
    """Of one measurement."""
    rounds: int
    items: int
    """In the simulator whose memory is measured."""


SIZES = Sizes(seconds=1.5, rounds=3, items=100_000)
SMALL_SIZES = Sizes(seconds=0.3, rounds=1, items=2_000)


class _Client(asyncio.Protocol):
    """Sends one request again and again, the next one when the answer is whole."""

    def __init__(self, request: bytes, counts: list[int], statuses: set[int]) -> None:
        self._request = request
        self._counts = counts
        self._statuses = statuses
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._counts[0] += 1
        self._statuses.add(self._parser.get_status_code())
        self._transport.write(self._request)


async def _client(port: int, request: bytes, seconds: float, connections: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    counts, statuses = [0], set[int]()
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(request, counts, statuses), "127.0.0.1", port)
    await asyncio.sleep(seconds / 6)  # the first requests find cold caches
    begun, before = time.perf_counter(), counts[0]
    await asyncio.sleep(seconds)
    return {"rate": (counts[0] - before) / (time.perf_counter() - begun), "statuses": sorted(statuses)}


class _Bare(asyncio.Protocol):
    """Parses a request and answers the same bytes each time: what any server in Python has to do at least."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


async def _bare(answer: bytes) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Bare(answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _spawn(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.bench.simulator", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, **options)


def _rate(port: int, request: Path, wanted: int, seconds: float) -> float:
    """Requests a second that one client process gets out of the server at `port`."""
    with _spawn("client", port, request, seconds, CONNECTIONS) as child:
        said, _ = child.communicate(timeout=seconds * 4 + 10)
    result = json.loads(said)
    assert result["statuses"] == [wanted], f"the server answered {result['statuses']}"
    return float(result["rate"])


def _rates(lab: "_Lab", request: Path, answer: bytes, sizes: Sizes) -> tuple[float, float]:
    """Median requests a second of the simulator and of the bare server, measured in turn."""
    path = lab.folder / "answer"
    path.write_bytes(answer)
    ours, bare = [], []
    with _spawn("bare", path) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        try:
            for _ in range(sizes.rounds):
                ours.append(_rate(lab.simulator.port, request, 200, sizes.seconds))
                bare.append(_rate(port, request, 200, sizes.seconds))
        finally:
            child.terminate()
    return statistics.median(ours), statistics.median(bare)


def _raw_answer(port: int, request: bytes) -> bytes:
    """The whole answer to a request, byte for byte."""

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        writer.close()
        return head + body

    return asyncio.run(ask())


class _Lab:
    """A simulator with one list of one item, and its app's token."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.simulator: Simulator = start(folder / "data")
        self.http = httpx.Client(base_url=self.simulator.url, timeout=60)
        self.control("PUT", "knobs", {"throttling": False})
        tenant = self.login()
        site = next(one["id"] for one in tenant["sites"] if one["path"] == "/sites/hr")
        columns = [
            {"name": "Plain", "text": {}},
            {"name": "UniqueKey", "text": {}, "indexed": True},
            {"name": "Num", "number": {}},
            {"name": "Moment", "dateTime": {}},
        ]
        made = self.http.post(f"/v1.0/sites/{site}/lists", json={"displayName": "Bench", "columns": columns}).json()
        self.path = f"/sites/{site}/lists/{made['id']}"
        self.item = {
            "Title": "a row of the bench",
            "Plain": "some text of it",
            "Num": 1234.5,
            "Moment": "2026-01-02T03:04:05Z",
        }
        self.http.post(f"/v1.0{self.path}/items", json={"fields": {**self.item, "UniqueKey": "0"}}).raise_for_status()

    def login(self) -> dict[str, Any]:
        """Get a token for an app that may do everything; gives its tenant."""
        tenant: dict[str, Any] = self.control("GET", "tenants")["tenants"][0]
        app = next(one for one in tenant["apps"] if "Sites.FullControl.All" in one["roles"])
        form = {
            "client_id": app["client_id"],
            "client_secret": app["secret"],
            "scope": "https://graph.microsoft.com/.default",
            "grant_type": "client_credentials",
        }
        answer = self.http.post(f"/{tenant['id']}/oauth2/v2.0/token", data=form)
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return tenant

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/_sim/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def request(self, method: str, path: str, body: Any = None) -> Path:
        """Write the request's bytes to a file and give its path."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.simulator.port}\r\n"
            f"Authorization: {self.http.headers['Authorization']}\r\nUser-Agent: NONISV|Arcore|SyncBridge/1.0\r\n"
            f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        target = self.folder / f"request-{method}"
        target.write_bytes(head.encode() + content)
        return target

    def close(self) -> None:
        self.http.close()
        self.simulator.stop()


def _resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def requests_per_second(lab: _Lab, sizes: Sizes) -> Figure:
    """GET of one item by id, with its fields."""
    request = lab.request("GET", f"/v1.0{lab.path}/items/1?$expand=fields")
    answer = _raw_answer(lab.simulator.port, request.read_bytes())
    value, against = _rates(lab, request, answer, sizes)
    note = "a bare server in Python that answers the same bytes to the same requests"
    return Figure(name="simulator_reads", value=value, unit="requests/s", against=against, note=note)


def creates_per_second(lab: _Lab, sizes: Sizes) -> Figure:
    """POST of items with four values, twenty to a $batch."""
    one = {"method": "POST", "url": f"{lab.path}/items", "headers": {"Content-Type": "application/json"}}
    requests = [{**one, "id": str(number), "body": {"fields": lab.item}} for number in range(BATCH)]
    request = lab.request("POST", "/v1.0/$batch", {"requests": requests})
    answer = _raw_answer(lab.simulator.port, request.read_bytes())
    assert answer.count(b'"status":201') == BATCH, answer[:300]
    value, against = _rates(lab, request, answer, sizes)
    note = "a bare server in Python that answers the same bytes to the same $batch requests"
    return Figure(name="simulator_creates", value=value * BATCH, unit="items/s", against=against * BATCH, note=note)


def bytes_per_item(lab: _Lab, sizes: Sizes) -> Figure:
    """Memory of a simulator that starts with many items and has shown them all, less that of one without.

    Set against the bytes of one item's JSON.
    """
    lines = lab.http.get("/_sim/dump").text.splitlines()
    item = json.loads(
        next(line for line in lines if '"UniqueKey"' not in line and '"kind":"item"' in line and "a row of" in line)
    )
    rest = [line for line in lines if json.loads(line) != item]
    slots = item["values"]
    unique = next(slot for slot, value in slots.items() if value == "0")
    empty = _restarted(lab, rest, pages=0)
    items = [
        json.dumps({**item, "key": item["key"] + number, "values": {**slots, unique: str(number)}})
        for number in range(sizes.items)
    ]
    full = _restarted(lab, rest + items, pages=sizes.items)
    shown = len(lab.http.get(f"/v1.0{lab.path}/items/1?$expand=fields").content)
    value = (full - empty) / sizes.items
    return Figure(name="simulator_memory_per_item", value=value, unit="bytes", against=shown, note="the item's JSON")


def _restarted(lab: _Lab, lines: list[str], *, pages: int) -> int:
    lab.http.post("/_sim/load", content="\n".join(lines).encode()).raise_for_status()
    lab.simulator.stop()
    lab.simulator = start(lab.folder / "data")
    lab.http.base_url = httpx.URL(lab.simulator.url)
    lab.login()
    link: str | None = f"/v1.0{lab.path}/items?$expand=fields&$top=2000" if pages else None
    seen = 0
    while link:
        page = lab.http.get(link).raise_for_status().json()
        seen += len(page["value"])
        link = page.get("@odata.nextLink")
    assert seen == pages, f"{seen} items were shown"
    return _resident(lab.simulator.child.process.pid)


def measure(sizes: Sizes = SIZES) -> list[Figure]:
    """All figures of the simulator. Takes about half a minute."""
    figures = []
    benches: tuple[Callable[[_Lab, Sizes], Figure], ...] = (requests_per_second, creates_per_second, bytes_per_item)
    for bench in benches:
        with tempfile.TemporaryDirectory() as folder:
            lab = _Lab(Path(folder))
            try:
                figures.append(bench(lab, sizes))
            finally:
                lab.close()
    return figures


def main(arguments: list[str]) -> None:
    match arguments:
        case ["client", port, request, seconds, connections]:
            work = _client(int(port), Path(request).read_bytes(), float(seconds), int(connections))
            print(json.dumps(uvloop.run(work)))
        case ["bare", answer]:
            uvloop.run(_bare(Path(answer).read_bytes()))


if __name__ == "__main__":
    main(sys.argv[1:])
