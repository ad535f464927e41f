"""A field that is paused is written on neither side, and goes on from what was agreed before: nobody's value is lost."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.core.backlog import Reason, SubjectState
from shared.core.definition import ConflictPolicy, DeletePolicy, SyncMode
from shared.core.errors import NotFound
from shared.core.ids import FieldNo, identity_of
from shared.core.paused import Pause, agreed_under, fields_of
from tests.fakes.lists import lost_after, lost_before
from tests.settle.two_way import one, pull, quiet, see, two_way, values_of
from tests.settle.world import World

pytestmark = pytest.mark.slow

PAUSE = Pause(reason="the column b is gone", since=datetime(2026, 1, 1, tzinfo=UTC), seen_by="run")


def pause(world: World, *, marked: bool = True) -> None:
    """Field b is paused, and what follows from it has happened: every stamp is another one."""
    _with_b(world, PAUSE, [2], marked=marked)


def resume(world: World) -> None:
    _with_b(world, None, [], marked=True)


def _with_b(world: World, paused: Pause | None, numbers: list[int], *, marked: bool) -> None:
    definition = world.definition
    fields = tuple(replace(m, paused=paused) if m.no == 2 else m for m in definition.fields)
    fingerprint = agreed_under(fields_of(definition.mapping_fingerprint), map(FieldNo, numbers))
    world.definition = replace(definition, fields=fields, mapping_fingerprint=fingerprint)
    if marked:
        for key in world.source.rows:
            world.mark(identity_of([key]), Reason.SCAN)
        world.settle()


def b_of(world: World) -> tuple[str | None, str | None]:
    """In the row and in its item."""
    [item] = world.items().values()
    return values_of(world, "1")["b"], item.get("B")


def both_unequal(world: World) -> None:
    """The column got other values while it was paused, on both sides; another field goes on."""
    _, item = one(world, a="x", b="old")
    pause(world)
    world.lists.edit(item, {"B": "person", "A": "z"})
    world.mark(world.source.put("1", b="user"))
    pull(world, item)


def test_pausing_and_going_on_writes_nothing_where_nothing_changed(world: World):
    one(world, a="x", b="y")
    writes, begun = len(world.lists.writes), world.rows.begun
    pause(world)
    resume(world)
    assert (writes, begun) == (len(world.lists.writes), world.rows.begun)
    assert not world.conflicts()
    quiet(world)


def test_a_paused_field_is_written_on_neither_side_and_the_others_go_on_both_ways(world: World):
    both_unequal(world)
    assert b_of(world) == ("user", "person")
    assert values_of(world, "1")["a"] == "z"
    world.mark(world.source.put("1", a="w"))
    world.settle()
    [shown] = world.items().values()
    assert shown["A"] == "w"
    assert b_of(world) == ("user", "person")
    assert not world.conflicts()
    quiet(world)


def test_only_items_that_were_edited_during_the_pause_are_read_when_the_field_goes_on(world: World):
    for key in ("1", "2", "3"):
        world.source.put(key, a="x", b="old")
    world.push()
    edited, *_ = world.lists.items
    pause(world)
    world.lists.edit(edited, {"B": "person"})
    pull(world, edited)
    pull(world, edited)  # and again, by its eTag unchanged
    reads = world.lists.reads
    resume(world)
    assert world.lists.reads == reads + 1
    assert world.expected() == world.items()
    assert sorted(row["b"] or "" for row in world.source.rows.values()) == ["old", "old", "person"]


def test_an_edit_of_a_list_that_is_only_pushed_is_written_back_once_the_field_goes_on(metastore: str):
    world = World(metastore, **two_way(mode=SyncMode.ONE_WAY_PUSH))
    _, item = one(world, a="x", b="old")
    pause(world)
    world.lists.edit(item, {"B": "person"})
    pull(world, item)
    assert b_of(world) == ("old", "person")
    resume(world)
    assert b_of(world) == ("old", "old")
    assert [(column, lost) for column, lost, *_ in world.conflicts()] == [("b", '"person"')]
    world.close()


def test_an_items_edit_during_the_pause_is_an_edit_once_the_field_goes_on(world: World):
    _, item = one(world, a="x", b="old")
    pause(world)
    world.lists.edit(item, {"B": "person", "A": "z"})
    pull(world, item)
    resume(world)
    assert b_of(world) == ("person", "person")
    assert not world.conflicts()
    quiet(world)


def test_a_rows_edit_during_the_pause_is_an_edit_once_the_field_goes_on(world: World):
    one(world, a="x", b="old")
    pause(world)
    world.mark(world.source.put("1", b="user", a="w"))
    world.settle()
    resume(world)
    assert b_of(world) == ("user", "user")
    assert not world.conflicts()
    quiet(world)


@pytest.mark.parametrize(
    ("policy", "winner", "loser"),
    [(ConflictPolicy.SOURCE_WINS, "user", "person"), (ConflictPolicy.DESTINATION_WINS, "person", "user")],
)
def test_edits_of_both_sides_during_the_pause_are_a_conflict_and_the_loser_is_logged(
    metastore: str, policy: ConflictPolicy, winner: str, loser: str
):
    world = World(metastore, **two_way(conflict_policy=policy))
    both_unequal(world)
    resume(world)
    assert b_of(world) == (winner, winner)
    [(column, lost, state, _)] = world.conflicts()
    assert (column, lost, state) == ("b", f'"{loser}"', "FINAL")
    quiet(world)
    world.close()


def test_an_item_that_was_made_during_the_pause_gets_its_value_afterwards(world: World):
    pause(world)
    one(world, a="x", b="y")
    assert b_of(world) == ("y", None)
    resume(world)
    assert b_of(world) == ("y", "y")
    quiet(world)


def test_a_row_that_was_made_during_the_pause_gets_its_value_afterwards(world: World):
    pause(world)
    pull(world, world.lists.add({"A": "x", "B": "y"}))
    [key] = world.source.rows
    assert world.source.rows[key]["b"] is None
    resume(world)
    assert world.source.rows[key]["b"] == "y"
    assert not world.conflicts()
    quiet(world)


def test_an_item_that_was_made_again_during_the_pause_empties_nothing_in_its_row(metastore: str):
    world = World(metastore, **two_way(item_deleted=DeletePolicy.RECREATE))
    _, item = one(world, a="x", b="y")
    pause(world)
    world.lists.remove(item)
    pull(world, item)
    assert b_of(world) == ("y", None)
    resume(world)
    assert b_of(world) == ("y", "y")
    assert not world.conflicts()
    world.wait(400)  # the deleted item is looked for once more
    world.settle()
    quiet(world)
    world.close()


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "without an answer"])
def test_a_row_that_was_made_again_during_the_pause_empties_nothing_in_its_item(world: World, *, lost: bool):
    """The person's edit outlives the delete of the row; the new row has no value in the column."""
    identity, item = one(world, a="x", b="y")
    pause(world)
    world.source.delete("1")
    world.lists.edit(item, {"A": "z"})
    see(world, item)
    world.mark(identity, Reason.ROW_GONE)
    if lost:
        world.rows.script.append("lost_after")
    world.settle()
    world.wait(120)
    world.settle()
    assert b_of(world) == (None, "y")
    resume(world)
    assert b_of(world) == ("y", "y")
    assert [column for column, *_ in world.conflicts()] == ["a"], "the edit that outlived the delete, and no more"
    quiet(world)


