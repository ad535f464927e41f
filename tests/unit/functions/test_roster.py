"""Whom a notice may come from: known without asking, unknown at the price of one look in a while."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from functions.roster import Roster
from shared.core.errors import MetastoreUnavailable
from shared.core.ids import DefinitionId, ListId
from shared.core.watching import Known, state_hash

LIST = ListId("11111111-2222-3333-4444-555555555555")


def known(state: str, definition: int = 1) -> Known:
    return Known(definition=DefinitionId(UUID(int=definition)), list_id=LIST, client_state_hash=state_hash(state))


@dataclass
class Book:
    """What the metastore has, and how often it was asked."""

    entries: dict[str, Known] = field(default_factory=dict)
    loads: int = 0
    broken: bool = False
    now: float = 100.0
    gate: threading.Event | None = None

    def load(self) -> Mapping[str, Known]:
        self.loads += 1
        if self.gate is not None:
            self.gate.wait()
        if self.broken:
            raise ConnectionError("the metastore of contoso")
        return dict(self.entries)


@pytest.fixture
def book() -> Book:
    return Book({"sub-a": known("hush")})


@pytest.fixture
def roster(book: Book) -> Roster:
    return Roster(load=book.load, monotonic=lambda: book.now)


def found(roster: Roster, subscription: str, state: str) -> Known | None:
    return asyncio.run(roster.find(subscription, state))


def test_a_known_subscription_with_its_state_is_found_and_asks_nobody_the_second_time(roster: Roster, book: Book):
    assert found(roster, "sub-a", "hush") == known("hush")
    book.broken = True
    book.now += 1_000_000
    assert found(roster, "SUB-A", "hush") == known("hush")
    assert book.loads == 1


@pytest.mark.parametrize("state", ["", "Hush", "hush ", "h"])
def test_a_known_subscription_with_another_state_is_nobody_and_asks_nobody(roster: Roster, book: Book, state: str):
    found(roster, "sub-a", "hush")
    assert found(roster, "sub-a", state) is None
    assert book.loads == 1


def test_ten_thousand_strangers_cost_one_look(roster: Roster, book: Book):
    async def flood() -> list[Known | None]:
        return [await roster.find(f"stranger-{n}", "hush") for n in range(10_000)]

    assert set(asyncio.run(flood())) == {None}
    assert book.loads == 1


def test_strangers_that_come_while_it_loads_wait_for_the_same_look(roster: Roster, book: Book):
    book.gate = threading.Event()

    async def flood() -> list[Known | None]:
        calls = [asyncio.create_task(roster.find(f"stranger-{n}", "hush")) for n in range(50)]
        calls.append(asyncio.create_task(roster.find("sub-a", "hush")))
        await asyncio.sleep(0)
        assert book.gate is not None
        book.gate.set()
        return await asyncio.gather(*calls)

    answers = asyncio.run(flood())
    assert answers[:-1] == [None] * 50
    assert answers[-1] == known("hush")
    assert book.loads == 1


def test_one_that_was_made_after_the_last_look_is_found_at_the_next(roster: Roster, book: Book):
    assert found(roster, "sub-b", "new") is None
    book.entries["sub-b"] = known("new", definition=2)
    assert found(roster, "sub-b", "new") is None
    book.now += 2.1
    assert found(roster, "sub-b", "new") == known("new", definition=2)
    assert book.loads == 2


def test_while_the_metastore_is_away_nobody_can_say_and_it_is_not_asked_at_every_call(
    roster: Roster, book: Book, caplog: pytest.LogCaptureFixture
):
    book.broken = True
    for _ in range(100):
        with pytest.raises(MetastoreUnavailable):
            found(roster, "sub-a", "hush")
    assert book.loads == 1
    assert "contoso" not in caplog.text
    book.broken = False
    book.now += 2.1
    assert found(roster, "sub-a", "hush") == known("hush")


def test_what_it_knows_outlives_the_metastores_absence(roster: Roster, book: Book):
    found(roster, "sub-a", "hush")
    book.broken = True
    book.now += 2.1
    with pytest.raises(MetastoreUnavailable):
        found(roster, "stranger", "hush")
    assert found(roster, "sub-a", "hush") == known("hush")


def test_a_caller_that_gives_up_does_not_take_the_look_of_the_others_with_it(roster: Roster, book: Book):
    book.gate = threading.Event()

    async def impatient() -> Known | None:
        first = asyncio.create_task(roster.find("sub-a", "hush"))
        second = asyncio.create_task(roster.find("sub-a", "hush"))
        await asyncio.sleep(0)
        first.cancel()
        assert book.gate is not None
        book.gate.set()
        return await second

    assert asyncio.run(impatient()) == known("hush")
