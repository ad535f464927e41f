"""Operating a live definition: changes, parked rows, guards, holds, backfills, new fields, states."""

from typing import Any

import pytest

from tests.api.world import World, written

pytestmark = pytest.mark.slow


def marks(world: World, definition: str) -> dict[str, Any]:
    return world.get(f"/sync-definitions/{definition}/backlog")


def open_holds(world: World, definition: str) -> dict[str, str]:
    return {hold["kind"]: hold["id"] for hold in world.get("/holds", definition_id=definition)}


def test_a_plan_shows_what_the_next_run_then_does(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.sql("update app.things set name = 'renamed' where id = 3")
    world.sql("insert into app.things values (13, 'thing 13', 13, null)")
    world.sql("delete from app.things where id = 5")

    plan = world.post(f"/sync-definitions/{definition}/plan")
    again = world.get(f"/sync-definitions/{definition}/plans/{plan['id']}")
    run = world.run(definition)

    assert {kind: plan["counts"][kind] for kind in ("create", "update", "delete")} == {
        "create": 1,
        "update": 1,
        "delete": 1,
    }
    (update,) = plan["samples"]["update"]
    assert update == {"key": '["3"]', "fields": [{"column": "name", "from": "thing 3", "to": "renamed"}]}
    assert again["counts"] == plan["counts"]
    assert written(run) == (1, 1, 1)
    assert set(world.items(definition)) == {f"thing {n}" for n in (1, 2, 4, *range(6, 14))} | {"renamed"}


def test_a_row_that_no_column_can_hold_is_parked_with_its_reason_and_leaves_when_it_is_mended(world: World) -> None:
    definition = world.live()
    world.sql("update app.things set name = repeat('x', 300) where id = 4")

    first = world.run(definition)
    (parked,) = world.get(f"/sync-definitions/{definition}/parked")
    (failure,) = world.get(f"/runs/{first['id']}/failures")
    health = world.get(f"/sync-definitions/{definition}")["health"]
    world.sql("update app.things set name = 'short again' where id = 4")
    assert world.post(f"/sync-definitions/{definition}/parked/retry", {"keys": ['["4"]']})["due"] == 1
    second = world.run(definition)

    assert (first["status"], written(first), first["items_failed"]) == ("COMPLETED_WITH_ERRORS", (11, 0, 0), 1)
    assert parked["key"] == failure["key"] == '["4"]'
    assert "name" in parked["reason"]
    assert "255" in parked["reason"]
    assert "xxx" not in parked["reason"]
    assert health[0] == "1 row or item is set aside, each with its reason: see `parked`."
    assert written(second) == (1, 0, 0)
    assert world.get(f"/sync-definitions/{definition}/parked") == []


def test_deletes_beyond_the_limit_wait_and_approval_lets_them_through(world: World) -> None:
    definition = world.live(guards={"max_deletes": 2})
    world.run(definition)
    world.sql("delete from app.things where id <= 4")

    held = world.run(definition)
    waiting = world.get(f"/sync-definitions/{definition}/awaiting-approval")
    assert (held["status"], written(held)) == ("COMPLETED", (0, 0, 0))
    assert {row["key"] for row in waiting} == {'["1"]', '["2"]', '["3"]', '["4"]'}
    assert "DELETE_GUARD" in open_holds(world, definition)
    health = world.get(f"/sync-definitions/{definition}")["health"]
    assert health[0].startswith("Deletes are held (DELETE_GUARD): ")
    assert health[1] == "4 deletes wait for a person: see `awaiting-approval`."
    world.sql("insert into app.things values (4, 'thing 4', 4, 'note 4')")  # it is back: its delete leaves by itself

    world.run(definition)
    assert len(world.get(f"/sync-definitions/{definition}/awaiting-approval")) == 3
    approved = world.post(f"/sync-definitions/{definition}/awaiting-approval/approve", {"keys": ['["1"]', '["2"]']})
    run = world.run(definition)

    assert approved["approved"] == 2
    assert written(run) == (0, 0, 2)
    assert set(world.items(definition)) == {f"thing {n}" for n in range(3, 13)}


def test_rejected_deletes_keep_their_items_and_a_row_that_comes_back_is_merged_with_its_item(world: World) -> None:
    definition = world.live(guards={"max_deletes": 0})
    world.run(definition)
    before = world.items(definition)["thing 2"]["id"]
    world.sql("delete from app.things where id = 2")
    world.run(definition)

    assert world.post(f"/sync-definitions/{definition}/awaiting-approval/reject", {"all": True}) == {"rejected": 1}
    quiet = world.run(definition)
    assert written(quiet) == (0, 0, 0)
    assert world.get(f"/sync-definitions/{definition}/awaiting-approval") == []
    assert "thing 2" in world.items(definition)
    world.sql("insert into app.things values (2, 'thing 2 again', 2, null)")
    run = world.run(definition)

    assert written(run) == (0, 1, 0)
    assert world.items(definition)["thing 2 again"]["id"] == before


def test_an_empty_source_holds_the_definition_until_a_person_releases_it(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.sql("create table app.kept as table app.things")
    world.sql("truncate app.things")

    held = world.run(definition)
    again = world.run(definition)
    assert (held["status"], held["error_code"]) == ("HELD", "empty_source")
    assert (again["status"], written(again)) == ("HELD", (0, 0, 0))
    assert len(world.items(definition)) == 12
    world.sql("insert into app.things select * from app.kept")
    hold = open_holds(world, definition)["EMPTY_SOURCE"]
    world.post(f"/holds/{hold}/release", {"reason": "restored"})
    run = world.run(definition)

    assert (run["status"], written(run)) == ("COMPLETED", (0, 0, 0))
    assert world.refused("POST", f"/holds/{hold}/release", {"reason": "twice"}, status=409)["code"] == "conflict"


def test_a_changed_filter_holds_the_next_run_and_its_release_agrees_to_that_filter_only(world: World) -> None:
    definition = world.live()
    world.run(definition)
    changed = world.change(definition, row_filter="qty > 2")

    held = world.run(definition)
    assert "scope_changed" in [warning["code"] for warning in changed["warnings"]]
    assert (held["status"], held["error_code"]) == ("HELD", "scope_changed")
    world.change(definition, row_filter="qty > 3")
    world.post(f"/holds/{open_holds(world, definition)['SCOPE_CHANGED']}/release", {"reason": "meant"})
    still = world.run(definition)
    assert (still["status"], still["error_code"]) == ("HELD", "scope_changed")
    world.post(f"/holds/{open_holds(world, definition)['SCOPE_CHANGED']}/release", {"reason": "meant too"})
    run = world.run(definition)

    assert (run["status"], written(run)) == ("COMPLETED", (0, 0, 3))
    assert set(world.items(definition)) == {f"thing {n}" for n in range(4, 13)}


def test_rows_that_row_level_security_would_hide_hold_the_definition_and_delete_nothing(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.sql("alter table app.things enable row level security")
    world.sql("create policy few on app.things using (id < 3)")

    run = world.run(definition)

    assert (run["status"], run["error_code"]) == ("HELD", "rows_hidden")
    assert "ROWS_HIDDEN" in open_holds(world, definition)
    assert len(world.items(definition)) == 12


def test_a_backfill_marks_rows_by_key_by_condition_or_all(world: World) -> None:
    definition = world.live()
    world.run(definition)

    path = f"/ops/sync/{definition}/backfill"
    assert world.post(path, {"keys": [["3"], ["99"]]}, expect=202)["marked"] == 2
    assert world.post(path, {"row_filter": "qty > 10"}, expect=202)["marked"] == 2
    assert marks(world, definition)["due"] == 4
    assert world.post(path, {}, expect=202)["marked"] == 12
    run = world.run(definition)

    assert written(run) == (0, 0, 0)
    assert run["unchanged"] == 13
    assert marks(world, definition)["due"] == 0


def test_a_field_added_to_a_live_definition_reaches_every_item_and_no_other_column_is_written(world: World) -> None:
    definition = world.live(field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}])
    world.run(definition)

    added = world.post(f"/sync-definitions/{definition}/field-mappings", {"source_column_name": "qty"}, expect=201)
    column = next(m for m in added["field_mappings"] if m["source_column_name"] == "qty")["target_column_name"]
    run = world.run(definition)

    assert "12 rows are looked at again: their fields are others now." in run["notes"]
    # Nothing is missing; what it says is how it learns of the list's changes, and what that costs.
    assert added["health"] == [
        (
            "No notices: SYNCBRIDGE_WEBHOOK_URL is not set. The list's changes are looked for every 60 seconds, for 1,440 RU a "
            "day while nothing changes."
        )
    ]
    assert (run["status"], written(run)) == ("COMPLETED", (0, 12, 0))
    items = world.items(definition)
    assert {title: item["fields"][column] for title, item in items.items()} == {f"thing {n}": n for n in range(1, 13)}
    assert written(world.run(definition)) == (0, 0, 0)


def test_a_persons_edit_is_overwritten_and_listed_as_a_conflict_with_what_was_lost(world: World) -> None:
    definition = world.live()
    world.run(definition)
    seen = world.get(f"/sync-definitions/{definition}")
    item = world.items(definition)["thing 7"]
    world.sim(
        "PATCH", f"/_sim/people/lists/{seen['list_id']}/items/{item['id']}", {"fields": {"Title": "a person's name"}}
    )
    world.sql("update app.things set name = 'the row''s name' where id = 7")

    run = world.run(definition)
    (conflict,) = world.get("/conflicts", definition_id=definition)

    assert (run["conflicts"], written(run)) == (1, (0, 1, 0))
    assert (conflict["column"], conflict["losing_value"], conflict["winner"]) == ("name", '"a person\'s name"', "ROW")
    assert "the row's name" in world.items(definition)


def test_pausing_stops_a_run_at_its_next_page_and_activating_goes_on(make_world: Any) -> None:
    world = make_world(SYNCBRIDGE_PAGE_SIZE="5")
    definition = world.live()
    run = world.start(definition)
    engine = world.engine
    engine.begin_run(run.definition, run.id)
    engine.capture(run.definition, run.id)
    goes_on = engine.stores.runs.goes_on
    asked = []

    def paused_after_a_page(run_id: Any, *, version: int) -> bool:
        asked.append(run_id)
        if len(asked) == 2:
            world.post(f"/sync-definitions/{definition}/pause", {"reason": "month's end"})
        return bool(goes_on(run_id, version=version))

    engine.stores.runs.goes_on = paused_after_a_page
    settled = engine.settle(run.definition, run.id)
    assert (settled.pages, settled.more) == (1, True)
    assert engine.settle(run.definition, run.id).pages == 0
    engine.finish_run(run.definition, run.id, held=False, error=None)
    stopped = world.seen(run.id)
    assert (stopped["status"], stopped["error_code"], stopped["created"]) == ("CANCELLED", "not_active", 5)
    assert world.get(f"/sync-definitions/{definition}")["health"] == ["Paused: month's end"]
    world.post(f"/sync-definitions/{definition}/activate")
    after = world.run(definition)

    assert written(after) == (7, 0, 0)


def test_a_cancelled_run_settles_no_further_page_and_what_is_left_stays_due(world: World) -> None:
    definition = world.live()
    run = world.start(definition)
    world.engine.begin_run(run.definition, run.id)
    world.engine.capture(run.definition, run.id)

    cancelled = world.post(f"/runs/{run.id}/cancel")
    settled = world.engine.settle(run.definition, run.id)
    world.engine.finish_run(run.definition, run.id, held=False, error=None)

    assert (cancelled["status"], cancelled["error_message"]) == ("CANCELLED", "cancelled by function key")
    assert settled.pages == 0
    assert world.seen(run.id)["status"] == "CANCELLED"
    assert marks(world, definition)["due"] == 12
    assert world.post(f"/runs/{run.id}/cancel")["status"] == "CANCELLED"


def test_a_queued_run_shows_its_backlog_and_an_estimate(world: World) -> None:
    definition = world.live()
    run = world.start(definition)
    world.engine.begin_run(run.definition, run.id)
    world.engine.capture(run.definition, run.id)

    seen = world.seen(run.id)
    listed = world.get("/runs", definition_id=definition, status="RUNNING")

    assert seen["backlog"]["due"] == 12
    assert seen["eta_seconds"] is not None
    assert [shown["id"] for shown in listed] == [str(run.id)]
    assert world.start(definition).id == run.id


def test_a_watermark_has_a_scan_beneath_it_once_a_day(world: World) -> None:
    world.sql("alter table app.things add column moved timestamptz not null default now()")
    world.sql("create index on app.things (moved, id)")
    definition = world.live(change_detection="WATERMARK", cursor_column="moved")

    first = world.run(definition)
    world.sql("delete from app.things where id = 12")
    blind = world.run(definition)
    world.metastore("update syncbridge.sync_runs set start_time = start_time - interval '25 hours'")
    daily = world.run(definition)

    assert (first["capture"], written(first)) == ("watermark", (12, 0, 0))
    assert (blind["capture"], written(blind)) == ("watermark", (0, 0, 0))
    assert (daily["capture"], written(daily)) == ("scan", (0, 0, 1))


def test_old_runs_go_with_their_retention_and_young_ones_stay(world: World) -> None:
    definition = world.live()
    old, young = world.run(definition), world.run(definition)
    world.metastore("update syncbridge.sync_runs set end_time = now() - interval '91 days' where id = %s", old["id"])

    world.engine.housekeeping()

    assert [run["id"] for run in world.get("/runs")] == [young["id"]]
    assert world.refused("GET", f"/runs/{old['id']}", status=404)["code"] == "not_found"


def test_what_is_due_by_schedule_is_started_once(world: World) -> None:
    definition = world.live(schedule="PT5M")
    draft = world.define(name="Draft", list_name="Draft")

    (started,) = world.engine.start_due_runs()

    assert str(started.definition) == definition != draft["id"]
    assert world.engine.start_due_runs() == []


def test_new_fields_are_no_mass_update_and_a_mass_update_is_one(world: World) -> None:
    definition = world.live(
        guards={"change_floor": 5}, field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}]
    )
    world.run(definition)
    world.post(f"/sync-definitions/{definition}/field-mappings", {"source_column_name": "qty"}, expect=201)

    remapped = world.run(definition)
    world.sql("update app.things set qty = qty + 1")
    updated = world.run(definition)

    assert (remapped["status"], written(remapped)) == ("COMPLETED", (0, 12, 0))
    assert (updated["status"], updated["error_code"]) == ("HELD", "change_guard")
