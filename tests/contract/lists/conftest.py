"""The two list stores that have to behave alike: the one in memory, and Graph's over the simulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.core.definition import TargetList
from shared.core.ids import ETag, ItemId
from shared.ports import ListStore
from tests.fakes.lists import FakeLists
from tests.integration.graph.conftest import wires  # noqa: F401  a fixture
from tests.integration.graph.rig import Rig, plan, target_of


@dataclass
class Bench:
    """A list store, and what people and fate do to its list."""

    lists: ListStore
    target: TargetList
    add: Callable[[Mapping[str, Any]], ItemId]
    edit: Callable[[ItemId, Mapping[str, Any]], ETag]
    remove: Callable[[ItemId], None]
    lose: Callable[[], None]
    """The list is deleted."""
    expire: Callable[[], None]
    """Every delta token dies."""
    count: Callable[[], int]


def _fake() -> Bench:
    store = FakeLists(page=7)
    return Bench(
        lists=store,
        target=store.target,
        add=store.add,
        edit=store.edit,
        remove=store.remove,
        lose=lambda: setattr(store, "gone", True),
        expire=store.expire,
        count=lambda: len(store.items),
    )


def _graph(rig: Rig) -> Bench:
    made = rig.provisioner().provision(plan())
    list_id = made.list_id
    rig.knobs(page_size_max=7, delta_repeat_rate=0.3, delta_empty_page_rate=0.3)
    return Bench(
        lists=rig.lists(("Title", "amount", "status")),
        target=target_of(rig.site, list_id, made.key_column),
        add=lambda fields: rig.add(list_id, fields),
        edit=lambda item_id, fields: ETag(rig.edit(list_id, item_id, fields)),
        remove=lambda item_id: rig.remove(list_id, item_id),
        lose=lambda: rig.ask("DELETE", f"people/lists/{list_id}"),
        expire=lambda: rig.ask("POST", f"lists/{list_id}/expire-tokens"),
        count=lambda: len(rig.rows(list_id)),
    )


@pytest.fixture(params=["fake", "graph"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "fake":
        return _fake()
    return _graph(Rig(request.getfixturevalue("wires")))
