import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.demo import __main__ as demo
from infra.local.demo.http import DemoError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo_pushes_twice_proves_it_and_stays_within_the_smallest_budget():
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo", "--projects", "400"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    push, pacing = told["acts"]["push"], told["acts"]["pacing"]

    assert told["demo"] == "ok"
    assert (push["rows"], push["items"], push["second_push_writes"]) == (400, 400, 0)
    assert push["change_writes"] == push["changes"] > 100
    assert push["items_at_the_end"] == push["rows_at_the_end"]
    assert pacing["items"] == pacing["rows"] > 0
    assert pacing["refused"] == 0
    assert 0 < pacing["ru_of_the_busiest_minute"] <= pacing["ceiling"]
    two_way = told["acts"]["two_way"]
    assert two_way["converged"] is True
    assert two_way["merged_edits"] >= 2
    assert two_way["conflicts_logged"] >= 1
    assert two_way["echo_writes"] == 0
    assert 0 < two_way["notification_to_row_p99_s"] < two_way["edit_to_row_p99_s"]
    cdc = told["acts"]["cdc"]
    assert cdc["converged"] is True
    assert cdc["changes"] >= 100
    assert 0 < cdc["commit_to_queue_p99_s"] < cdc["commit_to_item_p99_s"]
    assert cdc["items_at_the_end"] == cdc["rows_at_the_end"] > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DemoError("the list and the table differ: 1 missing"), "the list and the table differ: 1 missing"),
        (ZeroDivisionError("x"), "ZeroDivisionError in the demo itself (above)"),
    ],
)
def test_a_demo_that_fails_says_so_in_its_exit_code_and_its_last_line(monkeypatch, capsys, tmp_path, error, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(demo, "_play", fail)
    monkeypatch.setattr(demo.tempfile, "mkdtemp", lambda **_: str(tmp_path))

    assert demo.main([]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"demo": "failed", "reason": reason, "acts": {}}
