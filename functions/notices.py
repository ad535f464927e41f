"""What Graph posts to the webhooks, read with suspicion: bounded, of a bounded depth, and only the members that are used.

Shapes: https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks and
https://learn.microsoft.com/en-us/graph/change-notifications-lifecycle-events. Members that are not used are ignored, for
Graph may add some at any time.
"""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_BODY = 64 * 1024
MAX_TOKEN = 4096
"""Characters of a validation token; Graph's have some hundred."""
_MAX_DEPTH = 8
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class _Posted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, populate_by_name=True)


class Notice(_Posted):
    """Something in a list changed, or something about its subscription did."""

    subscription: Annotated[str, Field(alias="subscriptionId", min_length=1, max_length=64)]
    client_state: Annotated[str | None, Field(alias="clientState", max_length=255, repr=False)] = None
    lifecycle: Annotated[str | None, Field(alias="lifecycleEvent", max_length=64)] = None
    """reauthorizationRequired, subscriptionRemoved, missed; there may be others one day."""


class _Collection(_Posted):
    value: Annotated[list[Notice], Field(max_length=1000)]


def read(body: bytes) -> list[Notice]:
    """Raises ValueError, without what was sent, for anything but a collection of notices."""
    if len(body) > MAX_BODY:
        raise ValueError("the body is too large")
    if _is_deep(body):
        raise ValueError("the body is nested too deeply")
    try:
        return _Collection.model_validate_json(body).value
    except ValidationError:
        raise ValueError("the body is no collection of notices") from None


def _is_deep(body: bytes) -> bool:
    depth = 0
    for found in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += 1 if found[0] in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False
