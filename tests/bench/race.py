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


ANSWER = 0.24
"""Seconds that SharePoint Online takes for one request that writes an item: assumed, no published figure was found.
Derived from a report: 5,000 items took two hours (github.com/MicrosoftDocs/OfficeDocs-SharePoint/issues/1635) with a client
that says of itself that it sends about six requests an item (pnp.github.io/powershell/articles/batching). Another speaks of
multiple seconds an item with that client (github.com/pnp/PnP-PowerShell/issues/925)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How long answers take, in seconds beyond the simulator's own millisecond."""

    name: str
    answer: float
    """One request."""
    batch: float
    """One $batch, whatever it holds."""


MAIN = Condition(name=f"{ANSWER * 1000:.0f}ms", answer=ANSWER, batch=ANSWER)
"""A batch without dependencies is what Microsoft's own client calls parallel (microsoft-graph-client, BatchRequestContent)."""
SERIAL = Condition(name=f"{ANSWER * 1000:.0f}ms_serial_batches", answer=ANSWER, batch=20 * ANSWER)
"""The worst for us: SharePoint takes the members of a batch one after the other."""
NO_LATENCY = Condition(name="no_latency", answer=0.0, batch=0.0)
"""Both sides are held by the budget alone; nobody can be faster than 1.0 here by more than the budget's share."""


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


def race(stand: Stand, *, rows: int, seconds: float, conditions: Sequence[Condition]) -> list[Figure]:
    """One minute per condition; without latency, the minute also tells how much of the ceiling was used."""
    tenant = stand.tenant("recorder", multiplier=UNLIMITED)
    items = [
        inner["body"]["fields"]
        for body in record(stand, stand.place(tenant), rows)
        for inner in json.loads(body)["requests"]
    ]
    figures = []
    for condition in conditions:
        ours, sdk = _minute(stand, items, seconds, condition)
        if condition is NO_LATENCY:
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
                name=f"rows_per_minute_{condition.name}_vs_msgraph_sdk",
                value=ours.rows / seconds * 60,
                unit="rows/min",
                against=sdk.rows / seconds * 60,
                note=f"msgraph-sdk, one awaited POST per item, {condition.answer:g} s an answer, {condition.batch:g} s a batch: "
                f"{sdk.refused} x 429, {sdk.waited:.0f} s of waiting, {sdk.ru} RU; "
                f"the engine {ours.refused} x 429, {ours.ru} RU",
            )
        )
    return figures


def _minute(stand: Stand, items: list[Any], seconds: float, condition: Condition) -> tuple[Side, Side]:
    name = condition.name.replace("_", "-")
    ours = stand.place(stand.tenant(f"engine-{name}", multiplier=1))
    theirs = stand.place(stand.tenant(f"sdk-{name}", multiplier=1))
    with _rival(stand, theirs, items) as rival, _slowed(stand, condition):
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
def _slowed(stand: Stand, condition: Condition) -> Iterator[None]:
    """Every exchange takes its time more; members of a batch only with their batch."""
    rules = [
        {"match": {"path": path, "inner": False}, "fault": {"kind": "slow", "seconds": seconds}}
        for path, seconds in (("/items$", condition.answer), ("batch$", condition.batch))
        if seconds
    ]
    call(stand.simulator.url, "PUT", "/_sim/faults", {"seed": 1, "rules": rules})
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
