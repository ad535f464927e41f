"""What a definition says about itself: what is limited, and what that means."""

from typing import Any

import pytest

from tests.api.test_two_way import FIELDS, grant, row, two_way
from tests.api.world import World

pytestmark = pytest.mark.slow


def health(world: World, definition: str) -> list[str]:
    said: list[str] = world.get(f"/sync-definitions/{definition}")["health"]
    return said


def says(world: World, definition: str, part: str) -> bool:
    return any(part in sentence for sentence in health(world, definition))


def test_a_list_without_versions_is_named_with_the_window_that_leaves(world: World) -> None:
    definition = two_way(world)
    assert not says(world, definition, "version history")
    person = world.person(definition)
    world.sim("PATCH", f"/_sim/people/lists/{person.list_id}", {"versioning": False})
    for title in ("thing 1", "thing 2"):
        person.edit(world.items(definition)[title], Note="edited without a version")

    world.post(f"/sync-definitions/{definition}/pause")
    world.post(f"/sync-definitions/{definition}/activate")

    assert says(world, definition, "keeps no version history, or not of every item")
    assert says(world, definition, "For up to 12 seconds after such a write")


def test_a_cursor_column_that_a_writer_forgets_is_named_with_what_to_do_about_it(world: World) -> None:
    world.sql("alter table app.things add column changed timestamptz not null default '2026-01-01 12:00+00'")
    definition = two_way(world, change_detection="WATERMARK", cursor_column="changed")
    world.sql("update app.things set note = 'told', changed = '2026-01-02 12:00+00' where id = 1")
    world.run(definition)
    assert not says(world, definition, "not trustworthy")

    world.sql("update app.things set note = 'a secret' where id = 2")
    assert world.run(definition)["untold"] == 0
    world.person(definition).edit(world.items(definition)["thing 2"], Qty=77)
    seen = world.ingress(definition)["untold"]
    (said,) = [sentence for sentence in health(world, definition) if "not trustworthy" in sentence]

    assert seen == 1
    assert "The cursor column app.things.changed is not trustworthy: within 30 days 1 row changed without it" in said
    assert "SCAN or STREAM" in said
    assert "secret" not in said
    assert row(world, 2) == ("thing 2", 77, "a secret")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"foreign_items": "IGNORE"}, "New items make no rows"),
        ({"debounce": "PT30S"}, "rested for 30 seconds"),
        ({"conflict_policy": "LATEST_WINS", "cursor_column": "changed"}, "LATEST_WINS compares changed"),
        ({"soft_delete_column": "gone"}, "is marked in gone"),
        ({"sync_mode": "ONE_WAY_PULL"}, "The list is the record"),
    ],
    ids=str,
)
def test_what_a_definition_leaves_out_or_waits_for_stands_in_its_health(
    world: World, changes: dict[str, Any], said: str
) -> None:
    world.sql("alter table app.things add column changed timestamptz not null default now(), add column gone date")
    grant(world)
    fields = [{**field, "sync_direction": None} for field in FIELDS]
    definition = world.define(**{"sync_mode": "TWO_WAY", "field_mappings": fields, **changes})
    assert any(said in sentence for sentence in definition["health"])
