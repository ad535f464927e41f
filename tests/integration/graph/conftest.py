"""One simulator for all of these tests, emptied before each."""

from collections.abc import Iterator

import pytest

from infra.local.simulator import Simulator, start
from tests.integration.graph.rig import Rig


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    running = start(tmp_path_factory.mktemp("simulator"))
    yield running
    running.stop()


@pytest.fixture
def rig(shared_simulator: Simulator) -> Iterator[Rig]:
    made = Rig(shared_simulator.url)
    yield made
    made.close()
