"""One run of the probe: every question once, an outcome each, golden files, and nothing left behind."""

import json
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from infra.simulator.rules import RULES, Rule

from . import questions  # noqa: F401  # importing it registers the questions
from .ask import QUESTIONS, Refuted, Unasked
from .golden import Scrubber
from .rig import TITLE_PREFIX, Login, Rig


class Outcome(StrEnum):
    """What came of a question."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNASKED = "not asked"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of one rule's question; `seen` says what was seen instead, or why it was not asked."""

    rule: Rule
    outcome: Outcome
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All answers of a run, and the ids of lists that could not be removed (none, if all went well)."""

    answers: tuple[Answer, ...]
    left_behind: tuple[str, ...]

    def of(self, outcome: Outcome) -> list[Answer]:
        """Give the answers with that outcome."""
        return [answer for answer in self.answers if answer.outcome is outcome]


def ask(rig: Rig, rule: Rule) -> Answer:
    """Put one rule's question."""
    try:
        QUESTIONS[rule.id](rig)
    except Refuted as refuted:
        return Answer(rule=rule, outcome=Outcome.REFUTED, seen=str(refuted))
    except Unasked as unasked:
        return Answer(rule=rule, outcome=Outcome.UNASKED, seen=str(unasked))
    except (LookupError, TypeError, ValueError, AttributeError) as shape:
        seen = f"an answer of another shape ({type(shape).__name__}: {shape})"
        return Answer(rule=rule, outcome=Outcome.REFUTED, seen=seen)
    except httpx.HTTPError as broken:
        return Answer(rule=rule, outcome=Outcome.FAILED, seen=f"no answer ({type(broken).__name__})")
    return Answer(rule=rule, outcome=Outcome.CONFIRMED, seen="")


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Make SIGTERM leave through `finally` as Ctrl-C does."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Ctrl-C too: a shell that starts a command in the background has it ignored, and Python then keeps it so.
    before = {one: signal.signal(one, leave) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _deaf() -> Iterator[None]:
    """Let no second Ctrl-C stop the cleaning up."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def probe(
    *,
    graph_url: str,
    login: Login,
    site: str,
    out: Path,
    run: str,
    client: httpx.Client,
    zone: str | None = None,
    only: Iterable[str] = (),
    wait: Callable[[float], None] | None = None,
    pause: float = 0,
    tell: Callable[[Answer], None] = lambda _: None,
) -> Report:
    """Ask every rule that can be asked from outside (or `only` those), write golden files into `out`, clean up.

    The lists it makes are removed in every case, also when a question fails or the run is interrupted. With `wait`, a
    rule that seems refuted is asked once more after `pause` seconds: the service may show a change late.
    """
    scrubber = Scrubber(own_prefix=TITLE_PREFIX)
    scrubber.tenant_text(login.tenant, login.client_id, login.secret)
    exchanges: list[httpx.Response] = []
    rig = Rig(
        graph_url=graph_url,
        login=login,
        site=site,
        client=client,
        zone=zone,
        listen=exchanges.append,
        run=run,
        wait=wait,
    )
    wanted = set(only) or set(QUESTIONS)
    out.mkdir(parents=True, exist_ok=True)
    answers: list[Answer] = []
    stayed: list[str] = []
    with _ended_by_signal():
        try:
            document = rig.site()
            scrubber.tenant_document({**document, "path": rig.site_path, "host": rig.hostname})
            people = rig.get(f"{rig.root}/lists/User Information List/items?$expand=fields&$top=500")
            for person in people.json().get("value", []):
                scrubber.tenant_document(person.get("fields", {}))
            exchanges.clear()
            for rule in RULES:
                if rule.id not in wanted or rule.id not in QUESTIONS:
                    continue
                answer = ask(rig, rule)
                if wait is not None and answer.outcome is Outcome.REFUTED:
                    wait(pause)
                    answer = ask(rig, rule)
                answers.append(answer)
                tell(answer)
                _write(out / f"{rule.id}.json", answer, [scrubber.record(one) for one in exchanges], scrubber)
                exchanges.clear()
        finally:
            with _deaf():
                stayed = rig.clean_up()
    report = Report(answers=tuple(answers), left_behind=tuple(stayed))
    (out / "REPORT.md").write_text(_summary(report), encoding="utf-8")
    return report


def _write(path: Path, answer: Answer, exchanges: list[dict[str, Any]], scrubber: Scrubber) -> None:
    golden = {
        "rule": answer.rule.id,
        "sentence": answer.rule.sentence,
        "outcome": answer.outcome.value,
        "seen": scrubber.text(answer.seen[:500]),
        "exchanges": exchanges,
    }
    path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _summary(report: Report) -> str:
    lines = ["# What the service answered", ""]
    for outcome in Outcome:
        found = report.of(outcome)
        lines.append(f"{len(found)} {outcome.value}")
        if outcome is not Outcome.CONFIRMED:
            lines += [f"- {answer.rule.id}: {answer.rule.sentence}" for answer in found]
        lines.append("")
    return "\n".join(lines)
