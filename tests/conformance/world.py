"""What a check may use: a rig at a site of the simulator, and the handles that no real service has."""

import itertools
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx

from infra.simulator.probe.ask import status
from infra.simulator.probe.rig import Login, Rig
from tests.conformance.listener import Listener

SCOPE = "https://graph.microsoft.com/.default"
SITE = "/sites/hr"


class Control:
    """The control surface under /_sim/, by plain HTTP."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url = url
        self._client = client

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, f"{self.url}/_sim/{path}", json=body)
        assert answer.status_code < 300, f"{method} /_sim/{path} answered {answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def reset(self) -> list[dict[str, Any]]:
        """Empty the simulator; gives the tenants it starts with."""
        return self.ask("POST", "reset")["tenants"]

    def break_rule(self, rule: str) -> None:
        self.ask("PUT", f"rules/{rule}", {"broken": True})

    def knobs(self, **values: Any) -> None:
        self.ask("PUT", "knobs", values)

    def knob(self, name: str) -> Any:
        return self.ask("GET", "knobs")[name]

    def fault(self, match: Mapping[str, Any], fault: Mapping[str, Any]) -> None:
        self.ask("PUT", "faults", {"seed": 1, "rules": [{"match": match, "fault": fault}]})

    def virtual_clock(self) -> None:
        self.ask("POST", "clock", {"mode": "virtual"})

    def advance(self, seconds: float) -> None:
        self.ask("POST", "clock", {"advance": seconds})

    def begin(self, window: int) -> None:
        """On to where the next window of so many seconds begins: budgets are counted in windows of the clock."""
        now = datetime.fromisoformat(self.ask("GET", "clock")["now"]).timestamp()
        self.advance(window - now % window)

    def time(self, ahead: float) -> str:
        """The simulator's time in `ahead` seconds, as an ISO 8601 text."""
        now = datetime.fromisoformat(self.ask("GET", "clock")["now"])
        return (now + timedelta(seconds=ahead)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")

    def last_request(self) -> int:
        return int(self.ask("GET", "requests?limit=1")["seq"])

    def requests(self, since: int) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"requests?since={since}")["requests"])

    def restore(self, path: str, item: str) -> None:
        """Let a person bring an item back from the recycle bin."""
        url = f"{self.url}/_sim/people/lists/{path.rpartition('/')[2]}/recycle-bin/{item}/restore"
        status(self._client.post(url, json={}), 200)

    def settle(self) -> None:
        """Wait until no notification is on its way. Those whose time has come are, as soon as the clock has moved."""
        deadline = time.monotonic() + 60
        while any(one["in_flight"] for one in self.ask("GET", "notifications")["endpoints"]):
            assert time.monotonic() < deadline, "a notification is on its way for ever"


class World:
    """A freshly reset simulator, its default tenant, and an app with full control at one of its sites."""

    def __init__(self, url: str, client: httpx.Client, listen: Callable[[Listener], None]) -> None:
        self.url = url
        self._client = client
        self._listen = listen
        self._numbers = itertools.count(1)
        self.sim = Control(url, client)
        self.tenant = next(one for one in self.sim.reset() if one["name"] == "contoso")
        self.sim.virtual_clock()
        self.sim.knobs(allow_loopback_http=True, notification_delay_max=60.0)
        full = next(one for one in self.tenant["apps"] if "Sites.FullControl.All" in one["roles"])
        self.rig = self._rig(self.tenant, full)

    def _rig(self, tenant: Mapping[str, Any], app: Mapping[str, Any]) -> Rig:
        login = Login(url=self.url, tenant=tenant["id"], client_id=app["client_id"], secret=app["secret"], scope=SCOPE)
        site = next(one for one in tenant["sites"] if one["path"] == SITE)
        return Rig(
            graph_url=f"{self.url}/v1.0",
            login=login,
            site=f"{tenant['hostname']}:{SITE}",
            client=self._client,
            zone=site["timezone"],
        )

    @cached_property
    def listener(self) -> Listener:
        listener = Listener()
        listener.start()
        self._listen(listener)
        return listener

    def _tenant_of(self, rig: Rig) -> str:
        tenants = self.sim.ask("GET", "tenants")["tenants"]
        return str(next(one["name"] for one in tenants if one["id"] == rig.login.tenant))

    def app(self, *roles: str, tenant_of: Rig | None = None) -> Rig:
        """A rig of a new app with these roles, at the same site."""
        name = self._tenant_of(tenant_of or self.rig)
        number = next(self._numbers)
        app = {
            "client_id": f"00000000-0000-4000-9000-{number:012}",
            "secret": f"secret {number}",
            "name": f"App {number}",
            "roles": list(roles),
        }
        return self._rig(self.sim.ask("POST", "tenants", {"name": name, "apps": [app]}), app)

    def set_roles(self, rig: Rig, *roles: str) -> None:
        app = {"client_id": rig.login.client_id, "roles": list(roles)}
        self.sim.ask("POST", "tenants", {"name": self._tenant_of(rig), "apps": [app]})

    def throttled(self, **limits: Any) -> Rig:
        """A rig in a tenant of its own, with these budgets, at the beginning of a minute, or of a day."""
        self.sim.begin(24 * 3600 if "ru_per_day" in limits else 60)
        name = f"tenant{next(self._numbers)}"
        app = {
            "client_id": "00000000-0000-4000-9000-0000000000ff",
            "secret": "x",
            "name": "app",
            "roles": ["Sites.FullControl.All"],
        }
        body = {"name": name, "apps": [app], "sites": [{"path": SITE, "title": "Site"}], **limits}
        return self._rig(self.sim.ask("POST", "tenants", body), app)

    def grant(self, rig: Rig, site: str, role: str) -> str:
        """Grant the rig's app a role on a site (a path such as /sites/{id}); gives the grant's id."""
        application = {"id": rig.login.client_id, "displayName": "app"}
        body = {"roles": [role], "grantedToIdentities": [{"application": application}]}
        return str(status(self.rig.post(f"{site}/permissions", body), 201).json()["id"])

    def _site_id(self, path: str) -> str:
        return str(next(one["id"] for one in self.tenant["sites"] if one["path"] == path))

    def other_site(self) -> str:
        return self._site_id("/sites/sales")

    def subsite(self) -> str:
        return self._site_id("/sites/hr/onboarding")
