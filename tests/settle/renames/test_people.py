"""What people do to an item while the key of its row changes."""

import pytest

from shared.core.backlog import Reason
from shared.core.definition import DeletePolicy
from tests.settle.renames.keys import A, B, calm, item_ids, pushed, rename
from tests.settle.two_way import two_way, values_of
from tests.settle.world import World


@pytest.mark.parametrize("seen", [True, False], ids=["told by the list", "not told"])
def test_what_a_person_edits_while_the_key_changes_reaches_the_row(both: World, seen):
    before = pushed(both, "A")
    both.lists.edit(before["A"], {"A": "person"})
    if seen:
        both.mark(A, Reason.ITEM)
    rename(both, "A", "B", b="user")
    both.settle()
    assert values_of(both, "B") == {"a": "person", "b": "user"}
    assert item_ids(both) == {"B": before["A"]}
    assert both.conflicts() == []
    calm(both, items=1)


def test_an_edit_between_the_look_and_the_write_is_merged(both: World):
    before = pushed(both, "A")

    def person_first(write, happen):
        both.lists.edit(before["A"], {"A": "person"})
        return happen()

    both.lists.script.append(person_first)
    rename(both, "A", "B", b="user")
    both.settle()
    assert values_of(both, "B") == {"a": "person", "b": "user"}
    assert item_ids(both) == {"B": before["A"]}
    calm(both, items=1)


def test_a_persons_value_that_loses_is_in_the_log_under_the_new_key(world: World):
    before = pushed(world, "A")
    world.lists.edit(before["A"], {"A": "person"})
    rename(world, "A", "B")
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    assert world.sql.execute("select source_identity, losing_value, state from syncbridge.conflicts").fetchall() == [
        (B, '"person"', "FINAL")
    ]
    calm(world, items=1)


@pytest.mark.parametrize(
    ("policy", "rows"), [(DeletePolicy.PROPAGATE, 0), (DeletePolicy.RECREATE, 1)], ids=["propagated", "made again"]
)
def test_an_item_that_a_person_deletes_while_the_key_changes_is_treated_as_ever(metastore: str, policy, rows):
    both = World(metastore, **two_way(item_deleted=policy))
    pushed(both, "A", "C", "D")
    both.lists.remove(item_ids(both)["A"])
    rename(both, "A", "B")
    both.settle()
    assert len(both.source.rows) == 2 + rows
    assert sorted(item_ids(both)) == sorted(both.source.rows)
    both.wait(130)  # the item that is gone is looked for
    both.settle()
    calm(both, items=2 + rows)
    both.close()
