"""How long a worker takes to import the app, beside importing the libraries that no such app can do without."""

import statistics
import subprocess
import sys

from infra.local.simulator import ROOT
from tests.bench.figures import Figure

_APP = "function_app"
_BARE = "azure.functions, azure.durable_functions, fastapi, psycopg, httpx"
_TIMED = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def cold_start(*, rounds: int) -> list[Figure]:
    """Seconds, each in a fresh process with a warm file cache."""
    _seconds(_APP), _seconds(_BARE)  # compiles what has no bytecode yet
    pairs = [(_seconds(_APP), _seconds(_BARE)) for _ in range(rounds)]
    app, bare = (statistics.median(pair[which] for pair in pairs) for which in (0, 1))
    return [Figure(name="cold_start", value=app, unit="s", against=bare, note=f"import {_BARE}")]


def _seconds(modules: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(modules)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
