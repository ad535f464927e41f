"""The queue triggers: a hint that comes twice, late or never costs time only."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest
from pydantic import ValidationError

from functions import activities, names, queues
from functions.hints import hint
from functions.messages import ListEvent, ListNotice, ListNotices, RunEnd, packed
from shared.core.catalog import AuditEntry
from shared.core.errors import MetastoreUnavailable, QueueUnavailable
from shared.core.ids import DefinitionId, RunId
from shared.core.runs import ActiveRun, RunType

DEFINITION, LIST, SUBSCRIPTION = UUID(int=1), UUID(int=2), UUID(int=3)
RUN = ActiveRun(
    id=RunId(UUID(int=7)),
    definition=DefinitionId(DEFINITION),
    type=RunType.INGRESS,
    queued=True,
    orchestration_id=None,
)


@dataclass
class Bridge:
    """As much of the engine as the triggers ask for, and a durable client."""

    run: ActiveRun | None = RUN
    done: list[tuple[Any, ...]] = field(default_factory=list)
    again: bool = False
    queue_is_away: bool = False
    metastore_is_away: bool = False
    broken: UUID | None = None
    """A definition whose notices fail."""

    @property
    def queue(self) -> Any:
        return self

    @property
    def stores(self) -> Any:
        return SimpleNamespace(audit=self)

    def notice(self, definition: UUID) -> ActiveRun | None:
        if definition == self.broken:
            raise MetastoreUnavailable("away")
        self.done.append(("notice", definition))
        return self.run

    def answer_notices(self, definition: UUID) -> ActiveRun | None:
        self.done.append(("answer", definition))
        return self.run

    def start_due_run(self, definition: UUID) -> ActiveRun | None:
        self.done.append(("due", definition))
        return self.run

    def subscription_event(self, definition: UUID, subscription: str, *, removed: bool) -> None:
        self.done.append(("removed" if removed else "renew", definition, subscription))

    def record(self, entry: AuditEntry) -> None:
        if self.metastore_is_away:
            raise MetastoreUnavailable("away")
        self.done.append(("audit", entry.action, entry.after))

    def finish_run(self, *_: Any, **__: Any) -> float | None:
        return None

    def wants_reading(self, _: UUID) -> bool:
        return self.again

    def put(self, name: str, message: str) -> None:
        if self.queue_is_away:
            raise QueueUnavailable("away")
        self.done.append((name, message))

    async def get_status(self, _: str) -> Any:
        return SimpleNamespace(runtime_status=None)

    async def start_new(self, orchestration: str, instance: str, order: dict[str, Any]) -> None:
        self.done.append((orchestration, instance, order["ingress"]))


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    made = Bridge()
    for module in (queues, activities):
        monkeypatch.setattr(module, "engine", lambda: made)
    return made


def take(bridge: Bridge, body: str) -> None:
    trigger = queues.list_noticed.build().get_user_function()
    # The durable decorator hands the client as the host's JSON to whoever calls through it; what it wraps takes the client.
    asyncio.run(trigger.client_function(message=func.QueueMessage(body=body.encode()), client=bridge))


def notice(event: ListEvent, subscription: UUID | None = None) -> str:
    return together(ListNotice(definition=DEFINITION, list_id=LIST, event=event, subscription=subscription))


def together(*notices: ListNotice) -> str:
    [text] = packed(notices)
    return text


STARTED = (names.SYNC_RUN, f"run-{UUID(int=7).hex}", True)


def test_a_notice_is_put_on_record_and_its_run_is_started(bridge: Bridge):
    take(bridge, notice(ListEvent.CHANGED))
    assert bridge.done == [("notice", DEFINITION), STARTED]


def test_a_notice_that_fails_holds_up_none_that_came_with_it_and_the_message_comes_again(bridge: Bridge):
    bridge.run, bridge.broken = None, DEFINITION
    first, second = (ListNotice(definition=UUID(int=n), event=ListEvent.CHANGED) for n in (1, 9))
    with pytest.raises(MetastoreUnavailable):
        take(bridge, together(first, second))
    assert bridge.done == [("notice", UUID(int=9))]


def test_while_a_run_is_under_way_nothing_is_started(bridge: Bridge):
    bridge.run = None
    take(bridge, notice(ListEvent.CHANGED))
    assert bridge.done == [("notice", DEFINITION)]


def test_a_hint_that_a_run_left_behind_puts_nothing_on_record(bridge: Bridge):
    take(bridge, notice(ListEvent.AGAIN))
    assert bridge.done == [("answer", DEFINITION), STARTED]


def test_a_scheduled_run_that_a_person_wants_is_started_and_the_list_is_read_beside_it(bridge: Bridge):
    assert hint(bridge, DefinitionId(DEFINITION), push=True)  # type: ignore[arg-type]
    [(queue, text)] = bridge.done
    assert queue == names.GRAPH_NOTIFICATIONS
    bridge.done.clear()
    take(bridge, text)
    assert bridge.done == [("due", DEFINITION), STARTED, ("answer", DEFINITION), STARTED]


@pytest.mark.parametrize(("event", "done"), [(ListEvent.RENEW, "renew"), (ListEvent.REMOVED, "removed")])
def test_an_event_of_a_subscriptions_life_is_seen_to_and_what_it_noticed_is_read(bridge: Bridge, event, done):
    take(bridge, notice(event, SUBSCRIPTION))
    assert bridge.done == [(done, DEFINITION, str(SUBSCRIPTION)), ("answer", DEFINITION), STARTED]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        "{}",
        '{"notices":[]}',
        notice(ListEvent.CHANGED).replace('"schema_version":1', '"schema_version":2'),
    ],
)
def test_a_message_that_is_none_fails_so_that_the_host_sets_it_aside(bridge: Bridge, body: str):
    with pytest.raises(ValidationError):
        take(bridge, body)
    assert bridge.done == []


def test_a_message_that_was_set_aside_goes_with_its_hash_in_log_and_audit(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
):
    queues.notice_poisoned.build().get_user_function()(func.QueueMessage(body=b"S3CRET"))
    digest = hashlib.sha256(b"S3CRET").hexdigest()
    assert bridge.done == [("audit", "notice dropped", {"message_sha256": digest})]
    assert digest in caplog.text
    assert "S3CRET" not in caplog.text


def test_it_goes_also_while_the_metastore_is_away(bridge: Bridge, caplog: pytest.LogCaptureFixture):
    bridge.metastore_is_away = True
    queues.notice_poisoned.build().get_user_function()(func.QueueMessage(body=b"x"))
    assert "a notice was dropped" in caplog.text


def finish(bridge: Bridge) -> dict[str, Any]:
    end = activities.Payload(RunEnd(definition=DEFINITION, run=UUID(int=7)).to_json())
    answer: dict[str, Any] = activities.finish_run.build().get_user_function()(end)
    return answer


def test_a_run_that_was_noticed_while_it_read_leaves_a_hint(bridge: Bridge):
    bridge.again = True
    finish(bridge)
    [(queue, message)] = bridge.done
    assert queue == names.GRAPH_NOTIFICATIONS
    left = ListNotice(definition=DEFINITION, event=ListEvent.AGAIN)
    assert ListNotices.model_validate_json(message).notices == (left,)


def test_one_that_was_not_leaves_none(bridge: Bridge):
    finish(bridge)
    assert bridge.done == []


def test_a_queue_that_is_away_fails_no_run_for_the_next_tick_finds_what_is_on_record(bridge: Bridge):
    bridge.again, bridge.queue_is_away = True, True
    assert finish(bridge)["failure"] is None
