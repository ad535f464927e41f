"""`make up` as a whole: real processes, nothing replaced."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def directory() -> Iterator[Path]:
    """A place that PostgreSQL's user may enter even when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="syncbridge-up-"))
    path.chmod(0o711)
    yield path / "stack"
    shutil.rmtree(path, ignore_errors=True)


class Up:
    """A running `make up`."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-m", "infra.local.up", "--directory", str(directory), "--projects", "100"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("READY"):
                return
        raise AssertionError(f"it did not come up:\n{self.said}")

    def address(self, label: str) -> str:
        return re.findall(rf"^  {re.escape(label)} +(\S+)", self.said, re.MULTILINE)[-1]

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.process.wait(60), self.process.stdout.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def up(directory: Path) -> Iterator[Up]:
    running = Up(directory)
    try:
        yield running
    finally:
        running.close()
        wait_until_gone(directory)


def parts(directory: Path) -> dict[int, str]:
    """Processes whose command line names the directory, ours left out; and all that they started are among them."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {}
    for line in listed.splitlines():
        pid, args = line.strip().split(None, 1)
        if str(directory) in args and int(pid) != os.getpid():
            found[int(pid)] = args
    return found


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 120
    while left := parts(directory):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def test_it_comes_up_answers_refuses_a_second_one_and_goes_down_with_ctrl_c(directory):
    with up(directory) as stack:
        with urllib.request.urlopen(stack.address("API and its documents"), timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(stack.address("simulated SharePoint"), timeout=10) as answer:
            assert answer.status == 200
        with psycopg.connect(stack.address("PostgreSQL, source")) as connection:
            assert connection.execute("select count(*) from business.projects").fetchone() == (100,)

        second = subprocess.run(
            [sys.executable, "-m", "infra.local.up", "--directory", str(directory)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"A stack already runs on {directory} (process {stack.process.pid}): stop it first" in second.stderr

        assert len(parts(directory)) >= 4
        code, last = stack.end(signal.SIGINT)
        assert (code, "Stopped. The data stays" in last) == (0, True)
        assert parts(directory) == {}


def test_a_second_start_finds_its_ports_and_data_again_even_after_a_kill(directory):
    with up(directory) as first:
        with psycopg.connect(first.address("PostgreSQL, source"), autocommit=True) as connection:
            connection.execute("update business.projects set name = 'kept' where id = 1")
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    with up(directory) as second:
        labels = ("API and its documents", "simulated SharePoint", "PostgreSQL, source", "PostgreSQL, metastore")
        assert [second.address(label) for label in labels] == [first.address(label) for label in labels]
        with psycopg.connect(second.address("PostgreSQL, source")) as connection:
            assert connection.execute("select name from business.projects where id = 1").fetchone() == ("kept",)
        assert second.end(signal.SIGTERM)[0] == 0


def test_a_part_that_dies_is_named_and_stops_the_rest(directory):
    with up(directory) as stack:
        host = min(pid for pid, args in parts(directory).items() if "infra.local.host" in args)
        os.kill(host, signal.SIGKILL)
        assert stack.process.wait(60) == 1
        said = stack.process.stdout.read()
        assert "The Functions host ended by itself with exit code -9; everything else is being stopped." in said
        assert parts(directory) == {}
