"""A plan of a two-way definition says what the next runs do to both sides, and moves nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.captures.delta import delta_fingerprint
from shared.core.definition import DeletePolicy, Direction, ForeignPolicy, GuardSettings, SyncMode
from shared.core.errors import ConfigurationError
from shared.core.ids import ItemId
from shared.core.items import LATEST
from shared.core.naming import CHECK_KEY
from shared.core.runs import DeltaCursor, RunCounts
from tests.settle.test_planning import planned, some
from tests.settle.two_way import BOTH, natural, pull, see, two_way
from tests.settle.world import World, mapping

pytestmark = pytest.mark.slow


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    made = World(metastore, **two_way())
    yield made
    made.close()


def known(world: World, count: int = 10) -> dict[str, ItemId]:
    """Rows that are settled, their items by key, and a token that stands for now."""
    for n in range(count):
        world.source.put(str(n), a=f"x{n}", b="y")
    world.push()
    token = world.lists.delta(world.definition.target, LATEST).next_token
    new = DeltaCursor(token=token, fingerprint=delta_fingerprint(world.definition))
    world.cursors.advance_delta(world.definition, expected=None, new=new, marks=())
    return {identity[2:-2]: item for item, identity in world.ledger_items().items()}


def token_of(world: World) -> Any:
    return world.cursors.get_delta(world.definition.id, world.definition.target.list_id)


def busy(world: World, items: dict[str, ItemId]) -> None:
    """Every kind of change, on either side."""
    world.source.put("0", a="row")
    world.lists.edit(items["1"], {"A": "item"})
    world.source.put("2", a="row")
    world.lists.edit(items["2"], {"A": "item"})
    world.source.put("3", a="row")
    world.lists.edit(items["3"], {"B": "item"})
    world.source.delete("4")
    world.lists.remove(items["5"])
    world.source.put("new", a="n")
    world.lists.add({"A": "foreign"})


def test_a_plan_counts_what_the_next_runs_do_to_both_sides(world: World):
    items = known(world)
    busy(world, items)
    before, written = token_of(world), len(world.lists.writes)

    document = planned(world)

    assert some(document["counts"]) == {
        "create": 1,
        "update": 4,  # rows 0, 2 and 3, and the key of the item that becomes a row
        "delete": 1,
        "row_update": 2,
        "row_insert": 1,
        "row_delete": 1,
        "stays_equal": 6,
    }
    assert document["conflicts"] == {"SOURCE_WINS": 1}
    assert document["list"] == {"read": "changes", "pages": 1, "changed": 3, "gone": 1}
    assert document["exact"]
    assert (len(world.lists.writes), world.rows.begun, world.backlog_rows()) == (written, 0, [])
    assert token_of(world) == before

    world.scan()
    see(world, *items.values(), *(item for item in world.lists.items if item not in items.values()))
    done = sum((result.counts for result in world.settle()), RunCounts())
    assert (done.created, done.updated, done.deleted) == (1, 4, 1)
    assert (done.rows_inserted, done.rows_updated, done.rows_deleted) == (1, 2, 1)
    assert some(planned(world)["counts"]) == {"stays_equal": len(world.source.rows)}


def test_samples_show_both_directions_and_who_would_win(world: World):
    busy(world, known(world))
    samples = planned(world)["samples"]
    assert {s["key"]: s["fields"] for s in samples["row_update"]} == {
        '["1"]': [{"column": "a", "from": "x1", "to": "item"}],
        '["3"]': [{"column": "b", "from": "y", "to": "item"}],
    }
    [conflict] = samples["conflict"]
    assert conflict["key"] == '["2"]'
    assert conflict["fields"] == [{"column": "a", "row": "row", "item": "item", "winner": "ROW", "rule": "SOURCE_WINS"}]
    assert [s["key"] for s in samples["row_delete"]] == ['["5"]']
    [insert] = samples["row_insert"]
    assert {"column": "a", "to": "foreign"} in insert["fields"]


def test_without_a_token_the_whole_list_is_read_and_absence_is_seen(world: World):
    items = known(world)
    world.cursors.forget_lists(world.definition.id)
    world.lists.page = 3
    busy(world, items)
    document = planned(world)
    assert document["list"] == {"read": "whole", "pages": 4, "changed": 3, "gone": 1}
    assert document["counts"]["row_delete"] == 1
    assert document["exact"]
    assert token_of(world) is None


def test_a_token_that_is_gone_is_left_for_the_next_run_and_the_list_is_read_whole(world: World):
    items = known(world)
    before = token_of(world)
    world.lists.expire()
    world.lists.edit(items["1"], {"A": "item"})
    document = planned(world)
    assert (document["list"]["read"], document["counts"]["row_update"]) == ("whole", 1)
    assert token_of(world) == before


def test_what_waits_in_the_backlog_is_counted_once_with_what_the_captures_would_find(world: World):
    items = known(world)
    world.lists.edit(items["1"], {"A": "item"})
    see(world, items["1"])
    world.source.put("1", b="row")
    world.lists.edit(items["2"], {"A": "seen"})
    see(world, items["2"])
    assert some(planned(world)["counts"]) == {"row_update": 2, "update": 1, "stays_equal": 9}
    assert len(world.backlog_rows()) == 2


def test_many_items_that_are_gone_show_the_guard_before_it_speaks(world: World):
    world.definition = replace(world.definition, guards=GuardSettings(max_deletes=2))
    items = known(world)
    for key in ("1", "2", "3"):
        world.lists.remove(items[key])
    document = planned(world)
    assert document["counts"]["row_delete"] == 3
    assert [(guard["kind"], guard["deletes_only"]) for guard in document["guards"]] == [("DELETE_GUARD", True)]


def test_new_items_without_a_usable_key_are_set_aside_with_the_reason(metastore: str):
    world = World(metastore, **natural())
    known(world, 2)
    world.lists.add({"A": "no key"})
    world.lists.add({"A": "taken", "ID_COL": "1"})
    world.lists.add({"A": "good", "ID_COL": "new"})
    document = planned(world)
    assert (document["counts"]["row_insert"], document["counts"]["parked"]) == (1, 2)
    assert [s["key"] for s in document["samples"]["row_insert"]] == ['["new"]']
    assert any("needs its key" in reason for reason in document["parked_reasons"])
    world.close()


def test_a_value_that_a_row_cannot_hold_is_counted_as_set_aside(metastore: str):
    fields = two_way()["fields"]
    short = replace(fields[0], source=replace(fields[0].source, type=replace(fields[0].source.type, length=3)))
    world = World(metastore, **two_way(fields=(short, fields[1])))
    items = known(world, 3)
    world.lists.edit(items["1"], {"A": "much too long"})
    document = planned(world)
    assert some(document["counts"]) == {"parked": 1, "stays_equal": 3}
    assert not any("much too long" in reason for reason in document["parked_reasons"])
    world.close()


def test_a_push_that_becomes_two_way_is_planned_with_what_waits_in_the_list(metastore: str):
    world = World(metastore)
    assert world.definition.mode is SyncMode.ONE_WAY_PUSH
    items = known(world)
    world.lists.edit(items["1"], {"A": "typed while it was only pushed"})
    world.lists.add({"A": "foreign"})
    narrow = planned(world)
    changes = two_way()
    world.definition = replace(world.definition, **changes, mapping_fingerprint=b"t" * 16)
    wide = planned(world)
    assert (narrow["conflicts"], narrow["counts"]["foreign"]) == ({"ONE_WAY": 1}, 1)
    expected = {"row_update": 1, "row_insert": 1, "update": 1, "unchanged": 9, "stays_equal": 10}
    assert some(wide["counts"]) == expected
    assert (wide["conflicts"], wide["list"]["read"]) == ({}, "whole")
    world.close()


def test_an_item_that_only_tries_whether_items_can_be_written_is_in_no_plan(world: World):
    known(world, 2)
    world.lists.add({world.definition.target.key_column: CHECK_KEY})
    assert some(planned(world)["counts"]) == {"stays_equal": 2}


def test_a_field_that_is_new_is_read_from_the_items_and_its_conflicts_are_counted(world: World):
    world.source.columns = ("a", "b", "c")
    items = known(world, 4)
    for key in items:
        world.source.put(key, c="row")
    world.push()
    for key in ("1", "2"):
        world.lists.edit(items[key], {"C": "typed"})
    new = replace(mapping(3, "c"), direction=BOTH)
    world.definition = replace(world.definition, fields=(*world.definition.fields, new), mapping_fingerprint=b"n" * 16)
    document = planned(world)
    assert document["conflicts"] == {"SOURCE_WINS": 2}
    assert document["counts"]["update"] == 4


@pytest.mark.parametrize(
    ("policy", "kind"),
    [(DeletePolicy.KEEP, "unchanged"), (DeletePolicy.APPROVE, "ask"), (DeletePolicy.RECREATE, "create")],
)
def test_a_deleted_item_is_planned_as_the_policy_has_it(metastore: str, policy: DeletePolicy, kind: str):
    world = World(metastore, **two_way(item_deleted=policy))
    items = known(world, 4)
    world.lists.remove(items["1"])
    assert some(planned(world)["counts"]) == {kind: 1, "stays_equal": 4}
    world.close()


def test_a_list_that_is_only_pulled_is_never_written_by_a_plan_or_in_it(metastore: str):
    fields = tuple(replace(field, direction=Direction.PULL_ONLY) for field in two_way()["fields"])
    world = World(
        metastore,
        mode=SyncMode.ONE_WAY_PULL,
        fields=fields,
        row_deleted=DeletePolicy.RECREATE,
        item_deleted=DeletePolicy.PROPAGATE,
        foreign_items=ForeignPolicy.INSERT,
    )
    items = [world.lists.add({"A": f"x{n}"}) for n in range(3)]
    pull(world, *items)
    world.lists.edit(items[0], {"A": "edited"})
    world.lists.remove(items[1])
    world.lists.add({"A": "another"})
    world.source.put(next(iter(world.source.rows)), b="a row's edit")
    document = planned(world)
    assert {kind: document["counts"][kind] for kind in ("create", "update", "delete")} == {
        "create": 0,
        "update": 0,
        "delete": 0,
    }
    assert document["counts"]["row_insert"] == 1
    assert document["counts"]["row_delete"] == 1
    assert document["counts"]["row_update"] >= 1
    assert not world.lists.writes
    world.close()


def test_what_would_take_too_many_readings_is_said_and_not_guessed(world: World, monkeypatch: pytest.MonkeyPatch):
    known(world, 2)
    strays = [world.lists.add({"A": f"foreign {n}"}) for n in range(3)]
    see(world, *strays)
    monkeypatch.setattr("shared.usecases.planning.LOOKS", 1)
    document = planned(world)
    assert document["counts"]["row_insert"] == 1
    assert not document["exact"]
    assert document["notes"] == ["2 items have to be read one by one before it is known what becomes of them."]


def test_where_a_cloud_tells_no_changes_the_list_is_paged_and_what_differs_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    items = known(world)
    world.cursors.forget_lists(world.definition.id)
    busy(world, items)

    def no_delta(*_: Any) -> None:
        raise ConfigurationError("This cloud has no delta for lists.", code="delta_unavailable")

    monkeypatch.setattr(world.lists, "delta", no_delta)
    document = planned(world)
    assert document["list"]["read"] == "whole"
    assert (document["counts"]["row_update"], document["counts"]["row_delete"]) == (2, 1)
    assert (document["counts"]["row_insert"], document["exact"]) == (1, True)
