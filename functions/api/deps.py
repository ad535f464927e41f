"""What every route may ask for: the engine, and who is calling."""

import base64
import binascii
import json
import os
from typing import Annotated

from fastapi import Depends, Request

from shared.engine import Engine


def _engine(request: Request) -> Engine:
    found: Engine = request.app.state.engine()
    return found


def caller(principal: str | None, name: str | None) -> str:
    """Who is calling, for the audit. The platform's headers are believed only where the platform sets them."""
    if os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":
        return "function key"
    if name:
        return name[:200]
    try:
        claims = json.loads(base64.b64decode(principal or "", validate=True))["claims"]
        return str(next(claim["val"] for claim in claims if claim["typ"] in ("preferred_username", "name", "appid")))[
            :200
        ]
    except (binascii.Error, ValueError, KeyError, TypeError, StopIteration):
        return "signed-in caller"


def _actor(request: Request) -> str:
    return caller(request.headers.get("x-ms-client-principal"), request.headers.get("x-ms-client-principal-name"))


TheEngine = Annotated[Engine, Depends(_engine)]
Actor = Annotated[str, Depends(_actor)]
