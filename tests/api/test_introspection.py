"""Looking at a table, and what is different since the last look."""

from typing import Any

import pytest

from tests.api.world import World

pytestmark = pytest.mark.slow


def test_a_second_look_says_what_changed_in_the_table(world: World) -> None:
    instance = world.instance()

    def look() -> Any:
        (table,) = world.post(f"/database-instances/{instance}/introspect", {"schema": "app", "table": "things"})[
            "tables"
        ]
        return table

    first, second = look(), look()
    world.sql("alter table app.things drop column note, alter column qty type bigint, add column due date")
    world.sql("create index things_due on app.things (due)")
    world.sql("insert into app.things values (100, 'one more', 1)")
    third = look()

    assert (first["changed"], first["changes"], first["primary_key"]) == (True, None, ["id"])
    assert (second["changed"], second["changes"]) == (False, [])
    assert third["changed"]
    assert third["changes"] == [
        {"part": "COLUMN", "name": "due", "kind": "ADDED", "details": []},
        {"part": "COLUMN", "name": "note", "kind": "REMOVED", "details": []},
        {"part": "COLUMN", "name": "qty", "kind": "CHANGED", "details": ["type"]},
        {"part": "INDEX", "name": "things_due", "kind": "ADDED", "details": []},
    ]
