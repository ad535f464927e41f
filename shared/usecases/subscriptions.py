"""Subscriptions to lists' changes: made, renewed, verified, made again, deleted. Each call brings one definition's nearer to
what it should be; whatever crashes in between, the next call goes on from what the metastore and Graph know.

A subscription is only ever asked for after its client state's hash is on record, and after a look at Graph's own list of them:
one that was made and never recorded is found there by its URL and its list. Graph lets a subscription's end and its URL be
changed, not its client state (https://learn.microsoft.com/en-us/graph/api/subscription-update), so a client state is new
whenever a subscription is made, and lives as long as that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.control_ports import GraphSubscriptions, ListSubscriptions, Watches
from shared.core.definition import DefinitionState
from shared.core.errors import SyncError, Transient
from shared.core.ids import DefinitionId
from shared.core.record import DefinitionRecord
from shared.core.watching import (
    LIFE,
    VERIFY_EVERY,
    GraphSubscription,
    ListSubscription,
    Wanted,
    next_look,
    poll_price,
    renewal,
    retry_wait,
    state_hash,
)
from shared.ports import Clock, IdSource

NOTIFICATIONS_PATH, LIFECYCLE_PATH = "/api/graph/notifications", "/api/graph/lifecycle"
_LEASE = timedelta(minutes=10)
"""How long one who looks after a subscription has it for himself: longer than the few requests that it takes."""
_SUBSCRIBED = frozenset({DefinitionState.ACTIVE, DefinitionState.PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What looking after subscriptions takes. `jitter`: a number from 0 to 1."""

    store: ListSubscriptions
    watches: Watches
    graph: GraphSubscriptions
    clock: Clock
    ids: IdSource
    jitter: Callable[[], float]


def wanted_of(record: DefinitionRecord, webhook_url: str) -> Wanted | None:
    """The subscription that a definition should have. A pause keeps it: what is noticed meanwhile is read afterwards."""
    target = record.target
    if not webhook_url or record.state not in _SUBSCRIBED or target.list_id is None or not target.provisioned:
        return None
    return Wanted(
        definition=record.id,
        site_id=target.site_id,
        list_id=target.list_id,
        notification_url=webhook_url + NOTIFICATIONS_PATH,
        lifecycle_url=webhook_url + LIFECYCLE_PATH,
    )


def look_after(definition: DefinitionId, wanted: Wanted | None, keeper: Keeper) -> None:
    """Graph's refusals and silences are recorded with the subscription, and tried again later."""
    now = keeper.clock.now()
    matching = False
    for row in keeper.store.of_definition(definition):
        if wanted is not None and (row.list_id, row.notification_url) == (wanted.list_id, wanted.notification_url):
            matching = True
            if row.look_at <= now:
                _carefully(row, keeper, lambda held: _keep(held, wanted, keeper))
        else:
            _carefully(row, keeper, lambda held: _end(held, keeper))
    if wanted is not None and not matching and keeper.store.add(keeper.ids.uuid(), wanted, look_at=now):
        look_after(definition, wanted, keeper)


def _carefully(row: ListSubscription, keeper: Keeper, work: Callable[[ListSubscription], None]) -> None:
    """The work, by whoever gets hold of the subscription; its failure is put on record."""
    now = keeper.clock.now()
    until = now + _LEASE
    if not keeper.store.claim(row, until=until):
        return
    held = replace(row, look_at=until)
    try:
        work(held)
    except SyncError as error:
        after = error.retry_after if isinstance(error, Transient) else None
        keeper.store.failed(
            held, code=error.code, message=error.message, next_look=now + retry_wait(row.failures, after)
        )


