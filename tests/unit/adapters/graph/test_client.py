"""The governed client: budget, waits, renewal, doubts, records."""

import inspect
import logging

import httpx
import pytest

from shared.adapters.graph import urls
from shared.adapters.graph.client import Limits, Request, Timing, user_agent
from shared.core.backlog import Lane
from shared.core.errors import (
    ConfigurationError,
    Doubt,
    GraphUnavailable,
    ListGone,
    PermissionMissing,
    SyncError,
    Throttled,
)
from tests.unit.adapters.graph.world import LIST, SITE, World, answer, error

ADDRESS = urls.items(SITE, LIST)
READ = Request(method="GET", address=ADDRESS, action="graph.test", ru=2)
WRITE = Request(method="POST", address=ADDRESS, action="graph.test", ru=2, body={"fields": {"Title": "x"}}, writes=True)


def ok(_: httpx.Request) -> httpx.Response:
    return answer(200, {"value": []})


def test_a_request_takes_its_units_in_its_lane_before_it_is_sent() -> None:
    world = World(ok)
    world.client.send(READ)
    assert (world.budget.taken, world.budget.lanes) == (2, [Lane.PUSH])
    assert (world.client.requests, world.client.ru) == (1, 2)


def test_a_short_wait_for_the_budget_is_slept_through() -> None:
    world = World(ok)
    world.budget.waits = [0.5, 1.0]
    before = world.clock.at
    assert world.client.send(READ).ok
    assert world.clock.at - before == 1.5


def test_a_long_wait_for_the_budget_sends_the_caller_away_and_nothing_to_graph() -> None:
    world = World(ok)
    world.budget.waits = [1.5, 1.0]
    with pytest.raises(Throttled) as caught:
        world.client.send(READ)
    assert caught.value.retry_after == 1.0
    assert world.requests == []


def test_a_refused_token_is_renewed_once_and_the_request_paid_again() -> None:
    world = World(lambda request: answer(401 if request.headers["authorization"].endswith("-0") else 200, {}))
    assert world.client.send(READ).status == 200
    assert (world.tokens.renewals, world.budget.taken) == (1, 4)


def test_a_token_that_stays_refused_is_a_matter_of_configuration() -> None:
    world = World(lambda _: answer(401, error("InvalidAuthenticationToken")))
    with pytest.raises(ConfigurationError) as caught:
        world.client.get(ADDRESS, action="graph.test", ru=2)
    assert caught.value.code == "unauthenticated"
    assert (world.tokens.renewals, len(world.requests)) == (1, 2)


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_makes_everybody_wait_for_the_larger_of_the_two_headers(status: int) -> None:
    headers = {"Retry-After": "31", "RateLimit-Limit": "1200", "RateLimit-Remaining": "0", "RateLimit-Reset": "40"}
    world = World(lambda _: answer(status, error("activityLimitReached"), headers))
    assert world.client.send(READ).status == status
    assert world.budget.penalties == [40.0]
    assert world.budget.observed == [(1200, 0, 40.0)]


def test_throttling_without_a_header_waits_longer_each_time_until_an_answer_comes() -> None:
    statuses = [429, 429, 503, 200, 429]
    world = World(lambda _: answer(statuses.pop(0)))
    for _ in range(5):
        world.client.send(READ)
    assert world.budget.penalties == [5.0, 10.0, 20.0, 5.0]


def test_a_retry_after_of_zero_still_waits_a_moment() -> None:
    world = World(lambda _: answer(429, None, {"Retry-After": "0"}))
    world.client.send(READ)
    assert world.budget.penalties == [1.0]


def all_of(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in all_of(sub))]


@pytest.mark.parametrize("kind", sorted(set(all_of(httpx.HTTPError)), key=lambda kind: kind.__name__))
def test_every_failure_of_httpx_is_translated(kind: type[httpx.HTTPError]) -> None:
    """Only failures before the first byte are certain; a write that met any other one is in doubt."""
    parameters = inspect.signature(kind).parameters

    def fail(request: httpx.Request) -> httpx.Response:
        given = {"request": request, "response": httpx.Response(500)}
        raise kind(
            "canary-value", **{name: value for name, value in given.items() if name in parameters and name != "message"}
        )

    never_sent = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "LocalProtocolError"}
    world = World(fail)
    with pytest.raises(SyncError) as caught:
        world.client.send(WRITE)
    if kind.__name__ in never_sent:
        assert isinstance(caught.value, GraphUnavailable)
        assert (caught.value.code, world.budget.taken) == ("not_sent", 0)
    else:
        assert isinstance(caught.value, Doubt)
    assert "canary" not in caught.value.message
    with pytest.raises(GraphUnavailable):
        world.client.send(READ)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, PermissionMissing),
        (404, ListGone),
        (429, Throttled),
        (503, Throttled),
        (423, GraphUnavailable),
        (500, GraphUnavailable),
        (502, GraphUnavailable),
        (504, GraphUnavailable),
        (507, ConfigurationError),
        (302, GraphUnavailable),
        (409, GraphUnavailable),
    ],
)
def test_a_read_raises_what_its_answer_means(status: int, kind: type[SyncError]) -> None:
    world = World(lambda _: answer(status, error("x"), {"Retry-After": "9"}))
    with pytest.raises(kind):
        world.client.get(ADDRESS, action="graph.test", ru=2)


