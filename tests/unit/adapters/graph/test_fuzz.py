"""Hostile answers: whatever Graph says, only typed errors and honest outcomes come out."""

import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.graph.admin import GraphAdmin
from shared.adapters.graph.columns import KEY, columns_of, steps_for
from shared.adapters.graph.parsing import delta_entries, item_of
from shared.adapters.graph.subscriptions import Subscriptions
from shared.core.definition import FieldKind
from shared.core.errors import SyncError
from shared.core.ids import ConnectionId, DefinitionId, ETag, ItemId
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
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
from shared.core.provisioning import ColumnPlan, ListPlan
from tests.unit.adapters.graph.world import GUID, ROOT, SITE, TARGET, World, answer, inner, shown

ETAG = ETag(f'"{GUID},1"')
OUTCOMES = (Landed, Mismatch, Missing, Duplicate, Refused, NotSent, Doubtful, Stopped)

NAMES = (
    "value", "id", "eTag", "@odata.etag", "fields", "deleted", "error", "code", "message", "innerError", "responses",
    "status", "headers", "body", "@odata.nextLink", "@odata.deltaLink", "name", "displayName", "text", "choice",
    "choices", "list", "template", "webUrl", "hidden", "indexed", "expirationDateTime", "createdDateTime",
)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        [GUID, SITE, ETAG, "5", "0", f"{ROOT}/sites/x", "http://evil.example/v1.0/sites/x", "2026-01-01T00:00:00Z"]
    )
)
values = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.sampled_from(NAMES), deeper, max_size=6),
    max_leaves=25,
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 403, 404, 409, 410, 412, 423, 429, 500, 503, 504, 507])
hostile = st.tuples(statuses, values)
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(values)
def test_parsers_give_nouns_or_typed_errors(body: Any) -> None:
    item_of(body, "SyncBridgeKey")
    plan = ListPlan(
        definition_id=DefinitionId(UUID(int=1)),
        display_name="x",
        columns=(ColumnPlan(name="amount", display_name="Amount", kind=FieldKind.NUMBER),),
    )
    with suppress(SyncError):
        delta_entries(body, "SyncBridgeKey")
    with suppress(SyncError):
        steps_for(plan, columns_of(body))


@quick
@pytest.mark.slow
@given(st.lists(hostile, min_size=1, max_size=4), st.data())
def test_the_list_store_answers_every_question_whatever_it_is_told(
    answers: list[tuple[int, Any]], data: st.DataObject
) -> None:
    def member(status: int, body: Any) -> dict[str, Any]:
        headers = data.draw(st.dictionaries(st.sampled_from(["Retry-After", "ETag"]), st.text(max_size=5)))
        return inner(status, body, headers)

    def handle(request: httpx.Request) -> httpx.Response:
        status, body = answers[len(world.requests) % len(answers)]
        if request.url.path.endswith("$batch") and data.draw(st.booleans()):
            asked = json.loads(request.content)["requests"]
            return answer(200, {"responses": [{"id": one["id"], **member(status, body)} for one in asked]})
        return answer(status, body)

    world = World(handle)
    lists = world.lists
    for look in (*lists.look(TARGET, [ItemId(5)]).values(), *lists.find(TARGET, ["a'b"]).values()):
        assert isinstance(look, Looked | Unread | Stopped)
    writes = [
        CreateItem(op=UUID(int=1), fields={"Title": "x"}),
        PatchItem(op=UUID(int=2), item_id=ItemId(5), etag=ETAG, fields={"Title": "x"}),
        DeleteItem(op=UUID(int=3), item_id=ItemId(6), etag=ETAG),
    ]
    outcomes = lists.write(TARGET, writes)
    assert set(outcomes) == {write.op for write in writes}
    assert all(isinstance(outcome, OUTCOMES) for outcome in outcomes.values())
    for call in (
        lambda: lists.delta(TARGET, None),
        lambda: lists.enumerate(TARGET, None),
        lambda: lists.versions_since(TARGET, ItemId(5), ETAG),
    ):
        with suppress(SyncError):
            call()
    assert {request.url.host for request in world.requests} == {"127.0.0.1"}


@quick
@pytest.mark.slow
@given(st.lists(hostile, min_size=1, max_size=4))
def test_set_up_ends_in_nouns_or_typed_errors_whatever_it_is_told(answers: list[tuple[int, Any]]) -> None:
    world = World(lambda _: answer(*answers[len(world.requests) % len(answers)]))
    admin = GraphAdmin(world.client, ConnectionId(UUID(int=1)))
    plan = ListPlan(
        definition_id=DefinitionId(UUID(int=1)),
        display_name="x",
        columns=(ColumnPlan(name="amount", display_name="Amount", kind=FieldKind.NUMBER),),
    )
    for call in (
        admin.health,
        lambda: admin.find_sites(url="https://contoso.sharepoint.com/sites/hr/x/y"),
        lambda: admin.find_sites(search="x"),
        lambda: admin.lists(SITE),
        lambda: admin.columns(SITE, TARGET.list_id),
        lambda: admin.check_rights(SITE),
        lambda: admin.provision(SITE, plan),
        Subscriptions(world.client).mine,
    ):
        with suppress(SyncError):
            call()
    assert {request.url.host for request in world.requests} == {"127.0.0.1"}


@quick
@given(st.text(max_size=40))
def test_any_key_is_asked_for_within_its_filter_and_only_itself_is_found(key: str) -> None:
    """SharePoint compares loosely; what comes back is believed only when it is the very key."""

    def handle(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["requests"]
        found = shown(5, SyncBridgeKey=key.swapcase())
        return answer(200, {"responses": [{"id": one["id"], **inner(200, {"value": [found]})} for one in asked]})

    look = World(handle).lists.find(TARGET, [key])[key]
    if key == "" or key.swapcase() == "":
        assert isinstance(look, Unread)
    else:
        assert isinstance(look, Looked)
        assert (look.item is None) == (key.swapcase() != key)


def test_the_key_column_is_planned_hidden_indexed_and_unique_in_one_request() -> None:
    plan = ListPlan(definition_id=DefinitionId(UUID(int=1)), display_name="x", columns=())
    (step,) = steps_for(plan, [])
    body = step.body  # type: ignore[union-attr]
    assert body["name"] == KEY.name
    assert (body["hidden"], body["indexed"], body["enforceUniqueValues"]) == (True, True, True)
    assert None not in body.values()
