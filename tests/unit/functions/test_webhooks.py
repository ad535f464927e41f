"""The webhooks: a handshake, and notices that are believed only as far as our own table goes."""

import asyncio
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions import names, webhooks
from functions.messages import ListEvent, ListNotice, ListNotices, packed
from functions.notices import MAX_BODY, MAX_TOKEN
from functions.roster import Roster
from functions.sender import Sender
from shared.adapters.queue import MAX_BYTES
from shared.core.errors import QueueUnavailable
from shared.core.ids import DefinitionId, ListId
from shared.core.watching import Known, state_hash

SUBSCRIPTIONS = [str(UUID(int=n)) for n in (1, 2, 3)]
LIST = ListId("11111111-2222-3333-4444-555555555555")
OTHER = ListId("11111111-2222-3333-4444-666666666666")


@dataclass
class Bridge:
    """As much of the engine as the webhooks ask for: a roster of three subscriptions, of two lists, and a queue."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    queue_is_away: bool = False
    metastore_is_away: bool = False

    @property
    def stores(self) -> Any:
        return SimpleNamespace(subscriptions=self)

    @property
    def queue(self) -> Any:
        return self

    def roster(self) -> dict[str, Known]:
        if self.metastore_is_away:
            raise ConnectionError("the metastore of contoso")
        return {
            name: Known(
                definition=DefinitionId(UUID(int=n // 2)), list_id=place, client_state_hash=state_hash(f"state {n}")
            )
            for n, (name, place) in enumerate(zip(SUBSCRIPTIONS, (LIST, LIST, OTHER), strict=True))
        }

    def put(self, name: str, message: str) -> None:
        if self.queue_is_away:
            raise QueueUnavailable("queue graph-notifications took no message: HTTP 503")
        self.sent.append((name, message))

    @property
    def messages(self) -> list[ListNotice]:
        assert {name for name, _ in self.sent} <= {names.GRAPH_NOTIFICATIONS}
        return [notice for _, text in self.sent for notice in ListNotices.model_validate_json(text).notices]


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Bridge:
    made = Bridge()
    monkeypatch.setattr(webhooks, "engine", lambda: made)
    monkeypatch.setattr(webhooks, "_roster", Roster(load=webhooks._load, monotonic=lambda: 0.0))
    monkeypatch.setattr(webhooks, "_sender", Sender(webhooks._put))
    return made


def post(body: bytes = b"", *, lifecycle: bool = False, **query: str) -> func.HttpResponse:
    function = webhooks.list_lifecycle if lifecycle else webhooks.list_notifications
    request = func.HttpRequest(method="POST", url="/api/graph/notifications", params=query, body=body)
    answer: func.HttpResponse = asyncio.run(function.build().get_user_function()(request))
    return answer


def notice(n: int, state: str | None = None, **more: Any) -> dict[str, Any]:
    return {"subscriptionId": SUBSCRIPTIONS[n], "clientState": f"state {n}" if state is None else state, **more}


def notices(*found: dict[str, Any]) -> bytes:
    return json.dumps({"value": list(found)}).encode()


# ---------------------------------------------------------------- the handshake


@pytest.mark.parametrize(
    "token", ["Validation: Testing client application reachability", "a&b=c +%", "ü", "x" * MAX_TOKEN]
)
@pytest.mark.parametrize("lifecycle", [False, True])
def test_the_token_comes_back_exactly_and_asks_nobody(monkeypatch, token: str, *, lifecycle: bool):
    monkeypatch.setattr(webhooks, "engine", lambda: pytest.fail("a handshake needs no engine"))
    answer = post(validationToken=token, lifecycle=lifecycle)
    assert (answer.status_code, answer.get_body().decode()) == (200, token)


def test_a_token_that_is_a_page_comes_back_as_plain_text_that_no_browser_takes_for_one():
    answer = post(validationToken="<script>alert(1)</script>")
    assert answer.get_body() == b"<script>alert(1)</script>"
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("token", ["", "x" * (MAX_TOKEN + 1)])
def test_no_token_and_one_that_is_too_long_are_refused(token: str):
    answer = post(validationToken=token)
    assert (answer.status_code, answer.get_body()) == (400, b"")


# ---------------------------------------------------------------- notices


def test_a_notice_is_in_the_queue_before_it_is_answered(bridge: Bridge):
    assert post(notices(notice(0))).status_code == 202
    assert bridge.messages == [ListNotice(definition=UUID(int=0), list_id=UUID(LIST), event=ListEvent.CHANGED)]


def test_a_body_becomes_one_message_that_names_each_list_once(bridge: Bridge):
    assert post(notices(*[notice(0), notice(1), notice(2)] * 100)).status_code == 202
    assert len(bridge.sent) == 1
    assert [(message.definition, message.list_id) for message in bridge.messages] == [
        (UUID(int=0), UUID(LIST)),
        (UUID(int=1), UUID(OTHER)),
    ]


@given(count=st.integers(min_value=1, max_value=1000))
def test_messages_hold_every_notice_once_in_order_and_none_is_larger_than_a_queue_takes(count: int):
    sent = [
        ListNotice(definition=UUID(int=n), list_id=UUID(LIST), event=ListEvent.REMOVED, subscription=UUID(OTHER))
        for n in range(count)
    ]
    texts = packed(sent)
    assert [notice for text in texts for notice in ListNotices.model_validate_json(text).notices] == sent
    assert max(len(text.encode()) for text in texts) <= MAX_BYTES
    assert len(texts) == math.ceil(count / 150)


def test_an_answer_waits_for_no_thread_that_something_else_keeps_busy(bridge: Bridge):
    """The threads that asyncio lends are few, and queue triggers talk to the metastore on them."""
    free = threading.Event()

    async def under_load() -> int:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
        await webhooks._roster.find(SUBSCRIPTIONS[0], "state 0")
        busy = asyncio.create_task(asyncio.to_thread(free.wait))
        request = func.HttpRequest(method="POST", url="/api/graph/notifications", body=notices(notice(0)))
        try:
            answer = await webhooks.list_notifications.build().get_user_function()(request)
        finally:
            free.set()
        await busy
        return int(answer.status_code)

    assert asyncio.run(under_load()) == 202
    assert len(bridge.sent) == 1


def test_the_log_says_how_long_an_answer_took_and_how_much_of_it_the_queue(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level("INFO"):
        post(notices(notice(0)))
    [line] = [record for record in caplog.records if record.name == "syncbridge.webhooks"]
    assert line.__dict__["accepted"] == 1
    assert 0 <= line.__dict__["queue_ms"] <= line.__dict__["ms"]


def test_only_our_own_ids_travel_on(bridge: Bridge):
    post(notices(notice(0, resource="sites/evil/lists/evil", tenantId="evil", siteUrl="https://evil")))
    assert "evil" not in bridge.sent[0][1]


@pytest.mark.parametrize(
    "forged",
    [
        notice(0, state="wrong"),
        notice(0, state=""),
        notice(0, clientState=None),
        notice(0, state="state 1"),
        notice(0, subscriptionId=str(UUID(int=99))),
        notice(0, subscriptionId="' or 1=1 --"),
    ],
)
def test_who_is_unknown_or_does_not_know_the_state_gets_the_same_answer_and_nothing_happens(bridge: Bridge, forged):
    answer = post(notices(forged))
    genuine = post(notices(notice(0)))
    assert (answer.status_code, answer.get_body(), dict(answer.headers)) == (
        genuine.status_code,
        genuine.get_body(),
        dict(genuine.headers),
    )
    assert len(bridge.sent) == 1


def test_ten_thousand_forged_notices_reach_no_queue_and_a_genuine_one_among_them_does(bridge: Bridge):
    for n in range(100):
        post(notices(*[notice(0, state=f"guess {n}.{i}") for i in range(50)], *[notice(1, "x")] * 50))
    assert bridge.sent == []
    post(notices(*[notice(0, state="guess")] * 50, notice(0)))
    assert len(bridge.sent) == 1


def test_a_queue_that_is_away_makes_graph_try_again(bridge: Bridge):
    bridge.queue_is_away = True
    assert post(notices(notice(0))).status_code == 503
    bridge.queue_is_away = False
    assert post(notices(notice(0))).status_code == 202


def test_a_queue_that_does_not_answer_makes_graph_try_again_before_it_gives_up(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
):
    answered = threading.Event()
    monkeypatch.setattr(webhooks, "_PATIENCE", 0.0)
    monkeypatch.setattr(bridge, "put", lambda *_: answered.wait(30))
    try:
        assert post(notices(notice(0))).status_code == 503
    finally:
        answered.set()


def test_a_metastore_that_is_away_makes_graph_try_again(bridge: Bridge, caplog: pytest.LogCaptureFixture):
    bridge.metastore_is_away = True
    assert post(notices(notice(0))).status_code == 503
    assert "contoso" not in caplog.text


def test_an_app_without_its_settings_makes_graph_try_again(monkeypatch, bridge: Bridge):
    def broken() -> Any:
        raise RuntimeError("SECRET")

    monkeypatch.setattr(webhooks, "engine", broken)
    assert post(notices(notice(0))).status_code == 503


@pytest.mark.parametrize(("body", "status"), [(b"nonsense", 400), (b"x" * (MAX_BODY + 1), 413), (b"[" * 1000, 400)])
def test_what_is_no_collection_of_notices_is_refused_without_a_word(bridge: Bridge, body: bytes, status: int):
    answer = post(body)
    assert (answer.status_code, answer.get_body()) == (status, b"")
    assert bridge.sent == []


@given(body=st.binary(max_size=200), token=st.none() | st.text(max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_posted_is_answered_and_nothing_is_sent(bridge: Bridge, body: bytes, token: str | None):
    answer = post(body) if token is None else post(body, validationToken=token)
    assert answer.status_code in (200, 202, 400)
    assert bridge.sent == []


# ---------------------------------------------------------------- lifecycle


@pytest.mark.parametrize(
    ("said", "event", "subscription"),
    [
        ("reauthorizationRequired", ListEvent.RENEW, UUID(int=1)),
        ("subscriptionRemoved", ListEvent.REMOVED, UUID(int=1)),
        ("missed", ListEvent.CHANGED, None),
    ],
)
def test_an_event_of_a_subscriptions_life_travels_on(bridge: Bridge, said: str, event, subscription):
    assert post(notices(notice(0, lifecycleEvent=said)), lifecycle=True).status_code == 202
    [message] = bridge.messages
    assert (message.event, message.subscription) == (event, subscription)


def test_an_event_that_nobody_knows_yet_is_accepted_and_left_alone(bridge: Bridge):
    assert post(notices(notice(0, lifecycleEvent="somethingNew")), lifecycle=True).status_code == 202
    assert bridge.sent == []


def test_an_event_with_a_wrong_state_is_nothing(bridge: Bridge):
    assert post(notices(notice(0, "x", lifecycleEvent="subscriptionRemoved")), lifecycle=True).status_code == 202
    assert bridge.sent == []


def test_a_log_never_holds_a_client_state(bridge: Bridge, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("DEBUG"):
        post(notices(notice(0), notice(1, "guessed")))
    assert "state 0" not in caplog.text
    assert "guessed" not in caplog.text
