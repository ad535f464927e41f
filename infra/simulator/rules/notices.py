"""Rules of change notifications."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_POST = f"{API}/subscription-post-subscriptions"
_SUBSCRIPTION = f"{API}/resources/subscription"
_WEBHOOKS = f"{LEARN}/graph/change-notifications-delivery-webhooks"

SUB: Final[tuple[Rule, ...]] = (
    documented(
        "SUB-CREATE",
        "Creating a subscription answers 201 with id, resource, changeType, notificationUrl and expirationDateTime.",
        source=_POST,
        broken="it answers 200",
    ),
    documented(
        "SUB-HANDSHAKE",
        "Inside the creation the service POSTs validationToken to the notification URL as text/plain with an empty "
        "body, and wants the decoded token back.",
        source=_WEBHOOKS,
        broken="nobody is asked",
    ),
    documented(
        "SUB-HANDSHAKE-FAILS",
        "An endpoint that does not give the token back makes the creation answer 400, and nothing is made.",
        source=_WEBHOOKS,
        broken="the answer to the handshake is not looked at",
    ),
    documented(
        "SUB-CHANGE-TYPE",
        "A list knows the changeType updated only; created answers 400.",
        source=_SUBSCRIPTION,
        broken="any changeType is taken",
    ),
    documented(
        "SUB-MAX-LIFE",
        "An expirationDateTime more than 42,300 minutes away answers 400.",
        source=_SUBSCRIPTION,
        broken="any expirationDateTime is taken",
    ),
    reported(
        "SUB-RELATIVE-RESOURCE",
        "A resource that is an absolute URL answers 400.",
        source=f"{GITHUB}/SharePoint/sp-dev-docs/issues/5622",
        broken="an absolute URL is taken",
    ),
    documented(
        "SUB-HTTPS",
        "A notification URL that is not https answers 400 (a declared knob allows plain http on loopback).",
        source=_SUBSCRIPTION,
        broken="plain http is taken from everywhere",
        knob="allow_loopback_http",
    ),
    documented(
        "SUB-NOTICE",
        "A change in the list POSTs {value: [{subscriptionId, changeType updated, resource, tenantId, …}]} to the "
        "notification URL within 5 minutes.",
        source=_WEBHOOKS,
        broken="changes are not notified",
        knob="notification_delay_max",
    ),
    documented(
        "SUB-NOTICE-CLIENT-STATE",
        "A notice carries the subscription's clientState.",
        source=_WEBHOOKS,
        broken="clientState is empty",
    ),
    documented(
        "SUB-NOTICE-NO-ITEM",
        "A notice does not say which item changed.",
        source=f"{LEARN}/sharepoint/dev/apis/webhooks/overview-sharepoint-webhooks",
        broken="resourceData has the item's id",
    ),
    reported(
        "SUB-NOTICE-OWN-WRITES",
        "An app's own writes are notified to it too.",
        source=f"{GITHUB}/pnp/sp-dev-samples/issues/11",
        broken="an app's own writes are not notified",
    ),
    documented(
        "SUB-RETRY",
        "A notice that is not answered with 2xx is sent again.",
        source=_WEBHOOKS,
        broken="a notice is sent once",
    ),
    documented(
        "SUB-RETRY-ENDS",
        "A notice is given up 4 hours after its first attempt.",
        source=_WEBHOOKS,
        broken="it is sent for ever",
        knob="notification_retry_hours",
    ),
    documented(
        "SUB-RENEW",
        "PATCH of expirationDateTime answers 200 with the new time.",
        source=f"{API}/subscription-update",
        broken="it answers 200 and keeps the old time",
    ),
    documented(
        "SUB-EXPIRES",
        "After its expirationDateTime a subscription is gone: it sends no notice and answers 404.",
        source=f"{LEARN}/graph/change-notifications-overview",
        broken="subscriptions never expire",
    ),
    documented(
        "SUB-LIST-OWN",
        "GET /subscriptions lists the app's own subscriptions and no other's.",
        source=f"{API}/subscription-list",
        broken="it lists those of every app",
    ),
    documented(
        "SUB-DELETE",
        "DELETE answers 204; the subscription answers 404 afterwards and sends no notice.",
        source=f"{API}/subscription-delete",
        broken="the subscription stays",
    ),
    assumed(
        "SUB-PAST-EXPIRY",
        "An expirationDateTime in the past answers 400.",
        because="a subscription that is over before it begins cannot be meant; the pages give no code.",
        broken="it is taken",
    ),
    documented(
        "SUB-RENEW-MAX-LIFE",
        "A renewal by more than 42,300 minutes answers 400.",
        source=_SUBSCRIPTION,
        broken="any renewal is taken",
    ),
    assumed(
        "SUB-UNKNOWN-LIST",
        "A subscription to a list that does not exist answers 404.",
        because="the service looks the resource up with the caller's rights; 404 is reported for missing rights.",
        broken="it is made",
    ),
    documented(
        "SUB-CLIENT-STATE-LENGTH",
        "A clientState of more than 128 characters answers 400.",
        source=_SUBSCRIPTION,
        broken="any length is taken",
        knob="client_state_max",
    ),
    documented(
        "SUB-HANDSHAKE-KEEPS-QUERY",
        "A query that the notification URL has stays, and validationToken is added to it.",
        source=_WEBHOOKS,
        broken="the query is replaced",
    ),
    documented(
        "SUB-LIFECYCLE-HANDSHAKE",
        "A lifecycleNotificationUrl is validated in the creation as the notification URL is.",
        source=f"{LEARN}/graph/change-notifications-lifecycle-events",
        broken="it is not validated",
    ),
    documented(
        "SUB-LIFECYCLE-AT-CREATION",
        "lifecycleNotificationUrl can be set at the creation only.",
        source=f"{LEARN}/graph/change-notifications-lifecycle-events",
        broken="a PATCH sets it",
    ),
    documented(
        "SUB-REAUTHORIZE",
        "POST /subscriptions/{id}/reauthorize answers with success and an empty body.",
        source=f"{API}/subscription-reauthorize",
        broken="it answers 400 BadRequest",
    ),
)
