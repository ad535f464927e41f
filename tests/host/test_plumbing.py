"""Timers and storage queues end to end, on a real Azurite."""

import asyncio
import base64
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.functions import meta
from azure.storage.queue import QueueClient
from azure.storage.queue.aio import QueueClient as AsyncQueueClient

from infra.local.azurite import Azurite
from infra.local.host.indexing import Binding, Function
from infra.local.host.invocation import InvocationFailed, Outcome
from infra.local.host.queues import QueueListener
from infra.local.host.settings import QueueConfig
from infra.local.host.storage import API_VERSION, Connections
from tests.host.conftest import HostMaker
from tests.host.running import RunningHost, until

pytestmark = pytest.mark.slow


class Plumbing:
    """A host with its queues and its notes."""

    def __init__(self, host: RunningHost, azurite: Azurite, names: dict[str, str]) -> None:
        self.host, self.names = host, names
        self.azurite = azurite

    def queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.azurite.connection_string, name, api_version=API_VERSION)

    def notes(self, function: str, **more: object) -> list[dict]:
        file = Path(self.host.environment["NOTES"])
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [n for n in lines if n["function"] == function and all(n.get(k) == v for k, v in more.items())]

    def send(self, *texts: str) -> None:
        assert self.host.client.post("/api/send", json=list(texts)).text == "sent"

    def drained(self, name: str) -> list[str]:
        """Takes every message of a queue that anybody can see, as raw text."""
        with self.queue(name) as queue:
            try:
                found = list(queue.receive_messages(max_messages=32))
            except ResourceNotFoundError:
                return []
            for message in found:
                queue.delete_message(message)
            return [message.content for message in found]


MakePlumbing = Callable[..., Plumbing]