def test_redirects_are_not_followed() -> None:
    world = World(lambda _: answer(302, None, {"Location": "http://evil.example/"}))
    assert world.client.send(READ).status == 302
    assert [request.url.host for request in world.requests] == ["127.0.0.1"]


def test_an_answer_larger_than_the_limit_is_unreadable() -> None:
    world = World(lambda _: httpx.Response(200, content=b'"' + b"x" * 5000 + b'"'))
    world.client._limits = Limits(answer_bytes=1000)
    found = world.client.send(READ)
    assert (found.status, found.readable) == (200, False)


def test_an_answer_that_drips_beyond_its_time_is_given_up() -> None:
    world = World(ok)

    def drip() -> object:
        for _ in range(100):
            world.clock.sleep(1.0)
            yield b" "

    world.handler = lambda _: httpx.Response(200, content=drip())  # type: ignore[arg-type]
    before = world.clock.at
    assert not world.client.send(READ).readable
    assert world.clock.at - before <= Timing().body + 1


def test_no_exchange_begins_after_the_time_for_starting() -> None:
    timing = Timing()

    def slow(_: httpx.Request) -> httpx.Response:
        world.clock.sleep(timing.start + 1)
        return answer(401)

    world = World(slow)
    with pytest.raises(GraphUnavailable) as caught:
        world.client.send(WRITE)
    assert caught.value.code == "not_sent"
    assert len(world.requests) == 1
    assert world.budget.taken == 2


def test_a_refusal_that_comes_late_is_not_followed_by_a_renewal() -> None:
    timing = Timing()

    def slow(_: httpx.Request) -> httpx.Response:
        world.clock.sleep(timing.start + 1)
        return answer(401)

    world = World(slow)
    with pytest.raises(GraphUnavailable):
        world.client.send(WRITE)
    assert world.tokens.renewals == 0


def test_the_whole_of_a_call_fits_into_the_request_timeout() -> None:
    timing = Timing()
    longest = timing.start + timing.pool + timing.connect + timing.write + timing.read + timing.body + timing.read
    assert timing.request_timeout == longest
    assert timing.request_timeout < 120


def test_one_record_per_request_without_ids_values_or_tokens(caplog: pytest.LogCaptureFixture) -> None:
    world = World(ok)
    with caplog.at_level(logging.DEBUG):
        world.client.send(
            Request(
                method="GET",
                address=urls.items(SITE, LIST).query({"$filter": "fields/Key eq 'canary-value'"}),
                action="graph.find",
                ru=2,
            )
        )
    (record,) = caplog.records
    told = record.__dict__
    assert {name: told[name] for name in ("action", "method", "path", "status", "ru")} == {
        "action": "graph.find",
        "method": "GET",
        "path": "/sites/{site}/lists/{list}/items",
        "status": 200,
        "ru": 2,
    }
    assert isinstance(told["ms"], float)
    assert "canary" not in repr(told)
    assert SITE not in repr(told)


def test_requests_are_decorated_and_carry_their_own_id() -> None:
    world = World(ok)
    world.client.send(READ)
    headers = world.requests[0].headers
    assert headers["user-agent"] == "NONISV|Contoso|SyncBridge/1.0"
    assert headers["client-request-id"]
    assert user_agent("Böse | Firma\r\n", "2") == "NONISV|BseFirma|SyncBridge/2"


@pytest.mark.parametrize("agent", ["", "  ", "a\r\nX-Evil: 1", "ü", "\x00"])
def test_a_user_agent_that_is_no_header_is_refused_at_once(agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.adapters.graph.world.user_agent", lambda *_: agent)
    with pytest.raises(ConfigurationError):
        World(ok)


def test_nothing_secret_stands_in_a_repr() -> None:
    world = World(ok)
    for thing in (WRITE, world.client, world.client.send(READ)):
        assert "canary" not in repr(thing)
        assert "Title" not in repr(thing)


def test_environment_proxies_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    world = World(ok)
    assert world.http.trust_env is False
    assert not world.http._mounts
