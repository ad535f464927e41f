"""Fixtures for every test: real servers, and an environment that says nothing about the machine."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.crashing",
    "tests.fixtures.metastore",
    "tests.fixtures.azurite",
    "tests.fixtures.simulator",
]

# Settings of the product, of Azure's SDKs and of libpq would reach into the tests. PG_BINDIR stays: it chooses the
# PostgreSQL that the tests run against.
_FOREIGN = ("SYNCBRIDGE_", "AZURE_", "AzureWebJobs", "FUNCTIONS_", "WEBSITE_", "IDENTITY_", "MSI_", "PG")
_KEPT = ("PG_BINDIR",)

# What Hypothesis tries where a test does not say: enough for every build, and the same in each, so that a red build is red
# again. `--hypothesis-profile=thorough` looks longer, and elsewhere each time. No deadline: a busy machine is no failure.
settings.register_profile("fast", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile("fast")


_FAST_TIER = "not slow and not server"
_SLOW_FOLDERS = frozenset(
    Path(__file__).parent / name
    for name in (
        *("api", "e2e", "scenarios", "settle"),
        *("integration/captures", "integration/metastore", "integration/postgres"),
    )
)
"""Everything below needs servers. The fast tier does not even read these files, which would take a third of its time."""
_LONGEST = tuple(
    Path(__file__).parent / name
    for name in ("scenarios/test_faults_20k.py", "local/test_demo.py", "simulation/test_two_way_simulation.py")
)
"""Tests of a minute: they begin first, so that at the end no process waits for the one that got them."""
_SERVERS = {"postgres_server": "postgres", "crashing": "postgres", "azurite": "server", "start_simulator": "server"}


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(_FOREIGN) and name not in _KEPT]:
        del os.environ[name]
    config.addinivalue_line("markers", "server: starts a server; not part of the fast tier (set by the fixtures)")
    config.addinivalue_line("markers", "postgres: talks to a PostgreSQL server (set by the fixtures)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.option.markexpr == _FAST_TIER and collection_path in _SLOW_FOLDERS else None


def pytest_collection_finish() -> None:
    # What has been imported stays: no garbage collection of a test has to look through all of it again.
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use a server are marked: left out of the fast tier, and run against each version of PostgreSQL.

    Tests below a folder of servers count as such even without one, or they would be of no tier. They are not marked slow:
    what is slow is not run against each version."""
    items.sort(key=lambda item: item.path not in _LONGEST)
    for item in items:
        if not _SLOW_FOLDERS.isdisjoint(item.path.parents):
            item.add_marker("server")
        for fixture in _SERVERS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
            item.add_marker(_SERVERS[fixture])
