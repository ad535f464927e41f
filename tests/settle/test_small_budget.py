"""Settle under the smallest tier's budget: what it looks at it can also write, however little there is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.graph.client import GraphClient, user_agent
from shared.adapters.graph.items import SharePointLists
from shared.core.backlog import Lane, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import FieldKind
from shared.core.estimate import ceiling
from shared.core.ids import Identity
from shared.core.pacing import capacity
from shared.core.provisioning import ColumnPlan
from shared.usecases.steps import drive
from tests.fakes.budget import FakeBudget
from tests.integration.graph.conftest import wires  # noqa: F401  a fixture
from tests.integration.graph.rig import RealClock, RealIds, Rig, Wires, plan, target_of
from tests.settle.world import World

pytestmark = pytest.mark.slow

ROWS = 60
PAGES = 60
"""Many more than 240 RU need: two RU a reading, two a write."""


class SmallTier:
    """A world whose list is behind the real client; time passes for the budget only when somebody waits for it."""

    def __init__(self, metastore: str, rig: Rig) -> None:
        self.rig = rig
        text = (ColumnPlan(name=name, display_name=name, kind=FieldKind.TEXT) for name in ("A", "B"))
        made = rig.provisioner().provision(plan(*text))
        self.budget = FakeBudget(limit=ceiling(100))
        target = target_of(rig.site, made.list_id, made.key_column)
        self.world = World(metastore, target=target)
        self.world.limits = replace(self.world.limits, page=40, surface=timedelta(seconds=5))
        self.client = GraphClient(
            http=rig.http,
            cloud=rig.endpoints,
            tokens=rig.tokens(),
            budget=self.budget,
            lane=Lane.PUSH,
            clock=RealClock(),
            ids=RealIds(),
            agent=user_agent("Test", "1"),
            sleep=self.wait,
        )
        self.world.lists = SharePointLists(self.client, ("A", "B"))  # type: ignore[assignment]

    def wait(self, seconds: float) -> None:
        seconds = max(seconds, 0.001)  # less than a timedelta can say would be no time at all
        self.budget.now += timedelta(seconds=seconds)
        self.world.wait(seconds)

    def settle(self) -> None:
        """Pages until the backlog is empty, with the waits that they ask for."""
        for _ in range(PAGES):
            page = drive(self.world.worker())
            if not self.world.backlog_rows():
                return
            if page.wait is not None or not page.claimed:
                self.wait(max(page.wait or 0.0, self.soonest()))
        raise AssertionError(f"after {PAGES} pages {len(self.world.backlog_rows())} rows are not settled")

    def soonest(self) -> float:
        """Seconds until something is due or free again."""
        [(seconds,)] = self.world.sql.execute(
            "select extract(epoch from min(greatest(due_at, claimed_until)) - now())::float8 from syncbridge.sync_backlog"
        ).fetchall()
        return max(float(seconds), 0.0) + 0.001


@pytest.fixture
def tier(metastore: str, wires: Wires) -> Iterator[SmallTier]:  # noqa: F811
    made = SmallTier(metastore, Rig(wires))
    yield made
    made.world.close()


def test_pages_in_doubt_are_settled_with_the_budget_of_the_smallest_tier(tier: SmallTier):
    for number in range(ROWS):
        tier.world.source.put(str(number), a=f"a{number}", b="b")
    tier.world.scan()
    for _ in range(2):
        tier.world.die_at(Boundary.INTENDED)
    tier.wait(61)
    tier.settle()
    assert {row["fields"]["A"] for row in tier.rig.rows(tier.world.definition.target.list_id)} == {
        f"a{number}" for number in range(ROWS)
    }
    assert tier.client.ru == 4 * ROWS, "each row was looked at once and written once"


def test_what_a_page_has_reserved_and_does_not_need_goes_back_to_the_budget(tier: SmallTier):
    for number in range(20):
        tier.world.source.put(str(number), a="a", b="b")
    tier.world.scan()
    tier.settle()
    tier.wait(60)
    for number in range(20):
        tier.world.mark(Identity(f'["{number}"]'), Reason.SAMPLE)
    drive(tier.world.worker())
    assert tier.budget.bucket.level == capacity(tier.budget.limit) - 20, "twenty readings by id, nothing to write"
