"""Azurite, the emulator of Azure Storage, as the local queue service.

It keeps its data in files: with --inMemoryPersistence its collector stops the whole server for a minute and a half
after some thousands of messages. --skipApiVersionCheck, because azure-storage-queue speaks a newer version of the
service than Azurite knows (https://github.com/Azure/Azurite/issues/2651).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.ports import answers, free_port
from infra.local.processes import Child, spawn, wait_until

HERE = Path(__file__).parent
_OLDEST_NODE = 20
_QUEUE, _ALL = "queue/main.js", "azurite.js"
# Azurite's account and key are published constants (https://learn.microsoft.com/azure/storage/common/storage-use-azurite).
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Azurite:
    """A running storage service; `ports` by service: queue, and blob and table where they were asked for."""

    child: Child
    ports: Mapping[str, int]

    @property
    def port(self) -> int:
        """The queue service's."""
        return self.ports["queue"]

    @property
    def connection_string(self) -> str:
        """What AzureWebJobsStorage and the queue clients take."""
        endpoints = (f"{name.title()}Endpoint=http://127.0.0.1:{port}/{_ACCOUNT}" for name, port in self.ports.items())
        return ";".join(
            ("DefaultEndpointsProtocol=http", f"AccountName={_ACCOUNT}", f"AccountKey={_KEY}", *endpoints, "")
        )

    def stop(self) -> None:
        """End it; its data stays."""
        self.child.stop()


def start(
    location: Path,
    *,
    port: int | None = None,
    everything: bool = False,
    environ: Mapping[str, str] = os.environ,
    keep_open: tuple[int, ...] = (),
) -> Azurite:
    """Start the queue service with its data in `location`; `port` is preferred, not promised.

    `everything` adds blobs and tables, which Durable Functions keeps its state in under Core Tools. Raises
    LocalStackError with one sentence that says what to do.
    """
    node, program = find_node(environ), _find_program(_ALL if everything else _QUEUE)
    location.mkdir(parents=True, exist_ok=True)
    ports = {"queue": free_port(port)} | ({"blob": free_port(), "table": free_port()} if everything else {})
    where = [word for name, at in ports.items() for word in (f"--{name}Host", "127.0.0.1", f"--{name}Port", str(at))]
    child = spawn(
        "Azurite",
        [node, program, *where, "--location", location, "--silent", "--disableTelemetry", "--skipApiVersionCheck"],
        log=location / "log",
        cwd=location,
        env={"PATH": environ.get("PATH", ""), "HOME": str(location)},
        keep_open=keep_open,
    )
    wait_until(child, lambda: all(map(answers, ports.values())) or None)
    return Azurite(child=child, ports=ports)


def find_node(environ: Mapping[str, str] = os.environ) -> str:
    """The path of a Node.js that is new enough for the pinned Azurite."""
    node = shutil.which("node", path=environ.get("PATH", ""))
    if node is None:
        raise LocalStackError(f"Node.js was not found: install Node.js {_OLDEST_NODE} or newer and run `make setup`.")
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST_NODE:
        raise LocalStackError(f"Node.js {version} is too old: install Node.js {_OLDEST_NODE} or newer.")
    return node


def _find_program(name: str) -> Path:
    program = HERE / "node_modules/azurite/dist/src" / name
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]["azurite"]
    if not program.exists():
        raise LocalStackError(f"Azurite {wanted} is not installed: run `make setup`.")
    return program
