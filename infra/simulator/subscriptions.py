"""Subscriptions to lists: creation with its handshake, renewal, expiry.

Sources: learn.microsoft.com/en-us/graph/api/subscription-post-subscriptions, /en-us/graph/api/resources/subscription,
/en-us/graph/change-notifications-overview.
"""

import uuid
from typing import Any
from urllib.parse import quote, urlsplit

from infra.simulator import auth, errors
from infra.simulator.addressing import Addressing, path_segments
from infra.simulator.auth import Auth
from infra.simulator.clock import iso, parse_iso
from infra.simulator.lists import SharePointList
from infra.simulator.notices import Notices
from infra.simulator.wire import Answer, Response
from infra.simulator.world import World

MAX_MINUTES = 42_300
_HIDDEN = frozenset({"list", "tenant", "seq"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Subscriptions:
    def __init__(self, world: World, access: Auth, notices: Notices) -> None:
        self._world = world
        self._auth = access
        self._notices = notices
        self._addressing = Addressing(world)

    def run(self, call: Any, parts: list[str], lst: SharePointList | None = None) -> Answer:
        """GET, POST, PATCH, DELETE below `subscriptions`. Raises GraphError."""
        method = call.request.method
        match parts:
            case [] if method == "GET":
                return Response(
                    status=200,
                    content={
                        "@odata.context": f"{call.base}/v1.0/$metadata#subscriptions",
                        "value": self._listed(call, lst),
                    },
                )
            case [] if method == "POST":
                return self._create(call, lst)
            case [name]:
                doc = self._own(call, name)
                if method == "GET":
                    return Response(status=200, content=self._shown(call, doc))
                if method == "PATCH":
                    return Response(status=200, content=self._renew(call, doc))
                if method == "DELETE":
                    if self._world.rules.holds("SUB-DELETE"):
                        self.remove(doc["id"])
                    return Response(status=204)
            case [name, "reauthorize" | "microsoft.graph.reauthorize"] if method == "POST":
                self._own(call, name)
                if not self._world.rules.holds("SUB-REAUTHORIZE"):
                    raise errors.bad_request("The subscription cannot be reauthorized.")
                return Response(status=200)
            case [_, name, *_]:
                raise errors.no_segment(name)
        raise errors.bad_method()

    def remove(self, subscription: str) -> None:
        """Gone, without a word to anyone."""
        self._world.subscriptions.pop(subscription, None)
        self._world.store.drop("subscription", subscription)

    def alive(self, doc: dict[str, Any]) -> bool:
        return doc["expires"] > self._world.clock.now() or not self._world.rules.holds("SUB-EXPIRES")

    # -- one by one

    def _own(self, call: Any, name: str) -> dict[str, Any]:
        doc = self._world.subscriptions.get(name.lower())
        if (
            doc is None
            or doc["tenant"] != call.identity.tenant.id
            or doc["applicationId"] != call.identity.app.client_id
            or not self.alive(doc)
        ):
            raise errors.GraphError(404, "ResourceNotFound", "The object was not found.")
        return doc

    def _listed(self, call: Any, lst: SharePointList | None) -> list[dict[str, Any]]:
        every = self._world.rules.holds("SUB-LIST-OWN")
        found = []
        for doc in self._world.subscriptions.values():
            own = doc["applicationId"] == call.identity.app.client_id or not every
            if (
                own
                and doc["tenant"] == call.identity.tenant.id
                and self.alive(doc)
                and (lst is None or doc["list"] == lst.number)
            ):
                found.append(self._shown(call, doc))
        return found

    @staticmethod
    def _shown(call: Any, doc: dict[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in doc.items() if name not in _HIDDEN and name != "expires"}
        return {
            "@odata.context": f"{call.base}/v1.0/$metadata#subscriptions/$entity",
            **shown,
            "expirationDateTime": iso(int(doc["expires"])),
        }

    def _expiry(self, body: dict[str, Any], rule: str) -> float:
        text = body.get("expirationDateTime")
        try:
            moment = parse_iso(text) if isinstance(text, str) else None
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            raise errors.GraphError(400, "InvalidRequest", "expirationDateTime is missing or is no ISO 8601 time.")
        now, holds = self._world.clock.now(), self._world.rules.holds
        if moment <= now and holds("SUB-PAST-EXPIRY"):
            raise errors.GraphError(400, "InvalidRequest", "Subscription expiration must be in the future.")
        if moment - now > MAX_MINUTES * 60 + 60 and holds(rule):
            raise errors.GraphError(
                400, "InvalidRequest", f"Subscription expiration can only be {MAX_MINUTES} minutes in the future."
            )
        if not -62e9 < moment < 250e9:
            raise errors.GraphError(400, "InvalidRequest", "expirationDateTime is out of range.")
        return moment

    def _renew(self, call: Any, doc: dict[str, Any]) -> dict[str, Any]:
        body, holds = call.body(), self._world.rules.holds
        if "lifecycleNotificationUrl" in body:
            if holds("SUB-LIFECYCLE-AT-CREATION"):
                raise errors.GraphError(
                    400, "InvalidRequest", "lifecycleNotificationUrl can be set at the creation of a subscription only."
                )
            doc["lifecycleNotificationUrl"] = str(body["lifecycleNotificationUrl"])
        expires = self._expiry(body, "SUB-RENEW-MAX-LIFE")
        if holds("SUB-RENEW"):
            doc["expires"] = expires
        self._world.store.put("subscription", doc["id"], doc)
        self._notices.arm(doc)
        return self._shown(call, doc)

    # -- creation

    def _create(self, call: Any, lst: SharePointList | None) -> Answer:
        body, holds = call.body(), self._world.rules.holds
        kind = body.get("changeType")
        if kind != "updated" and holds("SUB-CHANGE-TYPE"):
            raise errors.GraphError(400, "InvalidRequest", f"Invalid 'changeType' attribute: '{str(kind)[:80]}'.")
        url = self._url(body, "notificationUrl", needed=True)
        lifecycle = self._url(body, "lifecycleNotificationUrl", needed=False)
        expires = self._expiry(body, "SUB-MAX-LIFE")
        state = body.get("clientState")
        if state is not None and (
            not isinstance(state, str)
            or (len(state) > int(self._world.knobs["client_state_max"]) and holds("SUB-CLIENT-STATE-LENGTH"))
        ):
            raise errors.GraphError(400, "InvalidRequest", "clientState is too long.")
        if body.get("includeResourceData"):
            raise errors.GraphError(400, "InvalidRequest", "includeResourceData is not available for this resource.")
        target, resource = (
            (lst, f"sites/{self._world.site_id(self._world.sites[lst.site])}/lists/{lst.id}")
            if lst
            else self._target(call, body)
        )
        if self._world.knobs["subscription_duplicate"] == "refuse" and any(
            entry["list"] == (target.number if target else 0) and entry["applicationId"] == call.identity.app.client_id
            for entry in self._world.subscriptions.values()
        ):
            raise errors.GraphError(409, "ExtensionError", "A subscription with these properties exists already.")
        doc = {
            "id": str(uuid.uuid4()),
            "resource": resource,
            "applicationId": call.identity.app.client_id,
            "changeType": str(kind),
            "clientState": state,
            "notificationUrl": url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": lifecycle,
            "creatorId": call.identity.app.client_id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": str(body.get("latestSupportedTlsVersion") or "v1_2"),
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
            "expires": expires,
            "list": target.number if target else 0,
            "tenant": call.identity.tenant.id,
        }
        return self._validated(call, doc)

    async def _validated(self, call: Any, doc: dict[str, Any]) -> Response:
        """The handshake happens inside the creation, while other requests go on."""
        holds = self._world.rules.holds
        urls = [doc["notificationUrl"]]
        if doc["lifecycleNotificationUrl"] and holds("SUB-LIFECYCLE-HANDSHAKE"):
            urls.append(doc["lifecycleNotificationUrl"])
        for url in urls if holds("SUB-HANDSHAKE") else []:
            if not await self._notices.handshake(url) and holds("SUB-HANDSHAKE-FAILS"):
                raise errors.GraphError(
                    400,
                    "InvalidRequest",
                    "Subscription validation request failed. "
                    "Notification endpoint must respond with 200 OK to validation request.",
                )
        self._world.subscriptions[doc["id"]] = doc
        self._world.store.put("subscription", doc["id"], doc)
        self._world.commit()
        self._notices.arm(doc)
        return Response(status=201 if holds("SUB-CREATE") else 200, content=self._shown(call, doc))

    def _url(self, body: dict[str, Any], name: str, *, needed: bool) -> str | None:
        url = body.get(name)
        if url is None and not needed:
            return None
        try:
            parts = urlsplit(url) if isinstance(url, str) and len(url) < 2048 and url.isascii() else None
            host = parts.hostname if parts else None
            _ = parts.port if parts else None
        except ValueError:
            parts = host = None
        if parts is None or not host or parts.scheme not in ("http", "https"):
            raise errors.GraphError(400, "InvalidRequest", f"{name} is missing or is no URL.")
        loopback = self._world.knobs["allow_loopback_http"] and host in _LOOPBACK
        if parts.scheme != "https" and not loopback and self._world.rules.holds("SUB-HTTPS"):
            raise errors.GraphError(400, "InvalidRequest", f"{name} must be an HTTPS URL.")
        return url

    def _target(self, call: Any, body: dict[str, Any]) -> tuple[SharePointList | None, str]:
        """The list that `resource` names, and the resource as it is stored."""
        resource, holds = body.get("resource"), self._world.rules.holds
        if not isinstance(resource, str) or not resource:
            raise errors.GraphError(400, "InvalidRequest", "resource is missing.")
        if "://" in resource:
            if holds("SUB-RELATIVE-RESOURCE"):
                raise errors.bad_request("The value of property 'resource' must be a relative URI.")
            resource = resource.partition("://")[2].partition("/")[2].removeprefix("v1.0/")
        parts = path_segments(quote(resource, safe="/:,%"))
        if parts[:1] != ["sites"] or len(parts) < 2:
            raise errors.bad_request(f"Resource not found for the segment '{(parts or [''])[0][:200]}'.")
        site, rest = self._addressing.site(call.identity.tenant, parts[1:], resource)
        if len(rest) != 2 or rest[0] != "lists":
            raise errors.GraphError(400, "InvalidRequest", "resource must be sites/{site-id}/lists/{list-id}.")
        self._auth.need(call.identity, site, auth.WRITE)
        lst = self._world.find_list(site, rest[1])
        if lst is None and holds("SUB-UNKNOWN-LIST"):
            raise errors.not_found("The specified list was not found")
        return lst, resource.lstrip("/")
