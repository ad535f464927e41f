"""Office365-REST-Python-Client against the simulator: sites, lists, columns, items, paging, delta."""

from collections.abc import Iterator

import pytest
from office365 import azure_env
from office365.graph_client import GraphClient
from office365.runtime.client_request_exception import ClientRequestException

from tests.conformance.world import World

pytestmark = pytest.mark.slow


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphClient]:
    endpoints = azure_env._ENDPOINTS[azure_env.AzureEnvironment.Global]
    monkeypatch.setitem(endpoints, "graph", world.rig.graph_url.removesuffix("/v1.0"))
    graph = GraphClient(lambda: {"access_token": world.rig.token(), "token_type": "Bearer"})
    yield graph
    session = getattr(graph.pending_request(), "_session", None)
    if session is not None:
        session.close()


def _items(client: GraphClient, world: World, path: str):
    return client.sites[world.rig.site()["id"]].lists.get_by_id(path.rpartition("/")[2]).items


def test_it_resolves_a_site_by_url(client: GraphClient, world: World) -> None:
    site = client.sites.get_by_url(world.rig.site()["webUrl"]).get().execute_query()

    assert site.id == world.rig.site()["id"]


def test_it_makes_a_list_with_columns_and_an_item_and_changes_it(client: GraphClient, world: World) -> None:
    title = world.rig.title()
    site = client.sites[world.rig.site()["id"]]

    made = site.lists.add(title, "genericList").execute_query()
    here = site.lists.get_by_id(made.id)
    here.columns.add_text("Plain").execute_query()
    here.columns.add_number("Amount").execute_query()
    item = here.items.add(Title="a", Plain="b", Amount=2.5).execute_query()
    fields = here.items[item.id].fields
    fields.set_property("Plain", "c").update().execute_query()

    path = f"{world.rig.root}/lists/{made.id}"
    seen = world.rig.read(path, item.id)
    assert (made.display_name, seen["Title"], seen["Plain"], seen["Amount"]) == (title, "a", "c", 2.5)


def test_it_pages_through_all_items(client: GraphClient, world: World) -> None:
    path = world.rig.new_list()
    for number in range(5):
        world.rig.add(path, Title=f"t{number}")

    found = _items(client, world, path).get_all(2).execute_query()

    assert [one.id for one in found] == ["1", "2", "3", "4", "5"]


def test_it_filters_and_always_sends_the_header_that_hides_a_missing_index(client: GraphClient, world: World) -> None:
    path = world.rig.new_list({"name": "Plain", "text": {}})
    for title in "ab":
        world.rig.add(path, Title=title, Plain=f"is {title}")

    found = _items(client, world, path).filter("fields/Plain eq 'is b'").expand(["fields"]).get().execute_query()

    assert [one.fields.get_property("Title") for one in found] == ["b"]


def test_it_reads_delta(client: GraphClient, world: World) -> None:
    path = world.rig.new_list()
    for title in "ab":
        world.rig.add(path, Title=title)

    found = _items(client, world, path).delta.get().execute_query()

    assert sorted(one.id for one in found) == ["1", "2"]


def test_it_deletes_and_reports_the_error_of_a_second_delete(client: GraphClient, world: World) -> None:
    path = world.rig.new_list()
    world.rig.add(path, Title="a")

    _items(client, world, path)["1"].delete_object().execute_query()

    with pytest.raises(ClientRequestException) as refused:
        _items(client, world, path)["1"].get().execute_query()
    assert refused.value.response.status_code == 404
    assert refused.value.code == "itemNotFound"


def test_it_sends_a_batch(client: GraphClient, world: World) -> None:
    path = world.rig.new_list()
    for title in "ab":
        world.rig.add(path, Title=title)
    items = _items(client, world, path)
    first, second = items["1"].get(), items["2"].get()

    client.execute_batch()

    assert (first.id, second.id) == ("1", "2")
