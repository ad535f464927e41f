"""Settle both ways: a create without an answer made an item, and a person brings the row's former one back, which does not
carry the row's key."""

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy
from shared.core.ids import ItemId, identity_of
from shared.core.items import DeleteItem, NotSent
from shared.core.ledger import EntryState
from tests.fakes.lists import Answer, answering, lost_after
from tests.settle.renames.keys import B, item_ids, pushed, rename
from tests.settle.two_way import pull, see, two_way, values_of
from tests.settle.world import World

ONE = identity_of(["1"])


def remade(world: World, answer: Answer, **fields: str) -> ItemId:
    """A person's item, whose row was made, and which was deleted before the row's key was on it. The row is made again, and
    its create gets no answer."""
    item = world.lists.add({"A": "x", **fields})
    world.lists.script.append(answering(NotSent(retry_after=5.0)))
    pull(world, item)
    world.lists.remove(item)
    world.lists.script.append(answer)
    world.wait(6)
    world.settle()
    return item


def key_of(world: World, item: ItemId) -> object:
    return world.lists.items[item].versions[-1].get(world.definition.target.key_column)


def test_the_row_is_the_new_items_and_the_former_one_stays_as_the_person_left_it(named: World):
    former = remade(named, lost_after, ID_COL="1", B="typed")
    named.lists.restore(former)
    see(named, former)
    named.wait(61)
    named.settle()
    [new] = named.lists.items.keys() - {former}
    entry = named.entry(ONE)
    assert entry is not None
    assert (entry.state, entry.item_id) == (EntryState.SETTLED, new)
    assert values_of(named, "1") == {"a": "x", "b": "typed"}
    assert named.items()[None] == {"A": "x", "B": "typed", "ID_COL": "1"}
    assert not [write for write in named.lists.writes if isinstance(write, DeleteItem)]
    named.wait(400)
    named.settle()
    assert [(row[0], row[1], row[2]) for row in named.backlog_rows()] == [(None, "PARKED", "second_item")]


def test_a_create_that_lands_between_the_look_and_the_write_of_the_key_is_found(named: World):
    former = remade(named, named.lists.astray, ID_COL="1")
    named.lists.restore(former)
    see(named, former)
    named.wait(61)

    def overtaken(_write: object, happen):
        named.lists.land_late()
        return happen()

    named.lists.script.append(overtaken)
    named.settle()
    [new] = named.lists.items.keys() - {former}
    entry = named.entry(ONE)
    assert entry is not None
    assert (entry.state, entry.item_id) == (EntryState.SETTLED, new)
    assert list(named.source.rows) == ["1"]
    named.wait(400)
    named.settle()
    assert [(row[0], row[1], row[2]) for row in named.backlog_rows()] == [(None, "PARKED", "second_item")]


def test_the_former_item_stays_the_rows_where_the_create_never_lands(named: World):
    former = remade(named, named.lists.astray, ID_COL="1")
    named.lists.restore(former)
    see(named, former)
    named.wait(61)
    named.settle()
    named.lists.land_late()
    named.wait(400)
    named.settle()
    assert list(named.lists.items) == [former]
    assert named.expected() == named.items()
    assert not named.backlog_rows()


def test_a_former_item_that_comes_back_while_the_new_one_is_found_is_not_forgotten(named: World):
    """The list tells of it as of the row's item, and that is another one by then."""
    former = remade(named, lost_after, ID_COL="1")
    named.wait(61)
    for passed in named.worker():
        if passed is Boundary.ITEMS_READ and former not in named.lists.items:
            named.lists.restore(former)
            see(named, former)
    named.wait(400)
    named.settle()
    assert len(named.lists.items) == 2
    assert [(row[0], row[1], row[2]) for row in named.backlog_rows()] == [(None, "PARKED", "second_item")]


@pytest.mark.parametrize("boundary", [Boundary.ITEMS_READ, Boundary.CONFIRMED, Boundary.CLAIMED])
def test_a_worker_that_dies_on_the_way_forgets_neither_item(named: World, boundary):
    former = remade(named, lost_after, ID_COL="1")
    named.lists.restore(former)
    see(named, former)
    named.wait(61)
    named.die_at(boundary)
    named.wait(61)
    named.settle()
    [new] = named.lists.items.keys() - {former}
    assert named.ledger_items() == {new: ONE}
    named.wait(400)
    named.settle()
    assert [(row[0], row[1], row[2]) for row in named.backlog_rows()] == [(None, "PARKED", "second_item")]


def test_an_item_that_a_person_brought_back_is_never_taken_for_a_late_create_of_ours(named: World):
    """The row is gone, and the item holds what the create has sent: but a create would have put the row's key on it."""
    former = remade(named, named.lists.astray, ID_COL="1")
    named.source.delete("1")
    named.wait(61)
    named.push()
    entry = named.entry(ONE)
    assert entry is not None
    assert (entry.state, len(entry.intents)) == (EntryState.TOMBSTONE, 1)
    named.lists.restore(former)
    named.mark(ONE, Reason.COMMAND)  # the list has not told of it yet
    named.settle()
    pull(named, former)
    assert not [write for write in named.lists.writes if isinstance(write, DeleteItem)]
    assert (list(named.lists.items), values_of(named, "1")["a"]) == ([former], "x")
    named.wait(400)
    named.settle()
    assert named.expected() == named.items()
    assert not named.backlog_rows()


def test_a_late_create_of_a_row_that_is_gone_does_not_keep_its_key_from_the_item_that_came_back(named: World):
    former = remade(named, named.lists.astray, ID_COL="1", B="typed")
    named.source.delete("1")
    named.wait(61)
    named.push()
    named.lists.restore(former)
    see(named, former)
    named.lists.land_late()
    for _ in range(4):
        named.settle()
        named.wait(150)
    assert list(named.lists.items) == [former]
    assert (key_of(named, former), values_of(named, "1")) != (None, {"a": "x", "b": "typed"})
    assert named.expected() == named.items()
    assert not named.backlog_rows()


@pytest.mark.parametrize("setup", [{"item_deleted": DeletePolicy.RECREATE}, two_way()], ids=["push", "two-way"])
def test_an_item_that_still_has_its_rows_former_key_gives_way_to_the_one_with_its_key(metastore: str, setup):
    world = World(metastore, **setup)
    former = pushed(world, "A")["A"]
    rename(world, "A", "B", a="new")
    world.lists.script.append(answering(NotSent(retry_after=5.0)))
    world.settle()
    world.lists.remove(former)
    world.lists.script.append(lost_after)
    world.wait(6)
    world.settle()
    world.lists.restore(former)
    see(world, former)
    world.wait(61)
    world.settle()
    [new] = world.lists.items.keys() - {former}
    entry = world.entry(B)
    assert entry is not None
    assert (entry.state, entry.item_id) == (EntryState.SETTLED, new)
    assert item_ids(world) == {"A": former, "B": new}
    world.wait(400)
    world.settle()
    assert not world.backlog_rows()
    assert values_of(world, "B")["a"] == "new"
    world.close()
