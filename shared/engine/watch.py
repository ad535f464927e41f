"""Watching lists: notices taken in, the runs that answer them, safety polls, and the subscriptions that bring notices."""

import logging
import random
from collections.abc import Sequence
from datetime import datetime

from shared.adapters.graph.subscriptions import Subscriptions
from shared.core.backlog import Lane
from shared.core.definition import ChangeDetection
from shared.core.errors import Conflicting, SyncError
from shared.core.ids import DefinitionId, RunId
from shared.core.record import DefinitionRecord
from shared.core.runs import ActiveRun, RunType
from shared.core.watching import ListSubscription
from shared.engine.runs import RunSteps
from shared.usecases.runs import NOTICED, POLLED, why_not
from shared.usecases.subscriptions import Keeper, health_of_watch, look_after, wanted_of

log = logging.getLogger("syncbridge.watch")


class ListWatch(RunSteps):
    """When lists are read. What is to be read is in the metastore; whoever calls, and how often, changes nothing."""

    # ---- notices

    def notice(self, definition: DefinitionId) -> ActiveRun | None:
        """Somebody says that a list changed: it is on record, and the run that answers it begins unless one is under way."""
        return self.answer_notices(definition) if self.stores.watches.notice(definition) else None

    def answer_notices(self, definition: DefinitionId) -> ActiveRun | None:
        """A new run, if a notice waits that no run has taken in. None: there is none, one is under way, or the definition
        does not run now; what is on record waits for it."""
        record = self.stores.definitions.get(definition)
        if why_not(record) is not None or self.stores.holds.blocking(definition):
            return None
        run = self.stores.runs.start_noticed(
            definition, RunType.INGRESS, trigger=NOTICED, requested_by="notice", run_id=RunId(self.ids.uuid())
        )
        if run is not None:
            self._poll_later(record, self.stores.watches.seen(definition).next_poll_at)
        return run

    def wanted(self, definition: DefinitionId, *, push: bool = False) -> Conflicting | None:
        """What a person asked for is due: on record as a notice is, for the run that answers it settles what people wait for.
        `push`: so is the scheduled run. Why none begins now; None: one may."""
        self.stores.watches.notice(definition)
        if push:
            self.stores.definitions.want_run(definition)
        record = self.stores.definitions.get(definition)
        refusal = why_not(record)
        if refusal is None and self.stores.holds.blocking(definition):
            refusal = Conflicting("a hold stops this definition: release it first", code="held")
        streams = record.draft.change_detection is ChangeDetection.STREAM
        if refusal is None and push and not streams and self.stores.streams.pressed():
            refusal = Conflicting(
                "a source keeps too much log for its stream: other scheduled runs wait until that has caught up",
                code="pressed",
            )
        return refusal

    def wants_reading(self, definition: DefinitionId) -> bool:
        """Whether a list was noticed while the run was under way that has just ended: it read the list, or the list's first
        reading waited for it."""
        return self.stores.watches.pending(definition)

    # ---- polls

    def start_due_readings(self) -> list[ActiveRun]:
        """Starts a run for every definition whose lists were noticed or are to be polled."""
        started = []
        for definition, next_at, noticed in self.stores.watches.due(self.clock.now()):
            if noticed:
                run = self.answer_notices(definition)
                if run is not None:
                    started.append(run)
                continue
            record = self.stores.definitions.get(definition)
            if not self._poll_later(record, next_at):  # another tick has this poll
                continue
            try:
                run, created = self.start_run(
                    definition, trigger=POLLED, requested_by="schedule", run_type=RunType.INGRESS
                )
            except Conflicting:  # it does not run any more
                continue
            if created:
                started.append(run)
        return started

    def _poll_later(self, record: DefinitionRecord, was: datetime | None) -> bool:
        next_at = self.clock.now() + record.draft.poll_interval
        return self.stores.watches.set_next(record.id, was=was, next_at=next_at)

    # ---- subscriptions

    def look_after_subscriptions(self) -> None:
        """Those whose time has come, and those that lists lack. Failures are on record with each."""
        wanted = bool(self.settings.webhook_url)
        for definition in self.stores.subscriptions.due(self.clock.now(), wanted=wanted):
            self.definition_moved(definition)

    def definition_moved(self, definition: DefinitionId) -> None:
        """Its subscription follows what it has become: now if Graph answers, at a later tick otherwise."""
        try:
            self.look_after_subscription(definition)
        except SyncError as error:  # a connection without its secret, say
            log.warning("a subscription could not be looked after: %s", error.code, extra={"action": "subscription"})

    def look_after_subscription(self, definition: DefinitionId) -> None:
        record = self.stores.definitions.get(definition)
        keeper = Keeper(
            store=self.stores.subscriptions,
            watches=self.stores.watches,
            graph=Subscriptions(self.graphs.client(self.connection_of(record), Lane.PEOPLE)),
            clock=self.clock,
            ids=self.ids,
            jitter=random.random,
        )
        look_after(definition, wanted_of(record, self.settings.webhook_url), keeper)

    def subscription_event(self, definition: DefinitionId, subscription: str, *, removed: bool) -> None:
        """Graph says that a subscription wants to be renewed, or that it is gone."""
        now = self.clock.now()
        known = self.stores.subscriptions
        if known.removed(subscription, at=now) if removed else known.soon(subscription, at=now):
            self.look_after_subscription(definition)

    # ---- for people

    def watch_health(self, record: DefinitionRecord) -> tuple[str, ...]:
        return health_of_watch(record, self._subscription(record), webhook_url=self.settings.webhook_url)

    def _subscription(self, record: DefinitionRecord) -> ListSubscription | None:
        rows: Sequence[ListSubscription] = self.stores.subscriptions.of_definition(record.id)
        return next((row for row in rows if row.list_id == record.target.list_id), None)
