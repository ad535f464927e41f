"""The ListStore's writes over $batch, and what becomes of each when answers go wrong."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.errors import (
    ConfigurationError,
    GraphUnavailable,
    InvariantViolated,
    SyncError,
    Throttled,
)
from shared.core.ids import ETag, ItemId
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
    ItemWrite,
    Landed,
    Mismatch,
    Missing,
    NotSent,
    PatchItem,
    Refused,
    Stopped,
    Unread,
)
from tests.unit.adapters.graph.world import (
    GUID,
    ITEMS,
    TARGET,
    World,
    answer,
    batching,
    error,
    inner,
    members,
)

ETAG = ETag(f'"{GUID},1"')
KEY = "ab" * 32


def op(number: int) -> UUID:
    return UUID(int=number)


def patch(number: int, fields: dict[str, Any] | None = None) -> PatchItem:
    return PatchItem(op=op(number), item_id=ItemId(number), etag=ETAG, fields=fields or {"Title": "canary-value"})


def create(number: int) -> CreateItem:
    return CreateItem(op=op(number), fields={"Title": "canary-value", "Amount": None, "SyncBridgeKey": KEY})


def test_writes_carry_their_conditions_their_nulls_and_the_types_of_collections() -> None:
    world = World(batching(lambda asked: inner(200, {"id": "5", "eTag": ETAG})))
    world.lists.write(
        TARGET,
        [
            create(1),
            patch(2, {"Title": None, "Tags": ["a"], "PeopleLookupId": [1, 2]}),
            DeleteItem(op=op(3), item_id=ItemId(3), etag=ETAG),
        ],
    )
    made, changed, deleted = members(world)
    assert (made["method"], made["url"], made["body"]) == (
        "POST",
        ITEMS,
        {"fields": {"Title": "canary-value", "SyncBridgeKey": KEY}},
    )
    assert "If-Match" not in made["headers"]
    assert (changed["method"], changed["url"], changed["headers"]["If-Match"]) == ("PATCH", f"{ITEMS}/2/fields", ETAG)
    assert changed["body"] == {
        "Title": None,
        "Tags@odata.type": "Collection(Edm.String)",
        "Tags": ["a"],
        "PeopleLookupId@odata.type": "Collection(Edm.Int32)",
        "PeopleLookupId": [1, 2],
    }
    assert (deleted["method"], deleted["url"], deleted["headers"]) == ("DELETE", f"{ITEMS}/3", {"If-Match": ETAG})
    assert "body" not in deleted
    assert world.budget.taken == 6


def test_a_type_that_the_caller_names_is_kept() -> None:
    world = World(batching(lambda _: inner(200, {"@odata.etag": ETAG})))
    fields = {"Tags@odata.type": "Collection(Edm.String)", "Tags": ["a"]}
    reverse = {"Ids": [1], "Ids@odata.type": "Collection(Edm.Int32)"}
    world.lists.write(TARGET, [patch(1, fields), patch(2, reverse)])
    assert [asked["body"] for asked in members(world)] == [fields, reverse]


def test_a_batch_of_twenty_with_seven_kinds_of_answers_is_settled_one_by_one() -> None:
    """7 landed, 5 throttled, 3 gateway time-outs, 2 mismatches, 2 gone, 1 without an answer."""

    def member(asked: dict[str, Any]) -> dict[str, Any] | None:
        number = int(asked["id"])
        if number < 7:
            return inner(200, {"@odata.etag": f'"{GUID},2"'})
        if number < 12:
            return inner(429, error("activityLimitReached"), {"Retry-After": str(number)})
        if number < 15:
            return inner(504, error("UnknownError"))
        if number < 17:
            return inner(412, error("resourceModified"))
        return inner(404, error("itemNotFound")) if number < 19 else None

    world = World(batching(member))
    outcomes = world.lists.write(TARGET, [patch(n) for n in range(1, 21)])
    kinds = [type(outcomes[op(n)]) for n in range(1, 21)]
    assert kinds == [Landed] * 7 + [NotSent] * 5 + [Doubtful] * 3 + [Mismatch] * 2 + [Missing] * 2 + [Doubtful]
    assert outcomes[op(8)] == NotSent(retry_after=7.0)
    assert world.budget.penalties == [11.0]


def broken(status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    return lambda _: httpx.Response(status, content=content, headers=headers)


def failing(kind: type[httpx.HTTPError]) -> Any:
    def fail(_: httpx.Request) -> httpx.Response:
        raise kind("x")

    return fail


OUTER: dict[str, tuple[Any, type]] = {
    "truncated": (broken(200, b'{"responses": [{"id": "0", "status": 20'), Doubtful),
    "empty": (broken(200), Doubtful),
    "no collection": (broken(200, b'{"responses": {}}'), Doubtful),
    "html": (broken(200, b"<html>"), Doubtful),
    "500": (broken(500), Doubtful),
    "502 html": (broken(502, b"<html>"), Doubtful),
    "503": (broken(503, b"", {"Retry-After": "3"}), Doubtful),
    "504": (broken(504), Doubtful),
    "408": (broken(408), Doubtful),
    "302": (broken(302, b"", {"Location": "http://evil.example"}), Doubtful),
    "429": (broken(429, b"", {"Retry-After": "3"}), NotSent),
    "400": (broken(400), Stopped),
    "401": (broken(401), Stopped),
    "403": (broken(403), Stopped),
    "404": (broken(404), Stopped),
    "413": (broken(413), Stopped),
    "507": (broken(507), Doubtful),
    "read time-out": (failing(httpx.ReadTimeout), Doubtful),
    "reset": (failing(httpx.ReadError), Doubtful),
    "no answer": (failing(httpx.RemoteProtocolError), Doubtful),
    "cut while sending": (failing(httpx.WriteError), Doubtful),
    "refused connection": (failing(httpx.ConnectError), NotSent),
    "no connection in time": (failing(httpx.ConnectTimeout), NotSent),
    "no free connection": (failing(httpx.PoolTimeout), NotSent),
}


@pytest.mark.parametrize("name", OUTER)
def test_a_failed_envelope_speaks_for_all_its_writes(name: str) -> None:
    handler, kind = OUTER[name]
    world = World(handler)
    outcomes = world.lists.write(TARGET, [create(1), patch(2)])
    assert {type(outcome) for outcome in outcomes.values()} == {kind}
    assert "canary" not in repr(outcomes)


@pytest.mark.parametrize("name", OUTER)
def test_a_failed_envelope_never_makes_an_item_absent(name: str) -> None:
    handler, _ = OUTER[name]
    for look in (World(handler).lists.look(TARGET, [ItemId(1)]), World(handler).lists.find(TARGET, [KEY])):
        assert {type(found) for found in look.values()} <= {Unread, Stopped}


def test_a_budget_that_is_used_up_sends_nothing_and_says_how_long() -> None:
    world = World(failing(httpx.ReadError))
    world.budget.waits = [30.0]
    assert world.lists.write(TARGET, [patch(1)]) == {op(1): NotSent(retry_after=30.0)}
    world.budget.waits = [30.0]
    assert world.lists.look(TARGET, [ItemId(1)]) == {ItemId(1): Unread(retry_after=30.0)}


def test_an_answer_given_twice_is_no_answer() -> None:
    body = {"responses": [{"id": "0", "status": 200, "body": {}}, {"id": "0", "status": 412}]}
    world = World(lambda _: answer(200, body))
    assert isinstance(world.lists.write(TARGET, [patch(1)])[op(1)], Doubtful)


@pytest.mark.parametrize(
    "response",
    [7, None, {}, {"id": 0, "status": 200}, {"id": "0"}, {"id": "0", "status": "200"}, {"id": "0", "status": True},
     {"id": "0", "status": 20000}, {"id": "00x", "status": 200}, {"id": "5", "status": 200}, {"id": "-1", "status": 200}],
)  # fmt: skip
def test_a_malformed_member_answer_leaves_its_write_in_doubt(response: object) -> None:
    world = World(lambda _: answer(200, {"responses": [response]}))
    assert isinstance(world.lists.write(TARGET, [patch(1)])[op(1)], Doubtful)


def test_members_refused_for_their_token_are_sent_again_and_the_others_are_not() -> None:
    def member(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["url"].endswith("/2/fields") and world.tokens.renewals == 0:
            return inner(401, error("InvalidAuthenticationToken"))
        return inner(200, {"@odata.etag": ETAG})

    world = World(batching(member))
    outcomes = world.lists.write(TARGET, [patch(1), patch(2)])
    assert {type(outcome) for outcome in outcomes.values()} == {Landed}
    assert [asked["url"] for asked in members(world)] == [f"{ITEMS}/1/fields", f"{ITEMS}/2/fields", f"{ITEMS}/2/fields"]


def test_members_refused_late_are_not_sent_again_and_were_without_effect() -> None:
    def member(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["url"].endswith("/1/fields"):
            world.clock.sleep(world.timing.start + 1)
            return inner(200, {"@odata.etag": ETAG})
        return inner(401, error("InvalidAuthenticationToken"))

    world = World(batching(member))
    outcomes = world.lists.write(TARGET, [patch(1), patch(2)])
    assert (type(outcomes[op(1)]), outcomes[op(2)]) == (Landed, NotSent(retry_after=None))
    assert (len(world.requests), world.tokens.renewals) == (1, 0)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(GraphUnavailable("x"), NotSent), (ConfigurationError("x"), Stopped), (Throttled("x"), NotSent)],
)
def test_a_renewal_that_fails_keeps_the_answers_of_the_other_members(failure: SyncError, kind: type) -> None:
    def member(asked: dict[str, Any]) -> dict[str, Any]:
        return inner(401) if asked["url"].endswith("/2/fields") else inner(200, {"@odata.etag": ETAG})

    world = World(batching(member))
    world.tokens.failures = [failure]
    outcomes = world.lists.write(TARGET, [patch(1), patch(2)])
    assert (type(outcomes[op(1)]), type(outcomes[op(2)])) == (Landed, kind)


def test_a_write_to_a_vanished_list_stops_and_nothing_is_missing() -> None:
    world = World(batching(lambda _: inner(404, error("itemNotFound")), other=lambda _: answer(404)))
    outcomes = world.lists.write(TARGET, [create(1), patch(2)])
    assert {type(outcome) for outcome in outcomes.values()} == {Stopped}


def test_a_write_answered_404_while_the_list_cannot_be_asked_had_no_effect() -> None:
    world = World(batching(lambda _: inner(404), other=lambda _: answer(503, None, {"Retry-After": "4"})))
    assert world.lists.write(TARGET, [patch(1)])[op(1)] == NotSent(retry_after=4.0)


def test_a_creation_answered_404_while_the_list_is_there_is_refused() -> None:
    world = World(batching(lambda _: inner(404)))
    assert isinstance(world.lists.write(TARGET, [create(1)])[op(1)], Refused)


def test_a_creation_whose_key_is_taken_is_a_duplicate() -> None:
    world = World(batching(lambda _: inner(409, error("nameAlreadyExists"))))
    assert world.lists.write(TARGET, [create(1)])[op(1)] == Duplicate()


def test_a_value_without_a_json_form_refuses_its_own_write_only() -> None:
    world = World(batching(lambda _: inner(200, {"@odata.etag": ETAG})))
    outcomes = world.lists.write(TARGET, [patch(1, {"Title": "\ud800"}), patch(2, {"Amount": 2**70}), patch(3)])
    assert [type(outcomes[op(n)]) for n in (1, 2, 3)] == [Refused, Refused, Landed]
    assert len(members(world)) == 1


@pytest.mark.parametrize("writes", [[patch(1)] * 2, [patch(n) for n in range(1, 22)]], ids=["one op twice", "21"])
def test_a_call_that_breaks_the_contract_is_a_bug(writes: list[ItemWrite]) -> None:
    with pytest.raises(InvariantViolated):
        World(failing(httpx.ReadError)).lists.write(TARGET, writes)


@pytest.mark.parametrize("name", ["a b", "x@odata.bind", "@odata.type", "../x", "x@odata.type@odata.type"])
def test_a_field_name_that_is_no_internal_name_never_leaves(name: str) -> None:
    with pytest.raises(ConfigurationError):
        World(failing(httpx.ReadError)).lists.write(TARGET, [patch(1, {name: 1})])


def test_no_writes_are_no_request() -> None:
    world = World(failing(httpx.ReadError))
    assert world.lists.write(TARGET, []) == {}
    assert world.requests == []
