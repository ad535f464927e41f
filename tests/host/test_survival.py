"""What a host that dies or stops leaves behind, and what the next one makes of it."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.host.conftest import HostMaker
from tests.host.running import until

pytestmark = pytest.mark.slow

TASK_SCHEDULED, TASK_COMPLETED, ORCHESTRATOR_STARTED, ORCHESTRATOR_COMPLETED = 4, 5, 12, 13


def marks(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_killed_host_goes_on_with_a_gapless_history_and_no_activity_lost(new_host: HostMaker, tmp_path: Path):
    host, file, n = new_host("flows"), tmp_path / "marks", 8
    instance = host.begin("steps", {"n": n, "file": str(file)})
    for at in (2, 5):
        until(lambda at=at: len(marks(file)) > at)
        host.kill()
        host.start()
    assert host.ended(instance)["output"] == sum(range(n))
    done = marks(file)
    assert sorted(set(done)) == list(range(n))  # every activity ran
    assert done == sorted(done)  # in order
    assert len(done) <= n + 2  # at least once: each kill repeats at most the one that ran then
    history = host.history(instance)
    scheduled = [event["EventId"] for event in history if event["EventType"] == TASK_SCHEDULED]
    completed = [event["TaskScheduledId"] for event in history if event["EventType"] == TASK_COMPLETED]
    assert scheduled == completed == list(range(n))
    results = [int(event["Result"]) for event in history if event["EventType"] == TASK_COMPLETED]
    assert results == list(range(n))
    kinds = [event["EventType"] for event in history]
    assert kinds.count(ORCHESTRATOR_STARTED) == kinds.count(ORCHESTRATOR_COMPLETED)
    assert [event["Timestamp"] for event in history] == sorted(event["Timestamp"] for event in history)


def test_a_timer_that_fell_due_while_no_host_ran_fires_at_the_next_start(new_host: HostMaker):
    host = new_host("flows")
    instance = host.begin("napping", {"s": 1})
    host.waits_for(instance, 10)
    host.kill()
    host.start()
    assert host.ended(instance)["output"] == "woke"


def test_a_killed_host_keeps_eternal_orchestrations_turning(new_host: HostMaker):
    host = new_host("flows")
    instance = host.begin("eternal", {"i": 0, "stop": 150})
    until(lambda: host.client.get("/admin/host/status").json()["activities"] > 20)
    host.kill()
    host.start()
    assert host.ended(instance)["output"] == {"done": 150}


def test_sigterm_lets_a_running_activity_end_and_keeps_its_result(new_host: HostMaker, tmp_path: Path):
    host, file, go = new_host("flows", "--drain-seconds", "60"), tmp_path / "marks", tmp_path / "go"
    instance = host.begin("steps", {"n": 3, "file": str(file), "go": str(go)})
    until(lambda: marks(file))
    assert host.process is not None
    host.process.terminate()
    until(lambda: host.client.get("/api/nosuch").status_code == 503)
    go.touch()
    host.process.wait(60)
    assert host.stop() == 0
    assert host.log.read_text().splitlines()[-1].endswith("action=host.stopped unfinished=0")
    assert marks(file) == [0]
    host.start()
    assert host.ended(instance)["output"] == 3
    assert marks(file) == [0, 1, 2], "an activity that had ended ran again"


def test_a_stop_does_not_wait_for_an_activity_that_hangs(new_host: HostMaker, tmp_path: Path):
    host = new_host("flows", "--drain-seconds", "0.3")
    instance = host.begin("fan_held", {"n": 60, "file": str(tmp_path / "go")})
    host.waits_for(instance, TASK_SCHEDULED, 60)
    assert host.stop(signal.SIGINT) == 0
    assert "unfinished=" in host.log.read_text()
    assert "unfinished=0" not in host.log.read_text()
    (tmp_path / "go").touch()
    host.start()
    assert host.ended(instance)["output"] == 60


def test_sigterm_lets_a_running_request_be_answered_and_refuses_new_ones(new_host: HostMaker, tmp_path: Path):
    host, file = new_host("flows", "--drain-seconds", "60", state=False), tmp_path / "go"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(host.bare, "GET", f"/api/hold?file={file}")
        until(lambda: host.client.get("/admin/host/status").json()["running"] == 1)
        assert host.process is not None
        host.process.terminate()
        until(lambda: host.client.get("/api/nosuch").status_code == 503)
        file.touch()
        assert slow.result(30).text == "done"
    assert host.process.wait(60) == 0
