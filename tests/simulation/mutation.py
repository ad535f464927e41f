"""A pytest plugin that runs a test under one mutant: -p tests.simulation.mutation, with the name in the environment."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _mutated() -> Iterator[None]:
    # Late: pytest has to have loaded its own plugins before anybody imports them, or it ends with an error.
    from tests.simulation.mutants import BY_NAME, VARIABLE, applied

    with applied(BY_NAME[os.environ[VARIABLE]]):
        yield
