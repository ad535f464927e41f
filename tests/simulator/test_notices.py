"""Notifications on their way: coalesced, doubled, paused, lost, retried, slow, and lifecycle events."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.simulator.client import Client
from tests.simulator.receiver import Receiver

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def _subscribe(sim: Client, path: str, receiver: Receiver, **more: Any) -> dict[str, Any]:
    sim.control("PUT", "knobs", {"allow_loopback_http": True, "notification_delay_min": 5, "notification_delay_max": 5})
    sim.control("POST", "clock", {"mode": "virtual", "set": "2027-01-01T00:00:00Z"})
    sim._token = ""  # the clock jumped
    body = {
        "changeType": "updated",
        "notificationUrl": receiver.url,
        "resource": path,
        "expirationDateTime": "2027-01-20T00:00:00Z",
        "clientState": "secret",
        **more,
    }
    answer = sim.graph("POST", "/subscriptions", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _advance(sim: Client, seconds: float) -> None:
    sim.control("POST", "clock", {"advance": seconds})


def _settled(sim: Client) -> dict[str, Any]:
    """State of the one endpoint once nothing is in flight."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (endpoint,) = sim.control("GET", "notifications")["endpoints"]
        if not endpoint["in_flight"]:
            return dict(endpoint)
        time.sleep(0.01)
    pytest.fail("a notice never landed")


def test_many_changes_make_one_notice(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    subscription = _subscribe(sim, path, receiver)
    for title in "abc":
        sim.add(path, Title=title)
    _advance(sim, 6)

    (post,) = receiver.wait(1)

    (notice,) = post["value"]
    assert notice["subscriptionId"] == subscription["id"]
    assert notice["clientState"] == "secret"
    assert notice["changeType"] == "updated"
    assert _settled(sim)["waiting"] == 0
    assert len(receiver.posts) == 1


def test_two_subscriptions_of_one_receiver_come_in_one_post(sim: Client, receiver: Receiver) -> None:
    path, other = sim.new_list("One"), sim.new_list("Two")
    ids = {_subscribe(sim, each, receiver)["id"] for each in (path, other)}
    sim.add(path, Title="a")
    sim.add(other, Title="b")
    _advance(sim, 6)

    (post,) = receiver.wait(1)

    assert {notice["subscriptionId"] for notice in post["value"]} == ids


def test_a_pause_withholds_notices_until_it_ends(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    _subscribe(sim, path, receiver)
    sim.control("POST", "people/notifications/pause")
    sim.add(path, Title="a")
    _advance(sim, 6)
    assert _settled(sim)["waiting"] == 1

    sim.control("POST", "people/notifications/resume")

    assert len(receiver.wait(1)) == 1


def test_a_notice_may_be_lost_or_come_twice(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    _subscribe(sim, path, receiver)
    sim.control("PUT", "knobs", {"notification_lost_rate": 1.0})
    sim.add(path, Title="a")
    _advance(sim, 6)
    assert sim.control("GET", "notifications")["sent"] == []

    sim.control("PUT", "knobs", {"notification_lost_rate": 0.0, "notification_repeat_rate": 1.0})
    sim.add(path, Title="b")
    _advance(sim, 6)

    first, second = receiver.wait(2)
    assert first == second


def test_a_refused_notice_comes_again_with_growing_delays(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    _subscribe(sim, path, receiver)
    receiver.status = 500
    sim.add(path, Title="a")
    _advance(sim, 6)
    receiver.wait(1)
    _settled(sim)

    _advance(sim, 11)
    receiver.wait(2)
    _settled(sim)
    receiver.status = 202
    _advance(sim, 31)
    receiver.wait(3)
    _settled(sim)

    sent = sim.control("GET", "notifications")["sent"]
    assert [entry["status"] for entry in sent] == [500, 500, 202]
    assert [later["posted"] - earlier["posted"] for earlier, later in pairwise(sent)] == [11, 31]
    assert sim.control("GET", "clock")["timers"] == 0


def test_a_receiver_that_is_slow_too_often_gets_nothing_for_ten_minutes(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    _subscribe(sim, path, receiver)
    sim.control("PUT", "knobs", {"notification_timeout": 0.3})
    receiver.delay = 0.5
    for number in range(10):
        sim.add(path, Title=str(number))
        _advance(sim, 6)
        receiver.wait(number + 1)
        _settled(sim)

    assert _settled(sim)["dropped"] is True
    receiver.delay = 0.0
    sim.add(path, Title="dropped")
    assert _settled(sim)["waiting"] == 0

    _advance(sim, 700)
    _settled(sim)
    before = len(receiver.posts)
    sim.add(path, Title="heard")
    _advance(sim, 20)
    assert len(receiver.wait(before + 1)) > before


def test_reauthorization_is_asked_for_before_the_end_and_only_at_the_lifecycle_url(
    sim: Client, receiver: Receiver
) -> None:
    path = sim.new_list()
    subscription = _subscribe(sim, path, receiver, lifecycleNotificationUrl=receiver.url + "/life")
    _advance(sim, 15 * 86400)

    (post,) = receiver.wait(1)

    (event,) = post["value"]
    assert event["lifecycleEvent"] == "reauthorizationRequired"
    assert event["subscriptionId"] == subscription["id"]


def test_a_subscription_may_vanish_without_a_word(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    subscription = _subscribe(sim, path, receiver)
    sim.control("DELETE", f"subscriptions/{subscription['id']}")
    sim.add(path, Title="a")
    _advance(sim, 60)

    assert sim.graph("GET", f"/subscriptions/{subscription['id']}").status_code == 404
    assert receiver.posts == []


def test_after_a_reset_the_real_clock_delivers_again(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    knobs = {"allow_loopback_http": True, "notification_delay_min": 0.01, "notification_delay_max": 0.01}
    sim.control("PUT", "knobs", knobs)
    now = sim.control("GET", "clock")["now"]
    body = {
        "changeType": "updated",
        "notificationUrl": receiver.url,
        "resource": path,
        "expirationDateTime": f"2099{now[4:]}",
    }
    assert sim.graph("POST", "/subscriptions", body).status_code == 400
    body["expirationDateTime"] = (datetime.fromisoformat(now) + timedelta(hours=1)).isoformat()
    assert sim.graph("POST", "/subscriptions", body).status_code == 201

    sim.add(path, Title="a")

    assert len(receiver.wait(1)) == 1


def test_a_subscription_whose_creation_lands_late_is_there_afterwards(sim: Client, receiver: Receiver) -> None:
    path = sim.new_list()
    _subscribe(sim, path, receiver)
    sim.faults({"path": "/subscriptions", "method": "POST"}, {"kind": "late", "seconds": 30, "status": 504})
    body = {"changeType": "updated", "notificationUrl": receiver.url, "resource": path}
    answer = sim.graph("POST", "/subscriptions", {**body, "expirationDateTime": "2027-01-10T00:00:00Z"})
    assert answer.status_code == 504
    _advance(sim, 31)

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(sim.graph("GET", "/subscriptions").json()["value"]) == 2:
            return
        time.sleep(0.01)
    pytest.fail("the late creation never landed")


def test_a_refused_subscription_under_a_skewed_clock_is_an_ordinary_error(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"path": "/subscriptions"}, {"kind": "clock_skew", "seconds": 600})
    body = {"changeType": "updated", "notificationUrl": "https://127.0.0.1:9/hook", "resource": path}
    expires = (datetime.fromisoformat(sim.control("GET", "clock")["now"]) + timedelta(hours=1)).isoformat()

    answer = sim.graph("POST", "/subscriptions", {**body, "expirationDateTime": expires})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest")
    assert "Date" in answer.headers
