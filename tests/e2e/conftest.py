"""Stacks for the tests of the whole."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.sample.generate import Counts
from infra.local.stack import Options, bring_up
from infra.local.state import load
from infra.local.supervisor import Supervisor
from tests.e2e.stand import ROWS, SETTINGS, Running


def brought_up(options: Options) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="syncbridge-e2e-") as directory:
        Path(directory).chmod(0o711)
        supervisor = Supervisor()
        try:
            stack = bring_up(load(Path(directory) / "stack"), supervisor, options, print)
            running = Running(stack, supervisor, options)
            yield running
            running.close()
        finally:
            supervisor.stop_all()


@pytest.fixture
def running() -> Iterator[Running]:
    """The smallest tier: the run has to wait for its budget, in durable timers between the activities."""
    yield from brought_up(Options(durable=False, counts=Counts.for_projects(ROWS), settings=SETTINGS))


@pytest.fixture
def alone(roomy: Running) -> Iterator[Running]:
    """The shared stack for a test whose definitions do not go on after it: neither their runs nor their subscriptions."""
    api = roomy.work().api
    before = {one["id"] for one in api.get("/sync-definitions")}
    yield roomy
    for one in api.get("/sync-definitions"):
        if one["id"] not in before and one["state"] == "ACTIVE":
            api.post(f"/sync-definitions/{one['id']}/deactivate")


@pytest.fixture(scope="session")
def roomy() -> Iterator[Running]:
    """One for all modules, with a budget that nobody waits for."""
    yield from brought_up(Options(durable=False, counts=Counts.for_projects(ROWS), multiplier=50, settings=SETTINGS))
