"""A simulator of its own for every worker, emptied before each test, and a plain client for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.simulator import start
from tests.simulator.client import Client


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    simulator = start(tmp_path_factory.mktemp("simulator"))
    yield simulator.url
    simulator.stop()


@pytest.fixture
def sim(address: str) -> Iterator[Client]:
    client = Client(address)
    client.control("POST", "reset")
    yield client
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"
