"""Settle both ways: what a capture had in hand, and half-typed edits."""

from datetime import timedelta

import pytest

from shared.core.backlog import Observation
from shared.core.boundaries import Boundary
from shared.core.errors import SourceUnavailable
from shared.core.ids import ItemId, ItemSubject, RowSubject
from shared.core.items import Item, Looked
from shared.usecases.steps import drive
from tests.settle.two_way import one, pull, quiet, see, two_way, values_of
from tests.settle.world import World


def test_an_observation_saves_the_reading_when_it_is_still_current(world: World):
    identity, item = one(world, a="x")
    world.lists.edit(item, {"A": "person"})
    since = world.backlog.next_number()
    seen = observed(world, item)
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog").fetchall()[0][0]
    reads = world.lists.reads
    world.observations = {RowSubject(identity=identity).key: Observation(item=seen, number=number, since=since)}
    world.settle()
    assert world.lists.reads == reads
    assert values_of(world, "1")["a"] == "person"


@pytest.mark.parametrize("stale", ["the mark is another one", "the agreement is younger"])
def test_an_observation_that_is_not_current_any_more_is_not_used(world: World, stale):
    identity, item = one(world, a="x")
    since = world.backlog.next_number()
    world.lists.edit(item, {"A": "old news"})
    seen = observed(world, item)
    world.lists.edit(item, {"A": "person"})
    if stale == "the agreement is younger":
        pull(world, item)
        world.lists.edit(item, {"A": "person again"})
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog").fetchall()[0][0]
    if stale == "the mark is another one":
        see(world, item)
    world.observations = {RowSubject(identity=identity).key: Observation(item=seen, number=number, since=since)}
    world.settle()
    assert values_of(world, "1")["a"] != "old news"
    assert world.expected() == world.items()


def observed(world: World, item: ItemId) -> Item:
    look = world.lists.look(world.definition.target, [item])[item]
    assert isinstance(look, Looked)
    assert look.item is not None
    return look.item


def test_an_item_of_ours_that_the_list_tells_before_the_ledger_knows_costs_no_reading(world: World):
    identity = world.source.put("1", a="x")
    world.scan()
    world.die_at(Boundary.SENT)
    [item] = world.lists.items
    since = world.backlog.next_number()
    seen = observed(world, item)
    see(world, item)
    number = world.sql.execute("select number from syncbridge.sync_backlog where sp_item_id is not null").fetchall()[0][
        0
    ]
    subject = ItemSubject(list_id=world.definition.target.list_id, item_id=item)
    reads = world.lists.reads
    world.observations = {subject.key: Observation(item=seen, number=number, since=since)}
    drive(world.worker())
    assert world.lists.reads == reads
    assert [identity] == [row[0] for row in world.backlog_rows()], "its row is looked at instead"
    world.wait(61)
    world.settle()
    assert list(world.lists.items) == [item]
    world.wait(301)  # until then the create could have surfaced once more
    world.settle()
    quiet(world)


def test_a_half_typed_item_rests_for_the_time_that_the_definition_asks_for(metastore: str):
    world = World(metastore, **two_way(debounce=timedelta(seconds=30)))
    _, item = one(world, a="x")
    world.lists.now = world.backlog.now
    world.lists.edit(item, {"A": "per"})
    pull(world, item)
    assert values_of(world, "1")["a"] == "x"
    assert [("DUE", False)] == [(row[1], row[4]) for row in world.backlog_rows()]
    before = world.lists.items[item].modified
    world.lists.items[item].modified = before - timedelta(seconds=31)
    world.wait(31)
    world.settle()
    assert values_of(world, "1")["a"] == "per"
    world.close()


def test_an_empty_cell_that_was_never_agreed_on_is_filled_from_the_other_side(named: World):
    named.source.put("7", a="row")
    item = named.lists.add({"ID_COL": "7", "B": "list"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "row", "b": "list"}
    assert not named.conflicts()


def test_what_was_written_is_confirmed_although_the_source_goes_away_in_mid_page(world: World):
    first, second = (world.source.put(key, a="x") for key in ("1", "2"))
    world.push()
    moved = next(item for item, row in world.ledger_items().items() if row == second)
    world.lists.edit(moved, {"B": "person"})
    world.source.put("1", a="user")
    world.source.put("2", a="user")
    world.scan()

    def work() -> None:
        for passed in world.worker():
            if passed is Boundary.SENT:
                world.source.failure = SourceUnavailable("restarting")

    with pytest.raises(SourceUnavailable):
        work()
    world.source.failure = None
    entry = world.entry(first)
    assert entry is not None
    assert not entry.intents, "its answer was there"
    assert [(second, False)] == [(row[0], row[4]) for row in world.backlog_rows()], "given back"
    world.settle()
    assert values_of(world, "2") == {"a": "user", "b": "person"}
    quiet(world)
