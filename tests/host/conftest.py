"""Hosts for tests: each test module shares one, or starts its own through ``new_host``."""

from collections.abc import Callable, Iterator

import pytest

from tests.host.running import APPS, RunningHost

HostMaker = Callable[..., RunningHost]


@pytest.fixture(scope="module")
def new_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostMaker]:
    """``new_host("flows", "--skip-time", environment={...})``; whatever still runs at the end is killed."""
    made: list[RunningHost] = []

    def make(app: str, *arguments: str, **more: object) -> RunningHost:
        host = RunningHost(APPS / app, tmp_path_factory.mktemp("host"), arguments, **more)  # type: ignore[arg-type]
        made.append(host)
        return host.start()

    yield make
    for host in made:
        if host.process is not None:
            host.process.kill()
            host.process.wait()
        if host.http is not None:
            host.http.close()


@pytest.fixture(scope="module")
def flows(new_host: HostMaker) -> RunningHost:
    """The flows app on the wall clock."""
    return new_host("flows")
