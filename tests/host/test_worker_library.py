"""The real Python worker's library indexes the same apps, finds the same functions and refuses the same mistakes.

azure-functions-runtime is what runs in Azure on Python 3.13 and later. `make setup` puts it into .local/worker.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.mistakes import MISTAKES, Mistake
from tests.host.running import APPS, ROOT

pytestmark = pytest.mark.slow

WORKER = ROOT / ".local" / "worker"
# Every app that has to load in Azure.
LOADED = [ROOT, *(APPS / name for name in ("flows", "web", "plumbing"))]


def index(app: Path) -> dict[str, list[str]]:
    """What the worker's library finds: function names with the types of their bindings, or ``{"refused": …}``."""
    assert WORKER.is_dir(), "the worker library is not installed: run `make setup`"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("worker_library.py")), str(WORKER), str(app)],
        cwd=app,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("app", LOADED, ids=lambda app: app.name)
def test_the_real_worker_library_indexes_the_app_and_finds_what_the_local_host_finds(app: Path):
    theirs = index(app)
    assert "refused" not in theirs, theirs["refused"]
    assert theirs
    ours = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("local_index.py")), str(app)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ours.stdout.splitlines()[-1]) == theirs


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.worker_says], ids=lambda one: one.name)
def test_the_real_worker_library_refuses_what_the_local_host_refuses(mistake: Mistake, tmp_path: Path):
    (tmp_path / "function_app.py").write_text(mistake.source)
    assert mistake.worker_says is not None
    assert mistake.worker_says in index(tmp_path)["refused"]
