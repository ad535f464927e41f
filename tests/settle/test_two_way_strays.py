"""Settle both ways: items that have no row yet, and whose row they become."""

import pytest

from shared.core.boundaries import Boundary
from shared.core.definition import (
    ForeignPolicy,
)
from shared.core.ids import identity_hash, identity_of, sync_key
from shared.core.items import NotSent, Refused
from shared.core.ledger import EntryState
from shared.core.naming import CHECK_KEY
from tests.fakes.lists import answering
from tests.settle.two_way import pull, quiet, see, two_way, values_of
from tests.settle.world import World


def test_a_new_item_becomes_a_row_under_a_reserved_key_and_gets_its_sync_key(world: World):
    item = world.lists.add({"A": "person", "B": "b"})
    pull(world, item)
    [(key, row)] = world.source.rows.items()
    assert (row["a"], row["b"]) == ("person", "b")
    assert world.expected() == world.items()
    entry = world.entry(identity_of([key]))
    assert entry is not None
    assert entry.item_id == item
    assert not world.conflicts()
    quiet(world)


@pytest.mark.parametrize("fixture", ["world", "named"])
def test_an_item_that_only_tries_whether_items_can_be_written_never_becomes_a_row(
    fixture: str, request: pytest.FixtureRequest
):
    sort: World = request.getfixturevalue(fixture)
    key = {"ID_COL": "7"} if fixture == "named" else {}
    item = sort.lists.add({**key, sort.definition.target.key_column: CHECK_KEY})
    pull(sort, item)
    assert not sort.source.rows
    assert list(sort.lists.items) == [item]
    assert not sort.backlog_rows()
    quiet(sort)


def test_a_new_item_with_a_natural_key_becomes_the_row_that_it_names(named: World):
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "person", "b": None}
    assert len(named.lists.items) == 1
    assert not named.conflicts()
    quiet(named)


def test_a_new_item_that_names_a_row_that_is_there_is_adopted(named: World):
    named.source.put("7", a="row")
    item = named.lists.add({"ID_COL": "7", "B": "person"})
    pull(named, item)
    assert values_of(named, "7") == {"a": "row", "b": "person"}
    assert list(named.lists.items) == [item]
    named.push()
    assert list(named.lists.items) == [item]
    quiet(named)


def test_an_item_that_comes_back_under_the_key_of_a_row_whose_create_was_refused_is_seen(world: World):
    identity = world.source.put("1", a="x")
    world.lists.script.append(answering(Refused(code="row_refused", message="no")))
    world.push()
    entry = world.entry(identity)
    assert entry is not None
    assert (EntryState.CREATING, ()) == (entry.state, entry.intents)
    world.source.delete("1")
    item = world.lists.add({"A": "person", world.definition.target.key_column: sync_key(identity_hash(identity))})
    pull(world, item)
    assert values_of(world, "1")["a"] == "person"
    assert list(world.lists.items) == [item]
    quiet(world)


def test_a_new_item_without_its_key_waits_and_says_what_is_missing(named: World):
    item = named.lists.add({"A": "person"})
    pull(named, item)
    [(_, state, code, _, _)] = named.backlog_rows()
    assert ("PARKED", "key_unusable") == (state, code)
    named.lists.edit(item, {"ID_COL": "7"})
    pull(named, item)
    assert values_of(named, "7")["a"] == "person"
    quiet(named)


