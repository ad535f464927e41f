"""A pytest plugin that runs a test under one mutant: -p tests.simulation.mutation, with the name in the environment."""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.mutants import BY_NAME, VARIABLE, applied

_NAME = os.environ.get(VARIABLE, "")


@pytest.fixture(autouse=True)
def _mutated() -> Iterator[None]:
    with applied(BY_NAME[_NAME]):
        yield
