"""That the benches run and say what they promise; never how fast."""

import json
import subprocess
import sys

import pytest

from infra.local.simulator import ROOT
from tests.bench.figures import Figure, closing_line


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.slow
def test_a_small_bench_ends_with_one_json_line_of_figures_beside_what_limits_them() -> None:
    ended = _run("--small", "--only", "ru", "--only", "rate", "--only", "settling")

    assert ended.returncode == 0, ended.stderr[-2000:]
    bench = json.loads(ended.stdout.splitlines()[-1])["bench"]
    assert set(bench) == {
        "ru_per_created_row",
        "ru_per_changed_row",
        "ru_per_unchanged_row",
        "engine_creates_2_in_flight",
        "claim_and_confirm",
    }
    for figure in bench.values():
        assert set(figure) == {"value", "unit", "against", "ratio"}
        assert figure["against"] > 0
        assert figure["value"] >= 0
    # Counted, not timed: these hold on every machine.
    assert [bench[f"ru_per_{kind}_row"]["value"] for kind in ("created", "changed", "unchanged")] == [2, 2, 0]


@pytest.mark.slow
def test_an_unknown_bench_is_refused_with_the_names_there_are() -> None:
    ended = _run("--only", "nothing")

    assert ended.returncode == 2
    assert "settling" in ended.stderr
    assert ended.stdout == ""


def test_the_closing_line_holds_each_figure_with_its_ratio() -> None:
    line = closing_line([Figure(name="a", value=3, unit="s", against=2, note="a bare one")])

    assert json.loads(line) == {"bench": {"a": {"value": 3, "unit": "s", "against": 2, "ratio": 1.5}}}


@pytest.mark.slow
def test_a_small_bench_of_change_streams_says_how_fast_how_late_and_how_large_they_are() -> None:
    ended = _run("--small", "--only", "changes")

    assert ended.returncode == 0, ended.stderr[-2000:]
    bench = json.loads(ended.stdout.splitlines()[-1])["bench"]
    assert set(bench) == {
        *("stream_narrow", "stream_wide", "stream_memory", "stream_log_kept", "stream_most_kept"),
        *("commit_to_queue_p50", "commit_to_queue_p99", "commit_to_item_p50", "commit_to_item_p99"),
    }
    assert all(figure["value"] >= 0 for figure in bench.values())
    assert bench["stream_memory"]["value"] > 0
