"""What a person asks for is settled at once: the order leaves a hint in the queue, and whoever takes it starts the run."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest

from functions import names, queues
from functions.messages import ListNotices
from shared.core.errors import QueueUnavailable
from shared.core.ids import DefinitionId
from shared.core.runs import ActiveRun, RunType
from tests.api.test_two_way import row, two_way
from tests.api.world import World

pytestmark = pytest.mark.slow


@dataclass
class Mail:
    """The queue of notices, and its trigger."""

    world: World
    messages: list[str] = field(default_factory=list)
    away: bool = False

    def put(self, name: str, message: str, *, delay: float = 0.0) -> None:
        if self.away:
            raise QueueUnavailable("away")
        assert (name, delay) == (names.GRAPH_NOTIFICATIONS, 0.0)
        self.messages.append(message)

    def depth(self, name: str) -> int:
        if self.away:
            raise QueueUnavailable(f"queue {name} did not say how long it is: away")
        return len(self.messages) if name == names.GRAPH_NOTIFICATIONS else 0

    def close(self) -> None:
        self.messages.clear()

    def deliver(self) -> list[ActiveRun]:
        """The runs that begin, each driven to its end."""
        taken = [notice for text in self.messages for notice in ListNotices.model_validate_json(text).notices]
        self.messages.clear()
        started = [run for notice in taken if (run := queues._take(notice)) is not None]
        for run in started:
            (self.world.read if run.type is RunType.INGRESS else self.world.drive)(run)
        return started


@pytest.fixture
def mail(world: World, monkeypatch: pytest.MonkeyPatch) -> Mail:
    made = Mail(world)
    world.engine.queue.close()
    monkeypatch.setattr(world.engine, "queue", made)
    monkeypatch.setattr(queues, "engine", lambda: world.engine)
    return made


def conflict(world: World) -> tuple[str, dict[str, Any]]:
    """A definition, and a person's note that lost."""
    definition = two_way(world)
    world.sync(definition)
    world.person(definition).edit(world.items(definition)["thing 4"], Note="a person's note")
    world.sql("update app.things set note = 'the row''s note' where id = 4")
    world.sync(definition)
    (logged,) = world.get("/conflicts", definition_id=definition, column="note", state="FINAL")
    return definition, logged


NOW = {"starts": "NOW", "why": None}


def test_a_value_that_is_wanted_back_is_on_both_sides_after_the_run_that_its_order_starts(world: World, mail: Mail):
    definition, logged = conflict(world)
    asked = world.post(f"/conflicts/{logged['id']}/reverse", expect=202)
    assert asked == {"reversing": [logged["id"]], "run": NOW}
    world.refused("POST", f"/conflicts/{logged['id']}/reverse", status=409)

    mail.messages *= 3  # it may come more than once
    (run,) = mail.deliver()

    assert row(world, 4) == ("thing 4", 4, "a person's note")
    assert world.items(definition)["thing 4"]["fields"]["Note"] == "a person's note"
    assert world.get(f"/conflicts/{logged['id']}")["state"] == "REVERSED"
    assert world.seen(run.id)["trigger"] == "NOTICE"


def test_retries_and_approvals_are_carried_out_by_the_run_that_their_order_starts(world: World, mail: Mail):
    definition = two_way(world, guards={"max_deletes": 0})
    world.sync(definition)
    world.sql("update app.things set name = repeat('x', 300) where id = 4")
    world.sql("delete from app.things where id = 1")
    world.run(definition)
    world.sql("update app.things set name = 'short again' where id = 4")

    retried = world.post(f"/sync-definitions/{definition}/parked/retry", {"all": True})
    assert retried == {"due": 1, "run": NOW}
    assert len(mail.deliver()) == 1
    approved = world.post(f"/sync-definitions/{definition}/awaiting-approval/approve", {"all": True})
    assert approved == {"approved": 1, "run": NOW}
    assert len(mail.deliver()) == 1

    titles = set(world.items(definition))
    assert "short again" in titles
    assert "thing 1" not in titles
    nothing = world.post(f"/sync-definitions/{definition}/parked/retry", {"all": True})
    assert nothing == {"due": 0, "run": None}
    assert mail.messages == []


