"""How long Graph waits for a webhook's answer, through the local host, beside what a message into the queue takes alone."""

import statistics
import time
from collections.abc import Callable
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


def answers(*, count: int) -> list[Figure]:
    """Milliseconds from a notice's POST to its 202, one at a time: the median and the 99th percentile."""
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

        post(_STATE)
        time.sleep(_FIRST_LOOK)
        post(_STATE)
        genuine = _percentiles(lambda: post(_STATE), count)
        forged = _percentiles(lambda: post("a guess"), count)
    bare = _percentiles(
        lambda: queues.put("bench", '{"a": "message of the size of a notice, alone, without a host or a webhook"}'),
        count,
    )
    queues.close()
    alone, other = "a message into the queue alone", "a genuine notice"
    return [
        Figure(name="webhook_answer_p50", value=genuine[0], unit="ms", against=bare[0], note=alone),
        Figure(name="webhook_answer_p99", value=genuine[1], unit="ms", against=bare[1], note=alone),
        Figure(name="webhook_forged_p99", value=forged[1], unit="ms", against=genuine[1], note=other),
    ]


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


def _percentiles(call: Callable[[], None], count: int) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]
