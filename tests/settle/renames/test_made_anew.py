"""Keys that change and items that stay where they are all the same: what rows or ledger say against it."""

from dataclasses import replace

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy, Direction, SyncMode
from shared.core.items import CreateItem
from tests.fakes.lists import lost_after
from tests.settle.renames.keys import A, calm, item_ids, kinds, on_record, pushed, rename, told
from tests.settle.two_way import two_way, values_of
from tests.settle.world import World


def test_a_row_that_came_back_under_its_former_key_keeps_its_item(world: World):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    world.source.rename("B", "A", a="back")
    told(world, "AB", "BA")
    world.settle()
    assert item_ids(world) == before
    calm(world, items=1)


def test_rows_that_swap_their_keys_keep_the_items_of_their_keys(world: World):
    before = pushed(world, "A", "B")
    for key, new in ("AC", "BA", "CB"):
        world.source.rename(key, new)
    told(world, "AC", "BA", "CB")
    world.settle()
    assert item_ids(world) == before
    calm(world, items=2)


@pytest.mark.parametrize("page", [1, 50])
def test_keys_that_are_all_shifted_by_one_end_equal(world: World, page):
    before = pushed(world, "A", "B", "C")
    world.limits = replace(world.limits, page=page)
    for key, new in ("CD", "BC", "AB"):
        world.source.rename(key, new)
    told(world, "CD", "BC", "AB")
    world.settle()
    found = item_ids(world)
    assert {key: found[key] for key in "BC"} == {key: before[key] for key in "BC"}
    calm(world, items=3)


def test_a_new_row_under_the_former_key_keeps_the_item_of_that_key(world: World):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    world.source.put("A", a="another row")
    told(world, "AB")
    world.settle()
    assert item_ids(world)["A"] == before["A"]
    calm(world, items=2)


@pytest.mark.parametrize("keys", ["ABCD", "BACD", "DCBA", "CDAB"])
def test_a_key_that_gives_its_item_away_and_gets_another_one_that_stays_with_it(world: World, keys: str):
    """In any order of the keys' hashes. The row behind the last rename was deleted, and its key has an item."""
    a, b, c, d = keys
    before = pushed(world, a, c, d)
    world.source.rename(a, b)
    world.source.rename(c, a)
    world.source.delete(d)
    world.source.rename(a, d)
    told(world, a + b, c + a, a + d, also=d)
    world.settle()
    world.wait(11)
    world.settle()
    assert item_ids(world) == {b: before[a], d: before[d]}
    calm(world, items=2)


def test_a_row_that_was_deleted_after_its_key_changed_loses_its_item(world: World):
    pushed(world, "A")
    world.source.rename("A", "B")
    world.source.delete("B")
    told(world, "AB", also="B")
    world.settle()
    assert len(world.lists.items) == 1  # the message that says where it went may be on its way
    world.wait(11)
    world.settle()
    calm(world, items=0)


def test_a_run_that_has_scanned_waits_for_no_message_about_a_row_that_is_gone(world: World):
    pushed(world, "A", "C")
    world.source.rename("A", "B")
    world.source.delete("B")
    told(world, "AB", also="B")
    world.settle()
    assert len(world.lists.items) == 2
    world.wait(2)
    world.push()
    calm(world, items=1)


def test_a_key_that_has_changed_on_before_the_first_change_is_settled_keeps_the_item(world: World):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    world.source.rename("B", "C")
    told(world, "AB")
    world.settle()
    assert len(world.lists.items) == 1
    told(world, "BC")
    world.settle()
    assert item_ids(world) == {"C": before["A"]}
    calm(world, items=1)


def test_a_row_that_never_had_an_item_gets_one(world: World):
    world.source.put("A", a="x")
    world.source.rename("A", "B")
    told(world, "AB", also="A")
    world.settle()
    assert kinds(world) == [CreateItem]
    calm(world, items=1)


def test_a_new_key_that_has_an_item_already_keeps_its_own(world: World):
    before = pushed(world, "A", "B")
    world.source.delete("B")
    world.source.rename("A", "B")
    told(world, "AB", also="B")
    world.settle()
    assert item_ids(world) == {"B": before["B"]}
    calm(world, items=1)


def test_a_row_whose_item_is_just_being_made_is_left_to_a_delete_and_a_create(world: World):
    world.source.put("A", a="x")
    world.scan()
    world.lists.script.append(lost_after)
    world.settle()
    rename(world, "A", "B")
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    calm(world, items=1)
    assert list(item_ids(world)) == ["B"]


def test_a_row_write_in_doubt_leaves_the_item_with_its_row(both: World):
    before = pushed(both, "A")
    both.lists.edit(before["A"], {"A": "person"})
    both.mark(A, Reason.ITEM)
    both.die_at(Boundary.ROWS_COMMITTED)
    rename(both, "A", "B")
    both.wait(61)
    both.settle()
    assert list(item_ids(both)) == ["B"]
    assert values_of(both, "B")["a"] == "person"
    calm(both, items=1)


def test_items_that_are_only_read_stay_with_their_keys(metastore: str):
    world = World(metastore, **two_way(mode=SyncMode.TWO_WAY))
    pushed(world, "A")
    fields = tuple(replace(mapping, direction=Direction.PULL_ONLY) for mapping in world.definition.fields)
    world.definition = replace(
        world.definition, mode=SyncMode.ONE_WAY_PULL, fields=fields, row_deleted=DeletePolicy.KEEP
    )
    rename(world, "A", "B")
    world.settle()
    assert list(item_ids(world)) == ["A"]
    assert on_record(world) == 0
    world.close()


def test_a_scan_that_is_faster_than_the_stream_deletes_and_makes_anew(world: World):
    pushed(world, "A")
    world.source.rename("A", "B")
    world.push()
    told(world, "AB")
    world.settle()
    assert list(item_ids(world)) == ["B"]
    calm(world, items=1)
