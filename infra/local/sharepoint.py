"""Tenants of the simulated SharePoint: how the local stack adds one, and what a client needs to reach it."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from infra.local.errors import LocalStackError

SITE_ZONE = "Europe/Berlin"
_SITE_PATH = "/sites/projects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant with one app that may manage lists, and one site, "Projects"."""

    url: str
    """Where Graph and the token endpoint answer."""
    id: str
    client_id: str
    client_secret: str = field(repr=False)
    licences: int
    multiplier: float
    """How many times the tier's budget of resource units was bought."""


def add_tenant(url: str, *, name: str, licences: int, multiplier: float) -> Tenant:
    """Create the tenant, or give it these figures if it is there. Raises LocalStackError with the simulator's words."""
    client_id = f"{name}-app"
    secret = f"{name}-secret"  # of a simulated tenant, which anybody on this machine may enter
    sent = {
        "name": name,
        "licences": licences,
        "multiplier": multiplier,
        "apps": [
            {
                "client_id": client_id,
                "name": "Arcore SyncBridge",
                "secret": secret,
                "roles": ["Sites.ReadWrite.All", "Sites.Manage.All"],
            }
        ],
        "sites": [{"path": _SITE_PATH, "title": "Projects", "timezone": SITE_ZONE}],
    }
    shown = call(url, "POST", "/_sim/tenants", sent)
    return Tenant(
        url=url,
        id=str(shown["id"]),
        client_id=client_id,
        client_secret=secret,
        licences=licences,
        multiplier=multiplier,
    )


def deliver_notices_here(url: str) -> None:
    """Let the simulator's notices go to this machine, which has no certificate, and go soon: the service takes up to a
    minute on average, which nobody has to wait for here. Raises LocalStackError."""
    knobs = {"allow_loopback_http": True, "notification_delay_min": 0.1, "notification_delay_max": 0.5}
    call(url, "PUT", "/_sim/knobs", knobs)


def call(url: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    """A request to the simulator's control surface. Raises LocalStackError with its words."""
    answer = httpx.request(method, f"{url}{path}", json=body, timeout=30)
    if answer.is_error:
        raise LocalStackError(f"The simulator refused {method} {path}: {answer.text[:500]}")
    return dict(answer.json()) if answer.content else {}
