from collections.abc import Callable

import psycopg
import pytest

from shared.adapters.metastore.pool import Metastore
from tests.contract.lists.conftest import Bench, bench, wires  # noqa: F401  fixtures
from tests.integration.captures.world import World
from tests.integration.metastore.conftest import metastore, one_metastore, sql, store  # noqa: F401  fixtures


@pytest.fixture
def make(
    bench: Bench,  # noqa: F811
    store: Metastore,  # noqa: F811
    sql: psycopg.Connection,  # noqa: F811
) -> Callable[..., World]:
    """A function that makes a world whose definition has these settings."""
    return lambda **changes: World(bench, store, sql, **changes)


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()
