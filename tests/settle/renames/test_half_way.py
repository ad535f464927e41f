"""The item stands for the new key already, and its key column still says the former one."""

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Lane, Mark, Reason, SubjectState
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy
from shared.core.ids import (
    ItemId,
    ItemSubject,
    identity_hash,
)
from shared.core.items import DeleteItem, Refused
from shared.core.ledger import EntryState
from tests.fakes.lists import answering, lost_before
from tests.settle.renames.keys import A, B, calm, item_ids, pushed, rename
from tests.settle.two_way import natural, pull, two_way, values_of
from tests.settle.world import World


def half_way(world: World) -> ItemId:
    """The item stands for B, and its key column still says A."""
    before = pushed(world, "A")
    rename(world, "A", "B")
    world.die_at(Boundary.RENAMED)
    world.sql.execute("update syncbridge.sync_backlog set claim = null, claimed_until = null")
    world.sql.execute(  # B is looked at later
        "update syncbridge.sync_backlog set due_at = now() + interval '30 seconds' where subject_hash = %s",
        [identity_hash(B)],
    )
    return before["A"]


def ends_as_two(world: World, item: ItemId) -> None:
    assert not [write for write in world.lists.writes if isinstance(write, DeleteItem)]
    world.wait(31)
    world.settle()
    world.wait(10)
    world.settle()
    found = item_ids(world)
    assert found["B"] == item
    assert found["A"] != item
    calm(world, items=2)


@pytest.mark.parametrize("setup", [{}, two_way(), natural()], ids=["push", "two-way", "with the key in the list"])
def test_a_row_that_takes_the_former_key_waits_until_the_item_has_its_new_one(metastore: str, setup):
    world = World(metastore, **setup)
    item = half_way(world)
    world.source.put("A", a="another row")
    world.mark(A, Reason.STREAM)
    world.settle()
    assert (list(world.lists.items), world.lists.items[item].versions[-1]["A"]) == ([item], "a of A")
    assert [(row[0], row[1]) for row in world.backlog_rows() if row[0] == A] == [(A, "DUE")]
    ends_as_two(world, item)
    world.close()


@pytest.mark.parametrize("reason", [Reason.DOUBT, Reason.ITEM])
def test_a_former_key_that_is_looked_for_does_not_find_another_rows_item(both: World, reason):
    item = half_way(both)
    both.mark(A, reason)
    both.settle()
    assert not both.source.rows.keys() - {"B"}
    assert list(both.lists.items) == [item]
    both.wait(31)
    both.settle()
    assert item_ids(both) == {"B": item}
    calm(both, items=1)


def test_a_create_in_doubt_for_the_former_key_never_makes_a_ghost_of_another_rows_item(world: World):
    item = half_way(world)
    world.source.put("A", a="another row")
    world.mark(A, Reason.STREAM)
    world.lists.script.append(lost_before)  # in truth a duplicate, and nobody says so
    world.settle()
    world.source.delete("A")
    world.mark(A, Reason.STREAM)
    world.sql.execute(
        "update syncbridge.sync_backlog set claimed_until = now() where subject_hash = %s", [identity_hash(A)]
    )
    world.settle()
    entry = world.entry(A)
    assert entry is not None
    assert (entry.state, len(entry.intents)) == (EntryState.TOMBSTONE, 1)
    assert list(world.lists.items) == [item]
    world.wait(400)
    world.settle()
    assert item_ids(world) == {"B": item}
    calm(world, items=1)


def test_an_item_that_the_list_tells_about_is_the_new_rows_whatever_its_key_says(both: World):
    item = half_way(both)
    both.lists.edit(item, {"A": "person"})
    stray = ItemSubject(list_id=both.definition.target.list_id, item_id=item)
    both.backlog.mark(both.definition.id, [Mark(subject=stray, reasons=frozenset({Reason.ITEM}), lane=Lane.PEOPLE)])
    both.settle()
    assert (list(both.source.rows), values_of(both, "B")["a"]) == (["B"], "person")
    assert item_ids(both) == {"B": item}
    calm(both, items=1)


def test_an_item_that_a_person_adds_under_the_former_key_becomes_a_row_of_its_own(metastore: str):
    named = World(metastore, **natural())
    item = half_way(named)
    added = named.lists.add({"A": "by hand", "ID_COL": "A"})
    pull(named, added)
    named.wait(31)
    named.settle()
    named.wait(4_000)
    named.settle()
    assert item_ids(named) == {"A": added, "B": item}
    assert values_of(named, "A")["a"] == "by hand"
    calm(named, items=2)
    named.close()


def test_a_row_that_takes_the_former_key_of_an_item_that_stays_without_its_row_says_what_it_waits_for(metastore: str):
    """Nothing is written to such an item any more, so its key column would never be put right."""
    world = World(metastore, **two_way(row_deleted=DeletePolicy.KEEP))
    item = half_way(world)
    world.source.delete("B")
    world.wait(31)
    world.push()
    world.source.put("A", a="another row")
    world.mark(A, Reason.STREAM)
    world.settle()
    assert [(row[1], row[2]) for row in world.backlog_rows() if row[0] == A] == [("PARKED", "key_taken")]
    world.lists.remove(item)
    world.wait(4000)
    pull(world, item)
    assert item_ids(world)["A"] != item
    calm(world, items=1)
    world.close()


def test_a_row_that_takes_the_former_key_while_a_person_is_asked_about_the_item_says_what_it_waits_for(metastore: str):
    world = World(metastore, **two_way(row_deleted=DeletePolicy.APPROVE))
    item = half_way(world)
    world.source.delete("B")
    world.wait(31)
    world.push()
    world.source.put("A", a="another row")
    world.mark(A, Reason.STREAM)
    world.settle()
    assert {row[0]: (row[1], row[2]) for row in world.backlog_rows()} == {
        A: ("PARKED", "key_taken"),
        B: ("AWAITING_APPROVAL", "awaiting_approval"),
    }
    assert list(world.lists.items) == [item]
    HoldStore(world.store).release_subjects(
        world.definition.id, SubjectState.AWAITING_APPROVAL, None, approve=True, actor="me"
    )
    world.wait(4000)
    world.settle()
    assert item_ids(world).keys() == {"A"}
    calm(world, items=1)
    world.close()


def test_a_row_that_takes_the_former_key_of_a_row_that_is_set_aside_says_what_it_waits_for(world: World):
    item = half_way(world)
    world.lists.script.append(answering(Refused(code="refused", message="the list refuses it")))
    world.wait(31)
    world.settle()
    world.source.put("A", a="another row")
    world.mark(A, Reason.STREAM)
    world.settle()
    assert {row[0]: (row[1], row[2]) for row in world.backlog_rows()} == {
        A: ("PARKED", "key_taken"),
        B: ("PARKED", "refused"),
    }
    world.wait(4000)
    world.settle()
    world.wait(4000)
    world.settle()
    assert item_ids(world)["B"] == item
    calm(world, items=2)
