"""A list restored to an older time, as a restored site collection is: values, versions and eTags go back, tokens die.

What was created since is gone without a tombstone, what was deleted since is there again, and ids are given anew.
"""

from infra.simulator.lists import SharePointList
from infra.simulator.rows import Row
from infra.simulator.store import LIVE, PURGED, RECYCLED
from infra.simulator.world import World


def roll_back(world: World, lst: SharePointList, moment: int) -> dict[str, int]:
    """Bring the list back to what it was at `moment` (epoch seconds); how many items went, came and changed."""
    counts = {"gone": 0, "back": 0, "changed": 0}
    for row in list(world.rows.every(lst)):
        if row.created > moment:
            world.rows.forget(lst, row)
            counts["gone"] += 1
        elif row.state == RECYCLED and row.changed_at > moment:
            row.state = LIVE
            world.rows.put(lst, row, None)
            counts["back"] += 1
        if row.created <= moment and row.state != PURGED and _older(world, lst, row, moment):
            counts["changed"] += 1
    lst.epoch += 1
    lst.next_item = world.rows.next_id(lst)
    world.save_list(lst)
    return counts


def _older(world: World, lst: SharePointList, row: Row, moment: int) -> bool:
    """Put the version of that moment in place of today's, if there is one."""
    if row.modified <= moment:
        return False
    old = next((version for version in world.rows.versions(row) if version.modified <= moment), None)
    if old is None:
        return False
    before = row.values
    row.version, row.modified, row.editor, row.editor_app, row.values = (
        old.version,
        old.modified,
        old.editor,
        old.editor_app,
        old.values,
    )
    world.rows.put(lst, row, before)
    world.rows.drop_versions(row.key, from_version=old.version)
    return True
