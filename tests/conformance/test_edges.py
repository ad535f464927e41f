"""Edges between rules: small things that a client would otherwise meet in production first."""

import pytest

from infra.simulator.probe.ask import status
from infra.simulator.probe.rig import PREFER
from tests.conformance.world import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324])
def test_the_largest_and_the_smallest_double_are_kept(world: World, number: float) -> None:
    every = world.rig.every()

    assert world.rig.read(every, world.rig.add(every, Num=number)["id"])["Num"] == pytest.approx(number, rel=1e-14)


@pytest.mark.parametrize(
    ("moment", "answered"),
    [
        ("1899-12-31T23:59:59Z", 400),
        ("1900-01-01T00:00:00Z", 201),
        ("8900-12-31T23:59:59Z", 201),
        ("8901-01-01T00:00:00Z", 400),
    ],
)
def test_times_range_from_1900_to_8900(world: World, moment: str, answered: int) -> None:
    status(world.rig.post(f"{world.rig.every()}/items", {"fields": {"Moment": moment}}), answered)


def test_members_of_an_item_can_be_filtered_like_the_columns_that_hold_them(world: World) -> None:
    every = world.rig.every()
    item = world.rig.add(every, Title="a")["id"]
    query = f"{every}/items?$select=id&$filter=lastModifiedDateTime ge 2020-01-01T00:00:00Z"

    assert status(world.rig.get(query), 400).json()["error"]["code"] == "invalidRequest"
    assert [one["id"] for one in status(world.rig.get(query, headers=PREFER), 200).json()["value"]] == [item]


def test_with_the_prefer_header_a_filter_may_join_two_fields_below_the_threshold(world: World) -> None:
    every = world.rig.every()
    for plain, code in (("x", "1"), ("x", "2"), ("y", "1")):
        world.rig.add(every, Plain=plain, Code=code)
    query = f"{every}/items?$select=id&$filter=fields/Plain eq 'x' and fields/Code eq '1'"

    assert len(status(world.rig.get(query, headers=PREFER), 200).json()["value"]) == 1
    world.sim.knobs(threshold=2)
    status(world.rig.get(query, headers=PREFER), 429)


def test_a_hidden_key_column_is_written_filtered_and_read_by_name(world: World) -> None:
    path = world.rig.new_list()
    column = {"name": "SyncKey", "text": {}, "hidden": True, "indexed": True, "enforceUniqueValues": True}
    status(world.rig.post(f"{path}/columns", column), 201)
    item = world.rig.add(path, Title="a", SyncKey="k1")["id"]

    found = status(world.rig.get(f"{path}/items?$select=id&$filter=fields/SyncKey eq 'k1'"), 200).json()["value"]
    assert [one["id"] for one in found] == [item]
    assert world.rig.read(path, item, "SyncKey")["SyncKey"] == "k1"
    status(world.rig.post(f"{path}/items", {"fields": {"SyncKey": "k1"}}), 409)
