"""Rows whose key changes: the item goes over to the new key, unless rows or ledger say otherwise."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from shared.adapters.metastore.migrations import migrate
from shared.captures.stream import stream
from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.changes import ChangeMessage, Operation, SlotIdentity, TableChanges, pack, unpack
from shared.core.definition import DeletePolicy, Direction, GuardSettings, SyncMode
from shared.core.errors import RowsHidden, SourceUnavailable
from shared.core.ids import (
    ClaimToken,
    Identity,
    ItemId,
    ItemSubject,
    RowSubject,
    identity_hash,
    identity_of,
    sync_key,
)
from shared.core.items import CreateItem, DeleteItem, PatchItem
from shared.core.ledger import EntryState
from shared.core.renames import KeyChange
from shared.core.replication import Lsn
from shared.usecases.steps import drive
from tests.fakes.lists import Answer, lost_after, lost_before
from tests.fixtures.postgres import Databases
from tests.settle.two_way import natural, pull, quiet, two_way, values_of
from tests.settle.world import World

A, B, C, D = (identity_of([key]) for key in "ABCD")


@pytest.fixture(scope="module")
def one_metastore(databases: Databases) -> Iterator[str]:
    dsn = databases.create(databases.template("metastore", migrate))
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def metastore(one_metastore: str) -> str:
    """The module's, emptied."""
    with psycopg.connect(one_metastore, autocommit=True) as sql:
        sql.execute(
            "truncate syncbridge.sync_backlog, syncbridge.sync_renames, syncbridge.sync_ledger, syncbridge.conflicts,"
            " syncbridge.run_tables, syncbridge.sync_definitions cascade"
        )
    return one_metastore


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    world = World(metastore)
    yield world
    world.close()


@pytest.fixture
def both(metastore: str) -> Iterator[World]:
    world = World(metastore, **two_way())
    yield world
    world.close()


def told(world: World, *renames: str, also: str = "") -> None:
    """The message of a stream: "AB" is a row whose key became B; `also`: other keys that changed."""
    pairs = [KeyChange(former=identity_of([pair[0]]), new=identity_of([pair[1]])) for pair in renames]
    operations = {identity_of([key]): Operation.UPDATE for key in also}
    for pair in pairs:
        operations |= {pair.former: Operation.DELETE, pair.new: Operation.INSERT}
    source = world.definition.source
    key = tuple(column.name for column in source.key.columns)
    message = ChangeMessage(
        slot=SlotIdentity(instance=source.instance_id, system="1", timeline=1, name="slot", created=Lsn(1)),
        first=Lsn(2),
        last=Lsn(3),
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=(TableChanges(table=source.table, key=key, operations=operations, renames=tuple(pairs)),),
    )
    for text in pack(message):
        arrived = unpack(text)
        assert isinstance(arrived, ChangeMessage)
        drive(stream(arrived, [world.definition], backlog=world.backlog))


def rename(world: World, key: str, new: str, **values: str | None) -> None:
    world.source.rename(key, new, **values)
    told(world, key + new)


def item_ids(world: World) -> dict[str, ItemId]:
    """Row key -> item, by the hidden key column."""
    keys = {sync_key(identity_hash(identity_of([key]))): key for key in "ABCDEF"}
    return {keys[item.versions[-1]["SyncBridgeKey"]]: item.id for item in world.lists.items.values()}


def pushed(world: World, *keys: str) -> dict[str, ItemId]:
    for key in keys:
        world.source.put(key, a=f"a of {key}", b="b")
    world.push()
    return item_ids(world)


def kinds(world: World, since: int = 0) -> list[type]:
    return [type(write) for write in world.lists.writes[since:]]


def on_record(world: World) -> int:
    [(count,)] = world.sql.execute("select count(*) from syncbridge.sync_renames").fetchall()
    return int(count)


def calm(world: World, *, items: int | None = None) -> None:
    """Both sides are equal, nothing is due or on record, and another look at everything writes nothing."""
    assert world.expected() == world.items()
    assert items is None or len(world.lists.items) == items
    assert (world.backlog_rows(), on_record(world)) == ([], 0)
    quiet(world)


