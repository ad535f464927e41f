import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.errors import LocalStackError
from infra.local.lock import locked
from infra.local.processes import spawn, wait_until

ROOT = Path(__file__).parents[2]

# A supervisor of two parts, of which the second may end by itself; it prints their process ids.
PROGRAM = """
import sys
from pathlib import Path
from infra.local.lock import locked
from infra.local.processes import spawn
from infra.local.supervisor import StopRequestedError, supervised
directory, second = Path(sys.argv[1]), sys.argv[2]
try:
    with locked(directory) as lock, supervised() as supervisor:
        for name, command in (("first", ["sleep", "300"]), ("second", ["sh", "-c", second])):
            child = spawn(name, command, log=directory / name, keep_open=(lock,))
            supervisor.add(child)
            print(child.process.pid, flush=True)
        ended = supervisor.watch()
        print(ended.name, ended.exit_code, ended.last_lines(), flush=True)
except StopRequestedError:
    print("stopped", flush=True)
"""


@contextmanager
def running(directory: Path, second: str = "exec sleep 300"):
    owner = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), second], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield owner, [int(owner.stdout.readline()) for _ in range(2)]
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"Z" not in subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, check=False).stdout


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(map(runs, pids)):
        assert time.monotonic() < deadline, f"still there: {[pid for pid in pids if runs(pid)]}"
        time.sleep(0.02)


@pytest.mark.slow
def test_one_part_that_crashes_is_named_with_its_last_words_and_stops_the_rest(tmp_path):
    with running(tmp_path, "echo out of coffee; exit 7") as (owner, pids):
        assert owner.stdout.readline() == "second 7 out of coffee\n"
        assert owner.wait(60) == 0
        wait_for_end(pids)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_stops_every_part_before_the_supervisor_ends(tmp_path, number):
    with running(tmp_path) as (owner, pids):
        owner.send_signal(number)
        assert owner.stdout.read() == "stopped\n"
        assert not any(map(runs, pids))


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_part_behind(tmp_path):
    with running(tmp_path) as (owner, pids):
        owner.kill()
        owner.wait()
        wait_for_end(pids)


@pytest.mark.slow
def test_a_second_stack_on_the_same_directory_is_refused_at_once_with_the_first_ones_process(tmp_path):
    with running(tmp_path) as (owner, _):
        refusal = rf"A stack already runs on .* \(process {owner.pid}\): stop it first"
        with pytest.raises(LocalStackError, match=refusal), locked(tmp_path):
            pass


@pytest.mark.slow
def test_after_a_killed_supervisor_the_next_one_waits_until_its_parts_have_ended(tmp_path):
    # The second part takes its time to end, as a database does.
    second = "trap 'sleep 1; echo ended; exit' TERM; echo ready; while :; do sleep 0.05; done"
    with running(tmp_path, second) as (owner, pids):
        deadline = time.monotonic() + 60
        while not (tmp_path / "second").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        owner.kill()
        owner.wait()
        with locked(tmp_path):
            assert (tmp_path / "second").read_text() == "ready\nended\n"
        wait_for_end(pids)  # a process lets go of the lock a moment before it is gone


def test_a_part_that_ends_before_it_is_ready_is_reported_with_its_last_words(tmp_path):
    child = spawn("Part", ["sh", "-c", "echo cannot bind >&2; exit 3"], log=tmp_path / "log")
    with pytest.raises(LocalStackError, match=r"Part ended at once with exit code 3(.|\n)*cannot bind"):
        wait_until(child, lambda: None)


def test_a_part_that_never_gets_ready_is_stopped_and_reported(tmp_path):
    child = spawn("Part", ["sleep", "300"], log=tmp_path / "log")
    with pytest.raises(LocalStackError, match="Part was not ready within 0 s"):
        wait_until(child, lambda: None, seconds=0.2)
    assert child.exit_code == -signal.SIGTERM


def test_a_part_that_ignores_the_polite_signal_is_ended_by_force(tmp_path):
    child = spawn("Part", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"], log=tmp_path / "log")
    wait_until(child, lambda: (tmp_path / "log").read_text() or None)
    child.stop(grace_seconds=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_program_that_does_not_exist_is_named(tmp_path):
    child = spawn("Part", ["/no/such/program"], log=tmp_path / "log")
    with pytest.raises(LocalStackError, match="/no/such/program: No such file or directory"):
        wait_until(child, lambda: None)