@pytest.fixture(scope="module")
def new_plumbing(new_host: HostMaker, azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> MakePlumbing:
    count = iter(range(1000))

    def make(*arguments: str, **environment: str) -> Plumbing:
        tag = f"h{next(count)}-{time.time_ns()}"
        names = {"INBOX": f"in-{tag}", "OUTBOX": f"out-{tag}"}
        values = names | {
            "AzureWebJobsStorage": azurite.connection_string,
            "HOURLY": "0 0 0 29 2 *",  # no hour, and hardly any day, may end while a test counts its runs
            "NOTES": str(tmp_path_factory.mktemp("notes") / "notes"),
        }
        return Plumbing(new_host("plumbing", *arguments, environment=values | environment), azurite, names)

    return make


@pytest.fixture(scope="module")
def plumbing(new_plumbing: MakePlumbing) -> Plumbing:
    return new_plumbing()


def unpacked(messages: list[str]) -> list[str]:
    return [base64.b64decode(message, validate=True).decode() for message in messages]


def test_messages_flow_from_an_output_through_a_trigger_to_an_output_in_base64(plumbing: Plumbing):
    texts = [f"hello-{i}" for i in range(12)]
    plumbing.send(*texts)
    until(lambda: len([n for n in plumbing.notes("take") if n["text"] in texts]) == 12)
    got: list[str] = []
    until(lambda: got.extend(unpacked(plumbing.drained(plumbing.names["OUTBOX"]))) or len(got) >= 12)
    assert {text.upper() for text in texts} <= set(got)
    first = {note["text"]: note["dequeues"] for note in reversed(plumbing.notes("take"))}
    assert {first[text] for text in texts} == {1}


def test_a_message_that_comes_after_a_quiet_time_is_taken(plumbing: Plumbing):
    # maxPollingInterval of the app is one second; the wait lets the back-off reach it.
    quiet = time.time() + 2.5
    until(lambda: time.time() > quiet)
    plumbing.send("after a rest")
    assert until(lambda: plumbing.notes("take", text="after a rest"))


def test_a_message_that_keeps_failing_is_tried_three_times_and_ends_in_the_poison_queue(plumbing: Plumbing):
    plumbing.send("bad apple")
    poison = until(lambda: plumbing.drained(plumbing.names["INBOX"] + "-poison"))
    assert unpacked(poison) == ["bad apple"]
    assert [note["dequeues"] for note in plumbing.notes("take", text="bad apple")] == [1, 2, 3]


def test_a_message_that_is_not_base64_goes_to_the_poison_queue_unread(plumbing: Plumbing):
    plumbing.send("makes the queue")
    with plumbing.queue(plumbing.names["INBOX"]) as queue:
        queue.send_message("plain text!")
    until(lambda: "plain text!" in plumbing.drained(plumbing.names["INBOX"] + "-poison"))
    assert not plumbing.notes("take", text="plain text!")


def test_a_killed_host_loses_no_message(new_plumbing: MakePlumbing):
    plumbing = new_plumbing()
    plumbing.send("slow600", "quick")
    with plumbing.queue(plumbing.names["INBOX"]) as queue:
        until(lambda: plumbing.notes("take", text="slow600"))
        until(lambda: queue.get_queue_properties().approximate_message_count == 1)  # "quick" is done and deleted
        plumbing.host.kill()
        # Hidden under the host's lease of ten minutes; in Azure it would come back by itself after them.
        assert queue.get_queue_properties().approximate_message_count == 1


def listened_to(
    azurite: Azurite, queue_name: str, run: Callable[[int, QueueListener], Awaitable[None]], lease: timedelta
) -> int:
    """How often one message is run until it is gone; in process, with a lease that is shorter than ten minutes."""

    class Runs:
        count = 0
        listener: QueueListener

        async def run(self, function: object, trigger: meta.Datum, metadata: object) -> Outcome:
            self.count += 1
            await run(self.count, self.listener)
            return Outcome()

    async def work() -> int:
        raw = {"queueName": queue_name, "connection": "AzureWebJobsStorage"}
        trigger = Binding(name="m", type="queueTrigger", out=False, raw=raw, converter="queueTrigger")
        function = Function(
            name="f", call=print, directory="", trigger=trigger, inputs=(trigger,), outputs=(), returned=None,
            is_async=False, wants_context=False,
        )  # fmt: skip
        runs = Runs()
        config = QueueConfig(max_polling_interval=timedelta(milliseconds=200), max_dequeue_count=2)
        connections = Connections({"AzureWebJobsStorage": azurite.connection_string})
        listener = QueueListener(function, runs, connections, config, lease=lease)  # type: ignore[arg-type]
        runs.listener = listener
        running = asyncio.create_task(listener.run())
        async with connections.queue("AzureWebJobsStorage", queue_name) as queue:
            await queue.create_queue()
            await queue.send_message(base64.b64encode(b"x").decode())
            deadline = time.monotonic() + 60
            while (await queue.get_queue_properties()).approximate_message_count:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return runs.count

    return asyncio.run(work())


def test_a_long_run_keeps_its_message_hidden_by_renewing_it(
    azurite: Azurite, queue_name: str, monkeypatch: pytest.MonkeyPatch
):
    """The loop's clock is moved by half a lease, as often as it is to be renewed."""
    renewals, update, lease = asyncio.Queue[object](), AsyncQueueClient.update_message, timedelta(seconds=600)

    async def noted(self: AsyncQueueClient, *arguments: object, **named: object) -> object:
        fresh = await update(self, *arguments, **named)  # type: ignore[arg-type]
        renewals.put_nowait(named["visibility_timeout"])
        return fresh

    monkeypatch.setattr(AsyncQueueClient, "update_message", noted)

    async def long(_: int, __: QueueListener) -> None:
        loop = asyncio.get_running_loop()
        clock = loop.time
        for times in (1, 2):
            await asyncio.sleep(0)  # the renewal has to be waiting before its time comes
            monkeypatch.setattr(loop, "time", lambda times=times: clock() + times * lease.total_seconds() / 2)
            assert await renewals.get() == lease.total_seconds()

    assert listened_to(azurite, queue_name, long, lease) == 1
    assert renewals.empty()


def test_what_fails_in_a_poison_queue_comes_again_and_goes_no_further(azurite: Azurite, queue_name: str):
    async def fails_once(run: int, listener: QueueListener) -> None:
        if run == 1:
            listener._lease = timedelta(minutes=10)  # of the next run: however long that takes, it is the last
            raise InvocationFailed("ValueError", "", "", "here")

    poison = f"{queue_name}-poison"
    assert listened_to(azurite, poison, fails_once, timedelta(seconds=1)) == 2
    connection = QueueClient.from_connection_string(
        azurite.connection_string, f"{poison}-poison", api_version=API_VERSION
    )
    with connection as queue, pytest.raises(ResourceNotFoundError):
        queue.get_queue_properties()


def test_a_timer_of_seconds_ticks_and_is_never_past_due(plumbing: Plumbing):
    ticks = until(lambda: plumbing.notes("every_second") if len(plumbing.notes("every_second")) >= 3 else None)
    assert not any(tick["late"] for tick in ticks)
    assert len({int(tick["at"]) for tick in ticks}) == len(ticks)


def test_a_timer_with_run_on_startup_runs_at_once(plumbing: Plumbing):
    assert len(until(lambda: plumbing.notes("at_start"))) == 1


def test_a_timer_can_be_fired_by_hand_with_the_master_key_only(plumbing: Plumbing):
    before = len(plumbing.notes("hourly"))
    assert plumbing.host.bare("POST", "/admin/functions/hourly", json={}).status_code == 401
    assert plumbing.host.client.post("/admin/functions/hourly", json={"input": ""}).status_code == 202
    assert len(plumbing.notes("hourly")) == before + 1
    assert set(plumbing.notes("hourly")[-1]["status"]) == {"Last", "Next", "LastUpdated"}


def test_a_fired_function_that_fails_says_so(plumbing: Plumbing):
    answer = plumbing.host.client.post("/admin/functions/failing_timer", json={})
    assert answer.status_code == 500
    assert "failing_timer failed: ValueError" in answer.json()["Message"]


def test_a_queue_function_can_be_fired_by_hand(plumbing: Plumbing):
    assert plumbing.host.client.post("/admin/functions/take", json={"input": "by hand"}).status_code == 202
    assert plumbing.notes("take", text="by hand")


def test_a_run_missed_while_no_host_ran_is_made_up_once(new_plumbing: MakePlumbing):
    plumbing = new_plumbing()
    plumbing.host.stop()
    assert not plumbing.notes("hourly")
    with sqlite3.connect(plumbing.host.folder / "state.db") as state:  # as if the host had stopped two hours ago
        assert (
            state.execute(
                "update timers set last = '2020-01-01T00:00:00.000000Z', next = '2020-01-01T01:00:00.000000Z' where name = 'hourly'"
            ).rowcount
            == 1
        )
    state.close()
    plumbing.host.start()
    assert [note["late"] for note in until(lambda: plumbing.notes("hourly"))] == [True]
    plumbing.host.stop()
    plumbing.host.start()
    until(lambda: len(plumbing.notes("at_start")) == 3)
    assert len(plumbing.notes("hourly")) == 1


def test_a_disabled_function_does_not_run(new_plumbing: MakePlumbing):
    plumbing = new_plumbing(AzureWebJobs_at_start_Disabled="true")
    until(lambda: plumbing.notes("every_second"))
    assert not plumbing.notes("at_start")
