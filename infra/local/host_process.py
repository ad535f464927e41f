"""The Functions host as a child process: the local stand-in, or Azure Functions Core Tools."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from infra.local.errors import LocalStackError
from infra.local.processes import Child, spawn, wait_until

ROOT = Path(__file__).parents[2]
HostKind = Literal["local", "func"]
_INSTALL_FUNC = "https://learn.microsoft.com/azure/azure-functions/functions-run-local"


def write_settings(path: Path, values: Mapping[str, str]) -> None:
    """A local.settings.json of its own: the one in the checkout's root belongs to the developer."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({"IsEncrypted": False, "Values": dict(values)}, indent=2), encoding="utf-8")


def start(
    kind: HostKind, *, port: int, directory: Path, values: Mapping[str, str], keep_open: tuple[int, ...]
) -> Child:
    """Start a host on `port`, with its state, settings and log in `directory`, and wait until it answers."""
    settings = directory / "local.settings.json"
    write_settings(settings, values)
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environ.get("PATH", "")))
    environ["PYTHONUNBUFFERED"] = "1"
    child = spawn(
        "The Functions host",
        _command(kind, port, directory, settings),
        log=directory / "host.log",
        cwd=ROOT,
        env=environ | dict(values),
        keep_open=keep_open,
    )
    wait_until(child, lambda: _answers(port) or None, seconds=60)
    return child


def _command(kind: HostKind, port: int, directory: Path, settings: Path) -> list[str | Path]:
    if kind == "func":
        func = shutil.which("func")
        if func is None:
            raise LocalStackError(
                f"HOST=func needs Azure Functions Core Tools on PATH: install them ({_INSTALL_FUNC})."
            )
        return [func, "start", "--port", str(port)]
    where: list[str | Path] = [
        "--root",
        ROOT,
        "--port",
        str(port),
        "--state",
        directory / "host.db",
        "--settings",
        settings,
    ]
    return [sys.executable, "-m", "infra.local.host", *where]


def _answers(port: int) -> bool:
    """Whether HTTP is spoken there, whatever the answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/host/status", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
