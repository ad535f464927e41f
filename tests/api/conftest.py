"""One simulator for all tests of the API, and a fresh world for each."""

import base64
import itertools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from functions.api.app import create_app
from infra.local.sample.generate import Counts, create
from infra.local.sharepoint import add_tenant
from infra.local.simulator import Simulator, start
from shared.engine import Engine
from shared.settings import from_env
from tests.api.client import TestClient
from tests.api.world import PASSWORD, THINGS, World
from tests.fixtures.postgres import Databases

_numbers = itertools.count()


@pytest.fixture(scope="session")
def sharepoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The simulated SharePoint of this test process; every world has a tenant of its own."""
    simulator = start(tmp_path_factory.mktemp("sharepoint"))
    yield simulator
    simulator.stop()


def _sample(dsn: str) -> None:
    create(dsn, counts=Counts.for_projects(40))


def _things(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(THINGS.encode())


@pytest.fixture
def make_world(databases: Databases, metastore: str, sharepoint: Simulator) -> Iterator[Callable[..., World]]:
    """A function that makes a world around a source database: "things" or "sample"."""
    made: list[tuple[World, TestClient]] = []

    def make(kind: str = "things", **settings: str) -> World:
        number = f"{os.getpid()}_{next(_numbers)}"
        dsn = databases.create(databases.template(f"api-{kind}", _things if kind == "things" else _sample))
        role = f"reader_{number}"
        schema = sql.Identifier("app" if kind == "things" else "business")
        name = sql.Identifier(role)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("create role {} login password {}").format(name, sql.Literal(PASSWORD)))
            connection.execute(sql.SQL("grant usage on schema {} to {}").format(schema, name))
            connection.execute(sql.SQL("grant select on all tables in schema {} to {}").format(schema, name))
        engine = Engine.from_settings(
            from_env(
                {
                    "SYNCBRIDGE_METASTORE_DSN": metastore,
                    "SYNCBRIDGE_SECRET_KEY": base64.b64encode(bytes(range(32))).decode(),
                    "SYNCBRIDGE_ALLOWED_HOSTS": "127.0.0.1",
                    "SYNCBRIDGE_LEASE_SECONDS": "30",
                    "SYNCBRIDGE_REQUEST_SECONDS": "10",
                    "SYNCBRIDGE_SURFACE_SECONDS": "12",
                    "SYNCBRIDGE_ACTIVITY_SECONDS": "20",
                    "SYNCBRIDGE_POOL_SIZE": "4",
                    **settings,
                }
            )
        )
        engine.open()
        client = TestClient(create_app(lambda: engine))
        tenant = add_tenant(
            sharepoint.url, name=f"tenant-{number.replace('_', '-')}", licences=1_000_000, multiplier=1000
        )
        world = World(client=client, engine=engine, source=dsn, role=role, tenant=tenant)
        made.append((world, client))
        return world

    yield make
    for world, client in made:
        client.close()
        world.engine.close()
        databases.drop(world.source)
        with psycopg.connect(databases.server.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(world.role)))


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world around the small table app.things."""
    return make_world()
