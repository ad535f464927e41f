"""A poller, or a queue's trigger, that kills itself where it is told to: python -m tests.scenarios.stream_worker JSON

The document: the app's settings (`env`), `where` to die, and for the trigger the `message`; for a poller that has to end,
`patience`: how many seconds it waits for a queue that is down. Nothing else is replaced but the step at which it dies;
everything before it was really done.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from shared.adapters.metastore.streams import StreamStore
from shared.adapters.postgres.replication import Stream
from shared.adapters.postgres.slots import SlotAdmin
from shared.core.ids import InstanceId
from shared.core.slots import Progress
from shared.engine import Engine
from shared.poller import poller, session
from shared.poller.outbox import Outbox
from shared.settings import from_env


def die(*_: object, **__: object) -> NoReturn:
    """Nothing is cleaned up, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def after(work: Callable[..., Any]) -> Callable[..., Any]:
    """Dies when the work is done."""

    def then(*arguments: Any, **named: Any) -> None:
        work(*arguments, **named)
        die()

    return then


def with_changes(work: Callable[..., Any], last: Callable[..., Any]) -> Callable[..., Any]:
    """`last` in the place of the first piece of work that is about changes; those before it go on."""

    def then(self: Any, *arguments: Any, **named: Any) -> Any:
        about = [argument for argument in arguments if getattr(argument, "changes", 0)]
        return (last if about else work)(self, *arguments, **named)

    return then


def over_changes(then: Callable[[], object]) -> Callable[..., None]:
    """Progress that calls `then` after it has moved the mark over changes.

    A poller hands over what has arrived: while that is half a transaction, its changes are in the queue, and the mark stays."""
    progress, changes = StreamStore.progress, [0]

    def moved(self: StreamStore, instance: InstanceId, epoch: int, done: Progress, *, lease: timedelta) -> None:
        before = self.slot(instance)
        progress(self, instance, epoch, done, lease=lease)
        changes[0] += done.changes
        if changes[0] and before is not None and done.queued > before.queued:
            then()

    return moved


def arm(where: str) -> None:
    """Where the process dies."""
    match where:
        case "read":  # the changes are read, none of them is in the queue
            Outbox.put = with_changes(Outbox.put, die)  # type: ignore[method-assign]
        case "queued":  # the messages are in the queue, our own mark has not moved
            StreamStore.progress = with_changes(StreamStore.progress, die)  # type: ignore[method-assign]
        case "marked":  # our own mark has moved over changes, the server was not told
            StreamStore.progress = over_changes(die)  # type: ignore[method-assign]
        case "confirmed":  # the server was told
            confirm = Stream.confirm

            def next_one_dies() -> None:
                Stream.confirm = after(confirm)  # type: ignore[method-assign]

            StreamStore.progress = over_changes(next_one_dies)  # type: ignore[method-assign]
        case "making":  # a slot is about to be made
            StreamStore.make = after(StreamStore.make)  # type: ignore[method-assign]
        case "made":  # the slot is made, and not on record
            SlotAdmin.create = after(SlotAdmin.create)  # type: ignore[method-assign]
        case "holding":  # the holds for a broken stream are open, the slot's phase has not changed
            StreamStore.broke = die  # type: ignore[method-assign]
        case "taken":  # a message's marks are made, nothing is settled
            Engine.settle_changes = die  # type: ignore[method-assign]
        case "never":
            pass


def main(document: dict[str, Any]) -> int:
    arm(document["where"])
    if "patience" in document:
        session.LEASE = poller.LEASE = timedelta(seconds=2 * document["patience"])
    engine = Engine.from_settings(from_env(document["env"]))
    engine.open()
    if "message" in document:
        engine.take_message(document["message"])
        return 0
    worker = poller.Poller(engine, holder=f"worker {os.getpid()}", jitter=random.random)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
