"""A simulator for all tests of streams, and for each a world whose table app.things may be streamed."""

import pytest

from tests.api.conftest import make_world, sharepoint, world  # noqa: F401  fixtures
from tests.api.world import World
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
