"""Capturing a list's changes while Graph repeats, hides, poisons and forgets them."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from shared.adapters.metastore.pool import Metastore
from shared.captures.delta import DeltaState
from shared.core.backlog import Reason
from shared.core.errors import GraphUnavailable
from shared.core.ids import ETag
from shared.core.ledger import EntryState
from shared.usecases.steps import drive
from tests.contract.lists.conftest import Bench, _graph
from tests.integration.captures.world import World, observed
from tests.integration.graph.rig import Rig
from tests.integration.metastore.conftest import metastore, one_metastore, sql, store  # noqa: F401  fixtures
from tests.integration.metastore.support import row

pytestmark = pytest.mark.slow

RESYNC = (
    "resyncChangesApplyDifferences",
    "resyncChangesUploadDifferences",
    "resyncRequired",
    "resyncApplyDifferences",
    "resyncUploadDifferences",
    "syncStateNotFound",
)


@pytest.fixture
def bench(rig: Rig) -> Bench:
    return _graph(rig)


@pytest.fixture
def world(bench: Bench, store: Metastore, sql: psycopg.Connection) -> Iterator[World]:  # noqa: F811
    return World(bench, store, sql)


def restore(rig: Rig, world: World, item_id: int) -> dict[str, Any]:
    list_id = world.bench.target.list_id
    return dict(rig.ask("POST", f"people/lists/{list_id}/recycle-bin/{item_id}/restore"))


@pytest.mark.parametrize("status", [410, 400, 404])
@pytest.mark.parametrize("code", RESYNC)
def test_every_way_to_refuse_a_token_leads_to_the_whole_list_and_passes_over_nothing(
    rig: Rig, world: World, status: int, code: str
):
    edited, removed = world.settled(1), world.settled(2)
    world.settled(3)
    world.begin()
    etag = world.bench.edit(edited.item_id, {"Title": "by hand"})
    world.bench.remove(removed.item_id)
    rig.knobs(delta_gone_flavour=status, delta_gone_code=code)
    world.bench.expire()
    report = drive(world.delta())
    assert (report.state, report.expired) == (DeltaState.ENUMERATE, "delta_expired")
    assert world.forgotten()
    assert world.enumerate_all().stored
    assert world.due() == {
        row(1): (frozenset({Reason.ITEM}), ETag(etag)),
        row(2): (frozenset({Reason.ITEM_GONE}), None),
    }
    assert drive(world.delta()).state is DeltaState.COMPLETE


def test_a_token_that_is_older_than_the_change_log_leads_to_the_whole_list(rig: Rig, world: World):
    rig.ask("POST", "clock", {"mode": "virtual"})
    landed = world.settled(1)
    world.begin()
    world.bench.remove(landed.item_id)
    rig.ask("POST", "clock", {"advance": 61 * 86_400})
    assert drive(world.delta()).state is DeltaState.ENUMERATE
    world.enumerate_all()
    assert world.marked(gone=True) == {row(1)}


def test_a_poisoned_page_is_dropped_whole_and_the_list_is_read_instead(rig: Rig, world: World):
    edited, removed = world.settled(1), world.settled(2)
    world.settled(3)
    world.begin()
    rig.knobs(delta_poison=True, delta_empty_page_rate=0.0)
    world.bench.edit(edited.item_id, {"Title": "by hand"})
    world.bench.remove(removed.item_id)
    report = drive(world.delta())
    assert (report.state, report.expired, report.marked) == (DeltaState.ENUMERATE, "delta_poisoned", 0)
    assert world.due() == {}
    world.enumerate_all()
    assert world.due().keys() == {row(1), row(2)}


def test_a_deletion_without_a_marker_makes_settle_look(rig: Rig, world: World):
    landed = world.settled(1)
    world.begin()
    rig.knobs(delta_unmarked_deletes=True)
    world.bench.remove(landed.item_id)
    reports = world.changes()
    assert world.due() == {row(1): (frozenset({Reason.ITEM}), None)}
    assert observed(reports) == {}


def test_deletions_that_the_changes_do_not_tell_are_found_by_reading_the_whole_list(rig: Rig, world: World):
    landed = world.settled(1)
    world.settled(2)
    world.begin()
    rig.knobs(delta_lost_deletes=True)
    world.bench.remove(landed.item_id)
    world.changes()
    assert world.due() == {}
    world.enumerate_all(take_token=False)
    assert world.due() == {row(1): (frozenset({Reason.ITEM_GONE}), None)}


@pytest.mark.parametrize("oddity", ["delta_repeat_rate", "delta_empty_page_rate", "delta_unchanged_rate"])
def test_repeats_strangers_and_empty_pages_change_nothing_of_what_is_marked(rig: Rig, world: World, oddity: str):
    landed = [world.settled(n) for n in range(1, 25)]
    world.begin()
    rig.knobs(**{"delta_repeat_rate": 0.0, "delta_empty_page_rate": 0.0, oddity: 1.0})
    etags = {row(n): world.bench.edit(landed[n - 1].item_id, {"Title": "by hand"}) for n in range(8, 25)}
    reports = world.changes()
    assert world.due() == {subject: (frozenset({Reason.ITEM}), etag) for subject, etag in etags.items()}
    if oddity == "delta_empty_page_rate":
        assert [report.entries for report in reports].count(0) >= 2
    if oddity == "delta_unchanged_rate":
        assert sum(report.echoes for report in reports) > 0


def test_who_wrote_last_is_told_although_the_changes_do_not_say_who_modified(world: World):
    by_person, by_us = world.settled(1), world.create(2)
    world.begin()
    world.bench.edit(by_person.item_id, {"Title": "by hand"})
    write = world.create(3)
    seen = observed(world.changes())
    assert seen[row(1).key].item.editor_id is not None
    assert seen[world.nobodys(write.item_id).key].item.editor_id is None
    assert world.nobodys(by_us.item_id) not in world.due()


@pytest.mark.parametrize("bumps", [True, False])
def test_an_item_that_is_restored_while_its_deletion_is_settled_is_not_taken_for_an_echo(
    rig: Rig, world: World, bumps: bool
):
    """SharePoint may give a restored item its old eTag, which is the ledger's."""
    rig.knobs(restore_bumps_version=bumps)
    landed = world.settled(1)
    world.begin()
    world.bench.remove(landed.item_id)
    world.changes()
    assert world.marked(gone=True) == {row(1)}
    restore(rig, world, landed.item_id)
    world.changes()
    reasons, news = world.due()[row(1)]
    assert reasons == {Reason.ITEM, Reason.ITEM_GONE}
    assert (news == landed.etag) is not bumps


