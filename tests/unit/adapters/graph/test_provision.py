"""Answers to provisioning that the simulator does not give."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.adapters.graph.provision import Provisioner
from shared.core.errors import ConfigurationError, GraphUnavailable, SyncError
from shared.core.ids import DefinitionId
from shared.core.provisioning import ListPlan
from tests.unit.adapters.graph.world import LIST, SITE, World, answer, error

PLAN = ListPlan(definition_id=DefinitionId(UUID(int=7)), display_name="Projects", columns=())
OURS = {"id": LIST, "displayName": "Projects", "description": PLAN.marker, "list": {"template": "genericList"}}
KEY = {
    "id": "55555555-5555-5555-5555-555555555555", "name": "SyncBridgeKey", "hidden": True, "indexed": True,
    "enforceUniqueValues": True, "text": {"allowMultipleLines": False},
}  # fmt: skip


def world(answers: dict[str, list[httpx.Response]]) -> World:
    """Answers by method and last segment, one after the other; the last one repeats."""

    def handle(request: httpx.Request) -> httpx.Response:
        waiting = answers[f"{request.method} {request.url.path.rpartition('/')[2]}"]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return World(handle)


def listing(*elements: dict[str, Any]) -> httpx.Response:
    return answer(200, {"value": list(elements)})


def test_a_list_that_came_into_being_meanwhile_is_taken() -> None:
    """The first creation got no answer and landed between our look and our second creation."""
    made = world(
        {
            "GET lists": [listing(), listing(OURS)],
            "POST lists": [answer(409, error("nameAlreadyExists"))],
            "GET columns": [listing(KEY)],
        }
    )
    assert Provisioner(made.client, SITE).provision(PLAN).list_id == LIST


def test_a_list_that_graph_hides_is_a_name_to_avoid() -> None:
    made = world({"GET lists": [listing()], "POST lists": [answer(409, error("nameAlreadyExists"))]})
    with pytest.raises(ConfigurationError) as caught:
        Provisioner(made.client, SITE).provision(PLAN)
    assert caught.value.code == "list_name_taken"


def test_a_save_conflict_at_a_creation_is_worth_another_try() -> None:
    made = world({"GET lists": [listing()], "POST lists": [answer(409, error("resourceModified"))]})
    with pytest.raises(GraphUnavailable):
        Provisioner(made.client, SITE).provision(PLAN)


def test_what_graph_accepts_and_does_not_keep_ends_with_words() -> None:
    loose = {**KEY, "enforceUniqueValues": False}
    made = world(
        {"GET lists": [listing(OURS)], "GET columns": [listing(loose)], f"PATCH {KEY['id']}": [answer(200, {})]}
    )
    with pytest.raises(ConfigurationError) as caught:
        Provisioner(made.client, SITE).provision(PLAN)
    assert caught.value.code == "columns_not_kept"
    assert sum(request.method == "PATCH" for request in made.requests) == 5


def test_uniqueness_over_existing_copies_is_refused_with_words() -> None:
    loose = {**KEY, "enforceUniqueValues": False}
    refused = answer(400, error("invalidRequest", "canary-value"))
    made = world({"GET lists": [listing(OURS)], "GET columns": [listing(loose)], f"PATCH {KEY['id']}": [refused]})
    with pytest.raises(ConfigurationError) as caught:
        Provisioner(made.client, SITE).provision(PLAN)
    assert caught.value.code == "provisioning_refused"
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("element", [{}, {"id": 7}, {"id": "x"}, {**KEY, "id": "x"}, {**KEY, "text": 7}, None, "x"])
def test_a_column_of_another_shape_is_no_listing(element: object) -> None:
    made = world({"GET lists": [listing(OURS)], "GET columns": [answer(200, {"value": [element]})]})
    with pytest.raises(SyncError):
        Provisioner(made.client, SITE).provision(PLAN)
