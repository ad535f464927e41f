"""A worker of its own that kills itself: python -m tests.scenarios.worker JSON

The document: the stage's addresses, the list, the definition, `work` (names of production generators, one after the
other), and where to die: `boundary` with `nth`, or `answer` with a method: the request with that write inside was
carried out, and its answer has arrived and is never read.
"""

import json
import os
import signal
import sys
from collections.abc import Generator
from typing import Any

import httpx

from shared.core.boundaries import Boundary
from tests.simulation.stage import Stage
from tests.simulation.world import World


def die() -> None:
    """Nothing is cleaned up, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


class DeadlyTransport(httpx.BaseTransport):
    """Kills the process when the answer to a batch with such a write is there."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._real.handle_request(request)
        if request.url.path.endswith("/$batch"):
            asked = json.loads(request.read())["requests"]
            if any(inner["method"] == self._method for inner in asked):
                die()
        return response


def main(document: dict[str, Any]) -> int:
    stage = Stage(**document["addresses"], new=False)
    where = document["die"]
    if "answer" in where:
        stage.http = httpx.Client(transport=DeadlyTransport(where["answer"]))
    world = World(stage, document["seed"], joins=(document["list"], document["definition"]))
    makers = {"scan": world.scanner, "settle": world.settler}
    left = where.get("nth", 1)
    for name in document["work"]:
        steps: Generator[Boundary, None, Any] = makers[name]()
        for passed in steps:
            if passed == where.get("boundary"):
                left -= 1
                if left == 0:
                    die()
    return 0  # it was to die on its way


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
