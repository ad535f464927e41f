"""The two kinds of holds that have to behave alike: those in memory, and those of a metastore."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.holds import HoldStore
from shared.adapters.metastore.pool import Metastore
from shared.core.ids import DefinitionId
from shared.ports import Holds
from tests.fakes.holds import FakeHolds
from tests.integration.metastore.support import keep_definition


@dataclass
class Bench:
    holds: Holds
    definition: DefinitionId
    other: DefinitionId
    release: Callable[[DefinitionId, str], None]
    """A person lets a definition go on that a hold of this kind has stopped."""


def _real(dsn: str) -> Iterator[Bench]:
    definitions = DefinitionId(uuid4()), DefinitionId(uuid4())
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, one in zip("ab", definitions, strict=True):
            keep_definition(connection, one)
            connection.execute(
                """update syncbridge.sync_definitions set draft = jsonb_set(draft, '{name}', to_jsonb(%s::text))
                    where id = %s""",
                [name, one],
            )
    with Metastore(dsn) as metastore:
        store = HoldStore(metastore)

        def release(definition: DefinitionId, kind: str) -> None:
            (hold,) = (one for one in store.list(definition, released=False) if one["kind"] == kind)
            store.release(hold["id"], reason="looked", actor="ann")

        yield Bench(holds=store, definition=definitions[0], other=definitions[1], release=release)


@pytest.fixture(
    params=["memory", pytest.param("metastore", marks=[pytest.mark.server, pytest.mark.postgres])],
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        fake = FakeHolds()
        yield Bench(holds=fake, definition=DefinitionId(uuid4()), other=DefinitionId(uuid4()), release=fake.release)
    else:
        yield from _real(request.getfixturevalue("metastore"))
