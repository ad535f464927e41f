"""The poller's image: it holds what the poller imports, and nothing else; its process ends in good order."""

import ast
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.local.ports import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "infra/poller/Dockerfile").read_text("utf-8")


def test_what_is_copied_is_all_that_the_poller_imports(tmp_path):
    copied = [
        line.split()[1].rstrip("/")
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY") and "--from" not in line
    ]
    assert copied == ["requirements.txt", "shared"]
    names = {
        name
        for path in (ROOT / "shared").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not {name.split(".")[0] for name in names} & {"functions", "infra", "tests"}


def test_it_runs_as_nobody_in_particular_and_is_probed():
    assert "USER 10001" in DOCKERFILE
    assert "/healthz" in DOCKERFILE
    assert "SYNCBRIDGE_HEALTH_ADDRESS=0.0.0.0:8080" in DOCKERFILE
    assert 'ENTRYPOINT ["python", "-m", "shared.poller"]' in DOCKERFILE
    ignored = (ROOT / "infra/poller/Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"


def test_without_settings_it_says_what_is_missing_and_ends():
    done = subprocess.run(
        [sys.executable, "-m", "shared.poller"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "SYNCBRIDGE_METASTORE_DSN is not set" in done.stderr


def test_it_answers_probes_while_the_metastore_is_away_and_ends_in_good_order():
    port = free_port()
    environment = {
        "SYNCBRIDGE_METASTORE_DSN": f"postgresql://x:hunter2@127.0.0.1:{free_port()}/none",
        "SYNCBRIDGE_HEALTH_ADDRESS": f"127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "shared.poller"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        while "no_metastore" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "hunter2" not in said
        with pytest.raises(urllib.error.HTTPError) as unready:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)
        assert unready.value.code == 503
        assert json.load(unready.value)["status"] == "not ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