def test_a_copy_never_takes_its_originals_row(named: World):
    one_row = named.source.put("7", a="x")
    named.push()
    [original] = named.lists.items
    copy = named.lists.add({"ID_COL": "7", "A": "copy"})
    pull(named, copy)
    assert values_of(named, "7")["a"] == "x"
    entry = named.entry(one_row)
    assert entry is not None
    assert entry.item_id == original
    assert [("PARKED", "second_item")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_an_item_that_is_gone_before_its_creator_has_said_so_is_waited_for(world: World):
    for key in ("1", "2", "3", "4"):
        world.source.put(key, a="x")
    world.push()
    before = set(world.lists.items)
    world.source.put("5", a="x")
    world.scan()
    creator = world.worker()
    while next(creator) is not Boundary.SENT:
        pass
    [item] = set(world.lists.items) - before
    world.lists.remove(item)
    pull(world, item)
    for _ in creator:
        pass
    world.wait(121)
    world.settle()
    assert sorted(world.source.rows) == ["1", "2", "3", "4"]
    quiet(world)


def test_two_new_items_with_one_key_make_one_row(named: World):
    first, second = named.lists.add({"ID_COL": "7", "A": "one"}), named.lists.add({"ID_COL": "7", "A": "two"})
    pull(named, first, second)
    assert list(named.source.rows) == ["7"]
    assert [("PARKED", "second_item")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_a_key_that_a_person_edits_in_the_list_goes_back_and_is_logged(named: World):
    named.source.put("7", a="x")
    named.push()
    [item] = named.lists.items
    named.lists.edit(item, {"ID_COL": "8"})
    pull(named, item)
    assert list(named.source.rows) == ["7"]
    assert [("id", '"8"', "FINAL", "ROW")] == named.conflicts()
    quiet(named)


def test_a_foreign_item_is_left_alone_where_the_definition_says_so(metastore: str):
    world = World(metastore, **two_way(foreign_items=ForeignPolicy.IGNORE))
    item = world.lists.add({"A": "person"})
    pull(world, item)
    assert not world.source.rows
    assert not world.backlog_rows()
    world.close()


@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
def test_an_insert_whose_commit_got_no_answer_makes_one_row(world: World, fault):
    item = world.lists.add({"A": "person"})
    world.rows.script.append(fault)
    pull(world, item)
    world.wait(61)
    world.settle()
    assert len(world.source.rows) == 1
    assert world.expected() == world.items()
    quiet(world)


def test_an_inserted_row_that_a_user_deletes_before_anybody_noticed_stays_deleted(world: World):
    item = world.lists.add({"A": "person"})
    world.rows.script.append("lost_after")
    pull(world, item)
    [key] = world.source.rows
    world.source.delete(key)
    world.wait(61)
    world.settle()
    assert not world.source.rows
    assert not world.lists.items


def test_a_new_row_that_would_not_be_in_the_filter_is_not_made(named: World):
    named.source.out_of_scope.add("7")
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    pull(named, item)
    assert not named.source.rows
    assert [("PARKED", "out_of_scope")] == [(row[1], row[2]) for row in named.backlog_rows()]


def test_a_key_that_is_corrected_before_its_row_was_made_names_the_other_row(named: World):
    item = named.lists.add({"ID_COL": "7", "A": "person"})
    see(named, item)
    named.die_at(Boundary.CONFIRMED)
    named.lists.edit(item, {"ID_COL": "8"})
    pull(named, item)
    assert list(named.source.rows) == ["8"]
    assert list(named.lists.items) == [item]
    quiet(named)


def test_a_restored_item_stays_its_rows_whatever_key_a_person_typed_into_it(named: World):
    for key in ("1", "2", "3", "4"):
        named.source.put(key, a="x")
    named.push()
    [item, *_] = named.lists.items
    named.lists.remove(item)
    pull(named, item)
    named.lists.restore(item)
    named.lists.edit(item, {"ID_COL": "7"})
    pull(named, item)
    assert sorted(named.source.rows) == ["1", "2", "3", "4"]
    assert named.expected() == named.items()
    quiet(named)


def test_an_item_that_takes_a_dead_rows_place_gets_its_key_though_its_first_write_had_to_wait(named: World):
    """What the ledger knew of the dead row's item says nothing about this one: it is looked at until both sides agree."""
    former = named.lists.add({"ID_COL": "7", "A": "x"})
    pull(named, former)
    named.source.delete("7")
    named.lists.remove(former)
    pull(named, former)
    item = named.lists.add({"ID_COL": "7", "A": "y"})
    named.lists.script.append(answering(NotSent(retry_after=5.0)))
    pull(named, item)
    assert values_of(named, "7")["a"] == "y"
    for _ in range(2):  # the former item is looked for once more by then, too
        named.wait(200)
        named.settle()
    assert named.lists.items[item].versions[-1][named.definition.target.key_column]
    assert named.expected().keys() == named.items().keys()
    quiet(named)
