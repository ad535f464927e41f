"""An ingress step: the list's changes are read, marked, and settled while their values are at hand."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.core.backlog import Lane
from shared.core.boundaries import Boundary
from shared.core.definition import DeletePolicy
from shared.core.errors import ConfigurationError, DeltaExpired, ListGone, RowsHidden, Throttled
from shared.core.ids import Identity, RunId
from shared.core.items import PatchItem
from shared.settle.job import Job, PageResult, Tools
from shared.usecases import ingress
from shared.usecases.ingress import CapturedList, capture_list
from tests.integration.captures.world import Watched
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    made.lists.page = 5
    yield made
    made.close()


@pytest.fixture
def watched(world: World) -> Watched:
    return Watched(world.lists)


@pytest.fixture
def step(world: World, watched: Watched) -> Callable[..., CapturedList]:
    """A function that takes one ingress step of one run."""
    run = RunId(uuid4())

    def take(*, seconds: float = 60.0, go_on: Callable[[], bool] = lambda: True) -> CapturedList:
        return capture_list(
            world.definition,
            run,
            replace(world.tools(), lists=watched),
            cursors=CursorStore(world.store),
            enumerations=EnumerationStore(world.store),
            limits=world.limits,
            seconds=seconds,
            go_on=go_on,
        )

    return take


def pushed(world: World, rows: int) -> None:
    for n in range(rows):
        world.source.put(str(n), a=f"a{n}", b=f"b{n}")
    world.push()


def item_of(world: World, n: int) -> Any:
    found = world.entry(Identity(f'["{n}"]'))
    assert found is not None
    return found.item_id


def test_a_first_step_reads_the_whole_list_and_then_what_changed_meanwhile(world: World, step):
    pushed(world, 12)
    first = step()
    assert (first.more, first.held, first.wait) == (False, False, None)
    assert first.numbers["listed"] == 12
    assert first.numbers["marked"] == 0
    assert first.notes == (
        "The whole list was read: 12 items, of which 0 are new and 0 changed; 0 that stood for rows are gone.",
    )
    assert world.backlog_rows() == []


def test_a_quiet_list_is_said_to_be_quiet(world: World, step):
    pushed(world, 3)
    step()
    again = step()
    assert (again.more, again.numbers["entries"]) == (False, 0)
    assert again.notes == ("The list has not changed since it was last read.",)


def test_our_own_writes_are_said_to_be_our_own(world: World, step):
    step()
    pushed(world, 12)
    found = step()
    assert (found.numbers["entries"], found.numbers["echoes"], found.numbers["marked"]) == (12, 12, 0)
    assert found.notes == (
        "All changes of the list were our own writes, or items that no row stands for: nothing to do.",
    )
    assert world.backlog_rows() == []


def test_a_persons_edit_in_a_list_that_is_only_pushed_is_noticed_written_back_and_logged_in_one_step(
    world: World, step
):
    pushed(world, 3)
    step()
    world.lists.edit(item_of(world, 1), {"A": "by hand"})
    found = step()
    assert (found.numbers["marked"], found.numbers["settled"], found.counts.updated, found.counts.conflicts) == (
        1,
        1,
        1,
        1,
    )
    assert world.expected() == world.items()
    assert [("a", '"by hand"', "FINAL", "ROW")] == world.conflicts()
    assert step().counts.updated == 0


def test_each_pages_observations_are_handed_to_settle_with_the_lane_of_people(
    world: World, step, monkeypatch: pytest.MonkeyPatch
):
    pushed(world, 12)
    step()
    jobs: list[Job] = []

    def settle(job: Job, _tools: Tools) -> Generator[Boundary, None, PageResult]:
        jobs.append(job)
        yield Boundary.CLAIMED
        return PageResult(claimed=0)

    monkeypatch.setattr(ingress, "settle_page", settle)
    for n in range(12):
        world.lists.edit(item_of(world, n), {"A": "by hand"})
    step()
    assert [len(job.observations) for job in jobs] == [5, 5, 2]
    assert {seen.item.fields["A"] for job in jobs for seen in job.observations.values()} == {"by hand"}
    assert {tuple(job.lanes) for job in jobs} == {(Lane.PEOPLE,)}


def test_a_dead_token_is_followed_by_a_reading_of_the_whole_list(world: World, step):
    pushed(world, 6)
    step()
    world.lists.expire()
    world.lists.remove(item_of(world, 2))
    found = step()
    assert (found.numbers["enumerations"], found.numbers["gone"], found.more) == (1, 1, False)
    assert (
        found.notes[0] == "The token of the list's changes was refused (delta_expired): the whole list is read instead."
    )
    world.settle()
    assert world.expected() == world.items()


def test_a_token_that_is_refused_again_at_once_waits_before_it_reads_the_list_again(
    world: World, step, watched: Watched
):
    def refused(token: str | None) -> None:
        if token != "latest":
            raise DeltaExpired("gone")

    watched.before_delta = refused
    found = step()
    assert (found.wait, found.more, found.numbers["enumerations"]) == (60.0, True, 1)


def test_a_step_whose_time_is_over_has_more_to_do_and_the_next_goes_on(world: World, step):
    step()
    pushed(world, 12)
    found = step(seconds=0.0)
    assert (found.more, found.numbers["entries"]) == (True, 5)
    rest = step()
    assert (rest.more, rest.numbers["entries"]) == (False, 7)


def test_a_step_reads_the_whole_list_over_several_steps_when_time_is_short(world: World, step, watched: Watched):
    pushed(world, 12)
    seen = []
    for _ in range(10):
        seen.append(step(seconds=0.0))
        if not seen[-1].more:
            break
    assert sum(found.numbers.get("enumerations", 0) for found in seen) == 1
    assert watched.pages.count(None) == 1
    assert len(seen) > 2


def test_a_run_that_is_not_to_go_on_stops_after_its_page(world: World, step):
    step()
    pushed(world, 12)
    assert step(go_on=lambda: False).numbers["entries"] == 5


def test_a_budget_that_is_used_up_says_how_long_to_wait(world: World, step, watched: Watched):
    step()
    pushed(world, 12)

    def throttled(_token: str | None) -> None:
        if len(watched.deltas) > 4:
            raise Throttled("the budget is used up", retry_after=12.0)

    watched.before_delta = throttled
    found = step()
    assert (found.wait, found.more, found.held) == (12.0, True, False)
    watched.before_delta = lambda _token: None
    assert not step().more


def test_an_emptied_list_holds_and_says_why(world: World, step):
    pushed(world, 6)
    for n in range(6):
        world.lists.remove(item_of(world, n))
    found = step()
    assert (found.held, found.more, found.counts.deleted) == (True, False, 0)
    assert found.notes[-1].startswith("The list is empty, and 6 of its items stood for rows.")
    assert [hold.kind for hold in world.holds.opened] == ["EMPTY_LIST"]
    assert world.backlog_rows() == []


def test_what_stops_settle_stops_the_step_and_opens_its_hold(world: World, step):
    pushed(world, 3)
    step()
    world.lists.edit(item_of(world, 1), {"A": "by hand"})
    world.source.failure = RowsHidden("a policy hides rows")
    assert step().held
    assert [hold.kind for hold in world.holds.opened] == ["ROWS_HIDDEN"]


def test_a_list_that_is_gone_raises(world: World, step):
    step()
    world.lists.gone = True
    with pytest.raises(ListGone):
        step()


def test_a_cloud_that_tells_no_changes_is_read_whole_at_each_step(world: World, step, watched: Watched):
    pushed(world, 3)

    def unavailable(_token: str | None) -> None:
        raise ConfigurationError("no delta here", code="delta_unavailable")

    watched.before_delta = unavailable
    for _ in range(2):
        found = step()
        assert (found.numbers["enumerations"], found.more, found.wait) == (1, False, None)
        assert found.notes[-1] == "This cloud does not tell the changes of lists: each run reads the whole list."


def test_a_deleted_item_of_a_list_that_is_only_pushed_is_made_again_in_one_step(world: World, step):
    world.definition = replace(world.definition, item_deleted=DeletePolicy.RECREATE)
    pushed(world, 3)
    step()
    world.lists.remove(item_of(world, 1))
    assert step().counts.created == 1
    assert world.expected() == world.items()
    echoes = [found.numbers["marked"] for found in (step(), step())]
    assert echoes[1] == 0


def test_only_changed_fields_are_written_back(world: World, step):
    pushed(world, 2)
    step()
    world.lists.edit(item_of(world, 1), {"A": "by hand"})
    step()
    patches = [write for write in world.lists.writes if isinstance(write, PatchItem)]
    assert [dict(patch.fields) for patch in patches] == [{"A": "a1"}]
