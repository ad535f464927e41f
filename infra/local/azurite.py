"""Azurite, the storage service's emulator, as the local queue service.

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
# Azurite's account and key are published constants (https://learn.microsoft.com/azure/storage/common/storage-use-azurite).
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Azurite:
    """A running queue service."""

    child: Child
    port: int

    @property
    def connection_string(self) -> str:
        """What AzureWebJobsStorage and the queue clients take."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"QueueEndpoint=http://127.0.0.1:{self.port}/{_ACCOUNT};"
        )

    def stop(self) -> None:
        """End it; its data stays."""
        self.child.stop()


def start(
    location: Path, *, port: int | None = None, environ: Mapping[str, str] = os.environ, keep_open: tuple[int, ...] = ()
) -> Azurite:
    """Start the queue service with its data in `location`; `port` is preferred, not promised.

    Raises LocalStackError with one sentence that says what to do.
    """
    node, script = find_node(environ), _find_script()
    location.mkdir(parents=True, exist_ok=True)
    port = free_port(port)
    where = ["--queueHost", "127.0.0.1", "--queuePort", str(port), "--location", str(location)]
    child = spawn(
        "Azurite",
        [node, script, *where, "--silent", "--disableTelemetry", "--skipApiVersionCheck"],
        log=location / "log",
        cwd=location,
        env={"PATH": environ.get("PATH", ""), "HOME": str(location)},
        keep_open=keep_open,
    )
    wait_until(child, lambda: answers(port) or None)
    return Azurite(child=child, port=port)


def find_node(environ: Mapping[str, str] = os.environ) -> str:
    """The path of a Node.js that is new enough for the pinned Azurite."""
    node = shutil.which("node", path=environ.get("PATH", ""))
    if node is None:
        raise LocalStackError(f"Node.js was not found: install Node.js {_OLDEST_NODE} or newer and run `make setup`.")
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST_NODE:
        raise LocalStackError(f"Node.js {version} is too old: install Node.js {_OLDEST_NODE} or newer.")
    return node


def _find_script() -> Path:
    script = HERE / "node_modules/azurite/dist/src/queue/main.js"
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]["azurite"]
    if not script.exists():
        raise LocalStackError(f"Azurite {wanted} is not installed: run `make setup`.")
    return script
