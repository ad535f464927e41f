"""One simulator process per worker, emptied before each test. Whatever the tests did, it must not fail inside."""

from collections.abc import Iterator

import httpx
import pytest

from infra.local.simulator import Simulator, start
from tests.conformance.listener import Listener
from tests.conformance.world import World


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = start(tmp_path_factory.mktemp("simulator"))
    yield simulator
    simulator.stop()
    log = (simulator.data / "log").read_text(encoding="utf-8")
    assert "Traceback" not in log, log[-3000:]


@pytest.fixture(scope="session")
def plain_client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=20) as client:
        yield client


@pytest.fixture
def world(simulator: Simulator, plain_client: httpx.Client) -> Iterator[World]:
    listeners: list[Listener] = []
    yield World(simulator.url, plain_client, listeners.append)
    for listener in listeners:
        listener.stop()
