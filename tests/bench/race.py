"""The smallest tier's budget: how much of it a push uses, and how many rows that makes beside msgraph-sdk.

Both run in the same minute, each in a tenant of its own with the same tier, on one simulator. Its log is the referee: it
tells who made how many items, was refused how often, and spent how much. The minute is the budget's own: it begins when
the window does.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.sharepoint import call
from infra.local.simulator import ROOT
from tests.bench.figures import Figure
from tests.bench.push import record
from tests.bench.stand import UNLIMITED, Place, Stand

PER_MINUTE = 1_250
"""RU that one app may spend in the smallest tier: the same page as the prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    rows: int
    ru: int
    answers: int
    """To requests and members of $batch requests."""
    refused: int
    """Answers 429."""
    waited: float
    """Seconds between a 429 and the next request, or the end."""


def race(stand: Stand, *, rows: int, seconds: float, latencies: Sequence[float]) -> list[Figure]:
    """One minute per latency; with none, the minute also tells how much of the ceiling was used."""
    tenant = stand.tenant("recorder", multiplier=UNLIMITED)
    items = [
        inner["body"]["fields"]
        for body in record(stand, stand.place(tenant), rows)
        for inner in json.loads(body)["requests"]
    ]
    figures = []
    for latency in latencies:
        ours, sdk = _minute(stand, items, seconds, latency)
        slow = f"{latency * 1000:.0f}ms"
        if latency == 0:
            figures += [
                Figure(
                    name="ceiling_used",
                    value=ours.ru,
                    unit=f"RU/{seconds:.0f} s",
                    against=PER_MINUTE * seconds / 60,
                    note=f"the smallest tier's budget; the engine was refused {ours.refused} times",
                ),
                Figure(
                    name="answers_refused",
                    value=ours.refused,
                    unit="429s",
                    against=ours.answers,
                    note=f"all answers that the engine got in that minute; msgraph-sdk got {sdk.refused} x 429",
                ),
            ]
        figures.append(
            Figure(
                name=f"rows_per_minute_at_{slow}",
                value=ours.rows / seconds * 60,
                unit="rows/min",
                against=sdk.rows / seconds * 60,
                note=f"msgraph-sdk, one awaited POST per item, {slow} an answer: {sdk.refused} x 429, "
                f"{sdk.waited:.0f} s of waiting, {sdk.ru} RU; the engine {ours.refused} x 429, {ours.ru} RU",
            )
        )
    return figures


def _minute(stand: Stand, items: list[Any], seconds: float, latency: float) -> tuple[Side, Side]:
    name = f"{latency * 1000:.0f}ms"
    ours = stand.place(stand.tenant(f"engine-{name}", multiplier=1))
    theirs = stand.place(stand.tenant(f"sdk-{name}", multiplier=1))
    with _rival(stand, theirs, items) as rival, _slowed(stand, latency):
        url = stand.simulator.url
        clock = call(url, "GET", "/_sim/clock")["epoch"]
        call(url, "POST", "/_sim/clock", {"advance": 60 - clock % 60})
        begun = datetime.fromisoformat(call(url, "GET", "/_sim/clock")["now"]).astimezone(UTC)
        since = stand.sequence()
        push = threading.Thread(target=stand.push, args=(ours,), kwargs={"workers": 2, "seconds": seconds})
        assert rival.stdin is not None
        rival.stdin.write("GO\n")
        rival.stdin.flush()
        push.start()
        time.sleep(seconds)
        rival.terminate()
        push.join()
    end = begun + timedelta(seconds=seconds)
    return _side(stand, ours, since, end), _side(stand, theirs, since, end)


@contextmanager
def _rival(stand: Stand, place: Place, items: list[Any]) -> Iterator[subprocess.Popen[str]]:
    order = {
        "url": stand.simulator.url,
        "token": stand.token(place.tenant),
        "site": place.site,
        "list": place.list_id,
        "items": items,
    }
    command = [sys.executable, "-m", "tests.bench.rival"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(order) + "\n")
            child.stdin.flush()
            if child.stdout.readline() != "READY\n":
                raise RuntimeError("the rival did not start")
            yield child
        finally:
            child.terminate()


@contextmanager
def _slowed(stand: Stand, latency: float) -> Iterator[None]:
    """Every exchange takes that many seconds more; a batch as long as a single request."""
    rule = {"match": {"path": "(/items|batch)$", "inner": False}, "fault": {"kind": "slow", "seconds": latency}}
    if latency:
        call(stand.simulator.url, "PUT", "/_sim/faults", {"seed": 1, "rules": [rule]})
    yield
    call(stand.simulator.url, "DELETE", "/_sim/faults")


def _side(stand: Stand, place: Place, since: int, end: datetime) -> Side:
    rows = ru = seen = refused = 0
    waited, throttled = 0.0, None
    for request in stand.requests(since, place.tenant.client_id):
        at = datetime.fromisoformat(request["time"])
        if at >= end:
            break
        if throttled is not None:
            waited, throttled = waited + (at - throttled).total_seconds(), None
        answers = request["inner"] or [request]
        rows += sum(a["method"] == "POST" and a["path"].endswith("/items") and a["status"] == 201 for a in answers)
        refusals = sum(answer["status"] == 429 for answer in answers)
        ru += request["ru"]
        seen += len(answers)
        refused += refusals
        throttled = at if refusals else None
    if throttled is not None:
        waited += (end - throttled).total_seconds()
    return Side(rows=rows, ru=ru, answers=seen, refused=refused, waited=waited)
