"""Captures of the list and settle together, in two-way definitions: what people do in the list reaches the rows."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Reason, SubjectState
from shared.core.definition import DeletePolicy, GuardSettings
from shared.core.ids import Identity, ItemId, RunId, identity_of
from shared.usecases.ingress import CapturedList, capture_list
from tests.settle.two_way import two_way
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore, **two_way(guards=GuardSettings(max_deletes=2)))
    made.lists.page = 5
    yield made
    made.close()


@pytest.fixture
def ingress(world: World) -> Callable[[], CapturedList]:
    """A function that takes ingress steps and settles until nothing is due."""

    def run() -> CapturedList:
        found = capture_list(
            world.definition,
            RunId(uuid4()),
            world.tools(),
            cursors=CursorStore(world.store),
            enumerations=EnumerationStore(world.store, chunk=3),
            limits=world.limits,
            seconds=60.0,
            go_on=lambda: True,
        )
        assert not found.more
        world.settle()
        return found

    return run


def pushed(world: World, rows: int) -> None:
    for n in range(rows):
        world.source.put(str(n), a=f"a{n}", b=f"b{n}")
    world.push()


def item_of(world: World, n: int) -> ItemId:
    found = world.entry(Identity(f'["{n}"]'))
    assert found is not None
    assert found.item_id is not None
    return found.item_id


def waiting(world: World) -> list[str]:
    return sorted(row[0] for row in world.backlog_rows() if row[1] == "AWAITING_APPROVAL")


def quiet(world: World, ingress: Callable[[], CapturedList]) -> bool:
    """Whether nothing is written and nothing is left, whatever is captured."""
    before = (len(world.lists.writes), dict(world.source.rows))
    for _ in range(2):
        ingress()
        world.push()
    return (len(world.lists.writes), dict(world.source.rows)) == before and world.backlog_rows() == []


def test_a_persons_edit_reaches_its_row_without_a_reading_of_the_item(world: World, ingress):
    pushed(world, 3)
    ingress()
    world.lists.edit(item_of(world, 1), {"A": "by hand"})
    reads = world.lists.reads
    ingress()
    assert world.source.rows["1"]["a"] == "by hand"
    assert world.lists.reads == reads
    assert quiet(world, ingress)


def test_an_item_that_a_person_deletes_takes_its_row_with_it(world: World, ingress):
    pushed(world, 3)
    ingress()
    world.lists.remove(item_of(world, 1))
    ingress()
    assert sorted(world.source.rows) == ["0", "2"]
    assert quiet(world, ingress)


def test_a_dead_token_loses_no_edit_and_no_deletion(world: World, ingress):
    pushed(world, 12)
    ingress()
    world.lists.edit(item_of(world, 1), {"A": "by hand"})
    world.lists.remove(item_of(world, 2))
    world.lists.expire()
    ingress()
    assert world.source.rows["1"]["a"] == "by hand"
    assert "2" not in world.source.rows
    assert quiet(world, ingress)


@pytest.fixture
def deleted(world: World, ingress) -> None:
    """Three items of twelve are gone, found by reading the whole list: more than may go in a day."""
    pushed(world, 12)
    ingress()
    for n in (1, 2, 3):
        world.lists.remove(item_of(world, n))
    world.lists.expire()
    ingress()
    assert waiting(world) == ['["1"]', '["2"]', '["3"]']
    assert len(world.source.rows) == 12


@pytest.mark.usefixtures("deleted")
def test_many_deletes_wait_for_a_person_whatever_is_captured_meanwhile(world: World, ingress):
    for _ in range(2):
        world.lists.expire()
        ingress()
        world.push()
    assert waiting(world) == ['["1"]', '["2"]', '["3"]']
    assert len(world.source.rows) == 12


@pytest.mark.usefixtures("deleted")
def test_approved_deletes_are_done(world: World, ingress):
    released = HoldStore(world.store).release_subjects(
        world.definition.id, SubjectState.AWAITING_APPROVAL, None, approve=True, actor="me"
    )
    assert released == 3
    ingress()
    assert len(world.source.rows) == 9
    assert quiet(world, ingress)


@pytest.mark.usefixtures("deleted")
def test_rows_of_rejected_deletes_stay_without_items_until_they_change(world: World, ingress):
    assert HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me") == 3
    world.lists.expire()
    assert quiet(world, ingress)
    for key in ("1", "2", "3"):
        world.mark(identity_of([key]), Reason.DRIFT)
    world.settle()
    assert quiet(world, ingress)
    assert (len(world.source.rows), len(world.lists.items)) == (12, 9)
    world.source.put("1", a="changed")
    world.push()
    assert len(world.lists.items) == 10
    assert quiet(world, ingress)


@pytest.mark.usefixtures("deleted")
def test_a_delete_whose_row_was_edited_leaves_by_itself_and_the_edit_survives(world: World, ingress):
    world.source.put("1", a="edited")
    world.push()
    assert waiting(world) == ['["2"]', '["3"]']
    assert world.source.rows["1"]["a"] == "edited"
    assert len(world.lists.items) == 10


@pytest.mark.usefixtures("deleted")
def test_a_delete_whose_row_was_deleted_as_well_leaves_by_itself(world: World, ingress):
    world.source.delete("1")
    world.push()
    assert waiting(world) == ['["2"]', '["3"]']
    assert (len(world.source.rows), len(world.lists.items)) == (11, 9)


@pytest.mark.parametrize("by", ["delta", "enumeration"])
@pytest.mark.usefixtures("deleted")
def test_a_delete_whose_item_was_restored_leaves_by_itself(world: World, ingress, by: str):
    world.lists.restore(item_of(world, 1))
    if by == "enumeration":
        world.lists.expire()
    ingress()
    assert waiting(world) == ['["2"]', '["3"]']
    assert "1" in world.source.rows


def test_deletes_that_settle_makes_wait_can_be_rejected_too(world: World, ingress):
    world.definition = replace(world.definition, item_deleted=DeletePolicy.APPROVE)
    pushed(world, 6)
    ingress()
    world.lists.remove(item_of(world, 1))
    ingress()
    assert waiting(world) == ['["1"]']
    HoldStore(world.store).reject_subjects(world.definition.id, None, actor="me")
    world.lists.expire()
    assert quiet(world, ingress)
    assert (len(world.source.rows), len(world.lists.items)) == (6, 5)


def test_a_scan_does_not_end_the_wait_of_a_row_whose_item_is_gone(world: World, ingress):
    world.definition = replace(world.definition, item_deleted=DeletePolicy.APPROVE)
    pushed(world, 6)
    ingress()
    world.lists.remove(item_of(world, 1))
    ingress()
    for _ in range(2):
        world.push()
        ingress()
    assert waiting(world) == ['["1"]']