def test_without_the_queue_the_schedule_tick_starts_it(world: World, mail: Mail):
    _, logged = conflict(world)
    mail.away = True
    asked = world.post(f"/conflicts/{logged['id']}/reverse", expect=202)
    assert asked["run"]["starts"] == "NEXT_TICK"
    assert "the next schedule tick" in asked["run"]["why"]
    (run,) = world.engine.start_due_readings()
    world.read(run)
    assert row(world, 4) == ("thing 4", 4, "a person's note")


def test_a_definition_that_does_not_run_says_why_and_begins_when_it_may(world: World, mail: Mail):
    definition, logged = conflict(world)
    world.post(f"/sync-definitions/{definition}/pause")
    asked = world.post(f"/conflicts/{logged['id']}/reverse", expect=202)
    assert asked["run"]["starts"] == "WAITS"
    assert "runs start when it is ACTIVE" in asked["run"]["why"]
    assert mail.messages == []
    world.post(f"/sync-definitions/{definition}/activate")
    (run,) = world.engine.start_due_readings()
    world.read(run)
    assert row(world, 4) == ("thing 4", 4, "a person's note")


# ---------------------------------------------------------------- the scheduled run


def types(runs: list[ActiveRun]) -> list[RunType]:
    return [run.type for run in runs]


def test_the_last_hold_that_is_released_lets_the_scheduled_run_begin_at_once(world: World, mail: Mail):
    definition = world.live()
    world.run(definition)
    world.sql("delete from app.things")
    assert world.run(definition)["status"] == "HELD"
    world.sql("insert into app.things select n, 'thing ' || n, n, 'a new note' from generate_series(1, 6) n")
    world.sql("insert into app.things select n, 'thing ' || n, n, 'note ' || n from generate_series(7, 12) n")

    first, last = world.get("/holds", definition_id=definition)
    released = world.post(f"/holds/{first['id']}/release", {"reason": "looked at it"})
    assert (released["id"], released["run"]["starts"]) == (first["id"], "WAITS")
    assert "release it first" in released["run"]["why"]
    assert mail.messages == []
    assert world.post(f"/holds/{last['id']}/release", {"reason": "looked at it"})["run"] == NOW
    mail.messages *= 2  # it may come more than once
    assert types(mail.deliver()) == [RunType.PUSH], "the list's first reading waits for it"

    assert world.items(definition)["thing 1"]["fields"]["note"] == "a new note"
    run = next(run for run in world.get("/runs", definition_id=definition) if run["run_type"] == "PUSH")
    assert (run["trigger"], run["status"]) == ("SCHEDULE", "COMPLETED")


def test_a_definition_that_was_paused_goes_on_at_once(world: World, mail: Mail):
    definition = world.live()
    assert mail.messages == [], "the schedule tick starts a first run"
    world.run(definition)
    world.post(f"/sync-definitions/{definition}/pause")
    world.sql("update app.things set note = 'meanwhile' where id = 1")
    assert world.post(f"/sync-definitions/{definition}/activate")["run"] == NOW
    assert RunType.PUSH in types(mail.deliver())
    assert world.items(definition)["thing 1"]["fields"]["note"] == "meanwhile"


def test_rows_that_are_marked_by_hand_are_settled_at_once(world: World, mail: Mail):
    definition = world.live()
    world.run(definition)
    path = f"/ops/sync/{definition}/backfill"
    assert world.call("POST", path, {"keys": [["4"]]}, expect=202) == {"marked": 1, "run": NOW}
    assert world.get(f"/sync-definitions/{definition}/backlog")["due"] == 1
    assert RunType.PUSH in types(mail.deliver())
    assert world.get(f"/sync-definitions/{definition}/backlog")["due"] == 0
    assert world.call("POST", path, {"row_filter": "id < 0"}, expect=202) == {"marked": 0, "run": None}


