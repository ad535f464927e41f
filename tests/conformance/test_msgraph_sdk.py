"""The official Python SDK against the simulator: sites, lists, columns, items, paging, delta, batch, errors."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.conformance import sdk
from tests.conformance.world import World

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # the SDK's own

Work = Callable[[sdk.GraphServiceClient], Awaitable[Any]]


class _Token(sdk.AccessTokenProvider):
    def __init__(self, token: str) -> None:
        self._token = token

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> sdk.AllowedHostsValidator:
        return sdk.AllowedHostsValidator([])


def _with_sdk(world: World, work: Work) -> Any:
    async def run() -> Any:
        async with httpx.AsyncClient() as plain:
            client = sdk.KiotaClientFactory.create_with_default_middleware(client=plain)
            adapter = sdk.GraphRequestAdapter(
                sdk.BaseBearerTokenAuthenticationProvider(_Token(world.rig.token())), client
            )
            adapter.base_url = world.rig.graph_url
            return await work(sdk.GraphServiceClient(request_adapter=adapter))

    return asyncio.run(run())


def _ids(world: World, path: str) -> tuple[str, str]:
    return world.rig.site()["id"], path.rpartition("/")[2]


def _fields(**values: Any) -> sdk.ListItem:
    return sdk.ListItem(fields=sdk.FieldValueSet(additional_data=values))


def test_the_sdk_finds_a_site_by_id_path_and_search(world: World) -> None:
    site, path = world.rig.site()["id"], f"/{world.rig.site_path}"

    async def work(graph: sdk.GraphServiceClient) -> list[str]:
        by_path = graph.sites.by_site_id(f"{world.rig.hostname}:{path}")
        by_function = graph.sites.by_site_id(world.rig.hostname).get_by_path_with_path(path)
        every = await graph.sites.get_all_sites.get()
        return [(await one.get()).id for one in (graph.sites.by_site_id(site), by_path, by_function)] + [
            one.id for one in every.value if one.id == site
        ]

    assert _with_sdk(world, work) == [site] * 4


def test_the_sdk_makes_a_list_a_column_and_an_item_and_reads_them_back(world: World) -> None:
    title = world.rig.title()

    async def work(graph: sdk.GraphServiceClient) -> tuple[Any, ...]:
        lists = graph.sites.by_site_id(world.rig.site()["id"]).lists
        wish = sdk.List_(
            display_name=title,
            columns=[sdk.ColumnDefinition(name="Plain", text=sdk.TextColumn())],
            list_=sdk.ListInfo(template="genericList"),
        )
        made = await lists.post(wish)
        here = lists.by_list_id(made.id)
        column = await here.columns.post(
            sdk.ColumnDefinition(name="Amount", number=sdk.NumberColumn(decimal_places="two"))
        )
        item = await here.items.post(_fields(Title="a", Plain="b", Amount=2.5))
        changed = await here.items.by_list_item_id(item.id).fields.patch(
            sdk.FieldValueSet(additional_data={"Plain": "c"})
        )
        read = await here.items.by_list_item_id(item.id).fields.get()
        await here.items.by_list_item_id(item.id).delete()
        with pytest.raises(sdk.ODataError) as gone:
            await here.items.by_list_item_id(item.id).get()
        return made, column, changed, read, gone.value

    made, column, changed, read, gone = _with_sdk(world, work)

    assert (made.display_name, made.list_.template, column.name) == (title, "genericList", "Amount")
    assert changed.additional_data["Plain"] == "c"
    assert (read.additional_data["Title"], read.additional_data["Plain"], read.additional_data["Amount"]) == (
        "a",
        "c",
        2.5,
    )
    assert (gone.response_status_code, gone.error.code) == (404, "itemNotFound")


def test_the_sdk_follows_pages_and_expands_fields(world: World) -> None:
    path = world.rig.new_list()
    for number in range(5):
        world.rig.add(path, Title=f"t{number}")
    site, list_id = _ids(world, path)

    async def work(graph: sdk.GraphServiceClient) -> list[str]:
        items = graph.sites.by_site_id(site).lists.by_list_id(list_id).items
        query = sdk.ItemsRequestBuilder.ItemsRequestBuilderGetQueryParameters(top=2, expand=["fields($select=Title)"])
        page = await items.get(sdk.RequestConfiguration(query_parameters=query))
        titles = [one.fields.additional_data["Title"] for one in page.value]
        while page.odata_next_link:
            page = await items.with_url(page.odata_next_link).get()
            titles += [one.fields.additional_data["Title"] for one in page.value]
        return titles

    assert _with_sdk(world, work) == [f"t{number}" for number in range(5)]


def test_the_sdk_reads_delta_and_its_own_token_form_is_answered_with_404(world: World) -> None:
    path = world.rig.new_list()
    for title in "ab":
        world.rig.add(path, Title=title)
    site, list_id = _ids(world, path)

    async def work(graph: sdk.GraphServiceClient) -> tuple[Any, ...]:
        items = graph.sites.by_site_id(site).lists.by_list_id(list_id).items
        first = await items.delta.get()
        await items.by_list_item_id("1").delete()
        second = await items.delta.with_url(first.odata_delta_link).get()
        with pytest.raises(sdk.APIError) as refused:
            await items.delta_with_token("latest").get()
        return first, second, refused.value

    first, second, refused = _with_sdk(world, work)

    assert {one.id for one in first.value} == {"1", "2"}
    assert [(one.id, one.deleted.state) for one in second.value] == [("1", "deleted")]
    assert refused.response_status_code == 404


def test_the_sdk_sends_a_batch(world: World) -> None:
    path = world.rig.new_list()
    world.rig.add(path, Title="a")
    site, list_id = _ids(world, path)

    async def work(graph: sdk.GraphServiceClient) -> dict[str, int]:
        items = graph.sites.by_site_id(site).lists.by_list_id(list_id).items
        content = sdk.BatchRequestContent()
        for number in ("1", "4711"):
            request = sdk.BatchRequestItem(items.by_list_item_id(number).to_get_request_information(), id=number)
            content.add_request(number, request)
        answer = await sdk.BatchRequestBuilder(graph.request_adapter).post(content)
        return {key: one.status for key, one in answer.responses.items()}

    assert _with_sdk(world, work) == {"1": 200, "4711": 404}


def test_the_sdk_turns_texts_that_look_like_dates_and_guids_into_other_types(world: World) -> None:
    """Why the product does not use it for values: what a text column holds does not survive."""
    guid = "8f1a2b3c-0000-4000-8000-000000000001"
    path = world.rig.new_list({"name": "A", "text": {}}, {"name": "B", "text": {}})
    world.rig.add(path, A="2026-01-01", B=guid)
    site, list_id = _ids(world, path)

    async def work(graph: sdk.GraphServiceClient) -> dict[str, Any]:
        items = graph.sites.by_site_id(site).lists.by_list_id(list_id).items
        return (await items.by_list_item_id("1").fields.get()).additional_data

    seen = _with_sdk(world, work)

    assert isinstance(seen["A"], datetime)
    assert seen["B"] == uuid.UUID(guid)
    assert world.rig.read(path, "1")["A"] == "2026-01-01"


def test_the_sdk_repeats_a_throttled_creation_by_itself(world: World) -> None:
    path = world.rig.new_list()
    site, list_id = _ids(world, path)
    world.sim.fault(
        {"method": "POST", "path": f".*/{quote(list_id)}/items", "max": 1},
        {"kind": "status", "status": 429, "retry_after": 1},
    )

    async def work(graph: sdk.GraphServiceClient) -> Any:
        return await graph.sites.by_site_id(site).lists.by_list_id(list_id).items.post(_fields(Title="a"))

    assert _with_sdk(world, work).id == "1"
    assert [
        one["status"] for one in world.sim.requests(0) if one["path"].endswith("/items") and one["method"] == "POST"
    ] == [429, 201]
