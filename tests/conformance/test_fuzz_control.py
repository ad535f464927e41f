"""The control surface refuses nonsense with a sentence; it never fails."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from infra.local.simulator import Simulator
from tests.conformance.world import World

PATHS = (
    "health", "rules", "rules/ITEM-CREATE", "rules/NO-SUCH", "knobs", "faults", "requests", "clock", "tenants", "budget",
    "people/lists", "people/lists/Nowhere", "people/lists/Nowhere/items", "people/revoke", "people/notifications/pause",
    "notifications", "subscriptions", "subscriptions/x/lifecycle", "lists/x/expire-tokens", "page", "nothing", "",
)  # fmt: skip
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
NAMES = st.sampled_from(
    [
        "mode",
        "set",
        "advance",
        "seed",
        "rules",
        "match",
        "fault",
        "kind",
        "name",
        "apps",
        "sites",
        "throttling",
        "threshold",
        "broken",
        "site",
        "x",
    ]
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.slow
def test_no_control_request_makes_the_simulator_fail(
    world: World, simulator: Simulator, plain_client: httpx.Client
) -> None:
    @seed(3)
    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]),
        path=st.sampled_from(PATHS),
        body=st.one_of(st.none(), st.binary(max_size=8), VALUE.map(lambda value: json.dumps(value).encode())),
        query=st.sampled_from(
            ["", "?since=x", "?limit=-1", "?since=-5&limit=99999999999999999999", "?describe", "?list=%00"]
        ),
    )
    def run(method: str, path: str, body: bytes | None, query: str) -> None:
        answer = plain_client.request(method, f"{world.url}/_sim/{path}{query}", content=body)
        assert answer.status_code < 500, (method, path, body, answer.text)
        if answer.status_code >= 400:
            page = path in ("", "page")  # the people's page speaks HTML
            assert answer.text if page else answer.json()["error"]["message"]

    run()
    assert "Traceback" not in (simulator.data / "log").read_text(encoding="utf-8")
    assert world.sim.reset()
