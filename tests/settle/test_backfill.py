"""Marks by hand: by key and by condition, however many, without moving anything else."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.captures.command import CHUNK, mark_keys, mark_matching
from shared.core.backlog import Reason
from shared.core.ids import Identity
from shared.core.items import PatchItem
from shared.core.scope import And
from shared.core.scope_text import parse
from shared.usecases.steps import drive
from tests.settle.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore)
    yield made
    made.close()


def test_a_backfill_of_rows_that_are_equal_writes_nothing_and_leaves_nothing_due(world: World):
    for n in range(4):
        world.source.put(str(n), a="x")
    world.push()
    written = len(world.lists.writes)
    assert drive(mark_matching(world.definition, None, source=world.source, backlog=world.backlog)) == 4
    world.settle()
    assert len(world.lists.writes) == written
    assert world.backlog_rows() == []


def test_rows_are_pushed_by_key_before_any_scan_has_seen_them_change(world: World):
    one, two = world.source.put("1", a="x"), world.source.put("2", a="x")
    world.push()
    world.source.put("1", a="new")
    world.source.put("2", a="new")
    assert drive(mark_keys(world.definition, [one], backlog=world.backlog, reason=Reason.BACKFILL)) == 1
    world.settle()
    assert sum(isinstance(write, PatchItem) for write in world.lists.writes) == 1
    assert sorted(item["A"] for item in world.items().values()) == ["new", "x"]
    assert world.entry(two) is not None


def test_a_key_that_no_row_has_is_forgotten(world: World):
    assert drive(mark_keys(world.definition, [Identity('["none"]')], backlog=world.backlog)) == 1
    world.settle()
    assert (world.backlog_rows(), world.items()) == ([], {})


def test_more_rows_than_one_chunk_are_all_marked(world: World):
    for n in range(CHUNK + 1):
        world.source.put(str(n), a="x")
    assert drive(mark_matching(world.definition, None, source=world.source, backlog=world.backlog)) == CHUNK + 1
    assert len(world.backlog_rows()) == CHUNK + 1


def test_a_condition_narrows_the_filter_and_never_replaces_it(world: World, monkeypatch: pytest.MonkeyPatch):
    own, asked = parse("a = 'x'"), parse("b = 'y'")
    specs = []
    monkeypatch.setattr(world.source, "select_identities", lambda spec, limit, after: specs.append(spec) or ())
    definition = replace(world.definition, source=replace(world.definition.source, scope=own))
    drive(mark_matching(definition, asked, source=world.source, backlog=world.backlog))
    drive(mark_matching(world.definition, asked, source=world.source, backlog=world.backlog))
    assert [spec.scope for spec in specs] == [And(parts=(own, asked)), asked]
