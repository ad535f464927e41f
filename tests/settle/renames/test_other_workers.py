"""Keys that change while other workers are at work on them."""

from dataclasses import replace

import pytest

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy
from shared.core.ids import (
    identity_hash,
)
from shared.core.items import DeleteItem
from shared.usecases.steps import drive
from tests.settle.renames.keys import A, B, calm, item_ids, on_record, pushed, steal, told
from tests.settle.world import World


@pytest.mark.parametrize("theirs", [A, B], ids=["the former key", "the new key"])
def test_while_somebody_else_is_at_work_on_one_key_the_other_waits(world: World, theirs):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    told(world, "AB")
    token = steal(world, theirs, lease=60)
    writes = len(world.lists.writes)
    world.settle()
    assert len(world.lists.writes) == writes
    assert on_record(world) == 1
    world.sql.execute("update syncbridge.sync_backlog set claim = null where claim = %s", [token])
    world.wait(2)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("theirs", [A, B], ids=["the former key", "the new key"])
def test_a_worker_whose_lease_is_over_can_write_nothing_about_a_key_that_has_changed(world: World, theirs):
    before = pushed(world, "A")
    world.mark(theirs, Reason.STREAM)
    world.source.rename("A", "B")
    slow = world.worker()  # knows nothing of the change
    while next(slow) is not Boundary.ROWS_READ:
        pass
    told(world, "AB")
    world.sql.execute("update syncbridge.sync_backlog set claimed_until = now() - interval '1 second', due_at = now()")
    # Only the other key can be claimed by whoever comes: the slow worker's row is not due for them.
    world.sql.execute(
        "update syncbridge.sync_backlog set due_at = now() + interval '1 hour' where subject_hash = %s",
        [identity_hash(theirs)],
    )
    drive(world.worker())
    drive(slow)
    world.wait(4_000)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    assert not [write for write in world.lists.writes if isinstance(write, DeleteItem)]
    calm(world, items=1)


def test_of_two_workers_that_hold_a_key_each_the_first_to_see_it_gives_way(world: World):
    before = pushed(world, "A")
    world.limits = replace(world.limits, page=1)
    world.source.rename("A", "B")
    told(world, "AB")
    one, other = world.worker(), world.worker()
    assert [next(one), next(other)] == [Boundary.CLAIMED, Boundary.CLAIMED]
    assert [drive(one).counts.delayed, drive(other).counts.delayed] == [1, 0]
    world.limits = replace(world.limits, page=50)
    world.wait(2)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


def test_a_row_that_waits_for_a_person_because_it_is_gone_waits_no_more_once_it_is_known_where_it_went(world: World):
    before = pushed(world, "A", "C")
    world.definition = replace(world.definition, row_deleted=DeletePolicy.APPROVE)
    world.source.rename("A", "B")
    world.mark(A, Reason.ROW_GONE)
    world.settle()
    assert [row[1] for row in world.backlog_rows()] == ["AWAITING_APPROVAL"]
    told(world, "AB")
    world.settle()
    assert item_ids(world) == {"B": before["A"], "C": before["C"]}
    calm(world, items=2)