def _keep(row: ListSubscription, wanted: Wanted, keeper: Keeper) -> None:
    now = keeper.clock.now()
    if row.subscription_id is None or row.renew_at is None or row.verified_at is None:
        _make(row, wanted, keeper)
    elif row.renew_at <= now:
        renewed = keeper.graph.renew(row.subscription_id, expires=now + LIFE)
        if renewed is None:
            _make_again(row, wanted, keeper)
        else:
            _alive(row, renewed, keeper)
    elif row.verified_at + VERIFY_EVERY <= now:
        ours = [found for found in keeper.graph.mine() if wanted.is_ours(found)]
        for stray in ours:
            if stray.id != row.subscription_id:  # its creation landed after somebody had given it up
                keeper.graph.delete(stray.id)
        seen = next((found for found in ours if found.id == row.subscription_id), None)
        if seen is None:
            _make_again(row, wanted, keeper)
        else:
            _alive(row, seen, keeper, renew_at=row.renew_at)
    else:  # nothing is due: somebody was quicker
        keeper.store.claim(row, until=next_look(row.verified_at, row.renew_at))


def _make(row: ListSubscription, wanted: Wanted, keeper: Keeper) -> None:
    ours = [found for found in keeper.graph.mine() if wanted.is_ours(found)]
    if row.asked == 1 and len(ours) == 1:  # it is the one that was asked for, under the client state that is on record
        made = ours[0]
    else:
        for unknown in ours:
            keeper.graph.delete(unknown.id)
        client_state = keeper.ids.uuid().hex + keeper.ids.uuid().hex
        if not keeper.store.asked(row, state_hash(client_state)):
            return
        made = keeper.graph.create(
            wanted.site_id,
            wanted.list_id,
            notification_url=wanted.notification_url,
            lifecycle_url=wanted.lifecycle_url,
            client_state=client_state,
            expires=keeper.clock.now() + LIFE,
        )
    _alive(row, made, keeper)
    keeper.watches.notice(wanted.definition)  # what changed while nobody listened


def _make_again(row: ListSubscription, wanted: Wanted, keeper: Keeper) -> None:
    if keeper.store.lost(row):
        _make(replace(row, subscription_id=None, client_state_hash=None, asked=0), wanted, keeper)


def _alive(
    row: ListSubscription, found: GraphSubscription, keeper: Keeper, *, renew_at: datetime | None = None
) -> None:
    now = keeper.clock.now()
    renew_at = renew_at or renewal(now, found.expires, keeper.jitter())
    keeper.store.live(row, found, renew_at=renew_at, verified_at=now, next_look=next_look(now, renew_at))


def _end(row: ListSubscription, keeper: Keeper) -> None:
    """Nobody wants it any more. One that has run out, or was never asked for, needs no call."""
    if row.subscription_id is not None:
        if row.expires_at is None or row.expires_at > keeper.clock.now():
            keeper.graph.delete(row.subscription_id)
    elif row.asked:
        for found in keeper.graph.mine():
            if found.notification_url == row.notification_url and str(row.list_id) in found.resource.lower():
                keeper.graph.delete(found.id)
    keeper.store.remove(row)


def health_of_watch(
    record: DefinitionRecord, subscription: ListSubscription | None, *, webhook_url: str
) -> tuple[str, ...]:
    """How this definition comes to know of its list's changes, and what that costs; a sentence each. Nothing of one that
    does not run: its list is not read."""
    if record.state is not DefinitionState.ACTIVE or not record.target.provisioned:
        return ()
    interval = record.draft.poll_interval
    poll = (
        f"every {interval.total_seconds():,.0f} seconds, for {poll_price(interval):,} RU a day while nothing changes."
    )
    if not webhook_url:
        return (f"No notices: SYNCBRIDGE_WEBHOOK_URL is not set. The list's changes are looked for {poll}",)
    trouble = subscription.error_message if subscription else None
    if subscription is None or subscription.subscription_id is None:
        why = (trouble or "the subscription is not made yet").rstrip(".")
        return (f"No notices: {why}. The list's changes are looked for {poll}",)
    said = f"The list's changes are noticed; without a notice they are looked for {poll}"
    return (said,) if trouble is None else (said, f"The subscription could not be looked after: {trouble}")
