"""Watching a list for changes: notices that Graph sends, and the safety poll that converges without any.

A notice says "look soon" and nothing else. What has to be true is kept in numbers (how many notices there were, how many a
run has taken in), so that a message that is lost, doubled or forged costs time at most.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from shared.core.estimate import DELTA
from shared.core.ids import DefinitionId, ListId, SiteId

MAX_LIFE = timedelta(minutes=42_300)
"""Of a subscription to a list: https://learn.microsoft.com/en-us/graph/api/resources/subscription (maximum length)."""
LIFE = MAX_LIFE - timedelta(minutes=30)
"""What is asked for: Graph's clock may be behind ours."""
VERIFY_EVERY = timedelta(days=1)
"""Subscriptions vanish without a word (github.com/SharePoint/sp-dev-docs/issues/6742), so Graph's list is looked at."""
SHORTEST_POLL, LONGEST_POLL = timedelta(seconds=10), timedelta(days=1)
_FIRST_RETRY, _LAST_RETRY = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSubscription:
    """A subscription as Graph shows it."""

    id: str
    resource: str
    notification_url: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSubscription:
    """What is known of the subscription to one list. Its client state is known to Graph alone; here is its SHA-256."""

    id: UUID
    definition: DefinitionId
    list_id: ListId
    notification_url: str
    subscription_id: str | None
    """Graph's; None: not made yet, or nobody knows whether it was."""
    client_state_hash: bytes | None = field(repr=False)
    asked: int
    """How often Graph was asked for one without an outcome that is known."""
    expires_at: datetime | None
    renew_at: datetime | None
    verified_at: datetime | None
    look_at: datetime
    """When it is looked after next. Whoever looks after it moves this on first, and writes only while it stands there."""
    failures: int = 0
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Whom a notice may come from."""

    definition: DefinitionId
    list_id: ListId
    client_state_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """When a definition's lists were noticed, and when they are read next anyway."""

    notices: int = 0
    noticed_at: datetime | None = None
    next_poll_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The subscription that a list should have."""

    definition: DefinitionId
    site_id: SiteId
    list_id: ListId
    notification_url: str
    lifecycle_url: str

    def is_ours(self, found: GraphSubscription) -> bool:
        """Whether Graph shows one for this list and this app: how one is found whose id was never recorded."""
        return found.notification_url == self.notification_url and str(self.list_id) in found.resource.lower()


def state_hash(client_state: str) -> bytes:
    return hashlib.sha256(client_state.encode()).digest()


def renewal(now: datetime, expires: datetime, jitter: float) -> datetime:
    """When to renew: at half of the life that is left, up to a tenth of it earlier (`jitter` from 0 to 1), so that
    subscriptions that were made together are not renewed together."""
    return now + (expires - now) * (0.5 - 0.1 * jitter)


def next_look(now: datetime, renew_at: datetime) -> datetime:
    return min(renew_at, now + VERIFY_EVERY)


def retry_wait(failures: int, retry_after: float | None) -> timedelta:
    """How long to leave a subscription alone after so many failures before this one."""
    growing = min(_FIRST_RETRY * (1 << min(failures, 10)), _LAST_RETRY)
    return max(growing, timedelta(seconds=retry_after or 0.0))


def poll_price(interval: timedelta) -> int:
    """RU that a quiet day of safety polls costs."""
    return round(timedelta(days=1) / interval) * DELTA
