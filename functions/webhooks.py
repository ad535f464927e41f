"""Where Graph calls: the handshake of a new subscription, notices of changes, and events of a subscription's life.

Anybody may call, so nothing is believed: a subscription is looked up in our own table, its client state is compared, and only
our own ids travel on. Whoever is unknown gets the same answer as everybody. What is accepted is in the queue before it is
answered; Graph waits 3 seconds (its page said 10 for a while), tries again for hours, and slows down for who is slow
(https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks).
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

import azure.functions as func

from functions import names
from functions.container import engine
from functions.messages import ListEvent, ListNotice, packed
from functions.notices import MAX_BODY, MAX_TOKEN, Notice, read
from functions.roster import Roster
from functions.sender import Sender
from shared.core.errors import SyncError
from shared.core.watching import Known
from shared.faults import describe
from shared.process import SystemClock

blueprint = func.Blueprint()
log = logging.getLogger("syncbridge.webhooks")

_LIFECYCLE = {
    "missed": ListEvent.CHANGED,
    "reauthorizationRequired": ListEvent.RENEW,
    "subscriptionRemoved": ListEvent.REMOVED,
}
_PATIENCE = 2.5
"""Seconds after which Graph is told to try again: a little less than it waits. What is on its way to the queue goes on."""
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def _load() -> dict[str, Known]:
    return dict(engine().stores.subscriptions.roster())


def _put(notices: Sequence[ListNotice]) -> float:
    queue, began = engine().queue, _clock.monotonic()
    for text in packed(notices):
        queue.put(names.GRAPH_NOTIFICATIONS, text)
    return _clock.monotonic() - began


_clock = SystemClock()
_roster = Roster(load=_load, monotonic=_clock.monotonic)
_sender = Sender(_put)


@blueprint.route(route="api/graph/notifications", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.function_name(names.LIST_NOTIFICATIONS)
async def list_notifications(req: func.HttpRequest) -> func.HttpResponse:
    return await _answer(req, lifecycle=False)


@blueprint.route(route="api/graph/lifecycle", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.function_name(names.LIST_LIFECYCLE)
async def list_lifecycle(req: func.HttpRequest) -> func.HttpResponse:
    return await _answer(req, lifecycle=True)


async def _answer(req: func.HttpRequest, *, lifecycle: bool) -> func.HttpResponse:
    began = _clock.monotonic()
    token = req.params.get("validationToken")
    if token is not None:
        return _handshake(token)
    body = req.get_body()
    if len(body) > MAX_BODY:
        return _status(413)
    try:
        posted = read(body)
    except ValueError:
        return _status(400)
    try:
        async with asyncio.timeout(_PATIENCE):
            accepted = await _accepted(posted, lifecycle=lifecycle)
            queued = await _sender.send(accepted) if accepted else 0.0
    except SyncError as error:
        log.error("notices were not taken: %s", error.code, extra={"action": "notices_refused", "code": error.code})  # noqa: TRY400  Graph tries again
        return _status(503)
    except Exception as error:  # the edge of the process: Graph tries again
        log.error("notices were not taken: %s", describe(error), extra={"action": "notices_refused"})  # noqa: TRY400  a traceback ends in the message
        return _status(503)
    figures = {"posted": len(posted), "accepted": len(accepted), "lifecycle": lifecycle}
    took = {"ms": _ms(_clock.monotonic() - began), "queue_ms": _ms(queued)}
    log.info("notices", extra={"action": "notices", **figures, **took})
    return _status(202)


def _handshake(token: str) -> func.HttpResponse:
    """The token as plain text, and nothing that a browser would take for a page."""
    if not 0 < len(token) <= MAX_TOKEN:
        return _status(400)
    return func.HttpResponse(token, status_code=200, headers=_HEADERS, mimetype="text/plain", charset="utf-8")


async def _accepted(posted: list[Notice], *, lifecycle: bool) -> list[ListNotice]:
    """One message per list and event, of those whose subscription is ours and who know its client state."""
    found: dict[ListNotice, None] = {}
    for notice in posted:
        event = _LIFECYCLE.get(notice.lifecycle or "") if lifecycle else ListEvent.CHANGED
        if event is None or not notice.client_state:
            continue
        known = await _roster.find(notice.subscription, notice.client_state)
        if known is None:
            continue
        about = UUID(notice.subscription) if event in (ListEvent.RENEW, ListEvent.REMOVED) else None
        message = ListNotice(
            definition=known.definition, list_id=UUID(str(known.list_id)), event=event, subscription=about
        )
        found[message] = None
    return list(found)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _status(status: int) -> func.HttpResponse:
    return func.HttpResponse(status_code=status, headers=_HEADERS)