def test_an_item_that_is_restored_after_its_row_was_deleted_is_nobodys(rig: Rig, world: World):
    landed = world.settled(1)
    world.begin()
    world.bench.remove(landed.item_id)
    world.agree(1, landed.item_id, None, EntryState.TOMBSTONE)
    world.changes()
    assert world.due() == {}
    restore(rig, world, landed.item_id)
    world.changes()
    assert world.due() == {world.nobodys(landed.item_id): (frozenset({Reason.ITEM}), landed.etag)}


def test_a_change_that_the_changes_do_not_show_yet_is_told_later(rig: Rig, world: World):
    rig.ask("POST", "clock", {"mode": "virtual"})
    landed = world.settled(1)
    rig.ask("POST", "clock", {"advance": 60})
    world.begin()
    rig.knobs(delta_lag_seconds=30.0)
    etag = world.bench.edit(landed.item_id, {"Title": "by hand"})
    world.changes()
    assert world.due() == {}
    rig.ask("POST", "clock", {"advance": 60})
    world.changes()
    assert world.due() == {row(1): (frozenset({Reason.ITEM}), etag)}


FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "status", "status": 500},
    "502 in html": {"kind": "status", "status": 502, "body": "html"},
    "504": {"kind": "status", "status": 504},
    "reset": {"kind": "reset"},
    "cut answer": {"kind": "truncate"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_without_a_usable_answer_moves_nothing_and_comes_again(rig: Rig, world: World, fault: str):
    landed = world.settled(1)
    stored = world.begin()
    etag = world.bench.edit(landed.item_id, {"Title": "by hand"})
    rig.faults(({"path": "/delta"}, FAULTS[fault]))
    with pytest.raises(GraphUnavailable):
        drive(world.delta())
    assert world.token() == stored
    rig.calm()
    world.changes()
    assert world.due() == {row(1): (frozenset({Reason.ITEM}), etag)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_of_the_list_without_a_usable_answer_is_asked_for_again_by_the_next_step(
    rig: Rig, world: World, fault: str
):
    for n in range(1, 21):
        world.settled(n)
    rig.faults(({"path": r"/items\?.*skiptoken"}, FAULTS[fault]))
    with pytest.raises(GraphUnavailable):
        drive(world.enumeration())
    rig.calm()
    asked = len(world.lists.pages)
    report = drive(world.enumeration())
    assert report.stored
    assert None not in world.lists.pages[asked:]
    assert (report.result.listed if report.result else 0, report.marked) == (20, 0)


@pytest.mark.parametrize(("status", "code"), [(410, "resyncRequired"), (400, "invalidRequest")])
def test_a_link_to_a_page_that_dies_begins_the_reading_anew(rig: Rig, world: World, status: int, code: str):
    for n in range(1, 21):
        world.settled(n)
    fault = {"kind": "status", "status": status, "code": code}
    rig.faults(({"path": r"/items\?.*skiptoken", "nth": [1]}, fault))
    report = world.enumerate_all()
    assert (report.stored, report.marked) == (True, 0)
    assert world.lists.pages.count(None) == 2
    assert rig.fired() == 1


def test_a_cloud_that_does_not_know_delta_is_compared_whole(rig: Rig, world: World):
    rig.knobs(delta_available=False)
    world.settled(1)
    added = world.bench.add({"Title": "new"})
    report = world.enumerate_all()
    assert (report.stored, report.without_token) == (False, True)
    assert world.marked() == {world.nobodys(added)}
