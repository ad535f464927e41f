"""The item of a row whose key changes goes over to the new key."""

from collections import Counter
from dataclasses import replace

import pytest

from shared.core.backlog import Lane, Mark, Reason
from shared.core.definition import GuardSettings
from shared.core.ids import (
    RowSubject,
    identity_of,
)
from shared.core.items import PatchItem
from shared.core.ledger import EntryState
from shared.core.renames import KeyChange
from tests.settle.renames.keys import A, B, calm, item_ids, kinds, pushed, rename, told
from tests.settle.two_way import natural, pull, two_way, values_of
from tests.settle.world import World


@pytest.mark.parametrize("setup", [{}, two_way(), natural()], ids=["push", "two-way", "with the key in the list"])
def test_a_row_whose_key_changes_keeps_its_item(metastore: str, setup):
    world = World(metastore, **setup)
    before = pushed(world, "A")
    writes = len(world.lists.writes)
    rename(world, "A", "B")
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    assert kinds(world, writes) == [PatchItem]
    assert (values_of(world, "B"), world.rows.begun) == ({"a": "a of A", "b": "b"}, 0)
    former, entry = world.entry(A), world.entry(B)
    assert former is not None
    assert entry is not None
    assert (former.state, former.item_id, former.base) == (EntryState.TOMBSTONE, None, None)
    assert (entry.state, entry.item_id) == (EntryState.SETTLED, before["A"])
    calm(world, items=1)
    world.close()


def test_a_column_that_changes_with_the_key_is_sent_with_it(world: World):
    before = pushed(world, "A")
    rename(world, "A", "B", a="new")
    world.settle()
    write = world.lists.writes[-1]
    assert isinstance(write, PatchItem)
    assert set(write.fields) == {"SyncBridgeKey", "A"}
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("told_as", ["one message", "two messages", "two messages, settled between"])
def test_a_key_that_changes_twice_keeps_the_item(world: World, told_as):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    if told_as != "one message":
        told(world, "AB")
    if told_as == "two messages, settled between":
        world.settle()
    world.source.rename("B", "C")
    told(world, *(["AB"] if told_as == "one message" else []), "BC")
    world.settle()
    assert item_ids(world) == {"C": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_holds_one_end_of_a_chain_finds_the_others(world: World, page):
    before = pushed(world, "A")
    world.limits = replace(world.limits, page=page)
    for key, new in ("AB", "BC", "CD"):
        world.source.rename(key, new)
    told(world, "AB", "BC", "CD")
    world.settle()
    assert item_ids(world) == {"D": before["A"]}
    calm(world, items=1)


def test_a_key_that_was_used_before_takes_the_item_over(world: World):
    pushed(world, "A", "B")
    world.source.delete("B")
    world.push()
    before = item_ids(world)
    rename(world, "A", "B")
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    entry = world.entry(B)
    assert entry is not None
    assert entry.generation == 2
    world.wait(130)  # its former item is looked for
    world.settle()
    calm(world, items=1)


def test_a_message_that_comes_twice_changes_nothing_more(world: World):
    before = pushed(world, "A")
    rename(world, "A", "B")
    world.settle()
    writes = len(world.lists.writes)
    told(world, "AB")
    world.settle()
    assert (item_ids(world), len(world.lists.writes)) == ({"B": before["A"]}, writes)
    calm(world, items=1)


def test_renames_are_no_deletes_for_the_guard_and_no_quarrel_for_the_loop_breaker(both: World):
    keys = [str(number) for number in range(20)]
    for key in keys:
        both.source.put(key, a=key)
    both.push()
    for item in list(both.lists.items):
        both.lists.edit(item, {"B": "person"})
    pull(both, *both.lists.items)
    before = set(both.lists.items)
    both.definition = replace(both.definition, guards=GuardSettings(max_deletes=1, max_writes_per_row=1))
    both.holds.used = 1_000
    for key in keys:
        both.source.rename(key, f"{key} new")
    pairs = [KeyChange(former=identity_of([key]), new=identity_of([f"{key} new"])) for key in keys]
    marks = [
        Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.STREAM}), lane=Lane.CDC)
        for pair in pairs
        for identity in (pair.former, pair.new)
    ]
    both.backlog.mark(both.definition.id, marks, pairs)
    both.scan()  # it sees them gone before anybody has settled them
    assert both.holds.opened == []
    both.settle()
    assert set(both.lists.items) == before
    assert both.sql.execute("select max(writes) from syncbridge.sync_ledger where state = 'SETTLED'").fetchall() == [
        (0,)
    ]
    assert both.holds.opened == []
    calm(both, items=20)


def test_what_is_told_as_renamed_and_is_deleted_all_the_same_is_counted_when_it_is_settled(world: World):
    keys = [str(number) for number in range(20)]
    for key in keys:
        world.source.put(key, a=key)
    world.push()
    world.definition = replace(world.definition, guards=GuardSettings(max_deletes=3))
    for key in keys[:10]:
        world.source.delete(key)
    pairs = [KeyChange(former=identity_of([key]), new=identity_of([f"{key} new"])) for key in keys[:10]]
    mark = Mark(subject=RowSubject(identity=pairs[0].former), reasons=frozenset({Reason.STREAM}), lane=Lane.CDC)
    world.backlog.mark(world.definition.id, [mark], pairs)
    world.scan()
    world.wait(11)
    world.settle()
    assert len(world.lists.items) == 17
    assert Counter(row[1] for row in world.backlog_rows()) == {"AWAITING_APPROVAL": 7}
