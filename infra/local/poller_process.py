"""The poller as a child process, as its container runs it."""

import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from infra.local.host_process import ROOT
from infra.local.processes import Child, spawn, wait_until


def start(*, port: int, directory: Path, values: Mapping[str, str], keep_open: tuple[int, ...] = ()) -> Child:
    """Start `python -m shared.poller` with the app's settings, its log in `directory`, and wait until it answers."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    settings = {name: value for name, value in values.items() if name.startswith("SYNCBRIDGE_")}
    child = spawn(
        "The poller",
        [sys.executable, "-m", "shared.poller"],
        log=directory / "poller.log",
        cwd=ROOT,
        env=environ | settings | {"SYNCBRIDGE_HEALTH_ADDRESS": f"127.0.0.1:{port}", "PYTHONUNBUFFERED": "1"},
        keep_open=keep_open,
    )
    wait_until(child, lambda: _answers(port) or None, seconds=60)
    return child


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except OSError:
        return False
