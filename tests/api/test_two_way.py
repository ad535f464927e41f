"""The life of a two-way definition over the API: a real database, a real metastore, a list behind the simulated Graph."""

from typing import Any

import pytest

from tests.api.world import World, written

pytestmark = pytest.mark.slow

FIELDS = [
    {"source_column_name": "id", "target_column_name": "Number"},
    {"source_column_name": "name", "target_column_name": "Title"},
    {"source_column_name": "qty", "target_column_name": "Qty"},
    {"source_column_name": "note", "target_column_name": "Note"},
]


def grant(world: World, rights: str = "insert, update, delete") -> None:
    world.sql(f'grant {rights} on app.things to "{world.role}"')


def two_way(world: World, **changes: Any) -> str:
    """A live definition whose list has every row."""
    grant(world)
    definition = world.live(**{"sync_mode": "TWO_WAY", "field_mappings": FIELDS, **changes})
    world.run(definition)
    return definition


def row(world: World, key: int) -> tuple[Any, ...] | None:
    rows = world.sql("select name, qty, note from app.things where id = %s", key)
    return rows[0] if rows else None


def rows_written(run: dict[str, Any]) -> tuple[int, int, int]:
    return run["rows_inserted"], run["rows_updated"], run["rows_deleted"]


def test_edits_new_items_and_deletes_flow_both_ways_and_a_quiet_system_writes_nothing(world: World) -> None:
    definition = two_way(world)
    person, items = world.person(definition), world.items(definition)
    person.edit(items["thing 1"], Title="renamed by a person")
    person.add(Number=100, Title="made by a person", Qty=7)
    person.delete(items["thing 2"])
    world.sql("update app.things set note = 'by the database' where id = 1")
    world.sql("delete from app.things where id = 3")
    world.sql("insert into app.things values (200, 'made by the database', 1)")

    ingress, push = world.ingress(definition), world.run(definition)
    again = [world.ingress(definition), world.run(definition)]

    assert rows_written(ingress) == (1, 1, 1)
    assert (ingress["status"], push["status"]) == ("COMPLETED", "COMPLETED")
    assert row(world, 1) == ("renamed by a person", 1, "by the database")
    assert row(world, 100) == ("made by a person", 7, None)
    assert row(world, 2) is None
    shown = world.items(definition)
    assert set(shown) == {row[0] for row in world.sql("select name from app.things")}
    assert shown["renamed by a person"]["fields"]["Note"] == "by the database"
    assert shown["made by a person"]["fields"]["SyncBridgeKey"]
    assert "thing 3" not in shown
    assert [(written(run), rows_written(run)) for run in again] == [((0, 0, 0), (0, 0, 0))] * 2


def test_missing_rights_are_named_with_the_sql_that_gives_them(world: World) -> None:
    problem = world.refused(
        "POST", "/sync-definitions", world.body(sync_mode="TWO_WAY", field_mappings=FIELDS), status=422
    )
    told = "\n".join(problem.get("problems", [problem["detail"]]))
    for right in ("insert", "update", "delete"):
        assert f"grant {right}" in told
    grant(world)
    assert world.define(sync_mode="TWO_WAY", field_mappings=FIELDS)["state"] == "DRAFT"


def test_what_the_mode_suggests_is_in_force_and_shown(world: World) -> None:
    grant(world)
    seen = world.define(sync_mode="TWO_WAY", field_mappings=FIELDS)
    assert (seen["item_deleted"], seen["foreign_items"]) == (None, None)
    assert seen["in_force"] == {"row_deleted": "PROPAGATE", "item_deleted": "PROPAGATE", "foreign_items": "INSERT"}
    assert {f["source_column_name"]: f["sync_direction"] for f in seen["field_mappings"]} == dict.fromkeys(
        ("id", "name", "qty", "note"), "BIDIRECTIONAL"
    )