def steal(world: World, identity: Identity, *, lease: float) -> ClaimToken:
    """Another worker has claimed the row; `lease`: seconds that it has left."""
    token = ClaimToken(UUID(int=7))
    world.mark(identity, Reason.SCAN)
    world.sql.execute(
        "update syncbridge.sync_backlog set claim = %s, claimed_until = now() + make_interval(secs => %s)"
        " where subject_hash = %s",
        [token, lease, identity_hash(identity)],
    )
    return token


# ---- the item stays


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


# ---- a delete and a create after all


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


# ---- other workers


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


# ---- between the move and the item's new key


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


# ---- people, meanwhile


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


# ---- crashes and lost answers


@pytest.mark.parametrize(
    "boundary", [Boundary.CLAIMED, Boundary.RENAMED, Boundary.ITEMS_READ, Boundary.INTENDED, Boundary.SENT]
)
def test_a_worker_that_dies_while_it_follows_a_key_leaves_one_item(world: World, boundary):
    before = pushed(world, "A")
    rename(world, "A", "B", a="new")
    world.die_at(boundary)
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


def test_a_capture_that_dies_after_its_marks_has_told_the_change(world: World):
    before = pushed(world, "A")
    world.source.rename("A", "B")
    pair = KeyChange(former=A, new=B)
    small = type(world.backlog)(world.store, chunk=1)
    first = min((A, B), key=identity_hash)
    small.mark(
        world.definition.id,
        [Mark(subject=RowSubject(identity=first), reasons=frozenset({Reason.STREAM}), lane=Lane.CDC)],
        [pair],
    )
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("history", [True, False], ids=["with history", "without history"])
@pytest.mark.parametrize("answer", [lost_after, lost_before], ids=["landed", "did not land"])
def test_a_new_key_whose_write_got_no_answer_is_in_the_item_once(world: World, answer: Answer, history):
    world.lists.history = history
    before = pushed(world, "A")
    rename(world, "A", "B", a="new")
    world.lists.script.append(answer)
    world.settle()
    world.wait(61)
    world.settle()
    world.wait(400)
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)


@pytest.mark.parametrize("kind", [PatchItem, DeleteItem])
@pytest.mark.parametrize("lands", ["before", "after", "never"])
def test_a_write_to_the_item_that_was_in_doubt_goes_over_with_it(world: World, kind, lands):
    """A PATCH or a DELETE of the former row's item may still land, before or after the item has got its new key."""
    before = pushed(world, "A")
    if kind is PatchItem:
        world.source.put("A", a="changed")
    else:
        kept = world.source.rows.pop("A")
    world.lists.script.append(world.lists.astray)
    world.scan()
    world.settle()
    if kind is DeleteItem:
        world.source.put("A", **{name: value for name, value in kept.items() if name != "id"})
    world.source.rename("A", "B")
    told(world, "AB")
    if lands == "before":
        world.lists.land_late()
    world.wait(61)
    world.settle()
    if lands == "after":
        world.lists.land_late()
    world.wait(400)
    world.mark(B, Reason.DRIFT)
    world.settle()
    gone = kind is DeleteItem and lands == "before"
    found = item_ids(world)
    assert list(found) == ["B"]
    assert (found["B"] != before["A"]) is gone
    calm(world, items=1)


# ---- what stops a page


def test_hidden_rows_hold_the_definition_and_no_item_goes_over(world: World):
    pushed(world, "A")
    rename(world, "A", "B")
    world.source.failure = RowsHidden("hidden")
    [result] = world.settle()
    assert result.hold is not None
    entry = world.entry(B)
    assert entry is None
    assert on_record(world) == 1


def test_a_source_that_is_away_leaves_the_change_on_record(world: World):
    before = pushed(world, "A")
    rename(world, "A", "B")
    world.source.failure = SourceUnavailable("away")
    with pytest.raises(SourceUnavailable):
        world.settle()
    world.source.failure = None
    world.settle()
    assert item_ids(world) == {"B": before["A"]}
    calm(world, items=1)
