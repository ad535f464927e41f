"""Change notifications on their way: delays, coalescing, retries, slow and dropped endpoints.

Sources: learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks and change-notifications-lifecycle-events.
Waiting notices live in memory: a killed simulator loses them, as the service sometimes does.
"""

import asyncio
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from infra.simulator.clock import iso
from infra.simulator.lists import SharePointList
from infra.simulator.world import World

_RETRY_DELAYS = (10, 30, 60, 120, 300, 600)
_WINDOW, _SLOW_SHARE, _DROP_SHARE, _ENOUGH = 600.0, 0.10, 0.15, 10
_HANDSHAKE_SECONDS = 10.0


@dataclass(slots=True)
class _Endpoint:
    """What the service remembers of a notification URL: recent answers as (moment, was slow)."""

    answers: deque[tuple[float, bool]] = field(default_factory=deque)
    dropped_until: float = 0.0
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    armed: bool = False
    in_flight: int = 0
    again: int = 0
    """Deliveries that failed and are to be tried again."""

    def share(self, now: float) -> float:
        while self.answers and self.answers[0][0] < now - _WINDOW:
            self.answers.popleft()
        return sum(slow for _, slow in self.answers) / len(self.answers) if len(self.answers) >= _ENOUGH else 0.0


class Notices:
    def __init__(self, world: World) -> None:
        self._world = world
        self._client: httpx.AsyncClient | None = None
        self._endpoints: dict[str, _Endpoint] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent: deque[dict[str, Any]] = deque(maxlen=1000)
        world.watchers.append(self.changed)

    # -- the handshake

    async def handshake(self, url: str) -> bool:
        """Does the endpoint give the validation token back, in time and as plain text?"""
        token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()}"
        base, mark, query = url.partition("?")
        if mark and self._world.rules.holds("SUB-HANDSHAKE-KEEPS-QUERY"):
            target = f"{base}?{query}&validationToken={quote(token, safe='')}"
        else:
            target = f"{base}?validationToken={quote(token, safe='')}"
        try:
            answer = await self._http().post(
                target, content=b"", headers={"Content-Type": "text/plain; charset=utf-8"}, timeout=_HANDSHAKE_SECONDS
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return False
        return (
            answer.status_code == 200
            and answer.headers.get("content-type", "").startswith("text/plain")
            and answer.text == token
        )

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=bool(self._world.knobs["notification_verify_tls"]), follow_redirects=False, trust_env=False
            )
        return self._client

    # -- what to send

    def changed(self, lst: SharePointList, app: str | None) -> None:
        """Items of the list changed: queue one notice per subscription, if none waits already."""
        for doc in list(self._world.subscriptions.values()):
            if doc["list"] != lst.number or (
                doc["expires"] <= self._world.clock.now() and self._world.rules.holds("SUB-EXPIRES")
            ):
                continue
            if not self._world.rules.holds("SUB-NOTICE") or (
                app == doc["applicationId"] and not self._world.rules.holds("SUB-NOTICE-OWN-WRITES")
            ):
                continue
            if self._world.knobs["notification_lost_rate"] and self._world.chance("notification_lost_rate"):
                continue
            self._queue(doc["notificationUrl"], doc["id"], self._notice(doc, lst))

    def _notice(self, doc: dict[str, Any], lst: SharePointList) -> dict[str, Any]:
        holds = self._world.rules.holds
        data: dict[str, Any] = {"@odata.type": "#Microsoft.Graph.ListItem"}
        if not holds("SUB-NOTICE-NO-ITEM"):
            data["id"] = str(lst.next_item - 1)
        return {
            "id": str(uuid.uuid4()),
            "subscriptionId": doc["id"],
            "subscriptionExpirationDateTime": iso(int(doc["expires"])),
            "clientState": doc["clientState"] if holds("SUB-NOTICE-CLIENT-STATE") else "",
            "changeType": "updated",
            "resource": doc["resource"],
            "tenantId": doc["tenant"],
            "resourceData": data,
        }

    def lifecycle(self, doc: dict[str, Any], event: str) -> bool:
        """Queue a lifecycle event; False if the subscription has no URL for it."""
        url = doc["lifecycleNotificationUrl"]
        if not url:
            return False
        body = {
            "lifecycleEvent": event,
            "subscriptionId": doc["id"],
            "subscriptionExpirationDateTime": iso(int(doc["expires"])),
            "clientState": doc["clientState"],
            "resource": doc["resource"],
            "tenantId": doc["tenant"],
            "organizationId": doc["tenant"],
        }
        self._queue(url, f"{doc['id']}/{event}", body, delay=0.0)
        return True

    def arm(self, doc: dict[str, Any]) -> None:
        """Ask for reauthorization when three quarters of the life are over, as long as the expiry stays what it is."""
        expires, now = doc["expires"], self._world.clock.now()

        def remind() -> None:
            current = self._world.subscriptions.get(doc["id"])
            if current is not None and current["expires"] == expires:
                self.lifecycle(current, "reauthorizationRequired")

        if doc["lifecycleNotificationUrl"]:
            self._world.clock.call_at(now + (expires - now) * 0.75, remind)

    def arm_all(self) -> None:
        """After a start: every stored subscription is watched again."""
        for doc in self._world.subscriptions.values():
            self.arm(doc)

    # -- sending

    def _queue(self, url: str, key: str, notice: dict[str, Any], delay: float | None = None) -> None:
        endpoint = self._endpoints.setdefault(url, _Endpoint())
        now = self._world.clock.now()
        if endpoint.dropped_until > now:
            return
        endpoint.waiting.setdefault(key, notice)
        if endpoint.armed:
            return
        endpoint.armed = True
        if delay is None:
            low, high = (
                float(self._world.knobs["notification_delay_min"]),
                float(self._world.knobs["notification_delay_max"]),
            )
            delay = self._world.dice.uniform(low, max(low, high))
        if endpoint.share(now) > _SLOW_SHARE:
            delay += 10.0
        self._world.clock.call_at(now + delay, lambda: self._flush(url))

    def _flush(self, url: str) -> None:
        endpoint = self._endpoints[url]
        endpoint.armed = False
        if self._world.knobs["notification_paused"] or not endpoint.waiting:
            return
        notices, endpoint.waiting = list(endpoint.waiting.values()), {}
        self._world.dice.shuffle(notices)  # no order is promised
        doubled = self._world.knobs["notification_repeat_rate"] and self._world.chance("notification_repeat_rate")
        for _ in range(2 if doubled else 1):
            self._start(url, notices, 0, self._world.clock.now())

    def resume(self) -> None:
        """After a pause: send what waits."""
        for url, endpoint in self._endpoints.items():
            if endpoint.waiting and not endpoint.armed:
                self._flush(url)

    def _start(self, url: str, notices: list[dict[str, Any]], attempt: int, first: float) -> None:
        endpoint = self._endpoints.setdefault(url, _Endpoint())
        endpoint.in_flight += 1
        task = asyncio.get_running_loop().create_task(self._send(url, notices, attempt, first))
        self._tasks.add(task)

        def landed(done: asyncio.Task[None]) -> None:
            endpoint.in_flight -= 1
            self._tasks.discard(done)

        task.add_done_callback(landed)

    async def _send(self, url: str, notices: list[dict[str, Any]], attempt: int, first: float) -> None:
        holds = self._world.rules.holds
        alive = [
            notice
            for notice in notices
            if notice["subscriptionId"] in self._world.subscriptions or not holds("SUB-DELETE")
        ]
        if not alive:
            return
        started, posted = time.monotonic(), self._world.clock.now()
        status = 0
        timeout = float(self._world.knobs["notification_timeout"])
        try:
            answer = await self._http().post(url, json={"value": alive}, timeout=timeout)
            status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            status = 0
        took = time.monotonic() - started
        now = self._world.clock.now()
        self.sent.append(
            {
                "time": self._world.clock.text(),
                "posted": posted,
                "url": url,
                "attempt": attempt + 1,
                "status": status,
                "count": len(alive),
            }
        )
        endpoint = self._endpoints.setdefault(url, _Endpoint())
        endpoint.answers.append((now, took >= timeout))
        if endpoint.share(now) > _DROP_SHARE:
            endpoint.dropped_until = now + _WINDOW
        if 200 <= status < 300 or not holds("SUB-RETRY"):
            return
        delay = _RETRY_DELAYS[min(attempt, len(_RETRY_DELAYS) - 1)]
        limit = float(self._world.knobs["notification_retry_hours"]) * 3600
        if now + delay - first > limit and holds("SUB-RETRY-ENDS"):
            return
        endpoint.again += 1

        def once_more() -> None:
            endpoint.again -= 1
            self._start(url, alive, attempt + 1, first)

        self._world.clock.call_at(now + delay, once_more)

    def state(self) -> list[dict[str, Any]]:
        now = self._world.clock.now()
        return [
            {
                "url": url,
                "waiting": len(endpoint.waiting),
                "in_flight": endpoint.in_flight,
                "again": endpoint.again,
                "slow_share": endpoint.share(now),
                "dropped": endpoint.dropped_until > now,
            }
            for url, endpoint in self._endpoints.items()
        ]

    def forget(self) -> None:
        self._endpoints.clear()
        self.sent.clear()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            await self._client.aclose()
