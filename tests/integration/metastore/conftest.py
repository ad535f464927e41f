from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.pool import Metastore
from shared.core.ids import DefinitionId


@pytest.fixture
def store(metastore: str) -> Iterator[Metastore]:
    """A pool on an empty, migrated metastore."""
    with Metastore(metastore, max_size=8) as opened:
        yield opened


@pytest.fixture
def backlog(store: Metastore) -> BacklogStore:
    return BacklogStore(store, chunk=50)


@pytest.fixture
def sql(metastore: str) -> Iterator[psycopg.Connection]:
    """A connection of its own, to look behind the stores."""
    with psycopg.connect(metastore, autocommit=True) as connection:
        yield connection
