"""Worlds of two-way definitions; a module that has a world of its own says so."""

import pytest

from tests.settle.two_way import natural, two_way
from tests.settle.world import World


@pytest.fixture
def world(metastore: str):
    world = World(metastore, **two_way())
    yield world
    world.close()


@pytest.fixture
def named(metastore: str):
    world = World(metastore, **natural())
    yield world
    world.close()
