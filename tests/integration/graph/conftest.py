"""One simulator for all of these tests, emptied before each."""

from collections.abc import Iterator

import pytest

from infra.local.simulator import start
from tests.integration.graph.rig import Rig, Wires


@pytest.fixture(scope="session")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    running = start(tmp_path_factory.mktemp("simulator"))
    made = Wires(running.url)
    yield made
    made.close()
    running.stop()


@pytest.fixture
def rig(wires: Wires) -> Rig:
    return Rig(wires)
