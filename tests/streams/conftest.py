"""A simulator for all tests of streams, and for each a world whose table app.things may be streamed."""

from collections.abc import Iterator

import pytest

from infra.local.azurite import Azurite
from shared.poller import session
from tests.api.conftest import make_world, sharepoint, world  # noqa: F401  fixtures
from tests.api.world import World
from tests.streams.processes import Processes
from tests.streams.world import Streaming


@pytest.fixture
def streaming(world: World) -> Streaming:  # noqa: F811  the fixture of that name
    """A world whose role may replicate and whose table is published; nothing streams yet."""
    found = Streaming(world)
    found.may_replicate()
    return found


@pytest.fixture
def live(streaming: Streaming) -> Streaming:
    """The same, with an active definition that streams."""
    streaming.live()
    return streaming


@pytest.fixture
def processes(world: World, azurite: Azurite) -> Iterator[Processes]:  # noqa: F811  the fixture of that name
    """A world whose poller is a process, and whose queue is a real one; nothing streams yet."""
    found = Processes(world, azurite)
    found.may_replicate()
    yield found
    found.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source, the queue and the budget are looked at with every beat."""
    monkeypatch.setattr(session, "CARE", 0.0)
    monkeypatch.setattr(session, "BEAT", 0.05)
