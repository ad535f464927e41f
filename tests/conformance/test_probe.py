"""The tenant probe, run against the simulator as a person would run it against a tenant."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.simulator import ROOT
from infra.simulator.probe import __main__ as command
from infra.simulator.probe import ask
from infra.simulator.probe.ask import GUID, QUESTIONS
from infra.simulator.probe.run import Outcome, Report, probe
from infra.simulator.rules import RULES
from tests.conformance.world import World

pytestmark = pytest.mark.slow

Run = Callable[..., Report]


@pytest.fixture
def run(world: World, plain_client: httpx.Client, tmp_path: Path) -> Run:
    world.sim.knobs(throttling=False)

    def run(*only: str, **changes: Any) -> Report:
        wishes = {
            "graph_url": world.rig.graph_url,
            "login": world.rig.login,
            "site": f"{world.tenant['hostname']}:/sites/hr",
            "out": tmp_path / "answers",
            "run": "test",
            "client": plain_client,
            "zone": world.rig.zone,
            "only": only,
        }
        return probe(**{**wishes, **changes})

    return run


def _lists(world: World) -> list[str]:
    found = world.rig.get(f"{world.rig.root}/lists?$top=5000").json()["value"]
    return [one["displayName"] for one in found if one["displayName"].startswith("syncbridge-probe")]


def _tenant_data(world: World) -> set[str]:
    """Everything that tells whose tenant it was."""
    tenant = world.tenant
    site = next(one for one in tenant["sites"] if one["path"] == "/sites/hr")
    known = {tenant["id"], tenant["name"], tenant["hostname"], site["title"], *site["id"].split(","), "/sites/hr"}
    known |= {text for app in tenant["apps"] for text in (app["client_id"], app["secret"])}
    known |= {text for user in site["users"] for text in (user["name"], user["email"])}
    return known | {world.rig.token(), world.url, world.url.removeprefix("http://")}


def test_every_question_is_confirmed_and_nothing_stays_behind(run: Run, world: World, tmp_path: Path) -> None:
    report = run()

    assert [(answer.rule.id, answer.seen) for answer in report.answers if answer.outcome is not Outcome.CONFIRMED] == []
    assert {answer.rule.id for answer in report.answers} == set(QUESTIONS)
    assert report.left_behind == ()
    assert _lists(world) == []
    files = sorted(path.name for path in (tmp_path / "answers").iterdir())
    assert files == sorted(["REPORT.md", *(f"{rule.id}.json" for rule in RULES if rule.id in QUESTIONS)])

    golden = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "answers").iterdir()}
    for name, text in golden.items():
        for known in _tenant_data(world):
            assert known.lower() not in text.lower(), f"{name} shows {known!r}"
        ours = {"0f0f0f0f-1111-4222-8333-444444444444", "0f0f0f0f-1111-4222-8333-555555555555"}
        assert set(re.findall(GUID, text)) <= ours, f"{name} shows a guid of the tenant"
        assert not re.search(r"eyJ[\w-]{10,}", text), f"{name} shows a token"


def test_golden_files_keep_what_the_service_did(run: Run, tmp_path: Path) -> None:
    run("ETAG-IF-MATCH-FIELDS", "VAL-DATETIME-UTC")

    golden = json.loads((tmp_path / "answers" / "ETAG-IF-MATCH-FIELDS.json").read_text())
    refused = next(one for one in golden["exchanges"] if one["status"] == 412)
    assert golden["outcome"] == "confirmed"
    assert refused["request"].startswith("PATCH /v1.0/sites/")
    assert refused["body"]["error"]["code"] == "resourceModified"
    dates = json.loads((tmp_path / "answers" / "VAL-DATETIME-UTC.json").read_text())
    assert any(one["body"].get("fields", {}).get("Moment") == "2026-03-01T04:50:30Z" for one in dates["exchanges"])


@pytest.mark.parametrize("rule", ["ETAG-IF-MATCH-FIELDS", "DELTA-TOMBSTONE", "VAL-LOOKUP-STRING", "BATCH-MAX-20"])
def test_a_service_that_breaks_a_rule_is_reported_as_refuting_it(run: Run, world: World, rule: str) -> None:
    world.sim.break_rule(rule)

    report = run(rule)

    assert [(answer.rule.id, answer.outcome) for answer in report.answers] == [(rule, Outcome.REFUTED)]
    assert report.answers[0].seen
    assert _lists(world) == []


def test_a_polite_run_rests_before_the_tenants_budget_is_spent_and_asks_a_refuted_rule_twice(
    run: Run, world: World
) -> None:
    world.sim.knobs(throttling=True)
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        world.sim.advance(seconds)

    world.sim.break_rule("VAL-BOOLEAN")
    many = (one for one in QUESTIONS if one.startswith(("PAGE-", "DELTA-", "VAL-")))
    report = run(*many, wait=rest, pause=7)

    others = [(answer.rule.id, answer.seen) for answer in report.answers if answer.outcome is not Outcome.CONFIRMED]
    assert [name for name, _ in others] == ["VAL-BOOLEAN"], others
    assert rests.count(7) == 1
    assert 60.0 in rests
    assert set(rests) <= {7, 60.0}, "a rest that is no rest of politeness means that the run was throttled"
    log = world.sim.requests(0)
    assert not [one for one in log if one["status"] == 429 or any(each["status"] == 429 for each in one["inner"])]


def test_an_app_that_may_see_one_site_only_leaves_the_questions_about_others_unasked(run: Run, world: World) -> None:
    selected = world.app("Sites.Selected")
    world.grant(selected, world.rig.root, "manage")

    report = run(login=selected.login)

    assert {answer.rule.id for answer in report.of(Outcome.UNASKED)} == {
        "SITE-ROOT",
        "SITE-BY-HOST",
        "SITE-SEARCH",
        "SITE-GET-ALL",
    }
    assert len(report.of(Outcome.CONFIRMED)) == len(report.answers) - 4


def test_a_question_that_is_interrupted_leaves_no_list_behind(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(rig: Any) -> None:
        rig.every()
        raise KeyboardInterrupt

    monkeypatch.setitem(ask.QUESTIONS, "ITEM-CREATE", stopped)

    with pytest.raises(KeyboardInterrupt):
        run("ITEM-CREATE")

    assert _lists(world) == []


def _command(world: World, out: Path, *more: str) -> list[str]:
    login = world.rig.login
    return [
        "--graph-url", world.rig.graph_url, "--login-url", world.url, "--scope", login.scope, "--tenant", login.tenant,
        "--client-id", login.client_id, "--site", f"{world.tenant['hostname']}:/sites/hr", "--out", str(out),
        "--pause", "0", *more,
    ]  # fmt: skip


def test_the_command_tells_outcomes_by_its_exit_code(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exit_code(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", ["probe", *_command(world, tmp_path / "out", *more)])
        return command.main()

    monkeypatch.delenv(command.SECRET_VARIABLE, raising=False)
    assert exit_code() == 2
    assert command.SECRET_VARIABLE in capsys.readouterr().err

    monkeypatch.setenv(command.SECRET_VARIABLE, world.rig.login.secret)
    assert exit_code("--only", "NO-SUCH-RULE") == 2
    assert exit_code("--only", "ITEM-CREATE") == 0
    world.sim.break_rule("ITEM-CREATE")
    assert exit_code("--only", "ITEM-CREATE") == 1
    assert "refuted  ITEM-CREATE" in capsys.readouterr().out


def test_ctrl_c_ends_the_command_with_its_lists_removed(world: World, tmp_path: Path) -> None:
    environment = {**os.environ, command.SECRET_VARIABLE: world.rig.login.secret}
    arguments = [sys.executable, "-m", "infra.simulator.probe", *_command(world, tmp_path / "out")]
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        deadline = time.monotonic() + 120
        while not _lists(world) and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.05)  # a reading costs units too: without a pause a slow start would find the budget spent
        assert _lists(world), "the probe made no list"

        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=120)

    assert (child.returncode, b"Stopped" in errors) == (130, True), errors
    assert _lists(world) == []
