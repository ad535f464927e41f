"""One metastore for the tests of keys that change, emptied before each, and worlds in it."""

from collections.abc import Iterator

import pytest

from shared.adapters.metastore.migrations import migrate
from tests.fixtures.postgres import Databases
from tests.settle.renames.keys import emptied
from tests.settle.two_way import two_way
from tests.settle.world import World


@pytest.fixture(scope="session")
def one_metastore(databases: Databases) -> Iterator[str]:
    dsn = databases.create(databases.template("metastore", migrate))
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def metastore(one_metastore: str) -> str:
    return emptied(one_metastore)


@pytest.fixture
def world(metastore: str) -> Iterator[World]:
    world = World(metastore)
    yield world
    world.close()


@pytest.fixture
def both(metastore: str) -> Iterator[World]:
    world = World(metastore, **two_way())
    yield world
    world.close()
