"""Subscriptions to a list's changes: a notice says only "look soon", so losing one costs time and nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member
from shared.adapters.graph.client import RU_MULTI_READ, RU_WRITE, GraphClient, Request
from shared.adapters.graph.parsing import page_of, time_of
from shared.adapters.graph.sites import text_of
from shared.core.errors import ConfigurationError, Doubt, GraphUnavailable
from shared.core.ids import ListId, SiteId
from shared.core.watching import GraphSubscription

MAX_CLIENT_STATE = 128
_MAX_PAGES = 50


class Subscriptions:
    """Satisfies the port GraphSubscriptions."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    def create(
        self,
        site_id: SiteId,
        list_id: ListId,
        *,
        notification_url: str,
        client_state: str,
        expires: datetime,
        lifecycle_url: str | None = None,
    ) -> GraphSubscription:
        """Graph calls both URLs within this request, so they must be up. When it raises GraphUnavailable the subscription
        may exist all the same: look for its URL in `mine` before creating it again. Afterwards run a delta at once."""
        if not 0 < len(client_state) <= MAX_CLIENT_STATE:
            raise ConfigurationError(f"A client state has 1 to {MAX_CLIENT_STATE} characters.", code="bad_client_state")
        body = {
            "changeType": "updated",
            "notificationUrl": notification_url,
            "resource": urls.subscription_resource(site_id, list_id),
            "expirationDateTime": _text(expires),
            "clientState": client_state,
        } | ({"lifecycleNotificationUrl": lifecycle_url} if lifecycle_url is not None else {})
        answer = self._send("POST", urls.SUBSCRIPTIONS, body)
        if answer.status == 400:
            raise ConfigurationError(
                f"Graph refuses the subscription ({answer.described}): the notification URL must be https, reachable from"
                " the internet, and answer its validation request with 200 within 10 seconds.",
                code="subscription_refused",
            )
        return _subscription(self._client.expect(answer))

    def renew(self, subscription_id: str, *, expires: datetime) -> GraphSubscription | None:
        """None: it is gone (expired, or silently removed); create a new one and run a delta."""
        answer = self._send("PATCH", urls.subscription(subscription_id), {"expirationDateTime": _text(expires)})
        return None if answer.status == 404 else _subscription(self._client.expect(answer))

    def delete(self, subscription_id: str) -> None:
        """One that is gone already is deleted."""
        answer = self._send("DELETE", urls.subscription(subscription_id), None)
        if answer.status != 404:
            self._client.expect(answer)

    def mine(self) -> Sequence[GraphSubscription]:
        """The application's living subscriptions; SharePoint's own webhooks are not among them."""
        found: list[GraphSubscription] = []
        address = urls.SUBSCRIPTIONS
        for _ in range(_MAX_PAGES):
            body = self._client.get(address, action="graph.subscriptions", ru=RU_MULTI_READ)
            found += [_subscription(element) for element in page_of(body)]
            link = member(body, "@odata.nextLink")
            if link is None:
                return found
            address = urls.Address(path=urls.followed(link, self._client.cloud.root), template=address.template)
        raise GraphUnavailable("The subscriptions do not end.", code="endless_pages")

    def _send(self, method: str, address: urls.Address, body: object) -> Answer:
        request = Request(
            method=method, address=address, action="graph.subscription", ru=RU_WRITE, body=body, writes=True
        )
        try:
            return self._client.send(request)
        except Doubt as doubt:
            raise GraphUnavailable(doubt.message) from None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _subscription(element: object) -> GraphSubscription:
    found, expires = member(element, "id"), time_of(member(element, "expirationDateTime"))
    if not isinstance(found, str) or not urls.is_guid(found) or expires is None:
        raise GraphUnavailable("Graph shows a subscription without an id or an end.", code="bad_answer")
    return GraphSubscription(
        id=found,
        resource=text_of(element, "resource"),
        notification_url=text_of(element, "notificationUrl"),
        expires=expires,
    )