def test_a_conflict_is_logged_with_all_that_a_person_needs_and_can_be_reversed(world: World) -> None:
    world.sql("alter table app.things add column changed timestamptz not null default '2026-01-01 12:00+00'")
    definition = two_way(world, cursor_column="changed")
    world.person(definition).edit(world.items(definition)["thing 4"], Note="a person's note")
    world.sql("update app.things set note = 'the row''s note', changed = '2026-01-02 12:00+00' where id = 4")

    world.sync(definition)
    (logged,) = world.get("/conflicts", definition_id=definition, column="note", winner="ROW", state="FINAL")
    assert world.get("/conflicts", definition_id=definition, winner="ITEM") == []
    asked = world.post(f"/conflicts/{logged['id']}/reverse", expect=202)
    twice = world.refused("POST", f"/conflicts/{logged['id']}/reverse", status=409)
    world.sync(definition)
    states = {c["policy"]: (c["state"], c["losing_value"]) for c in world.get("/conflicts", definition_id=definition)}

    assert (logged["key"], logged["losing_value"], logged["policy"]) == ('["4"]', '"a person\'s note"', "SOURCE_WINS")
    assert logged["item_editor"] is not None
    assert logged["item_modified"] is not None
    assert logged["row_time"].startswith("2026-01-02T12:00")
    assert logged["row_version"].isdigit()
    assert len(logged["base_digest"]) == len(logged["winning_digest"]) == 32
    assert asked["reversing"] == [logged["id"]]
    assert twice["code"] == "conflict_state"
    assert row(world, 4) == ("thing 4", 4, "a person's note")
    assert world.items(definition)["thing 4"]["fields"]["Note"] == "a person's note"
    assert states == {
        "SOURCE_WINS": ("REVERSED", '"a person\'s note"'),
        "REVERSAL": ("FINAL", '"the row\'s note"'),
    }


