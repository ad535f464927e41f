"""The ListStore where the list tells by itself: changes, everything, and the versions of an item."""

from typing import Any

import httpx
import pytest

from shared.core.errors import (
    ConfigurationError,
    DeltaExpired,
    GraphUnavailable,
    ListGone,
    SyncError,
)
from shared.core.ids import ETag, ItemId
from tests.unit.adapters.graph.world import (
    GUID,
    ITEMS,
    LIST,
    ROOT,
    TARGET,
    World,
    answer,
    error,
    shown,
)

ETAG = ETag(f'"{GUID},1"')
KEY = "ab" * 32


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
