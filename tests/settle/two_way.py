"""What the tests of both ways share: definitions, people at the list, and what both sides hold."""

from dataclasses import replace
from typing import Any

from shared.core.backlog import Lane, Mark, Reason
from shared.core.definition import (
    DeletePolicy,
    Direction,
    FieldMapping,
    ForeignPolicy,
    SyncMode,
)
from shared.core.ids import Identity, ItemId, ItemSubject, RowSubject, identity_of
from tests.settle.world import World, mapping

BOTH = Direction.BIDIRECTIONAL


def two_way(*extra: FieldMapping, **changes: Any) -> dict[str, Any]:
    fields = (
        replace(mapping(1, "a"), direction=BOTH),
        replace(mapping(2, "b"), direction=BOTH),
        *extra,
    )
    return {
        "mode": SyncMode.TWO_WAY,
        "fields": fields,
        "item_deleted": DeletePolicy.PROPAGATE,
        "foreign_items": ForeignPolicy.INSERT,
        **changes,
    }


def natural(**changes: Any) -> dict[str, Any]:
    """The key is a column of the list, and people fill it in."""
    key = replace(mapping(9, "id"), direction=BOTH, target_column_name="ID_COL")
    return two_way(key, **changes)


def pull(world: World, *items: ItemId) -> None:
    """What a delta would mark of these items, then settle."""
    see(world, *items)
    world.settle()


def see(world: World, *items: ItemId) -> None:
    target = world.definition.target
    known = world.ledger.by_items(world.definition.id, target.list_id, list(items))
    marks = []
    for item_id in items:
        item = world.lists.items.get(item_id)
        reason = Reason.ITEM if item else Reason.ITEM_GONE
        subject = (
            RowSubject(identity=known[item_id].identity)
            if item_id in known
            else ItemSubject(list_id=target.list_id, item_id=item_id)
        )
        marks.append(
            Mark(subject=subject, reasons=frozenset({reason}), lane=Lane.PEOPLE, news=item.etag if item else None)
        )
    world.backlog.mark(world.definition.id, marks)


def one(world: World, **values: str | None) -> tuple[Identity, ItemId]:
    """A row that is settled, and its item."""
    identity = world.source.put("1", **values)
    world.push()
    [item] = world.lists.items
    return identity, item


def quiet(world: World) -> None:
    """Another look at everything writes nothing to either side."""
    writes, begun = len(world.lists.writes), world.rows.begun
    for key in list(world.source.rows):
        world.mark(identity_of([key]), Reason.DRIFT)
    world.push()
    pull(world, *world.lists.items)
    assert (writes, begun) == (len(world.lists.writes), world.rows.begun)
    assert not world.backlog_rows()


def values_of(world: World, key: str) -> dict[str, str | None]:
    return {name: value for name, value in world.source.rows[key].items() if name != "id"}