@pytest.mark.parametrize("seen", [False, True], ids=["with the delete", "before it"])
def test_an_edit_in_a_paused_field_that_goes_with_its_item_is_logged(world: World, *, seen: bool):
    identity, item = one(world, a="x", b="old")
    pause(world)
    world.lists.edit(item, {"B": "person"})
    if seen:
        pull(world, item)
    else:
        see(world, item)
    world.source.delete("1")
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    assert world.items() == {}
    assert [(column, lost, state) for column, lost, state, _ in world.conflicts()] == [("b", '"person"', "FINAL")]


def test_a_row_whose_item_is_deleted_during_the_pause_waits_for_a_person(world: World):
    """Nobody can see what its column has; a row that is only marked as deleted keeps it."""
    for key in ("1", "2", "3"):
        world.source.put(key, a="x", b="old")
    world.push()
    pause(world)
    item = next(iter(world.lists.items))
    world.lists.remove(item)
    pull(world, item)
    assert len(world.source.rows) == 3
    [(_, state, *_)] = world.backlog_rows()
    assert state == "AWAITING_APPROVAL"
    HoldStore(world.store).release_subjects(
        world.definition.id, SubjectState.AWAITING_APPROVAL, None, approve=True, actor="test"
    )
    world.settle()
    assert len(world.source.rows) == 2


