"""The ListStore over $batch: looks, finds, writes, and what becomes of each when answers go wrong."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.adapters.graph.items import columns_to_read
from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import (
    ConfigurationError,
    DeltaExpired,
    GraphUnavailable,
    InvariantViolated,
    ListGone,
    PermissionMissing,
    SafetyStop,
    SyncError,
    Throttled,
)
from shared.core.ids import ETag, FieldNo, ItemId
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
    ItemWrite,
    Landed,
    Looked,
    Mismatch,
    Missing,
    NotSent,
    PatchItem,
    Refused,
    Stopped,
    Unread,
)
from shared.core.source import SourceColumn, SourceType
from tests.unit.adapters.graph.world import (
    GUID,
    ITEMS,
    LIST,
    ROOT,
    TARGET,
    World,
    answer,
    batching,
    error,
    inner,
    shown,
)

ETAG = ETag(f'"{GUID},1"')
KEY = "ab" * 32


def op(number: int) -> UUID:
    return UUID(int=number)


def patch(number: int, fields: dict[str, Any] | None = None) -> PatchItem:
    return PatchItem(op=op(number), item_id=ItemId(number), etag=ETAG, fields=fields or {"Title": "canary-value"})


def create(number: int) -> CreateItem:
    return CreateItem(op=op(number), fields={"Title": "canary-value", "Amount": None, "SyncBridgeKey": KEY})


def members(world: World) -> list[dict[str, Any]]:
    return [
        asked
        for request in world.requests
        if request.url.path.endswith("$batch")
        for asked in json.loads(request.content)["requests"]
    ]


# ---------------------------------------------------------------- looking


def test_items_are_read_twenty_to_a_batch_whatever_order_the_answers_come_in() -> None:
    world = World(batching(lambda asked: inner(200, shown(int(asked["url"].split("?")[0].split("/")[-1]), Title="x"))))
    looks = world.lists.look(TARGET, [ItemId(n) for n in range(1, 46)])
    for number, look in looks.items():
        assert isinstance(look, Looked)
        assert look.item is not None
        assert look.item.id == number
    assert (len(world.requests), world.budget.taken) == (3, 45)


def test_a_look_asks_for_the_mapped_columns_the_key_and_the_writer_by_name() -> None:
    world = World(batching(lambda _: inner(200, shown(1))))
    world.lists.look(TARGET, [ItemId(1)])
    assert members(world)[0]["url"] == (
        f"{ITEMS}/1?$expand=fields($select%3DTitle,Amount,SyncBridgeKey,EditorLookupId,AppEditorLookupId)"
    )


def test_an_item_is_shown_with_etag_key_times_and_editor_and_without_annotations() -> None:
    body = shown(1, 3, Title="x", SyncBridgeKey=KEY, **{"Tags@odata.type": "#Collection(String)", "Tags": ["a"]})
    world = World(batching(lambda _: inner(200, body)))
    look = world.lists.look(TARGET, [ItemId(1)])[ItemId(1)]
    assert isinstance(look, Looked)
    item = look.item
    assert item is not None
    assert (item.etag, item.sync_key, item.editor_id) == (f'"{GUID},3"', KEY, "7")
    assert item.fields == {"EditorLookupId": "7", "Title": "x", "SyncBridgeKey": KEY, "Tags": ["a"]}
    assert item.modified is not None
    assert "x" not in repr(item.fields.__class__)
    assert KEY not in repr(item).replace(f"sync_key='{KEY}'", "")


def test_an_application_is_no_editor() -> None:
    world = World(batching(lambda _: inner(200, shown(1, AppEditorLookupId="12"))))
    look = world.lists.look(TARGET, [ItemId(1)])[ItemId(1)]
    assert isinstance(look, Looked)
    assert look.item is not None
    assert look.item.editor_id is None


def test_an_item_is_absent_only_after_the_list_was_seen_which_is_asked_once() -> None:
    world = World(batching(lambda _: inner(404, error("itemNotFound"))))
    looks = world.lists.look(TARGET, [ItemId(n) for n in range(1, 31)])
    assert set(looks.values()) == {Looked(item=None)}
    assert [request.method for request in world.requests] == ["POST", "GET", "POST"]


@pytest.mark.parametrize(("status", "kind"), [(404, ListGone), (403, PermissionMissing), (401, ConfigurationError)])
def test_an_item_that_is_not_found_with_its_list_stops_instead_of_being_absent(status: int, kind: type) -> None:
    world = World(batching(lambda _: inner(404, error("itemNotFound")), other=lambda _: answer(status, error("x"))))
    look = world.lists.look(TARGET, [ItemId(1)])[ItemId(1)]
    assert isinstance(look, Stopped)
    assert isinstance(look.error, kind)


@pytest.mark.parametrize("status", [500, 503, 429, 502, 423])
def test_an_item_that_is_not_found_while_the_list_cannot_be_asked_is_unread(status: int) -> None:
    world = World(batching(lambda _: inner(404, error("itemNotFound")), other=lambda _: answer(status)))
    assert isinstance(world.lists.look(TARGET, [ItemId(1)])[ItemId(1)], Unread)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        shown(2),
        {**shown(1), "id": 1},
        {**shown(1), "eTag": 7, "@odata.etag": None},
        {**shown(1), "fields": []},
        {name: value for name, value in shown(1).items() if name != "fields"},
    ],
)
def test_an_answer_of_another_shape_or_about_another_item_is_no_reading(body: object) -> None:
    world = World(batching(lambda _: inner(200, body)))
    assert world.lists.look(TARGET, [ItemId(1)])[ItemId(1)] == Unread()


def test_a_column_that_the_list_lost_stops_the_look_and_is_named() -> None:
    world = World(batching(lambda _: inner(400, error("invalidRequest", "Field 'Amount' is not recognized"))))
    look = world.lists.look(TARGET, [ItemId(1)])[ItemId(1)]
    assert isinstance(look, Stopped)
    assert "Amount" in look.error.message


@pytest.mark.parametrize(
    ("name", "kind", "read"),
    [
        ("amount", FieldKind.NUMBER, "amount"),
        ("owner", FieldKind.PERSON, "ownerLookupId"),
        ("Author", FieldKind.PERSON, "AuthorLookupId"),
        ("project", FieldKind.LOOKUP, "projectLookupId"),
        ("ID", FieldKind.COUNTER, "id"),
        ("Modified", FieldKind.DATETIME, "Modified"),
    ],
)
def test_a_mapping_is_read_under_the_name_that_carries_its_value(name: str, kind: FieldKind, read: str) -> None:
    source = SourceColumn(name="c", type=SourceType(name="int4", declared="integer"))
    mapping = FieldMapping(no=FieldNo(1), source=source, target_column_name=name, target_display_name=name, kind=kind)
    assert columns_to_read([mapping, mapping]) == (read,)


# ---------------------------------------------------------------- finding


def found(*elements: dict[str, Any], link: str | None = None) -> dict[str, Any]:
    return inner(200, {"value": list(elements)} | ({"@odata.nextLink": link} if link else {}))


def test_an_item_is_found_by_its_key() -> None:
    world = World(batching(lambda _: found(shown(9, SyncBridgeKey=KEY))))
    look = world.lists.find(TARGET, [KEY])[KEY]
    assert isinstance(look, Looked)
    assert look.item is not None
    assert look.item.id == 9
    assert f"$filter=fields/SyncBridgeKey%20eq%20%27{KEY}%27" in members(world)[0]["url"]
    assert world.budget.taken == 2


def test_a_key_that_nobody_holds_is_looked_for_in_vain_without_asking_for_the_list() -> None:
    world = World(batching(lambda _: found()))
    assert world.lists.find(TARGET, [KEY])[KEY] == Looked(item=None)
    assert len(world.requests) == 1


def test_sharepoint_compares_without_case_and_we_do_not() -> None:
    world = World(batching(lambda _: found(shown(9, SyncBridgeKey="ABC"))))
    assert world.lists.find(TARGET, ["abc"])["abc"] == Looked(item=None)


def test_a_found_item_without_its_key_is_no_reading() -> None:
    world = World(batching(lambda _: found(shown(9))))
    assert world.lists.find(TARGET, [KEY])[KEY] == Unread()


def test_two_items_with_one_key_stop_everything() -> None:
    world = World(batching(lambda _: found(shown(9, SyncBridgeKey=KEY), shown(10, SyncBridgeKey=KEY))))
    look = world.lists.find(TARGET, [KEY])[KEY]
    assert isinstance(look, Stopped)
    assert isinstance(look.error, SafetyStop)


def test_an_empty_page_of_a_filter_with_a_next_one_is_not_the_end() -> None:
    pages = [{"value": [], "@odata.nextLink": f"{ROOT}{ITEMS}?$skiptoken=2"}, {"value": [shown(9, SyncBridgeKey=KEY)]}]
    world = World(
        batching(lambda _: found(link=f"{ROOT}{ITEMS}?$skiptoken=1"), other=lambda _: answer(200, pages.pop(0)))
    )
    look = world.lists.find(TARGET, [KEY])[KEY]
    assert isinstance(look, Looked)
    assert look.item is not None
    assert world.budget.taken == 6


@pytest.mark.parametrize("link", ["http://evil.example/v1.0/sites/x", f"{ROOT}{ITEMS}?$skiptoken=1"])
def test_a_filter_whose_pages_lead_astray_or_in_a_circle_is_no_reading(link: str) -> None:
    world = World(
        batching(lambda _: found(link=link), other=lambda _: answer(200, {"value": [], "@odata.nextLink": link}))
    )
    assert isinstance(world.lists.find(TARGET, [KEY])[KEY], Unread)
    assert all(request.url.host == "127.0.0.1" for request in world.requests)


def test_a_filter_that_is_not_found_speaks_of_the_list() -> None:
    gone = World(batching(lambda _: inner(404, error("itemNotFound")), other=lambda _: answer(404)))
    look = gone.lists.find(TARGET, [KEY])[KEY]
    assert isinstance(look, Stopped)
    assert isinstance(look.error, ListGone)
    odd = World(batching(lambda _: inner(404, error("itemNotFound"))))
    assert odd.lists.find(TARGET, [KEY])[KEY] == Unread()


def test_a_key_column_without_its_index_stops_and_says_what_to_do() -> None:
    text = "Field 'SyncBridgeKey' cannot be referenced in filter or orderby as it is not indexed."
    world = World(batching(lambda _: inner(400, error("invalidRequest", text))))
    look = world.lists.find(TARGET, [KEY])[KEY]
    assert isinstance(look, Stopped)
    assert look.error.code == "key_not_indexed"


@pytest.mark.parametrize(
    ("indexed", "kind"), [(False, Stopped), (True, Unread)], ids=["threshold in disguise", "real throttling"]
)
def test_a_429_without_a_wait_on_a_filter_is_judged_by_the_index(indexed: bool, kind: type) -> None:
    columns = {"value": [{"name": "SyncBridgeKey", "indexed": indexed}]}
    world = World(
        batching(
            lambda _: inner(429, error("activityLimitReached", inner="throttledRequest")),
            other=lambda _: answer(200, columns),
        )
    )
    assert isinstance(world.lists.find(TARGET, [KEY])[KEY], kind)
    assert bool(world.budget.penalties) is indexed


def test_a_429_with_a_wait_on_a_filter_is_throttling() -> None:
    world = World(batching(lambda _: inner(429, error("x"), {"Retry-After": "17"})))
    assert world.lists.find(TARGET, [KEY])[KEY] == Unread(retry_after=17.0)
    assert world.budget.penalties == [17.0]


# ---------------------------------------------------------------- writing


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


# ---------------------------------------------------------------- delta and enumeration


def paged(*bodies: Any) -> World:
    answers = list(bodies)

    def handle(_: httpx.Request) -> httpx.Response:
        body = answers.pop(0)
        return body if isinstance(body, httpx.Response) else answer(200, body)

    return World(handle)


DELTA = f"{ROOT}{ITEMS}/delta?token=t"
NEXT = f"{ROOT}{ITEMS}/delta?$skiptoken=s"


def test_the_last_of_an_items_entries_counts_and_deletions_have_no_etag() -> None:
    world = paged(
        {
            "value": [shown(1, 1), shown(2, 1), shown(1, 2), {"id": "2", "deleted": {"state": "deleted"}}, shown(3, 1)],
            "@odata.deltaLink": DELTA,
        }
    )
    page = world.lists.delta(TARGET, None)
    assert [(e.item_id, e.deleted, e.etag) for e in page.entries] == [
        (1, False, f'"{GUID},2"'),
        (2, True, None),
        (3, False, f'"{GUID},1"'),
    ]
    assert (page.complete, page.next_token) == (True, DELTA)


def test_an_empty_page_with_a_next_one_is_not_the_end() -> None:
    world = paged({"value": [], "@odata.nextLink": NEXT})
    page = world.lists.delta(TARGET, DELTA)
    assert (page.entries, page.complete, page.next_token) == ((), False, NEXT)


@pytest.mark.parametrize(("token", "ru"), [(None, 2), ("latest", 2), (DELTA, 1), (NEXT, 1)])
def test_a_delta_costs_one_unit_with_a_token_and_two_without(token: str | None, ru: int) -> None:
    world = paged({"value": [], "@odata.deltaLink": DELTA + "x"})
    world.lists.delta(TARGET, token)
    assert world.budget.taken == ru


def test_a_link_is_followed_verbatim() -> None:
    world = paged({"value": [], "@odata.deltaLink": DELTA})
    world.lists.delta(TARGET, f"{ROOT}{ITEMS}/delta?token=3%3B%234&x=a+b")
    assert str(world.requests[0].url) == f"{ROOT}{ITEMS}/delta?token=3%3B%234&x=a+b"


def test_a_stored_link_to_another_place_is_not_followed() -> None:
    world = paged()
    with pytest.raises(GraphUnavailable):
        world.lists.delta(TARGET, "http://evil.example/v1.0/sites/x")
    assert world.requests == []


@pytest.mark.parametrize(
    "response",
    [
        answer(410, error("resyncChangesApplyDifferences"), {"Location": DELTA}),
        answer(410, error("resyncChangesUploadDifferences")),
        answer(410),
        answer(400, error("resyncRequired")),
        answer(404, error("syncStateNotFound")),
        answer(400, error("invalidRequest", inner="resyncApplyDifferences")),
        answer(400, error("invalidRequest")),
    ],
)
def test_a_token_that_is_gone_asks_for_an_enumeration(response: httpx.Response) -> None:
    with pytest.raises(DeltaExpired):
        paged(response).lists.delta(TARGET, DELTA)


@pytest.mark.parametrize(
    "element",
    [
        {"error": {"code": "InternalServerError"}},
        {**shown(1), "error": {"code": "InternalServerError"}},
        {"id": "x"},
        {"id": 7},
        {},
        None,
        "x",
        {"deleted": {"state": "deleted"}},
    ],
)
def test_a_poisoned_page_is_never_passed_over(element: object) -> None:
    world = paged({"value": [shown(2), element], "@odata.deltaLink": DELTA})
    with pytest.raises(DeltaExpired) as caught:
        world.lists.delta(TARGET, None)
    assert caught.value.code == "delta_poisoned"


def test_an_unmarked_entry_is_news_without_an_etag() -> None:
    world = paged({"value": [{"id": "7", "parentReference": {}}], "@odata.deltaLink": DELTA})
    (entry,) = world.lists.delta(TARGET, None).entries
    assert (entry.item_id, entry.deleted, entry.etag, entry.item) == (7, False, None, None)


@pytest.mark.parametrize(
    "body",
    [{}, [], {"value": {}}, {"value": []}, {"value": [], "@odata.deltaLink": 7},
     {"value": [], "@odata.nextLink": "http://evil.example/v1.0/sites"}, {"value": [], "@odata.nextLink": DELTA}],
)  # fmt: skip
def test_a_page_of_another_shape_moves_no_token(body: object) -> None:
    with pytest.raises(GraphUnavailable):
        paged(body).lists.delta(TARGET, DELTA)


def test_a_delta_that_is_not_found_asks_for_the_list_first() -> None:
    with pytest.raises(ListGone):
        paged(answer(404, error("itemNotFound")), answer(404)).lists.delta(TARGET, None)
    with pytest.raises(ConfigurationError) as caught:
        paged(answer(404, error("itemNotFound")), {"id": LIST}).lists.delta(TARGET, None)
    assert caught.value.code == "delta_unavailable"


@pytest.mark.parametrize("status", [404, 501])
def test_a_token_that_leads_nowhere_while_the_list_is_there_is_a_dead_one(status: int) -> None:
    with pytest.raises(DeltaExpired):
        paged(answer(status, error("itemNotFound")), {"id": LIST}).lists.delta(TARGET, DELTA)


@pytest.mark.parametrize("status", [404, 501])
def test_a_cloud_without_delta_says_so_when_there_is_no_token_yet(status: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        paged(answer(status, error("notSupported")), {"id": LIST}).lists.delta(TARGET, "latest")
    assert caught.value.code == "delta_unavailable"


@pytest.mark.parametrize(
    "response",
    [
        answer(410, error("resyncRequired")),
        answer(410),
        answer(400, error("invalidRequest")),
        answer(404, error("syncStateNotFound")),
    ],
)
def test_a_link_to_a_page_of_the_list_that_is_gone_asks_to_begin_anew(response: httpx.Response) -> None:
    with pytest.raises(DeltaExpired) as caught:
        paged(response).lists.enumerate(TARGET, f"{ROOT}{ITEMS}?$skiptoken=2")
    assert caught.value.code == "page_expired"


def test_an_enumeration_asks_for_the_key_and_tells_no_values() -> None:
    keyed = shown(1)
    keyed["fields"] = {"SyncBridgeKey": "ab"}
    world = paged({"value": [keyed, {**shown(2), "fields": {}}, {"id": "3", "eTag": f'"{GUID},1"'}]})
    page = world.lists.enumerate(TARGET, None)
    assert [(entry.keyless, entry.item) for entry in page.entries] == [(False, None), (True, None), (False, None)]
    assert "fields($select=SyncBridgeKey)" in world.requests[0].url.params["$expand"]


def test_an_enumeration_ends_without_a_token() -> None:
    world = paged(
        {"value": [shown(1), shown(2)], "@odata.nextLink": f"{ROOT}{ITEMS}?$skiptoken=2"}, {"value": [shown(3)]}
    )
    first = world.lists.enumerate(TARGET, None)
    assert (len(first.entries), first.complete) == (2, False)
    last = world.lists.enumerate(TARGET, first.next_token)
    assert ([entry.item_id for entry in last.entries], last.complete, last.next_token) == ([3], True, "")
    assert world.budget.taken == 4


@pytest.mark.parametrize("element", [{"id": "1"}, {"error": {}}, {"id": "1", "deleted": {}, "eTag": ETAG}])
def test_an_enumeration_with_a_hole_has_no_end(element: object) -> None:
    with pytest.raises(GraphUnavailable):
        paged({"value": [element]}).lists.enumerate(TARGET, None)


@pytest.mark.parametrize("status", [404, 403, 429, 500, 503])
def test_an_enumeration_that_fails_is_never_an_empty_list(status: int) -> None:
    with pytest.raises(SyncError):
        paged(answer(status)).lists.enumerate(TARGET, None)


# ---------------------------------------------------------------- versions


def versions(*numbers: int, link: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"value": [{"id": f"{n}.0", "fields": {"Title": f"v{n}"}} for n in numbers]}
    return body | ({"@odata.nextLink": link} if link else {})


def told(world: World, after: int) -> list[tuple[str, int]]:
    """Title and eTag number of each version."""
    found = world.lists.versions_since(TARGET, ItemId(1), ETag(f'"{GUID},{after}"'))
    assert found is not None
    assert all(version.etag.startswith(f'"{GUID},') for version in found)
    return [(version.fields["Title"], int(version.etag.strip('"').split(",")[1])) for version in found]


def test_the_versions_after_an_etag_come_oldest_first() -> None:
    world = paged(shown(1, 5, _UIVersionString="5.0"), versions(5, 4, 3, 2, 1))
    assert told(world, 3) == [("v4", 4), ("v5", 5)]


def test_versions_made_while_reading_are_included() -> None:
    world = paged(shown(1, 4, _UIVersionString="4.0"), versions(6, 5, 4, 3))
    assert told(world, 3) == [("v4", 4), ("v5", 5), ("v6", 6)]


def test_versions_are_paged_only_as_far_as_needed() -> None:
    link = f"{ROOT}{ITEMS}/1/versions?$skiptoken=x"
    world = paged(shown(1, 5, _UIVersionString="5.0"), versions(5, 4, link=link), versions(3, 2, link=link))
    assert told(world, 2) == [("v3", 3), ("v4", 4), ("v5", 5)]


@pytest.mark.parametrize(
    "bodies",
    [
        (shown(1, 5, _UIVersionString="1.0"), versions(1)),
        (shown(1, 5, _UIVersionString="5.0"), versions(5)),
        (shown(1, 5, _UIVersionString="4.0"), versions(4, 3, 2, 1)),
        (shown(1, 4, _UIVersionString="5.0"), versions(5, 4, 3, 2, 1)),
        (shown(1, 5, _UIVersionString="0.3"),),
        (shown(1, 5),),
        (shown(1, 1, _UIVersionString="1.0"),),
        (answer(404), {"id": LIST}),
    ],
    ids=[
        "no history kept",
        "trimmed",
        "a write without a version",
        "a version without a write",
        "minor versions",
        "no label",
        "etag behind",
        "item gone",
    ],
)
def test_a_history_that_cannot_be_relied_on_is_none(bodies: tuple[Any, ...]) -> None:
    assert paged(*bodies).lists.versions_since(TARGET, ItemId(1), ETag(f'"{GUID},3"')) is None


def test_versions_of_a_vanished_list_stop() -> None:
    with pytest.raises(ListGone):
        paged(answer(404), answer(404)).lists.versions_since(TARGET, ItemId(1), ETAG)
