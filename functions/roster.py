"""Whom a notice may come from: the subscriptions that the metastore knows, kept in this process.

A subscription's client state never changes, so what is known once stays right, and a notice of a known subscription asks nobody.
An unknown one makes the roster load anew, one load at a time and at most one in `_PAUSE`, however many strangers call.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.core.errors import MetastoreUnavailable
from shared.core.watching import Known, state_hash
from shared.faults import describe

log = logging.getLogger("syncbridge.webhooks")
_PAUSE = 2.0
"""Seconds between two loads."""


@dataclass(slots=True)
class Roster:
    """Mutable: one process' memory. Used on one event loop. `load` blocks and may raise; `monotonic` is in seconds."""

    load: Callable[[], Mapping[str, Known]]
    monotonic: Callable[[], float]
    _known: Mapping[str, Known] = field(default_factory=dict)
    _tried_at: float | None = None
    _failed: bool = False
    _loading: asyncio.Task[None] | None = None

    async def find(self, subscription: str, client_state: str) -> Known | None:
        """The subscription, if it is known and this is its client state. Raises MetastoreUnavailable when nobody can say."""
        subscription = subscription.lower()
        if subscription not in self._known:
            await self._refresh()
        known = self._known.get(subscription)
        # A stranger's state is hashed and compared too: an answer's time tells nothing.
        expected = known.client_state_hash if known is not None else bytes(32)
        return known if hmac.compare_digest(state_hash(client_state), expected) else None

    async def _refresh(self) -> None:
        if self._loading is None or self._loading.done():
            if self._tried_at is not None and self.monotonic() - self._tried_at < _PAUSE:
                if self._failed:
                    raise MetastoreUnavailable("the subscriptions cannot be read")
                return
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)
        if self._failed:
            raise MetastoreUnavailable("the subscriptions cannot be read")

    async def _load(self) -> None:
        self._tried_at = self.monotonic()
        try:
            self._known = {name.lower(): known for name, known in (await asyncio.to_thread(self.load)).items()}
            self._failed = False
        except Exception as error:  # whatever it is, Graph is to try again later
            self._failed = True
            log.error("the subscriptions cannot be read: %s", describe(error), extra={"action": "roster_failed"})  # noqa: TRY400  a traceback ends in the message
