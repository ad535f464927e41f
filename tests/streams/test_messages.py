"""The other end of the queue: messages twice, late, shuffled, lost or spoiled, and what is left when time or budget are up."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient

from infra.local.azurite import Azurite
from shared.adapters.queue import API_VERSION
from shared.core.changes import ChangeMessage, SettleWish, TableChanges, pack, pack_wish, unpack
from shared.core.errors import GraphUnavailable, MetastoreUnavailable, QueueUnavailable
from shared.core.ids import DefinitionId
from shared.engine import streams as engine_streams
from shared.engine.streams import QUEUE
from shared.handles import ceiling_of
from shared.poller import session
from tests.streams.world import Streaming


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "BEAT", 0.05)


@pytest.fixture
def settled(live: Streaming) -> Streaming:
    """Both sides are equal, and no message waits."""
    with live.streaming():
        live.scan()
        live.caught_up()
    live.messages()
    assert live.equal()
    return live


def streamed(live: Streaming, *statements: str) -> list[str]:
    """What these statements changed, one transaction each, each read before the next: a message of each that changed rows.

    A reader hands over what has arrived, be it half a transaction: how many messages it makes of several rows is chance."""
    texts = []
    with live.streaming():
        for statement in statements:
            live.world.sql(statement)
            live.caught_up()
            texts += together(live.messages())
    return texts


def together(texts: list[str]) -> list[str]:
    """The same as one message; none stays none."""
    messages = [message for text in texts if isinstance(message := unpack(text), ChangeMessage)]
    assert len(messages) == len(texts)
    if not messages:
        return []
    tables: dict[object, TableChanges] = {}
    for table in (table for message in messages for table in message.tables):
        before = tables.get((table.table, table.key), replace(table, operations={}, renames=()))
        tables[table.table, table.key] = replace(
            before,
            operations={**before.operations, **table.operations},
            renames=tuple(dict.fromkeys(before.renames + table.renames)),
        )
    (text,) = pack(replace(messages[0], last=messages[-1].last, tables=tuple(tables.values())))
    return [text]


def take(live: Streaming, texts: list[str]) -> None:
    for text in texts:
        live.world.engine.take_message(text)


def test_the_same_message_twice_writes_once(settled: Streaming):
    texts = streamed(settled, "update app.things set note = 'changed' where id = 1")
    before = settled.writes()
    take(settled, texts)
    assert settled.writes() == before + 1
    take(settled, texts * 3)
    assert settled.writes() == before + 1
    assert settled.equal()


def test_the_same_message_in_several_hands_at_once_writes_each_row_once(settled: Streaming):
    """As when its time of invisibility runs out while somebody is still at it."""
    (text,) = streamed(settled, "update app.things set note = 'changed'")
    before = settled.writes()
    with ThreadPoolExecutor(4) as hands:
        list(hands.map(settled.world.engine.take_message, [text] * 4))
    assert settled.equal()
    assert settled.writes() == before + 12
    assert settled.backlog()["due"] == 0


def test_changes_that_the_list_has_already_cost_no_write(settled: Streaming):
    """What comes back of our own writes to rows, and of updates that change nothing."""
    texts = streamed(settled, "update app.things set note = note", "update app.things set id = id where id < 5")
    before = settled.writes()
    take(settled, texts)
    assert settled.writes() == before
    assert settled.backlog()["due"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_messages_does_not_matter(settled: Streaming, seed: int):
    chance = random.Random(seed)
    statements = []
    for n in range(25):
        statements.append(
            chance.choice(
                [
                    f"insert into app.things values ({100 + n}, 'new {n}', {n})",
                    f"update app.things set note = 'n{n}' where id = {chance.randint(1, 12)}",
                    f"update app.things set qty = {n} where id >= 100",
                    f"delete from app.things where id = {chance.choice([1, 2, *range(100, 125)])}",
                    f"update app.things set id = {200 + n} where id = {chance.randint(100, 124)}",
                ]
            )
        )
    texts = [shuffled(text, chance) for text in streamed(settled, *statements)]
    chance.shuffle(texts)
    take(settled, texts)
    assert settled.equal()
    assert settled.backlog()["due"] == 0


def shuffled(text: str, chance: random.Random) -> str:
    """The same message with what is in it in another order."""
    message = unpack(text)
    assert isinstance(message, ChangeMessage)
    tables = []
    for table in message.tables:
        operations, renames = list(table.operations.items()), list(table.renames)
        chance.shuffle(operations)
        chance.shuffle(renames)
        tables.append(replace(table, operations=dict(operations), renames=tuple(renames)))
    (text,) = pack(replace(message, tables=tuple(tables)))
    return text


def test_messages_go_together_with_a_run_that_is_under_way(settled: Streaming):
    texts = streamed(settled, "update app.things set note = 'streamed' where id <= 6")
    settled.world.sql("update app.things set note = 'scanned' where id > 6")
    run = settled.world.start(settled.definition)
    engine = settled.world.engine
    assert engine.begin_run(run.definition, run.id)
    engine.capture(run.definition, run.id)
    take(settled, texts)
    engine.settle(run.definition, run.id)
    engine.finish_run(run.definition, run.id, held=False, error=None)
    assert settled.equal()


def test_a_streamed_change_waits_for_nothing_that_a_scheduled_run_has_still_to_do(settled: Streaming):
    texts = streamed(settled, "update app.things set note = 'streamed' where id = 1")
    settled.world.sql("update app.things set note = 'scanned' where id > 6")
    run = settled.world.start(settled.definition)
    engine = settled.world.engine
    assert engine.begin_run(run.definition, run.id)
    engine.capture(run.definition, run.id)
    assert settled.backlog()["due"] == 7
    take(settled, texts)
    differing = {name for name, row in settled.rows().items() if settled.items()[name] != row}
    assert differing == {f"thing {n}" for n in range(7, 13)}
    assert settled.backlog()["due"] == 6
    engine.settle(run.definition, run.id)
    engine.finish_run(run.definition, run.id, held=False, error=None)
    assert settled.equal()


def test_the_scan_finds_what_the_one_lost_message_in_a_hundred_was_about(settled: Streaming):
    texts = streamed(
        settled,
        *(f"insert into app.things values ({n}, 'new {n}')" for n in range(1000, 1090)),
        *(f"update app.things set note = 'changed' where id = {n}" for n in range(1, 9)),
        "delete from app.things where id = 9",
        "delete from app.things where id = 10",
    )
    assert len(texts) == 100
    lost = random.Random(1).randrange(100)
    take(settled, [text for place, text in enumerate(texts) if place != lost])
    assert not settled.equal()
    run = settled.world.run(settled.definition)
    assert sum(run[what] for what in ("created", "updated", "deleted")) == 1
    assert settled.equal()


def test_two_definitions_of_one_table_both_get_its_changes(settled: Streaming):
    other = settled.world.live(
        name="Other",
        list_name="Other",
        change_detection="STREAM",
        field_mappings=[{"source_column_name": "name", "target_column_name": "Title"}],
        row_filter="qty > 5",
    )
    settled.world.run(other)
    texts = streamed(
        settled, "update app.things set name = 'renamed' where id = 7", "update app.things set qty = 1 where id = 8"
    )
    take(settled, texts)
    assert settled.equal()
    assert "renamed" in settled.world.items(other)
    assert "thing 8" not in settled.world.items(other), "a row that left the scope is a change too"


def test_a_paused_definition_keeps_its_marks_and_settles_them_when_it_goes_on(settled: Streaming):
    settled.world.post(f"/sync-definitions/{settled.definition}/pause")
    take(settled, streamed(settled, "update app.things set note = 'while paused' where id = 1"))
    assert not settled.equal()
    assert settled.backlog()["due"] == 1
    settled.world.post(f"/sync-definitions/{settled.definition}/activate")
    settled.world.engine.take_message(pack_wish(SettleWish(definition=settled.id())))
    assert settled.equal()


def test_keys_of_another_table_or_another_key_mark_nothing(settled: Streaming):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    for change in (
        lambda d: d["tables"][0].update(table="others"),
        lambda d: d["tables"][0].update(key=["name"]),
        lambda d: d["slot"].update(instance=str(uuid4())),
    ):
        document = json.loads(text)
        change(document)
        settled.world.engine.take_message(json.dumps(document))
    assert settled.backlog()["due"] == 0
    assert not settled.equal()


# ---------------------------------------------------------------- spoiled messages


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda text: "no JSON at all", "not_json"),
        (lambda text: text[:-2], "not_json"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), "schema_version"),
        (lambda text: text.replace('"tables"', '"tabels"'), "not_changes"),
        (lambda text: "{}", "not_changes"),
    ],
)
def test_a_message_that_cannot_be_read_is_set_aside_with_its_reason(settled: Streaming, spoil, code):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    for _ in range(2):
        settled.world.engine.take_message(spoil(text))
    (parked,) = settled.world.get("/ops/changes/parked")
    assert (parked["code"], parked["queue"], parked["state"]) == (code, QUEUE, "PARKED")
    settled.world.engine.take_message(text)
    assert settled.equal(), "the messages after it are taken"


def away(*_: object, **__: object) -> int:
    raise MetastoreUnavailable("the metastore did not answer")


def breaks(*_: object, **__: object) -> int:
    return 1 // 0


def test_a_message_that_the_host_gave_up_is_set_aside_once_with_what_went_wrong_last(
    settled: Streaming, monkeypatch: pytest.MonkeyPatch
):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    for where, what, fails, said in (
        (settled.world.engine.stores.backlog, "mark", away, "because the metastore did not answer"),
        (settled.world.engine.stores.backlog, "mark", breaks, "because of an unexpected ZeroDivisionError"),
        (engine_streams, "settle", breaks, "because of an unexpected ZeroDivisionError"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, what, fails)
            settled.world.engine.park_poison(text)
        (parked,) = settled.world.get("/ops/changes/parked")
        assert (parked["code"], parked["queue"], parked["state"]) == ("failed_repeatedly", QUEUE, "PARKED")
        assert parked["reason"].endswith(said)


def test_a_message_that_cannot_even_be_set_aside_goes_back_into_the_queue(
    settled: Streaming, monkeypatch: pytest.MonkeyPatch
):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(settled.world.engine.stores.streams, "park", away)
        settled.world.engine.park_poison(text)
        settled.queue.away = True
        with pytest.raises(QueueUnavailable):  # then the host gives it again
            settled.world.engine.park_poison(text)
    assert [(name, again) for name, again, _ in settled.queue.later] == [(QUEUE, text)]
    settled.world.engine.take_message(text)
    assert settled.equal()


def test_a_message_that_the_host_gave_up_too_early_is_taken_and_nobody_is_asked(settled: Streaming):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    settled.world.engine.park_poison(text)
    assert settled.equal()
    assert settled.world.get("/ops/changes/parked") == []
    (decided,) = settled.world.get("/ops/changes/parked", decided=True)
    assert (decided["code"], decided["state"]) == ("failed_repeatedly", "REPLAYED")


def test_a_message_that_was_set_aside_can_be_tried_again_or_discarded(
    settled: Streaming, monkeypatch: pytest.MonkeyPatch
):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(settled.world.engine.stores.backlog, "mark", away)
        settled.world.engine.park_poison(text)
    settled.world.engine.take_message("spoiled")
    found = {message["code"]: message["id"] for message in settled.world.get("/ops/changes/parked")}
    assert set(found) == {"failed_repeatedly", "not_json"}
    path = f"/ops/changes/parked/{found['failed_repeatedly']}"
    answer = settled.world.call("POST", f"{path}/replay", {"reason": "the metastore is back"}, expect=202)
    assert answer["state"] == "REPLAYED"
    settled.world.refused("POST", f"{path}/replay", {"reason": "again"}, status=409)
    settled.deliver()
    assert settled.equal()
    settled.world.post(f"/ops/changes/parked/{found['not_json']}/discard", {"reason": "nonsense"})
    assert settled.world.get("/ops/changes/parked") == []
    decided = settled.world.get("/ops/changes/parked", decided=True)
    assert {message["state"] for message in decided} == {"REPLAYED", "DISCARDED"}
    settled.world.refused("POST", f"/ops/changes/parked/{uuid4()}/discard", {"reason": "?"}, status=404)


def test_a_message_comes_again_while_its_marks_cannot_be_made(settled: Streaming, monkeypatch: pytest.MonkeyPatch):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(settled.world.engine.stores.backlog, "mark", away)
        with pytest.raises(MetastoreUnavailable):
            settled.world.engine.take_message(text)
    assert settled.world.get("/ops/changes/parked") == []
    settled.world.engine.take_message(text)
    assert settled.equal()


# ---------------------------------------------------------------- what is left


def wishes(live: Streaming) -> list[float]:
    """Delays of the messages that will wake somebody up."""
    for name, text, _ in live.queue.later:
        assert (name, unpack(text)) == (QUEUE, SettleWish(definition=live.id()))
    return [delay for _, _, delay in live.queue.later]


def test_a_used_up_budget_leaves_the_rows_and_wakes_somebody_up_later(settled: Streaming):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    engine = settled.world.engine
    record = engine.stores.definitions.get(settled.id())
    connection = engine.connection_of(record)
    engine.graphs.budget(connection, ceiling_of(connection)).penalize(400)
    engine.take_message(text)
    assert settled.backlog()["due"] + settled.backlog()["later"] == 1
    (delay,) = wishes(settled)
    assert 300 < delay <= 401
    engine.take_message(text)
    assert len(wishes(settled)) == 1, "one is on its way"
    settled.world.metastore(
        "update syncbridge.ru_budgets set blocked_until = null, refilled_at = now(), level = 1e9, ramp = 8"
    )
    settled.world.metastore("update syncbridge.sync_backlog set due_at = now()")
    engine.take_message(settled.queue.later[0][1])
    assert settled.equal()


def test_rows_beyond_the_time_of_one_call_wake_somebody_up_at_once(settled: Streaming, monkeypatch: pytest.MonkeyPatch):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id <= 5")
    monkeypatch.setattr(engine_streams, "SETTLE_SECONDS", 0.0)
    settled.world.engine.take_message(text)
    assert settled.backlog()["due"] == 5
    assert wishes(settled) == [1.0]


def test_a_list_that_does_not_answer_leaves_the_marks_and_is_tried_again(
    settled: Streaming, monkeypatch: pytest.MonkeyPatch
):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")

    def away(*_: object, **__: object) -> None:
        raise GraphUnavailable("Graph did not answer", retry_after=50)

    with monkeypatch.context() as patch:
        patch.setattr(engine_streams, "settle", away)
        settled.world.engine.take_message(text)
    assert wishes(settled) == [50]
    assert settled.backlog()["due"] == 1


def test_a_queue_that_is_away_wakes_nobody_up_and_breaks_nothing(settled: Streaming, monkeypatch: pytest.MonkeyPatch):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id <= 5")
    monkeypatch.setattr(engine_streams, "SETTLE_SECONDS", 0.0)
    settled.queue.away = True
    settled.world.engine.take_message(text)
    assert settled.backlog()["due"] == 5
    with pytest.raises(QueueUnavailable):
        settled.queue.put(QUEUE, "x")


def test_a_list_that_is_gone_holds_the_definition(settled: Streaming):
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    listed = settled.world.get(f"/sync-definitions/{settled.definition}")["list_id"]
    settled.world.sim("DELETE", f"/_sim/people/lists/{listed}")
    settled.world.engine.take_message(text)
    assert "LIST_GONE" in settled.holds()
    assert settled.backlog()["due"] == 1


def test_what_changes_came_to_and_cost_is_kept_by_runs(settled: Streaming):
    take(settled, streamed(settled, "update app.things set note = 'changed' where id <= 4"))
    (run,) = [run for run in settled.world.get("/runs") if run["run_type"] == "CDC"]
    assert (run["status"], run["updated"], run["trigger"]) == ("RUNNING", 4, "STREAM")
    assert run["ru"] >= 8
    assert str(run["id"]) not in {str(found.id) for found in settled.world.engine.unfinished_runs()}
    settled.world.metastore("update syncbridge.sync_runs set start_time = start_time - interval '1 hour'")
    settled.world.engine.look_after_streams()
    assert settled.world.get(f"/runs/{run['id']}")["status"] == "COMPLETED"


def test_a_wish_for_a_definition_that_is_gone_is_granted_by_doing_nothing(settled: Streaming):
    settled.world.engine.take_message(pack_wish(SettleWish(definition=DefinitionId(UUID(int=0)))))
    assert settled.equal()


def test_a_message_whose_receipt_went_stale_comes_once_more_and_writes_nothing(
    settled: Streaming, azurite: Azurite, queue_name: str
):
    """Who held it when its time of invisibility ran out cannot take it away any more; who has it then can."""
    (text,) = streamed(settled, "update app.things set note = 'changed' where id = 1")
    before = settled.writes()
    with QueueClient.from_connection_string(azurite.connection_string, queue_name, api_version=API_VERSION) as queue:
        queue.create_queue()
        queue.send_message(text)
        slow = queue.receive_message(visibility_timeout=300)
        assert slow is not None
        queue.update_message(slow, visibility_timeout=0)  # as if the 300 seconds were over: `slow` keeps its receipt
        quick = queue.receive_message(visibility_timeout=300)
        assert quick is not None
        assert quick.id == slow.id
        settled.world.engine.take_message(slow.content)
        with pytest.raises(HttpResponseError, match="PopReceiptMismatch"):
            queue.delete_message(slow)
        assert settled.writes() == before + 1
        settled.world.engine.take_message(quick.content)
        queue.delete_message(quick)
        assert queue.peek_messages() == []
    assert settled.writes() == before + 1
    assert settled.equal()