def test_a_reversal_that_cannot_be_is_refused_with_the_reason(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.person(definition).edit(world.items(definition)["thing 4"], Title="a person's name")
    world.ingress(definition)
    (logged,) = world.get("/conflicts", definition_id=definition)

    assert logged["policy"] == "ONE_WAY"
    assert world.refused("POST", f"/conflicts/{logged['id']}/reverse", status=409)["code"] == "one_way_field"
    assert world.refused("GET", "/conflicts/00000000-0000-0000-0000-000000000000", status=404)["code"] == "not_found"


def test_a_live_push_becomes_two_way_only_after_a_plan_and_a_person_s_word(world: World) -> None:
    grant(world)
    one_way = [{**field, "sync_direction": "PUSH_ONLY"} for field in FIELDS]
    definition = world.live(field_mappings=one_way)
    world.run(definition)
    person = world.person(definition)
    person.edit(world.items(definition)["thing 5"], Note="typed while it was only pushed")
    person.add(Number=300, Title="waiting")
    before = world.sql("select * from app.things order by id")

    world.change(definition, sync_mode="TWO_WAY", field_mappings=[{**f, "sync_direction": None} for f in FIELDS])
    held = [world.ingress(definition), world.run(definition)]
    (hold,) = world.get("/holds", definition_id=definition)
    early = world.refused("POST", f"/holds/{hold['id']}/release", {"reason": "meant"}, status=409)
    plan = world.post(f"/sync-definitions/{definition}/plan")
    untouched = world.sql("select * from app.things order by id")
    world.post(f"/holds/{hold['id']}/release", {"reason": "meant"})
    world.sync(definition)

    assert [run["error_code"] for run in held] == ["policy_changed"] * 2
    assert "the mode was ONE_WAY_PUSH and is TWO_WAY" in hold["explanation"]
    assert early["code"] == "plan_missing"
    assert untouched == before
    assert (plan["counts"]["row_update"], plan["counts"]["row_insert"], plan["conflicts"]) == (1, 1, {})
    assert row(world, 5) == ("thing 5", 5, "typed while it was only pushed")
    assert row(world, 300) == ("waiting", None, None)


def test_a_deleted_item_waits_for_a_person_where_the_policy_says_so(world: World) -> None:
    definition = two_way(world, item_deleted="APPROVE")
    person, items = world.person(definition), world.items(definition)
    person.delete(items["thing 6"])
    person.delete(items["thing 7"])

    world.ingress(definition)
    waiting = world.get(f"/sync-definitions/{definition}/awaiting-approval")
    path = f"/sync-definitions/{definition}/awaiting-approval"
    world.post(f"{path}/approve", {"keys": ['["6"]']})
    world.post(f"{path}/reject", {"keys": ['["7"]']})
    world.sync(definition)

    assert {waits["key"] for waits in waiting} == {'["6"]', '["7"]'}
    assert row(world, 6) is None
    assert row(world, 7) is not None
    assert world.get(path) == []


def test_with_a_soft_delete_column_a_row_is_marked_and_a_restored_item_takes_the_mark_away(world: World) -> None:
    world.sql("alter table app.things add column gone timestamptz")
    definition = two_way(world, soft_delete_column="gone")
    item = world.items(definition)["thing 8"]
    world.person(definition).delete(item)

    world.sync(definition)
    marked = world.sql("select gone is not null from app.things where id = 8")
    world.sim("POST", f"/_sim/people/lists/{world.person(definition).list_id}/recycle-bin/{item['id']}/restore")
    world.sync(definition)

    assert marked == [(True,)]
    assert world.sql("select gone is null, name from app.things where id = 8") == [(True, "thing 8")]
    assert "thing 8" in world.items(definition)


def test_a_definition_that_only_pulls_never_writes_to_its_list(world: World) -> None:
    grant(world)
    world.sql("truncate app.things")
    pulled = [{**field, "sync_direction": "PULL_ONLY"} for field in FIELDS]
    definition = world.live(sync_mode="ONE_WAY_PULL", field_mappings=pulled)
    person = world.person(definition)
    for n in (1, 2, 3):
        person.add(Number=n, Title=f"item {n}", Qty=n)

    first = world.ingress(definition)
    items = world.items(definition)
    person.edit(items["item 1"], Title="edited")
    person.delete(items["item 2"])
    world.sql("update app.things set name = 'by the database' where id = 3")
    world.sql("delete from app.things where id = 1")
    world.sync(definition)

    assert (rows_written(first), written(first)) == ((3, 0, 0), (0, 0, 0))
    assert world.sql("select id, name from app.things order by id") == [(1, "edited"), (3, "item 3")]
    assert all(written(run) == (0, 0, 0) for run in world.get("/runs", definition_id=definition))
    assert not any(item["fields"].get("SyncBridgeKey") for item in world.items(definition).values())


def test_the_second_definition_that_writes_the_same_columns_is_refused(world: World) -> None:
    two_way(world)
    second = world.define(
        name="Again", list_name="Again", sync_mode="TWO_WAY", field_mappings=[FIELDS[0], *FIELDS[1:2]]
    )
    world.post(f"/sync-definitions/{second['id']}/provision")

    refused = world.refused("POST", f"/sync-definitions/{second['id']}/activate", status=409)

    assert refused["code"] == "rival"
    assert "'Things' writes name" in refused["detail"]


def test_a_row_that_the_database_refuses_is_parked_with_words_and_holds_up_nobody(world: World) -> None:
    world.sql("alter table app.things add constraint qty_small check (qty < 100)")
    definition = two_way(world)
    person, items = world.person(definition), world.items(definition)
    person.edit(items["thing 9"], Qty=1000)
    person.edit(items["thing 10"], Qty=11)

    run = world.ingress(definition)
    (parked,) = world.get(f"/sync-definitions/{definition}/parked")

    assert run["status"] == "COMPLETED_WITH_ERRORS"
    assert (parked["key"], row(world, 10)) == ('["9"]', ("thing 10", 11, "note 10"))
    assert "qty_small" in parked["reason"]
    assert "1000" not in parked["reason"]