def test_an_item_that_was_deleted_and_is_to_stay_away_does_not_come_back_with_a_pause(metastore: str):
    world = World(metastore, **two_way(item_deleted=DeletePolicy.KEEP))
    _, item = one(world, a="x", b="y")
    world.lists.remove(item)
    pull(world, item)
    world.source.columns = ("a",)
    del world.source.rows["1"]["b"]  # another stamp
    pause(world)
    assert world.items() == {}
    world.source.rows["1"]["b"] = "y"
    resume(world)
    assert world.items() == {}
    world.mark(world.source.put("1", a="changed"), Reason.STREAM)
    world.settle()
    assert len(world.items()) == 1, "a row that changes gets its item, as ever"
    world.close()


def test_an_item_that_stays_without_its_row_brings_no_row_back_with_a_pause(metastore: str):
    world = World(metastore, **two_way(row_deleted=DeletePolicy.KEEP))
    identity, item = one(world, a="x", b="y")
    world.source.delete("1")
    world.mark(identity, Reason.ROW_GONE)
    world.settle()
    for change in (pause, resume):
        change(world)
        world.mark(identity, Reason.DRIFT)
        world.settle()
        assert not world.source.rows
        assert list(world.lists.items) == [item]
    world.close()


@pytest.mark.parametrize("fault", [lost_after, lost_before], ids=["landed", "not landed"])
def test_an_update_that_got_no_answer_before_the_pause_loses_nobodys_value(world: World, fault):
    _, item = one(world, a="x", b="old")
    world.lists.script.append(fault)
    world.mark(world.source.put("1", a="w", b="user"))
    world.settle()
    pause(world, marked=False)
    world.wait(120)
    world.settle()
    world.lists.edit(item, {"A": "v"})
    pull(world, item)
    resume(world)
    assert b_of(world) == ("user", "user")
    assert world.expected() == world.items()
    assert not world.conflicts()
    quiet(world)


@pytest.mark.parametrize("sent", [{"b": "user"}, {"a": "w", "b": "user"}], ids=["alone", "with another"])
@pytest.mark.parametrize("policy", list(ConflictPolicy)[:2])
def test_what_an_update_without_an_answer_wrote_is_nobodys_edit_once_the_field_goes_on(
    metastore: str, policy: ConflictPolicy, sent: dict[str, str]
):
    """The list's versions tell that it landed, in the paused field too: its column is gone from the table, not the list."""
    world = World(metastore, **two_way(conflict_policy=policy))
    one(world, a="x", b="old")
    world.lists.script.append(lost_after)
    world.mark(world.source.put("1", **sent))
    world.settle()
    pause(world, marked=False)
    world.wait(120)
    world.settle()
    world.mark(world.source.put("1", b="newer"))
    world.settle()
    resume(world)
    assert b_of(world) == ("newer", "newer")
    assert not world.conflicts()
    quiet(world)
    world.close()


@pytest.mark.parametrize("mode", [SyncMode.ONE_WAY_PUSH, SyncMode.TWO_WAY])
def test_what_a_person_typed_during_the_pause_is_logged_before_a_row_writes_over_it(metastore: str, mode: SyncMode):
    world = World(metastore, **two_way(mode=mode))
    _, item = one(world, a="x", b="old")
    pause(world)
    world.lists.edit(item, {"B": "person"})
    world.mark(world.source.put("1", a="w", b="user"), Reason.DOUBT)  # the item is looked at, for another reason
    world.settle()
    assert b_of(world)[1] == "person"
    resume(world)
    assert b_of(world) == ("user", "user")
    assert [(column, lost) for column, lost, *_ in world.conflicts()] == [("b", '"person"')]
    world.close()


def test_a_column_that_goes_before_its_row_is_written_gives_the_page_back(world: World):
    """Whoever runs the page looks at the table, pauses the field, and tries again; nothing is held by the page."""
    _, item = one(world, a="x", b="y")
    gone = NotFound("public.t has no column b any more", code="schema_drift")
    world.rows.apply_faults.append(gone)
    world.lists.edit(item, {"A": "z", "B": "person"})
    with pytest.raises(NotFound):
        pull(world, item)
    assert values_of(world, "1") == {"a": "x", "b": "y"}
    assert not world.holds.opened
    pause(world)
    assert (values_of(world, "1")["a"], b_of(world)) == ("z", ("y", "person"))
    resume(world)
    assert b_of(world) == ("person", "person")
    assert not world.conflicts()
    quiet(world)
