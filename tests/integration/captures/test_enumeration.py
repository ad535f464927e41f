"""What reading the whole list marks, over a list in memory and over Graph."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.captures.delta import DeltaState
from shared.core.backlog import Lane, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy, ForeignPolicy, GuardSettings, SyncMode
from shared.core.errors import ConfigurationError, DeltaExpired, GraphUnavailable, ListGone, Throttled
from shared.core.guards import GuardKind
from shared.core.ids import ETag, RunId
from shared.core.items import LATEST
from shared.core.ledger import EntryState
from shared.ports import Confirmation
from shared.usecases.steps import drive
from tests.integration.captures.world import World, drop_after
from tests.integration.metastore.support import claim, entry, row

pytestmark = pytest.mark.slow

STEPS = [Boundary.LIST_LOADED, Boundary.LIST_COMPARED, Boundary.LIST_MARKED]


def waits(world: World) -> set[str]:
    found = world.sql.execute(
        "select source_identity from syncbridge.sync_backlog where state = 'AWAITING_APPROVAL'"
    ).fetchall()
    return {identity for (identity,) in found}


def test_a_first_reading_marks_everything_and_its_token_tells_what_follows(world: World):
    landed = world.settled(1)
    added = {world.bench.add({"Title": f"item {n}"}) for n in range(16)}
    report = world.enumerate_all()
    assert report.finished
    assert report.stored
    assert report.result is not None
    assert (report.result.listed, report.result.new, report.marked) == (17, 16, 16)
    assert world.marked() == {world.nobodys(item_id) for item_id in added}
    etag = world.bench.edit(landed.item_id, {"Title": "later"})
    world.changes()
    assert world.due()[row(1)] == (frozenset({Reason.ITEM}), etag)


def test_an_empty_list_of_a_new_definition_gets_a_token_and_no_mark(world: World):
    report = world.enumerate_all()
    assert (report.marked, report.stored, report.holds) == (0, True, ())
    assert drive(world.delta()).state is DeltaState.COMPLETE


def test_the_token_is_taken_before_the_first_page(world: World):
    world.enumerate_all()
    assert world.lists.deltas == [LATEST]
    world.lists.before_page = lambda _token: pytest.fail("a page came before the token")
    world.lists.before_delta = lambda _token: setattr(world.lists, "before_page", lambda _token: None)
    world.enumerate_all()


def test_after_a_dead_token_edits_additions_and_deletions_are_found(world: World):
    landed = [world.settled(n) for n in range(1, 13)]
    world.begin()
    etag = world.bench.edit(landed[0].item_id, {"Title": "by hand"})
    world.bench.remove(landed[1].item_id)
    added = world.bench.add({"Title": "new"})
    world.bench.expire()
    assert drive(world.delta()).state is DeltaState.ENUMERATE
    assert world.enumerate_all().stored
    assert world.due().keys() == {row(1), row(2), world.nobodys(added)}
    assert world.due()[row(1)] == (frozenset({Reason.ITEM}), etag)
    assert world.due()[row(2)] == (frozenset({Reason.ITEM_GONE}), None)


def test_what_happens_between_two_pages_is_told_by_the_token(world: World):
    landed = [world.settled(n) for n in range(1, 21)]
    happened: list[ETag] = []

    def meanwhile(token: str | None) -> None:
        if token is not None and not happened:  # the first page is read
            happened.append(world.bench.edit(landed[0].item_id, {"Title": "late"}))
            world.bench.remove(landed[1].item_id)

    world.lists.before_page = meanwhile
    assert world.enumerate_all().marked == 0
    world.changes()
    assert world.due() == {
        row(1): (frozenset({Reason.ITEM}), happened[0]),
        row(2): (frozenset({Reason.ITEM_GONE}), None),
    }


def test_a_row_that_is_claimed_while_the_list_is_compared_is_looked_at_again(world: World):
    """Our item was made and a person deleted it, before the token was taken; the ledger learns of it only afterwards."""
    world.mark(row(1))
    page = claim(world.backlog, world.definition.id)
    landed = world.create(1)
    world.bench.remove(landed.item_id)
    world.enumerate_all()
    made = replace(entry(1, item_id=landed.item_id), list_id=world.bench.target.list_id, etag=landed.etag)
    done = Confirmation(claimed=page.subjects[0], entry=made)
    assert world.ledger.confirm(world.definition.id, page.token, [done], run=None)
    world.changes()
    assert world.marked(gone=True) == {row(1)}


def test_items_that_the_engine_makes_while_the_list_is_read_are_not_missed_ones(world: World):
    for n in range(1, 9):
        world.settled(n)

    def meanwhile(token: str | None) -> None:
        if token is None:
            for n in range(20, 30):  # made and deleted behind the reading's back: as if their pages had gone by
                landed = world.create(n)
                world.bench.remove(landed.item_id)
                world.agree(n, landed.item_id, landed.etag)

    world.lists.before_page = meanwhile
    report = world.enumerate_all()
    assert report.result is not None
    assert (report.result.known, report.result.gone, report.holds) == (8, 0, ())
    assert world.marked(gone=True) == {row(n) for n in range(20, 30)}


def test_pages_that_lead_nowhere_are_begun_anew_with_a_new_token(world: World):
    landed = [world.settled(n) for n in range(1, 21)]
    broken = iter([True])

    def breaks(token: str | None) -> None:
        if token is not None and next(broken, False):
            world.bench.remove(landed[0].item_id)
            raise DeltaExpired("the page is gone", code="page_expired")

    world.lists.before_page = breaks
    report = world.enumerate_all()
    assert report.stored
    assert world.lists.deltas == [LATEST, LATEST]
    assert world.marked(gone=True) == {row(1)}


def test_pages_that_always_lead_nowhere_end_in_an_error_and_mark_nothing(world: World):
    for n in range(1, 21):
        world.settled(n)

    def breaks(token: str | None) -> None:
        if token is not None:
            raise DeltaExpired("the page is gone", code="page_expired")

    world.lists.before_page = breaks
    with pytest.raises(GraphUnavailable, match="cannot be followed"):
        world.enumerate_all()
    assert world.forgotten()
    assert world.due() == {}


def test_a_reading_that_runs_out_of_time_goes_on_where_it_stopped(world: World):
    for n in range(1, 21):
        world.settled(n)
    world.bench.add({"Title": "new"})
    first = drive(world.enumeration(go_on=lambda: False))
    assert (first.finished, first.pages, first.marked) == (False, 1, 0)
    assert world.forgotten()
    asked = len(world.lists.pages)
    second = drive(world.enumeration())
    assert second.finished
    assert second.stored
    assert None not in world.lists.pages[asked:]
    assert world.lists.deltas == [LATEST]
    assert second.marked == 1


def test_a_reading_that_has_to_wait_for_the_budget_goes_on_where_it_stopped(world: World):
    for n in range(1, 21):
        world.settled(n)

    def no_budget(token: str | None) -> None:
        if token is not None:
            raise Throttled("the budget is used up", retry_after=30.0)

    world.lists.before_page = no_budget
    with pytest.raises(Throttled):
        drive(world.enumeration())
    world.lists.before_page = lambda _token: None
    asked = len(world.lists.pages)
    assert drive(world.enumeration()).stored
    assert None not in world.lists.pages[asked:]


def test_fields_that_change_between_two_calls_begin_the_reading_anew(world: World):
    for n in range(1, 21):
        world.settled(n)
    drive(world.enumeration(go_on=lambda: False))
    world.definition = replace(world.definition, mapping_fingerprint=b"n" * 16)
    drive(world.enumeration())
    assert world.lists.deltas == [LATEST, LATEST]
    assert drive(world.delta()).state is DeltaState.COMPLETE


def test_a_server_that_lost_the_pages_makes_the_reading_begin_anew(world: World):
    for n in range(1, 21):
        world.settled(n)
    drive(world.enumeration(go_on=lambda: False))
    world.sql.execute(f"truncate syncbridge.listed_{world.run.hex}")  # what a server's crash does to an unlogged table
    report = drive(world.enumeration())
    assert report.result is not None
    assert (report.result.listed, report.result.gone, report.marked) == (20, 0, 0)


@pytest.mark.parametrize("boundary", STEPS)
def test_a_worker_that_dies_at_any_step_passes_over_nothing(world: World, boundary: Boundary):
    for n in range(1, 9):
        world.settled(n)
    added = {world.bench.add({"Title": f"item {n}"}) for n in range(8)}
    drop_after(world.enumeration(), boundary)
    assert world.forgotten()
    late = world.bench.add({"Title": "late"})
    assert drive(world.enumeration(RunId(uuid4()))).stored
    world.changes()
    assert world.marked() == {world.nobodys(item_id) for item_id in (*added, late)}


@pytest.mark.parametrize("boundary", STEPS)
def test_the_same_run_goes_on_after_a_death_at_any_step(world: World, boundary: Boundary):
    for n in range(1, 9):
        world.settled(n)
    added = {world.bench.add({"Title": f"item {n}"}) for n in range(8)}
    drop_after(world.enumeration(), boundary)
    late = world.bench.add({"Title": "late"})
    assert drive(world.enumeration()).stored
    world.changes()
    assert world.marked() == {world.nobodys(item_id) for item_id in (*added, late)}


def test_of_two_workers_that_read_the_list_at_the_same_time_one_stores_its_token(world: World):
    world.settled(1)
    added = world.bench.add({"Title": "new"})
    slow = world.enumeration(RunId(uuid4()))
    assert next(slow) is Boundary.LIST_LOADED
    assert world.enumerate_all().stored
    theirs = world.token()
    report = drive(slow)
    assert (report.finished, report.stored) == (True, False)
    assert world.token() == theirs
    assert world.marked() == {world.nobodys(added)}


def test_drift_is_looked_for_without_touching_the_token(world: World):
    landed = world.settled(1)
    stored = world.begin()
    etag = world.bench.edit(landed.item_id, {"Title": "by hand"})
    report = world.enumerate_all(take_token=False, lane=Lane.DRIFT)
    assert (report.stored, report.without_token) == (False, True)
    assert LATEST not in world.lists.deltas[1:]
    assert world.token() == stored
    assert world.due() == {row(1): (frozenset({Reason.ITEM}), etag)}


def test_a_cloud_without_changes_of_lists_is_compared_whole(world: World):
    world.settled(1)
    added = world.bench.add({"Title": "new"})

    def unavailable(_token: str | None) -> None:
        raise ConfigurationError("no delta here", code="delta_unavailable")

    world.lists.before_delta = unavailable
    report = world.enumerate_all()
    assert (report.stored, report.without_token) == (False, True)
    assert world.marked() == {world.nobodys(added)}


def test_a_list_that_is_gone_raises_and_marks_nothing(world: World):
    for n in range(1, 21):
        world.settled(n)

    def lose(token: str | None) -> None:
        if token is not None:
            world.bench.lose()

    world.lists.before_page = lose
    with pytest.raises(ListGone):
        drive(world.enumeration())
    assert world.forgotten()
    assert world.due() == {}


def test_an_emptied_list_holds_the_definition_before_a_single_mark(world: World):
    for n in range(1, 7):
        world.bench.remove(world.settled(n).item_id)
    report = world.enumerate_all()
    assert report.held
    assert [hold.kind for hold in world.holds.opened] == [GuardKind.EMPTY_LIST, GuardKind.DELETE_GUARD]
    assert (report.marked, report.stored, world.due()) == (0, False, {})
    assert world.forgotten()


def test_a_list_that_is_only_pushed_is_held_when_it_is_empty_and_made_again_when_released(
    make: Callable[..., World],
):
    world = make(mode=SyncMode.ONE_WAY_PUSH, item_deleted=DeletePolicy.RECREATE)
    for n in range(1, 7):
        world.bench.remove(world.settled(n).item_id)
    assert world.enumerate_all().held
    assert [hold.kind for hold in world.holds.opened] == [GuardKind.EMPTY_LIST]
    world.holds.waivers.add(GuardKind.EMPTY_LIST)
    assert world.enumerate_all().stored
    assert world.marked(gone=True) == {row(n) for n in range(1, 7)}


def test_deletes_beyond_the_limit_wait_and_all_else_goes_on(make: Callable[..., World]):
    world = make(guards=GuardSettings(max_deletes=2))
    landed = [world.settled(n) for n in range(1, 13)]
    for one in landed[:3]:
        world.bench.remove(one.item_id)
    world.bench.edit(landed[5].item_id, {"Title": "by hand"})
    report = world.enumerate_all()
    assert (report.held, report.stored) == (False, True)
    assert [hold.kind for hold in report.holds] == [GuardKind.DELETE_GUARD]
    assert waits(world) == {row(n).identity for n in (1, 2, 3)}
    assert world.due().keys() == {row(6)}


def test_fewer_items_than_the_share_hold_and_go_on_when_a_person_says_so(world: World):
    landed = [world.settled(n) for n in range(1, 13)]
    for one in landed[:7]:
        world.bench.remove(one.item_id)
    assert world.enumerate_all().held
    assert world.due() == {}
    world.holds.waivers.add(GuardKind.FEWER_ITEMS)
    assert world.enumerate_all().stored
    assert waits(world) == {row(n).identity for n in range(1, 8)}


def test_the_former_item_of_a_row_that_is_being_created_anew_is_no_delete(make: Callable[..., World]):
    world = make(guards=GuardSettings(max_deletes=0))
    for n in range(1, 7):
        landed = world.settled(n)
        world.bench.remove(landed.item_id)
        world.agree(n, landed.item_id, landed.etag, EntryState.CREATING)
    report = world.enumerate_all()
    assert report.holds == ()
    assert world.marked(gone=True) == {row(n) for n in range(1, 7)}


def test_nothing_of_a_run_is_left_behind_when_it_ends(world: World):
    world.settled(1)
    world.enumerate_all()
    left = world.sql.execute("select count(*) from pg_tables where tablename ~ '^(listed|list_differing)_'").fetchone()
    assert left == (0,)
    assert world.sql.execute("select count(*) from syncbridge.run_tables").fetchone() == (0,)


@pytest.mark.parametrize("mode", [SyncMode.ONE_WAY_PUSH, SyncMode.TWO_WAY])
def test_items_of_nobodys_are_counted_and_left_alone_where_no_row_is_made_of_them(
    make: Callable[..., World], mode: SyncMode
):
    world = make(mode=mode, foreign_items=ForeignPolicy.IGNORE)
    world.settled(1)
    for n in range(9):
        world.bench.add({"Title": f"item {n}"})
    late = world.create(2)
    report = world.enumerate_all()
    assert report.result is not None
    assert (report.result.foreign, report.result.new, report.result.known) == (9, 1, 1)
    assert world.marked() == {world.nobodys(late.item_id)}
