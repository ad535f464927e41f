"""Notices on their way into the queue: together where they may, never on a message that was sent before they came."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from functions.messages import ListEvent, ListNotice
from functions.sender import Sender
from shared.core.errors import QueueUnavailable


def notice(number: int) -> ListNotice:
    return ListNotice(definition=UUID(int=number), event=ListEvent.CHANGED)


@dataclass
class Queue:
    """A queue whose messages are on their way until somebody lets them arrive, in the order in which they were sent."""

    sent: list[list[ListNotice]] = field(default_factory=list)
    began: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    gates: list[threading.Event] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def put(self, notices: Sequence[ListNotice]) -> float:
        gate = threading.Event()
        self.gates.append(gate)
        self.sent.append(list(notices))
        self.loop.call_soon_threadsafe(self.began.put_nowait, None)
        assert gate.wait(30)
        if self.refuses:
            raise QueueUnavailable("away")
        return 0.25

    async def on_its_way(self, count: int = 1) -> None:
        for _ in range(count):
            await asyncio.wait_for(self.began.get(), 30)

    def arrive(self, number: int) -> None:
        self.gates[number].set()


def test_a_notice_is_sent_at_once_and_answered_when_the_queue_has_it():
    async def play() -> None:
        queue = Queue()
        answer = asyncio.create_task(Sender(queue.put).send([notice(1)]))
        await queue.on_its_way()
        assert not answer.done()
        queue.arrive(0)
        assert await answer == 0.25
        assert queue.sent == [[notice(1)]]

    asyncio.run(play())


def test_what_comes_while_messages_are_on_their_way_goes_together_and_each_list_once():
    async def play() -> None:
        queue = Queue()
        sender = Sender(queue.put)
        for number in (1, 2):
            early = asyncio.create_task(sender.send([notice(number)]))
            await queue.on_its_way()
        late = [asyncio.create_task(sender.send([notice(number)])) for number in (1, 3, 1, 3)]
        await asyncio.sleep(0)
        queue.arrive(0)
        await queue.on_its_way()
        # The list of notice 1 was on its way already: that message may have been read before these came.
        assert queue.sent == [[notice(1)], [notice(2)], [notice(1), notice(3)]]
        assert not any(answer.done() for answer in late)
        queue.arrive(2)
        assert await asyncio.gather(*late) == [0.25] * 4  # while another still hangs
        assert not early.done()
        queue.arrive(1)
        await early

    asyncio.run(play())


def test_a_message_that_is_not_taken_fails_all_that_went_with_it_and_nobody_else():
    async def play() -> None:
        queue = Queue(refuses=True)
        sender = Sender(queue.put)
        together = [asyncio.create_task(sender.send([notice(number)])) for number in (1, 2)]
        await queue.on_its_way()
        queue.arrive(0)
        for answer in together:
            with pytest.raises(QueueUnavailable):
                await answer
        queue.refuses = False
        later = asyncio.create_task(sender.send([notice(3)]))
        await queue.on_its_way()
        queue.arrive(1)
        assert await later == 0.25

    asyncio.run(play())


def test_a_caller_that_gives_up_takes_no_notice_of_others_along():
    async def play() -> None:
        queue = Queue()
        sender = Sender(queue.put)
        first, second = (asyncio.create_task(sender.send([notice(number)])) for number in (1, 2))
        await queue.on_its_way()
        first.cancel()
        queue.arrive(0)
        assert await second == 0.25
        assert queue.sent == [[notice(1), notice(2)]]

    asyncio.run(play())
