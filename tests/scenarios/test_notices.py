"""Notices of the list's changes that are lost, doubled, reordered or forged: the final state is the same."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import azure.functions as func
import pytest

from functions import queues, webhooks
from functions.roster import Roster
from tests.scenarios.case import Case

pytestmark = pytest.mark.slow
SUBSCRIPTION, STATE = str(UUID(int=77)), "the state that only Graph and we know"


@dataclass
class Mail:
    """The webhook as Graph sees it, a queue, and the queue's trigger."""

    case: Case
    messages: list[str] = field(default_factory=list)

    def put(self, name: str, message: str) -> None:
        self.messages.append(message)

    def post(self, *notices: dict[str, Any]) -> int:
        request = func.HttpRequest(
            method="POST", url="/api/graph/notifications", body=json.dumps({"value": list(notices)}).encode()
        )
        answer: func.HttpResponse = asyncio.run(webhooks.list_notifications.build().get_user_function()(request))
        return int(answer.status_code)

    def notice(self, **changes: Any) -> dict[str, Any]:
        return {"subscriptionId": SUBSCRIPTION, "clientState": STATE, "changeType": "updated", **changes}

    def deliver(self, *messages: str) -> int:
        """What the queue's trigger makes of them: how many runs began, each driven to its end."""
        runs = 0
        for text in messages:
            for notice in queues.ListNotices.model_validate_json(text).notices:
                run = queues._take(notice)
                if run is not None:
                    self.case.drive(run)
                    runs += 1
        return runs


@pytest.fixture
def mail(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mail]:
    """Two people, agreed on, and a subscription to their list."""
    for key in (1, 2):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    case.stage.sql.execute(
        "insert into syncbridge.list_subscriptions"
        " (id, sync_def_id, list_id, notification_url, subscription_id, client_state_hash, expires_at, look_at)"
        " values (%s, %s, %s, 'https://app.example', %s, %s, now() + interval '1 day', now() + interval '1 day')",
        [uuid4(), case.id, case.list_id, SUBSCRIPTION, hashlib.sha256(STATE.encode()).digest()],
    )
    made = Mail(case)
    kept = case.engine.queue
    case.engine.queue = made  # type: ignore[assignment]
    monkeypatch.setattr(webhooks, "engine", lambda: case.engine)
    monkeypatch.setattr(queues, "engine", lambda: case.engine)
    monkeypatch.setattr(webhooks, "_roster", Roster(load=webhooks._load, monotonic=lambda: 0.0))
    case.begins()
    yield made
    case.engine.queue = kept


def test_a_notice_makes_the_list_be_read_at_once(mail: Mail):
    case = mail.case
    case.person_edits("1", city="Rome")
    assert mail.post(mail.notice()) == 202
    assert mail.deliver(*mail.messages) == 1
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


def test_a_notice_that_is_lost_costs_the_time_until_the_next_poll(mail: Mail):
    case = mail.case
    for run in case.engine.start_due_readings():
        case.drive(run)
    case.person_edits("1", city="Rome")
    case.told("the notice is lost")
    case.passes(3600)
    [poll] = case.engine.start_due_readings()
    case.drive(poll)
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


def test_notices_that_are_doubled_and_reordered_come_to_the_same(mail: Mail):
    case = mail.case
    case.person_edits("1", city="Rome")
    mail.post(mail.notice(), mail.notice())
    case.person_edits("1", city="Bonn")
    case.person_edits("2", city="Lima")
    mail.post(mail.notice())
    mail.post(mail.notice())
    mail.deliver(*reversed(mail.messages))
    mail.deliver(*mail.messages)
    assert [row["city"] for row in case.agreed().values()] == ["Bonn", "Lima"]
    assert case.conflicts() == []
    case.quiet()
    case.golden()


def test_a_notice_before_its_change_can_be_read_is_made_good_by_a_later_reading(mail: Mail):
    case = mail.case
    mail.post(mail.notice())
    mail.deliver(*mail.messages)
    case.person_edits("1", city="Rome")
    case.passes(3600)
    for run in case.engine.start_due_readings():
        case.drive(run)
    assert case.agreed()["1"]["city"] == "Rome"
    case.quiet()
    case.golden()


@pytest.mark.parametrize(
    "forged",
    [{"clientState": "a guess"}, {"clientState": None}, {"subscriptionId": str(UUID(int=78))}],
    ids=["another-state", "no-state", "another-subscription"],
)
def test_a_forged_notice_is_answered_like_any_other_and_reads_nothing(mail: Mail, forged: dict[str, Any]):
    case, number = mail.case, mail.case.number()
    assert mail.post(mail.notice(**forged)) == 202
    assert mail.messages == []
    assert case.requests_since(number) == []
    case.golden()


def test_what_a_notice_claims_is_never_believed(mail: Mail):
    """It says that an item was deleted, in another list: ours is read, and nothing was."""
    case = mail.case
    claims = {"changeType": "deleted", "resource": f"sites/x/lists/{uuid4()}", "resourceData": {"id": "1"}}
    mail.post(mail.notice(**claims))
    mail.deliver(*mail.messages)
    assert len(case.agreed()) == 2
    case.quiet()
    case.golden()
