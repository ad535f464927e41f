"""Settle both ways: fields of such definitions that flow one way."""

from dataclasses import replace

from shared.core.definition import (
    DeletePolicy,
    Direction,
    SyncMode,
)
from shared.core.ids import identity_of
from shared.core.items import NotSent
from tests.fakes.lists import answering
from tests.settle.two_way import one, pull, quiet, see, two_way
from tests.settle.world import World, mapping


def test_a_deleted_row_stays_deleted_although_the_list_noted_our_own_write(metastore: str):
    noted = replace(mapping(3, "c"), direction=Direction.PULL_ONLY, is_system_field=True, target_column_name="Noted")
    world = World(metastore, **two_way(noted))
    world.source.columns = ("a", "b", "c")
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    item = min(world.lists.items)
    world.lists.edit(item, {"Noted": "by the list itself"})
    key = next(key for key in world.source.rows if world.entry(identity_of([key])).item_id == item)
    world.source.delete(key)
    world.scan()
    see(world, item)
    world.settle()
    assert key not in world.source.rows
    assert item not in world.lists.items
    world.close()


def test_a_pull_only_field_starts_from_the_row_and_follows_the_list(metastore: str):
    world = World(metastore, **two_way(replace(mapping(3, "c"), direction=Direction.PULL_ONLY)))
    world.source.columns = ("a", "b", "c")
    _, item = one(world, a="x", c="first")
    assert world.lists.items[item].versions[-1]["C"] == "first"
    world.source.put("1", c="user")
    world.push()
    assert world.source.rows["1"]["c"] == "first"
    assert [("c", '"user"', "FINAL", "ITEM")] == world.conflicts()
    world.lists.edit(item, {"C": "person"})
    pull(world, item)
    assert world.source.rows["1"]["c"] == "person"
    quiet(world)
    world.close()


def test_a_push_only_field_of_a_new_item_is_the_databases(metastore: str):
    world = World(metastore, **two_way(mapping(3, "c")))
    world.source.columns = ("a", "b", "c")
    world.rows.trigger = lambda key, values: {**values, "c": values["c"] or "default"}
    item = world.lists.add({"A": "person"})
    pull(world, item)
    [row] = world.source.rows.values()
    assert (row["a"], row["c"]) == ("person", "default")
    assert world.lists.items[item].versions[-1]["C"] == "default"
    assert not world.conflicts()
    quiet(world)
    world.close()


def test_a_value_that_gives_way_is_logged_although_the_items_half_had_to_wait(metastore: str):
    world = World(metastore, **two_way(mapping(3, "c")))
    world.source.columns = ("a", "b", "c")
    item = world.lists.add({"A": "person", "C": "typed"})
    world.lists.script.append(answering(NotSent(retry_after=1.0)))
    pull(world, item)
    assert [("c", '"typed"', "VOID", "ROW")] == world.conflicts()
    world.wait(2)
    pull(world, item)
    assert "C" not in world.lists.items[item].versions[-1]
    assert [("c", '"typed"', "FINAL", "ROW")] == [logged for logged in world.conflicts() if logged[2] != "VOID"]
    quiet(world)
    world.close()


def test_a_pull_only_definition_never_writes_to_its_list(metastore: str):
    fields = tuple(replace(field, direction=Direction.PULL_ONLY) for field in two_way()["fields"])
    world = World(metastore, **two_way(mode=SyncMode.ONE_WAY_PULL, fields=fields, row_deleted=DeletePolicy.RECREATE))
    item = world.lists.add({"A": "person"})
    pull(world, item)
    [key] = world.source.rows
    world.source.put(key, a="user")
    world.push()
    assert world.source.rows[key]["a"] == "person"
    world.source.delete(key)
    world.push()
    assert world.source.rows[key]["a"] == "person"
    world.lists.edit(item, {"A": "again"})
    pull(world, item)
    assert world.source.rows[key]["a"] == "again"
    assert not world.lists.writes
    world.close()
