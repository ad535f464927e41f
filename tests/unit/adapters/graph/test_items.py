"""The ListStore's looks and finds over $batch, and what becomes of each when answers go wrong."""

from typing import Any

import pytest

from shared.adapters.graph.items import columns_to_read
from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import (
    ConfigurationError,
    ListGone,
    PermissionMissing,
    SafetyStop,
)
from shared.core.ids import ETag, FieldNo, ItemId
from shared.core.items import (
    Looked,
    Stopped,
    Unread,
)
from shared.core.source import SourceColumn, SourceType
from tests.unit.adapters.graph.world import (
    GUID,
    ITEMS,
    ROOT,
    TARGET,
    World,
    answer,
    batching,
    error,
    inner,
    members,
    shown,
)

ETAG = ETag(f'"{GUID},1"')
KEY = "ab" * 32


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
