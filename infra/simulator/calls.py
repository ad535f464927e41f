"""One authenticated Graph call, and the refusals that every resource shares."""

from dataclasses import dataclass
from typing import Any

import orjson

from infra.simulator import errors
from infra.simulator.auth import Identity
from infra.simulator.items import Actor
from infra.simulator.options import Options
from infra.simulator.switchboard import Switchboard
from infra.simulator.wire import Request


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated Graph call."""

    request: Request
    identity: Identity
    options: Options
    parts: list[str]  # decoded path segments below the version root
    base: str
    bare: bool
    lenient: bool = False  # a body that is no JSON object is read as an empty one
    typeless: bool = False  # a body is read as JSON whatever its Content-Type says

    @property
    def actor(self) -> Actor:
        return Actor.of_app(self.identity.app.client_id)

    def body(self) -> dict[str, Any]:
        """The JSON object in the body. Raises GraphError."""
        if not self.typeless and "json" not in self.request.headers.get("content-type", "").lower():
            raise errors.bad_json()
        try:
            found = orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict):
            return found
        if self.lenient:
            return {}
        raise errors.bad_json()


def unknown_segment(rules: Switchboard, name: str) -> errors.GraphError:
    """For a path that leads nowhere."""
    return errors.no_segment(name[:200]) if rules.holds("ERR-UNKNOWN-SEGMENT") else errors.not_found()


def only(rules: Switchboard, call: Call, *methods: str) -> None:
    """Raises GraphError unless the call uses one of the methods that the resource has."""
    if call.request.method not in methods:
        raise errors.bad_method() if rules.holds("ERR-METHOD") else errors.not_found()
