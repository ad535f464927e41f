"""Settle from the list alone: rows and items that somebody deletes, and items that somebody brings back."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.definition import DeletePolicy, Direction, SyncMode
from shared.core.ids import ItemId
from tests.settle.two_way import natural, pull, quiet, see, two_way, values_of
from tests.settle.world import World, drive


def pulled(given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    fields = tuple(replace(field, direction=Direction.PULL_ONLY) for field in given["fields"])
    return {
        **given,
        "mode": SyncMode.ONE_WAY_PULL,
        "row_deleted": DeletePolicy.RECREATE,
        **changes,
        "fields": fields,
    }


def bound(world: World, fields: dict[str, str]) -> ItemId:
    """An item of which it is only known yet for which row it stands."""
    item = world.lists.add(fields)
    see(world, item)
    drive(world.worker())
    return item


def test_a_row_that_never_was_an_items_stays_when_the_item_that_named_it_goes(metastore: str):
    world = World(metastore, **pulled(natural()))
    world.source.put("7", a="user")
    item = bound(world, {"ID_COL": "7", "A": "person"})
    world.lists.remove(item)
    pull(world, item)
    assert values_of(world, "7")["a"] == "user"
    world.push()
    quiet(world)
    world.close()


def test_a_person_is_asked_whether_a_deleted_row_is_made_again(metastore: str):
    world = World(metastore, **pulled(two_way(), row_deleted=DeletePolicy.APPROVE))
    pull(world, world.lists.add({"A": "x"}))
    [key] = world.source.rows
    world.source.delete(key)
    world.push()
    [(state, said)] = world.sql.execute("select state, reason_text from syncbridge.sync_backlog").fetchall()
    assert (state, said.rpartition("before it ")[2]) == ("AWAITING_APPROVAL", "may make the row again")
    world.close()


@pytest.mark.parametrize("kept", [True, False])
def test_an_item_that_comes_back_stands_for_the_row_that_it_stood_for(metastore: str, *, kept: bool):
    policy = DeletePolicy.KEEP if kept else DeletePolicy.PROPAGATE
    world = World(metastore, **pulled(two_way(), item_deleted=policy))
    for name in ("u", "v", "w", "x"):
        pull(world, world.lists.add({"A": name}))
    rows = {key: dict(row) for key, row in world.source.rows.items()}
    item = max(world.lists.items)
    world.lists.remove(item)
    pull(world, item)
    assert len(world.source.rows) == len(rows) - (not kept)
    world.lists.restore(item)
    pull(world, item)
    assert world.source.rows == rows
    quiet(world)
    world.close()