def test_a_run_that_is_wanted_while_one_is_under_way_begins_after_it(world: World, mail: Mail):
    definition = world.live()
    (first,) = world.engine.start_due_runs()
    answer = world.call("POST", f"/ops/sync/{definition}/backfill", {"keys": [["4"]]}, expect=202)
    assert answer["run"] == NOW
    assert RunType.PUSH not in types(mail.deliver())
    assert world.engine.start_due_runs() == []
    world.drive(first)
    (second,) = world.engine.start_due_runs()
    world.drive(second)
    assert world.engine.start_due_runs() == []


def test_a_run_that_is_wanted_without_the_queue_begins_with_the_next_tick(world: World, mail: Mail):
    definition = world.live()
    world.run(definition)
    assert len(world.engine.start_due_runs()) == 1
    world.metastore("update syncbridge.sync_runs set status = 'COMPLETED'")
    assert world.engine.start_due_runs() == []
    mail.away = True
    answer = world.call("POST", f"/ops/sync/{definition}/backfill", {"keys": [["4"]]}, expect=202)
    assert answer["run"]["starts"] == "NEXT_TICK"
    assert types(world.engine.start_due_runs()) == [RunType.PUSH]


def test_a_run_that_is_wanted_waits_for_a_source_that_is_short_of_disk(world: World, mail: Mail):
    definition = world.live()
    world.run(definition)
    world.metastore(
        "insert into syncbridge.stream_slots (instance_id, slot_name, over_budget_since, budget_action)"
        " select id, 'a_slot', now(), 'PAUSE_OTHERS' from syncbridge.database_instances"
    )
    answer = world.call("POST", f"/ops/sync/{definition}/backfill", {"keys": [["4"]]}, expect=202)
    assert answer["run"]["starts"] == "WAITS"
    assert "caught up" in answer["run"]["why"]
    assert world.engine.start_due_run(DefinitionId(UUID(definition))) is None


def test_a_run_that_is_wanted_stays_so_while_a_list_waits_for_its_columns(world: World, mail: Mail):
    definition = world.live()
    world.run(definition)
    world.metastore("update syncbridge.sync_definitions set next_run_at = now() + interval '1 day'")
    world.metastore("update syncbridge.sync_targets set provisioned_at = null")
    answer = world.call("POST", f"/ops/sync/{definition}/backfill", {"keys": [["4"]]}, expect=202)
    assert answer["run"]["starts"] == "WAITS"
    assert "provision" in answer["run"]["why"]
    assert world.engine.start_due_runs() == []
    world.post(f"/sync-definitions/{definition}/provision")
    assert types(world.engine.start_due_runs()) == [RunType.PUSH]


def test_queues_are_shown_with_what_failed_in_them_and_what_to_do(world: World, mail: Mail):
    quiet = {"waiting": 0, "failed": 0, "parked": 0, "dropped": 0, "what_to_do": None}
    changes, notices = world.get("/ops/queues")
    assert changes == {"queue": names.CDC_CHANGES, **quiet}
    assert notices == {"queue": names.GRAPH_NOTIFICATIONS, **quiet}

    world.engine.take_message("no message of ours")
    queues.notice_poisoned.build().get_user_function()(func.QueueMessage(body=b"S3CRET"))
    mail.put(names.GRAPH_NOTIFICATIONS, "waits")
    changes, notices = world.get("/ops/queues")
    assert (changes["parked"], changes["dropped"]) == (1, 0)
    assert "/replay" in changes["what_to_do"]
    assert (notices["waiting"], notices["parked"], notices["dropped"]) == (1, 0, 1)
    assert "/api/v1/ops/ingress/" in notices["what_to_do"]

    mail.away = True
    changes, _ = world.get("/ops/queues")
    assert (changes["waiting"], changes["failed"], changes["parked"]) == (None, None, 1)
    assert "not known" in changes["what_to_do"]
