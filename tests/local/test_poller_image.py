"""The poller's image: what it copies is enough to run under a user of its own, and its process ends in good order."""

import ast
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.ports import free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "infra/poller/Dockerfile").read_text("utf-8")
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]


class Image:
    """What the image holds and says, without a container: its files, its environment, its commands."""

    def __init__(self, app: Path) -> None:
        self.app = app
        for source, target in re.findall(r"^COPY (?!--)(\S+) (\S+)$", LAST_STAGE, re.MULTILINE):
            shutil.copytree(ROOT / source, app / target, ignore=shutil.ignore_patterns("__pycache__"))
        self.files = set(app.rglob("*"))
        self.environment = dict(re.findall(r"(\w+)=([^ $\\]+)(?: \\)?$", LAST_STAGE, re.MULTILINE))
        self.entrypoint = json.loads(re.findall(r"^ENTRYPOINT (.*)$", LAST_STAGE, re.MULTILINE)[0])
        self.probe = json.loads(re.findall(r"^HEALTHCHECK (?:.*\\\n)?\s*CMD (.*)$", LAST_STAGE, re.MULTILINE)[0])

    def run(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        assert command[0] == "python"
        return subprocess.Popen(
            [sys.executable, *command[1:]],
            cwd=self.app,
            env=self.environment | environment,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="syncbridge-image-") as directory:
        found = Image(Path(directory))
        yield found
        assert set(found.app.rglob("*")) == found.files, "its user may write nothing there"


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


@pytest.mark.slow
def test_without_settings_it_says_what_is_missing_and_ends(image: Image):
    process = image.run(image.entrypoint)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "SYNCBRIDGE_METASTORE_DSN is not set" in said


@pytest.mark.slow
def test_it_answers_probes_while_the_metastore_is_away_and_ends_in_good_order(image: Image):
    port = free_port()
    process = image.run(
        image.entrypoint,
        SYNCBRIDGE_METASTORE_DSN=f"postgresql://x:hunter2@127.0.0.1:{free_port()}/none",
        SYNCBRIDGE_HEALTH_ADDRESS=f"127.0.0.1:{port}",
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        while "no_metastore" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "hunter2" not in said
        probe = [part.replace("8080", str(port)) for part in image.probe]
        assert image.run(probe).communicate(timeout=60) == (None, "")
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


@pytest.mark.slow
def test_it_reads_slots_with_nothing_but_what_the_image_holds(image: Image):
    """Every module of it can be imported there: one that is loaded late is not missed late."""
    modules = [
        ".".join(path.relative_to(image.app).with_suffix("").parts)
        for path in image.app.rglob("*.py")
        if path.name not in ("__main__.py", "__init__.py")
    ]
    script = f"import importlib\nfor name in {sorted(modules)!r}: importlib.import_module(name)"
    assert "shared.poller.session" in modules
    assert image.run(["python", "-W", "error", "-c", script]).communicate(timeout=60) == (None, "")
