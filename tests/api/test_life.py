"""The life of a definition, as a person lives it through the API."""

from collections.abc import Callable

import pytest

from tests.api.world import World, written

pytestmark = pytest.mark.slow


def test_a_table_becomes_a_list_and_a_second_run_writes_nothing_and_says_why(world: World) -> None:
    definition = world.live()

    first, second = world.run(definition), world.run(definition)

    assert (first["status"], written(first), first["items_failed"]) == ("COMPLETED", (12, 0, 0), 0)
    assert len(world.items(definition)) == 12
    assert (second["status"], written(second)) == ("COMPLETED", (0, 0, 0))
    assert second["notes"] == ["All 12 rows in scope carry the stamp that the ledger has: the scan marked nothing."]


@pytest.mark.parametrize(
    ("table", "rows"), [("customers", 4), ("projects", 40), ("tasks", 40), ("invoices", 20)], ids=str
)
def test_every_sample_table_reaches_its_list_with_default_mappings(
    make_world: Callable[..., World], table: str, rows: int
) -> None:
    world = make_world("sample")
    definition = world.live(
        source_schema="business", source_table_name=table, name=table, list_name=table, field_mappings=[]
    )

    plan = world.post(f"/sync-definitions/{definition}/plan")
    first, second = world.run(definition), world.run(definition)

    assert plan["counts"]["create"] == rows
    assert (first["status"], written(first), first["items_failed"]) == ("COMPLETED", (rows, 0, 0), 0)
    assert written(second) == (0, 0, 0)
