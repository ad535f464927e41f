"""What a page of the list's changes marks, over a list in memory and over Graph."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.captures.delta import DeltaState
from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.definition import ForeignPolicy
from shared.core.errors import ListGone
from shared.core.ids import ETag
from shared.core.items import DeleteItem, Landed
from shared.core.ledger import EntryState
from shared.usecases.steps import drive
from tests.integration.captures.world import World, drop_after, observed
from tests.integration.metastore.support import claim, row

pytestmark = pytest.mark.slow

BEFORE_MARKS, AFTER_MARKS = Boundary.DELTA_READ, Boundary.DELTA_MARKED


def test_without_a_token_the_whole_list_has_to_be_read_first(world: World):
    assert drive(world.delta()).state is DeltaState.ENUMERATE
    assert world.lists.deltas == []


def test_a_quiet_list_tells_nothing_and_its_token_stays_good(world: World):
    world.settled(1)
    world.begin()
    for _ in range(3):
        *_, last = world.changes()
        assert (last.state, last.entries, last.marked) == (DeltaState.COMPLETE, 0, 0)
    assert world.due() == {}


def test_a_persons_edit_marks_its_row_with_the_etag_that_was_seen(world: World):
    landed = world.settled(1)
    world.begin()
    etag = world.bench.edit(landed.item_id, {"Title": "by hand"})
    reports = world.changes()
    assert world.due() == {row(1): (frozenset({Reason.ITEM}), etag)}
    seen = observed(reports)[row(1).key]
    assert (seen.item.id, seen.item.etag, seen.item.fields["Title"]) == (landed.item_id, etag, "by hand")


def test_an_observation_is_numbered_as_its_mark_and_orders_confirmations(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.edit(landed.item_id, {"Title": "by hand"})
    asked = [world.backlog.next_number()]
    world.lists.before_delta = lambda _token: asked.append(world.backlog.next_number())
    report = drive(world.delta())
    while not report.observations:
        report = drive(world.delta())
    seen = report.observations[row(1).key]
    (claimed,) = claim(world.backlog, world.definition.id).subjects
    assert seen.number == claimed.number
    assert asked[-2] < seen.since < asked[-1]
    assert seen.since < seen.number


def test_our_own_writes_come_back_as_echoes_and_are_not_marked(world: World):
    world.begin()
    for n in range(1, 4):
        world.settled(n)
    reports = world.changes()
    assert sum(report.echoes for report in reports) >= 3
    assert sum(report.marked for report in reports) == 0
    assert observed(reports) == {}
    assert world.due() == {}


def test_a_write_of_ours_that_is_not_confirmed_yet_marks_its_item(world: World):
    world.begin()
    landed = world.create(1)
    world.changes()
    assert world.due() == {world.nobodys(landed.item_id): (frozenset({Reason.ITEM}), landed.etag)}


def test_an_item_that_a_person_added_is_a_subject_of_its_own_with_its_values(world: World):
    world.begin()
    added = world.bench.add({"Title": "new"})
    seen = observed(world.changes())
    subject = world.nobodys(added)
    assert world.due() == {subject: (frozenset({Reason.ITEM}), seen[subject.key].item.etag)}
    assert seen[subject.key].item.fields["Title"] == "new"


def test_a_deleted_item_marks_its_row_as_gone_and_tells_no_values(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.remove(landed.item_id)
    reports = world.changes()
    assert world.due() == {row(1): (frozenset({Reason.ITEM_GONE}), None)}
    assert observed(reports) == {}


def test_a_deleted_item_that_nobody_knows_is_marked_all_the_same(world: World):
    world.begin()
    added = world.bench.add({"Title": "new"})
    world.bench.remove(added)
    world.changes()
    assert world.due() == {world.nobodys(added): (frozenset({Reason.ITEM_GONE}), None)}


def test_a_deletion_of_our_own_is_an_echo_once_it_is_confirmed(world: World):
    landed = world.settled(1)
    world.begin()
    assert landed.etag is not None
    write = DeleteItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag)
    assert isinstance(world.bench.lists.write(world.bench.target, [write])[write.op], Landed)
    world.agree(1, landed.item_id, None, EntryState.TOMBSTONE)
    assert sum(report.marked for report in world.changes()) == 0
    assert world.due() == {}


def test_a_deletion_of_our_own_that_comes_back_while_its_row_is_claimed_is_marked(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.remove(landed.item_id)
    world.agree(1, landed.item_id, None, EntryState.TOMBSTONE)
    world.mark(row(1))
    claim(world.backlog, world.definition.id)
    assert sum(report.marked for report in world.changes()) == 1


def test_the_former_item_of_a_tombstone_is_nobodys_when_it_shows_up(world: World):
    landed = world.settled(1)
    world.begin()
    world.agree(1, landed.item_id, None, EntryState.TOMBSTONE)
    etag = world.bench.edit(landed.item_id, {"Title": "still here"})
    world.changes()
    assert world.due() == {world.nobodys(landed.item_id): (frozenset({Reason.ITEM}), etag)}


def test_an_edit_after_an_edit_is_told_once_with_the_last_version(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.edit(landed.item_id, {"Title": "one"})
    etag = world.bench.edit(landed.item_id, {"Title": "two"})
    seen = observed(world.changes())[row(1).key]
    assert (seen.item.etag, seen.item.fields["Title"]) == (etag, "two")


def test_changes_of_many_pages_are_all_marked(world: World):
    landed = [world.settled(n) for n in range(1, 21)]
    world.begin()
    for one in landed[:18]:
        world.bench.edit(one.item_id, {"Title": "by hand"})
    for one in landed[18:]:
        world.bench.remove(one.item_id)
    reports = world.changes()
    assert len(reports) > 2
    assert world.marked() == {row(n) for n in range(1, 19)}
    assert world.marked(gone=True) == {row(19), row(20)}
    assert all(len(report.observations) <= 7 for report in reports)


def test_a_mark_that_was_made_before_is_coalesced_and_renumbered(world: World):
    landed = world.settled(1)
    world.begin()
    first = world.bench.edit(landed.item_id, {"Title": "one"})
    one = observed(world.changes())[row(1).key]
    assert world.due()[row(1)][1] == first
    world.bench.edit(landed.item_id, {"Title": "two"})
    two = observed(world.changes())[row(1).key]
    assert two.number > one.number
    assert world.due()[row(1)] == (frozenset({Reason.ITEM}), None)  # two versions: settle looks


def test_a_dead_token_is_forgotten_and_nothing_is_marked(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.edit(landed.item_id, {"Title": "by hand"})
    world.bench.expire()
    report = drive(world.delta())
    assert (report.state, report.expired) == (DeltaState.ENUMERATE, "delta_expired")
    assert world.forgotten()
    assert world.due() == {}


def test_a_token_that_another_worker_replaced_is_not_forgotten(world: World):
    world.settled(1)
    stored = world.begin()
    world.bench.expire()
    theirs = replace(stored, token="https://another")

    def meanwhile(_token: str | None) -> None:
        world.cursors.advance_delta(world.definition, expected=stored, new=theirs, marks=[])

    world.lists.before_delta = meanwhile
    assert drive(world.delta()).state is DeltaState.MOVED
    assert world.token() == theirs


def test_changed_fields_ask_for_the_whole_list_and_keep_the_token_until_then(world: World):
    world.settled(1)
    stored = world.begin()
    world.definition = replace(world.definition, mapping_fingerprint=b"n" * 16)
    asked = len(world.lists.deltas)
    assert drive(world.delta()).state is DeltaState.ENUMERATE
    assert len(world.lists.deltas) == asked
    assert world.token() == stored
    assert world.enumerate_all().stored
    assert drive(world.delta()).state is DeltaState.COMPLETE


def test_a_definition_that_begins_to_make_rows_of_items_reads_those_it_had_passed_over(make: Callable[..., World]):
    world = make(foreign_items=ForeignPolicy.IGNORE)
    added = world.bench.add({"Title": "new"})
    world.begin()
    world.definition = replace(world.definition, foreign_items=ForeignPolicy.INSERT)
    assert drive(world.delta()).state is DeltaState.ENUMERATE
    world.enumerate_all()
    assert world.marked() == {world.nobodys(added)}


def test_a_list_that_is_gone_raises_and_moves_nothing(world: World):
    world.settled(1)
    stored = world.begin()
    world.bench.lose()
    with pytest.raises(ListGone):
        drive(world.delta())
    assert world.token() == stored
    assert world.due() == {}


def test_of_two_workers_on_one_token_one_marks_and_the_other_drops_its_page(world: World):
    landed = world.settled(1)
    stored = world.begin()
    world.bench.edit(landed.item_id, {"Title": "by hand"})
    slow = world.delta()
    assert next(slow) is BEFORE_MARKS
    world.changes()
    moved, before = world.token(), world.backlog.next_number()
    assert moved != stored
    report = drive(slow)
    assert (report.state, report.marked, report.observations) == (DeltaState.MOVED, 0, {})
    assert world.token() == moved
    (claimed,) = claim(world.backlog, world.definition.id).subjects
    assert claimed.number < before


@pytest.mark.parametrize("boundary", [BEFORE_MARKS, AFTER_MARKS])
def test_a_worker_that_dies_around_the_marks_passes_over_nothing(world: World, boundary: Boundary):
    landed = [world.settled(n) for n in range(1, 16)]
    world.begin()
    for one in landed:
        world.bench.edit(one.item_id, {"Title": "by hand"})
    deaths, state = 0, DeltaState.MORE
    while state is not DeltaState.COMPLETE:
        drop_after(world.delta(), boundary)
        deaths += 1
        state = drive(world.delta()).state
    assert deaths > 1
    assert world.marked() == {row(n) for n in range(1, 16)}


def test_an_item_that_changes_while_its_page_is_read_is_told_by_the_next(world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.edit(landed.item_id, {"Title": "one"})
    steps = world.delta()
    assert next(steps) is BEFORE_MARKS
    etag = world.bench.edit(landed.item_id, {"Title": "two"})
    drive(steps)
    seen = observed(world.changes())[row(1).key]
    assert seen.item.etag == etag


def test_what_is_confirmed_while_its_page_is_read_is_looked_at_again(world: World):
    """The page says what the ledger had, and the ledger has moved meanwhile."""
    landed = world.settled(1)
    world.begin()
    newer = world.bench.edit(landed.item_id, {"Title": "one"})
    world.agree(1, landed.item_id, newer)
    steps = world.delta()
    assert next(steps) is BEFORE_MARKS
    world.agree(1, landed.item_id, ETag('"elsewhere,9"'))
    drive(steps)
    world.changes()
    assert row(1) in world.due()


def test_an_item_of_nobodys_is_left_alone_where_no_row_is_made_of_it(make: Callable[..., World]):
    world = make(foreign_items=ForeignPolicy.IGNORE)
    landed = world.settled(1)
    world.begin()
    world.bench.add({"Title": "new"})
    etag = world.bench.edit(landed.item_id, {"Title": "by hand"})
    late = world.create(2)
    reports = world.changes()
    assert sum(report.foreign for report in reports) == 1
    assert world.due() == {
        row(1): (frozenset({Reason.ITEM}), etag),
        world.nobodys(late.item_id): (frozenset({Reason.ITEM}), late.etag),
    }
