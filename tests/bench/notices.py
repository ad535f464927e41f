"""How long Graph waits for a webhook's answer, through the local host, beside what a message into the queue takes alone."""

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from infra.local.demo import setup
from infra.local.demo.http import Api
from infra.local.demo.report import Report
from infra.local.demo.work import Work
from infra.local.sample.generate import Counts
from infra.local.stack import Options, Stack, bring_up
from infra.local.state import load
from infra.local.supervisor import Supervisor
from shared.adapters.queue import StorageQueues
from shared.core.watching import state_hash
from tests.bench.figures import Figure

_STATE = "a client state that the bench knows"
_FIRST_LOOK = 2.5
"""Seconds after which a subscription that was unknown is looked for again."""
_WANTED = 100.0
"""Milliseconds that an answer may take."""
_CROWD = 8
_LOGGED = re.compile(r'action="notices".* accepted=(\d+).* queue_ms=([\d.]+)')


def answers(*, count: int) -> list[Figure]:
    """Milliseconds from a notice's POST to its 202, median and 99th percentile: one at a time, and several at once.

    What the queue takes of an answer is Azurite's and the disk's, and measured beside it: the rest is the product's own."""
    with TemporaryDirectory(prefix="syncbridge-bench-") as directory:
        Path(directory).chmod(0o711)
        supervisor = Supervisor()
        try:
            options = Options(counts=Counts.for_projects(10), multiplier=50)
            stack = bring_up(load(Path(directory) / "stack"), supervisor, options, lambda _: None)
            with redirect_stdout(StringIO()):  # the steps of the set-up are no figures
                subscription = _subscribed(stack)
            return _measured(stack, subscription, count)
        finally:
            supervisor.stop_all()


def _measured(stack: Stack, subscription: str, count: int) -> list[Figure]:
    queues = StorageQueues(stack.settings["AzureWebJobsStorage"])
    with httpx.Client(base_url=stack.host_url, timeout=30) as http:

        def post(state: str) -> None:
            notice = {"subscriptionId": subscription, "clientState": state, "changeType": "updated"}
            answer = http.post("/api/graph/notifications", json={"value": [notice]})
            assert answer.status_code == 202, answer.text

        def genuine() -> None:
            post(_STATE)

        def bare() -> None:
            queues.put("bench", '{"a": "message of the size of a notice, alone, without a host or a webhook"}')

        genuine(), bare()  # what only the first one does is over
        time.sleep(_FIRST_LOOK)
        genuine()
        answers, puts = _in_turns(genuine, bare, count)
        # There was one at a time, so the lines of the log are in their order.
        own = [answer - queue for answer, queue in zip(answers, _queue_parts(stack)[-count:], strict=True)]
        forged, _ = _in_turns(lambda: post("a guess"), bare, count)
        crowd, crowded_puts = _at_once(genuine, count), _at_once(bare, count)
    queues.close()
    alone = "a message into the queue alone, in turns with it"
    return [
        *_figures("webhook_answer", answers, _percentiles(puts), alone),
        *_figures("webhook_own", own, (_WANTED, _WANTED), "the answer without its message; what an answer may take"),
        *_figures("webhook_forged", forged, _percentiles(answers), "a genuine notice"),
        *_figures(f"webhook_{_CROWD}_at_once", crowd, _percentiles(crowded_puts), f"{_CROWD} messages at once, alone"),
    ]


def _queue_parts(stack: Stack) -> list[float]:
    """Of each genuine notice so far, in order: the milliseconds that its message took, as the webhook's log line says."""
    found = _LOGGED.findall(stack.host.log.read_text(encoding="utf-8"))
    return [float(queue) for accepted, queue in found if accepted != "0"]


def _subscribed(stack: Stack) -> str:
    """A subscription whose client state is known here: the product's own are known to Graph alone. Its definition is
    a draft, so that no reading is started and only the answer is measured."""
    work = Work(stack=stack, api=Api(stack.api_url, stack.state.host_key), report=Report())
    connection = setup.register_sharepoint(work, stack.tenant)
    body: dict[str, Any] = {
        "name": "Bench",
        "source_instance_id": setup.register_database(work),
        "source_schema": "business",
        "source_table_name": "projects",
        "sharepoint_connection_id": connection,
        "site_id": setup.find_site(work, connection),
        "list_name": "Bench",
        "field_mappings": setup.mappings(("id", "name"), title="name"),
    }
    definition = setup.define(work, body)["id"]
    work.api.close()
    subscription = str(uuid4())
    with psycopg.connect(stack.settings["SYNCBRIDGE_METASTORE_DSN"]) as metastore:
        metastore.execute(
            "insert into syncbridge.list_subscriptions (id, sync_def_id, list_id, notification_url, subscription_id,"
            " client_state_hash, expires_at, look_at) values (gen_random_uuid(), %s, %s, '', %s, %s,"
            " now() + interval '1 day', now() + interval '1 day')",
            [definition, str(uuid4()), subscription, state_hash(_STATE)],
        )
    return subscription


def _in_turns(one: Callable[[], None], other: Callable[[], None], count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each call: whatever else the machine does meanwhile, it does to both."""
    pairs = [(_took(one), _took(other)) for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _at_once(call: Callable[[], None], count: int) -> list[float]:
    """Milliseconds of each call, `_CROWD` of them under way at any time."""
    with ThreadPoolExecutor(_CROWD) as threads:
        return list(threads.map(lambda _: _took(call), range(count)))


def _took(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _figures(name: str, took: list[float], against: tuple[float, float], note: str) -> list[Figure]:
    cuts = zip(("p50", "p99"), _percentiles(took), against, strict=True)
    return [
        Figure(name=f"{name}_{cut}", value=value, unit="ms", against=beside, note=note) for cut, value, beside in cuts
    ]


def _percentiles(took: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]
