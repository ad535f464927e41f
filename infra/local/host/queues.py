"""Storage-queue triggers and outputs.

Behaviour of QueueListener, QueueListenerFactory and QueueProcessor in the Storage Queues extension
(github.com/Azure/azure-sdk-for-net, sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues): batches,
newBatchThreshold, dequeue count, renewal of visibility at half its time, the poison queue, base64.
"""

import asyncio
import base64
import binascii
import json
import logging
import random
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions import meta
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from infra.local.host.backoff import Backoff
from infra.local.host.dispatch import Dispatcher
from infra.local.host.indexing import Binding, Function
from infra.local.host.invocation import InvocationFailed
from infra.local.host.logs import say
from infra.local.host.settings import QueueConfig
from infra.local.host.storage import Connections

log = logging.getLogger("localhost.queues")
_POISON = "-poison"
LEASE = timedelta(minutes=10)  # the visibility time-out under which the host reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A queue: the setting of its connection, and its name."""

    connection: str
    name: str


def address(binding: Binding) -> Address:
    return Address(connection=str(binding.raw.get("connection") or "Storage"), name=str(binding.raw["queueName"]))


class QueueOutputs:
    """Sends what output bindings hold; a missing queue is created, as the real binding does."""

    def __init__(self, connections: Connections, config: QueueConfig, stack: AsyncExitStack) -> None:
        self._connections, self._config, self._stack = connections, config, stack
        self._clients: dict[Address, QueueClient] = {}

    async def send(self, binding: Binding, datum: meta.Datum) -> None:
        where = address(binding)
        client = self._clients.get(where)
        if client is None:
            client = await self._stack.enter_async_context(self._connections.queue(where.connection, where.name))
            self._clients[where] = client
            await _create(client)
        for body in bodies(datum):
            await client.send_message(base64.b64encode(body).decode() if self._config.base64 else body.decode())


def bodies(datum: meta.Datum) -> Iterable[bytes]:
    """A datum of a queue output: one text, one byte string, or a JSON list or object of messages."""
    if datum.type == "bytes":
        return [bytes(datum.value)]
    if datum.type != "json":
        return [str(datum.value).encode()]
    value = json.loads(datum.value)
    items = value if isinstance(value, list) else [value]
    return [str(item["body"] if isinstance(item, dict) else item).encode() for item in items]


class QueueListener:
    """One trigger's poller. It reads while at most newBatchThreshold messages are in work."""

    def __init__(
        self,
        function: Function,
        dispatcher: Dispatcher,
        connections: Connections,
        config: QueueConfig,
        *,
        lease: timedelta = LEASE,
    ) -> None:
        where = address(function.trigger)
        self._function, self._dispatcher, self._config = function, dispatcher, config
        self._lease = lease
        self._queue = connections.queue(where.connection, where.name)
        # What ends in a poison queue goes no further: there is no poison queue of a poison queue.
        last = where.name.endswith(_POISON)
        self._poison = None if last else connections.queue(where.connection, f"{where.name}{_POISON}")
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Polls until cancelled."""
        backoff = Backoff(self._config.max_polling_interval, random.uniform)
        async with AsyncExitStack() as stack:
            for queue in (self._queue, self._poison):
                if queue is not None:
                    await stack.enter_async_context(queue)
            try:
                while True:
                    found = await self._poll()
                    if found:
                        await self._room()
                    delay = backoff.after(found=found)
                    if not found:
                        await asyncio.sleep(delay.total_seconds())
            finally:
                if self._work:  # their messages become visible again if they do not end in time
                    await asyncio.wait(self._work, timeout=5)

    async def _room(self) -> None:
        while len(self._work) > self._config.new_batch_threshold:
            await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)

    async def _poll(self) -> bool:
        size, seconds = self._config.batch_size, int(self._lease.total_seconds())
        messages: list[QueueMessage] = []
        try:
            pages = self._queue.receive_messages(messages_per_page=size, max_messages=size, visibility_timeout=seconds)
            messages = [message async for message in pages]
        except ResourceNotFoundError:
            return False  # nobody has sent anything yet: the sender creates the queue
        except AzureError as error:
            say(log, logging.WARNING, "queue.unreachable", function=self._function.name, error=type(error).__name__)
        for message in messages:
            task = asyncio.create_task(self._handle(message))
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        return bool(messages)

    async def _handle(self, message: QueueMessage) -> None:
        try:
            await self._process(message)
        except AzureError as error:
            # The message was not deleted, so it comes again: at least once.
            say(log, logging.WARNING, "queue.unsettled", function=self._function.name, error=type(error).__name__)

    async def _process(self, message: QueueMessage) -> None:
        dequeues = message.dequeue_count or 1
        try:
            text = self._decode(message.content)
        except ValueError:
            say(log, logging.ERROR, "queue.not_base64", function=self._function.name, id=message.id)
            await self._bury(message)
            return
        if dequeues > self._config.max_dequeue_count:  # earlier runs died before they could bury it
            await self._bury(message)
            return
        failure: str | None = None
        renewal = asyncio.create_task(self._renew(message))
        try:
            await self._dispatcher.run(self._function, meta.Datum(text, "string"), _metadata(message))
        except InvocationFailed as error:
            failure = f"{error.kind} at {error.at}"
        except AzureError as error:
            failure = f"output: {type(error).__name__}"
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
        if failure is None:
            await self._queue.delete_message(message)
            return
        say(log, logging.WARNING, "queue.failed", function=self._function.name, dequeues=dequeues, error=failure)
        if self._poison is None:
            return  # it stays hidden for the rest of its lease, and then comes again, so often as a message may
        if dequeues >= self._config.max_dequeue_count:
            await self._bury(message)
        else:
            await self._update(message, self._config.visibility_timeout)

    def _decode(self, content: str) -> str:
        if not self._config.base64:
            return content
        try:
            return base64.b64decode(content, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("not base64 of UTF-8") from error

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 2)
            await self._update(message, self._lease)

    async def _update(self, message: QueueMessage, visibility: timedelta) -> None:
        fresh = await self._queue.update_message(message, visibility_timeout=int(visibility.total_seconds()))
        message.pop_receipt = fresh.pop_receipt  # every update makes the older receipt worthless

    async def _bury(self, message: QueueMessage) -> None:
        if self._poison is None:
            return  # nobody runs it any more, and it stays until its time is over
        await _create(self._poison)
        await self._poison.send_message(message.content)
        await self._queue.delete_message(message)
        say(log, logging.ERROR, "queue.poison", function=self._function.name, id=message.id)


async def _create(client: QueueClient) -> None:
    try:
        await client.create_queue()
    except ResourceExistsError:
        return


def _metadata(message: QueueMessage) -> dict[str, meta.Datum]:
    values: dict[str, Any] = {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "PopReceipt": message.pop_receipt,
        "ExpirationTime": _stamp(message.expires_on),
        "InsertionTime": _stamp(message.inserted_on),
        "NextVisibleTime": _stamp(message.next_visible_on),
    }
    return {name: meta.Datum(str(value), "string") for name, value in values.items() if value is not None}


def manual_metadata(now: datetime) -> dict[str, meta.Datum]:
    """What a queue function sees that was fired by hand: a message that was inserted now."""
    stamp = str(_stamp(now))
    values = {"Id": str(uuid.uuid4()), "DequeueCount": "1", "PopReceipt": ""}
    values |= {"InsertionTime": stamp, "ExpirationTime": stamp, "NextVisibleTime": stamp}
    return {name: meta.Datum(value, "string") for name, value in values.items()}


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
