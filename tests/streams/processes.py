"""A world whose poller is a process of its own, whose queue is a real one, and whose messages a test takes from it."""

import base64
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from infra.local.azurite import Azurite
from infra.local.simulator import ROOT
from shared.adapters.queue import API_VERSION, StorageQueues
from shared.engine.streams import QUEUE
from tests.api.world import World
from tests.streams.world import SECONDS, Streaming, until


class Processes(Streaming):
    """As Streaming, over process boundaries."""

    def __init__(self, world: World, azurite: Azurite) -> None:
        super().__init__(world)
        self.arrived = self.lost = 0
        self.connection_string = azurite.connection_string
        world.engine.queue = StorageQueues(azurite.connection_string)
        world.engine.queue.put(QUEUE, "{}")  # so that it is there
        self.client = QueueClient.from_connection_string(
            azurite.connection_string,
            QUEUE,
            api_version=API_VERSION,
            message_decode_policy=TextBase64DecodePolicy(),
        )
        self.client.clear_messages()

    def close(self) -> None:
        self.client.clear_messages()
        self.client.close()

    def env(self) -> dict[str, str]:
        settings = self.world.engine.settings
        return {
            "SYNCBRIDGE_METASTORE_DSN": settings.metastore_dsn,
            "SYNCBRIDGE_SECRET_KEY": base64.b64encode(settings.secret_key).decode(),
            "SYNCBRIDGE_ALLOWED_HOSTS": "127.0.0.1",
            "SYNCBRIDGE_QUEUE_CONNECTION": self.connection_string,
        }

    def start(self, where: str = "never", **more: Any) -> subprocess.Popen[bytes]:
        document = {"env": self.env(), "where": where, **more}
        command = [sys.executable, "-m", "tests.scenarios.stream_worker", json.dumps(document)]
        return subprocess.Popen(command, cwd=ROOT)

    def dies(self, where: str, **more: Any) -> None:
        """A process that dies there, and nowhere else."""
        process = self.start(where, **more)
        try:
            assert process.wait(SECONDS) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        self.lapse()

    def lapse(self) -> None:
        """The dead one's lease has run out."""
        self.world.metastore("update syncbridge.stream_slots set leased_until = clock_timestamp()")

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """A poller that does what it should; it ends in good order."""
        process = self.start()
        try:
            until(lambda: self.reads(process), self._slots)
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            process.wait()

    def reads(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it is this process that reads the slot."""
        found = self.world.engine.stores.streams.slots()
        return bool(found and found[0].streaming and found[0].holder == f"worker {process.pid}")

    def messages(self) -> list[str]:
        """Everything that waits; taken from the queue for good."""
        taken = []
        while page := list(self.client.receive_messages(max_messages=32, messages_per_page=32)):
            for message in page:
                taken.append(message.content)
                self.client.delete_message(message)
        return taken

    def deliver_somehow(self, chance: random.Random, *, lossy: bool = False) -> None:
        """In any order, some twice; lossy: the first never, and of those after it one in a hundred."""
        texts = self.messages()
        chance.shuffle(texts)
        for text in texts:
            self.arrived += lossy
            if lossy and self.arrived % 100 == 1:
                self.lost += 1
                continue
            self.world.engine.take_message(text)
            if chance.random() < 0.1:
                self.world.engine.take_message(text)

    def _slots(self) -> object:
        return self.world.engine.stores.streams.slots()
