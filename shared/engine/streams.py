"""Change data capture outside of the poller: messages taken from the queue, slots looked after while nobody reads them."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from shared.adapters.graph.client import GraphClient
from shared.captures.stream import stream
from shared.core.backlog import Lane
from shared.core.changes import ChangeMessage, SettleWish, pack_wish, unpack
from shared.core.definition import ChangeDetection, DefinitionState, SyncDefinition
from shared.core.errors import (
    ConfigurationError,
    Conflicting,
    InvariantViolated,
    MessageRejected,
    NotFound,
    SafetyStop,
    SyncError,
    Transient,
)
from shared.core.ids import DefinitionId, InstanceId, RunId
from shared.core.record import DefinitionRecord, compiled
from shared.core.replication import Lsn, lsn_text
from shared.core.runs import ActiveRun, RunCounts, RunStatus, RunType
from shared.core.slots import BudgetAction, Measured, Phase, SlotRecord
from shared.engine.columns import Columns
from shared.engine.turnstile import Pass, Turnstile
from shared.faults import describe
from shared.settle.holds import hold_for
from shared.usecases.columns import BY_STREAM
from shared.usecases.runs import unagreed, why_not
from shared.usecases.steps import Settled, drive, settle
from shared.usecases.stream_health import stream_sentences

log = logging.getLogger("syncbridge.streams")

QUEUE: Final = "cdc-changes"
POISON: Final = "cdc-changes-poison"
STREAMED, RECONCILE = "STREAM", "RECONCILE"
SILENCE: Final = timedelta(seconds=90)
"""After so long without a heartbeat of any poller, the schedule tick looks at the slot."""
RUN_LENGTH: Final = timedelta(minutes=15)
"""What changes cost and came to is kept by runs of this length."""
SETTLE_SECONDS: Final = 60.0
"""Of one message: well below the time that a function may take."""
_STREAMING_STATES: Final = frozenset({DefinitionState.ACTIVE, DefinitionState.PAUSED})
_LANES: Final = (Lane.PEOPLE, Lane.CDC)
_SOONEST: Final = 1.0
_AGAIN: Final = 30.0
_LATEST: Final = 900.0
"""Seconds until a definition's leftovers are looked at again."""


class Streams(Columns):
    """What queue triggers, the schedule tick and people do about change streams."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._turnstile = Turnstile()
        self._compiled: dict[tuple[DefinitionId, int], SyncDefinition] = {}
        self._wished: dict[DefinitionId, float] = {}

    # ---- messages

    def take_message(self, text: str) -> None:
        """Marks what a message of the queue names, and settles it at once. What cannot be read is parked with its reason.

        Raises only what keeps the marks from being made: then the message has to come again."""
        try:
            message = unpack(text)
        except MessageRejected as error:
            self.stores.streams.park(QUEUE, text, code=error.code, reason=error.message)
            log.warning("a message was parked", extra={"action": "message_parked", "code": error.code})
            return
        match message:
            case SettleWish():
                self._wished.pop(message.definition, None)
                self.settle_changes(message.definition)
            case ChangeMessage():
                for definition in self._mark(message):
                    self.settle_changes(definition)

    def park_poison(self, text: str) -> None:
        """A message that failed again and again, as the host gave it up: set aside first, then tried a last time.

        A metastore that was away for longer than the host's tries is back by now, and then nobody has to be asked; a
        message that fails for a reason of its own is kept with that reason. While it cannot be set aside it goes back into
        the queue: a poison queue's messages are given a few times only, and then lie there unseen."""
        try:
            parked = self._set_aside(text, "it failed again and again: see the log of the queue's trigger")
        except Transient as error:
            self.queue.put(QUEUE, text, delay=_AGAIN)
            log.warning("a message goes back into the queue", extra={"action": "message_returned", "code": error.code})
            return
        try:
            message = unpack(text)
            for definition in self._mark(message) if isinstance(message, ChangeMessage) else (message.definition,):
                self.settle_changes(definition)
        except Exception as error:  # the edge: what nobody expected is not to be tried for ever
            why = error.message if isinstance(error, SyncError) else f"of an unexpected {type(error).__name__}"
            self._set_aside(text, f"it failed again and again, the last time because {why}")
            log.error("a message was parked: %s", describe(error), extra={"action": "message_parked"})  # noqa: TRY400  a traceback ends in the message
            return
        self.stores.streams.decide(parked, "REPLAYED", reason="it could be taken after all", actor="queue trigger")

    def replay_message(self, message: UUID, *, reason: str, actor: str) -> None:
        """Back into the queue, as it was."""
        parked = self.stores.streams.parked_message(message)
        if parked.state != "PARKED":
            raise Conflicting("this message was decided about before")
        self.queue.put(parked.queue, parked.body)
        self.stores.streams.decide(message, "REPLAYED", reason=reason, actor=actor)

    def _set_aside(self, text: str, reason: str) -> UUID:
        return self.stores.streams.park(QUEUE, text, code="failed_repeatedly", reason=reason)

    def _mark(self, message: ChangeMessage) -> Sequence[DefinitionId]:
        definitions = self._streamed(message.slot.instance)
        return drive(stream(message, definitions, backlog=self.stores.backlog))

    def _streamed(self, instance: InstanceId) -> Sequence[SyncDefinition]:
        fresh = {}
        for found in self.stores.streams.streamed(instance):
            key = (found.definition, found.version)
            try:
                fresh[key] = self._compiled.get(key) or compiled(self.stores.definitions.get(found.definition))
            except ConfigurationError as error:  # one definition's trouble is not the others'
                log.warning("a definition cannot be marked", extra={"action": "not_marked", "code": error.code})
        self._compiled = {
            **{key: value for key, value in self._compiled.items() if value.source.instance_id != instance},
            **fresh,
        }
        return list(fresh.values())

    # ---- settling

    def settle_changes(self, definition: DefinitionId) -> None:
        """What is due in the streams' lanes, until nothing is, or the time is over. No failure of settling is raised: the
        marks are made, and what is left is looked at again."""
        try:
            record = self.stores.definitions.get(definition)
            inside = self._turnstile.enter(definition, record.draft.settle_concurrency)
            if inside is None:
                return
            try:
                self._settle_while_asked(definition, inside)
            finally:
                inside.leave()
        except SyncError as error:
            log.warning("changes are left", extra={"action": "changes_left", "code": error.code})
            if isinstance(error, Transient):
                self._wish(definition, max(error.retry_after or 0.0, _AGAIN))

    def _settle_while_asked(self, definition: DefinitionId, inside: Pass) -> None:
        until = self.clock.monotonic() + SETTLE_SECONDS
        while (left := until - self.clock.monotonic()) > 0:
            settled = self._settle_changes(definition, left)
            if settled is not None:
                self._look_again(definition, settled)
            if not inside.stays():
                return
        self._wish(definition, _SOONEST)

    def _settle_changes(self, definition: DefinitionId, seconds: float) -> Settled | None:
        record, spec = self.definition(definition)
        if why_not(record) is not None or self.stores.holds.blocking(definition):
            return None
        for request in unagreed(record):
            self.stores.holds.open(definition, request, None)
            return None
        run = self._stream_run(definition)
        client: GraphClient | None = None
        try:
            client = self.graphs.client(self.connection_of(record), Lane.CDC)
            return settle(
                spec,
                run,
                self.tools(record, spec, client),
                limits=self.limits(),
                seconds=seconds,
                go_on=lambda: self.stores.runs.goes_on(run, version=record.version),
                lanes=_LANES,
            )
        except (SafetyStop, ConfigurationError, InvariantViolated) as error:
            if self.changed_since(record, error, seen_by=BY_STREAM):
                return Settled(pages=0, claimed=0, counts=RunCounts(), wait=None, hold=None, more=True)
            self.stores.holds.open(definition, hold_for(error), run)
            return None
        finally:
            if client is not None:
                self.stores.runs.add_counts(run, RunCounts(ru=client.ru, requests=client.requests))

    def _stream_run(self, definition: DefinitionId) -> RunId:
        """The run that counts this quarter of an hour's changes."""
        runs = self.stores.runs
        while True:
            run, created = runs.start(
                definition,
                RunType.CDC,
                trigger=STREAMED,
                requested_by="stream",
                run_id=RunId(self.ids.uuid()),
            )
            if not created and not run.queued:
                return run.id
            if runs.begin(run.id, orchestration=STREAMED.lower()):
                return run.id

    def _look_again(self, definition: DefinitionId, settled: Settled) -> None:
        """Everybody has to wait, the time was up, or a row waits for an answer that may still come."""
        if settled.hold is not None:
            return
        if settled.wait is not None or settled.more:
            self._wish(definition, max(settled.wait or 0.0, _SOONEST))
            return
        due = self.stores.backlog.counts(definition).next_due_at
        if due is not None:
            self._wish(definition, (due - self.stores.backlog.now()).total_seconds())

    def _wish(self, definition: DefinitionId, seconds: float) -> None:
        """One message that wakes somebody up then; none while one is on its way that wakes them earlier."""
        wait = min(max(seconds, _SOONEST), _LATEST)
        now = self.clock.monotonic()
        known = self._wished.get(definition)
        if known is not None and now < known <= now + wait + _SOONEST:
            return
        self._wished[definition] = now + wait
        try:
            self.queue.put(QUEUE, pack_wish(SettleWish(definition=definition)), delay=wait)
        except SyncError as error:  # the scheduled run settles what is left
            log.warning("nobody will be woken up", extra={"action": "wish_failed", "code": error.code})

    # ---- the schedule tick

    def look_after_streams(self) -> Sequence[ActiveRun]:
        """Closes the runs that count changes, looks at slots that nobody reads, and starts the scans that streams need."""
        self._close_runs()
        for record in self.stores.streams.slots():
            if record.phase is Phase.STREAMING and (record.silent is None or record.silent > SILENCE):
                self._look_after(record)
        started = []
        for definition in self.stores.streams.unscanned():
            try:
                run, created = self._start_scan(definition)
            except Conflicting:  # paused meanwhile
                continue
            if created:
                started.append(run)
        return started

    def _start_scan(self, definition: DefinitionId) -> tuple[ActiveRun, bool]:
        refusal = why_not(self.stores.definitions.get(definition))
        if refusal is not None:
            raise refusal
        return self.stores.runs.start(
            definition, RunType.PUSH, trigger=RECONCILE, requested_by="stream", run_id=RunId(self.ids.uuid())
        )

    def _close_runs(self) -> None:
        for run in self.stores.runs.unfinished():
            if run.type is not RunType.CDC:
                continue
            record = self.stores.runs.get(run.id)
            if record.start_time is None or self.stores.backlog.now() - record.start_time >= RUN_LENGTH:
                failed = self.stores.runs.failed_items(run.id)
                status = RunStatus.COMPLETED_WITH_ERRORS if failed else RunStatus.COMPLETED
                self.stores.runs.finish(run.id, status, code=None, message=None)

    def _look_after(self, record: SlotRecord) -> None:
        """Nobody reads it: the log grows. Its budget holds all the same."""
        try:
            state = self.sources.slots(self.stores.instances.get(record.instance)).slot(record.name)
        except SyncError as error:
            log.warning("a slot could not be looked at", extra={"action": "slot_unknown", "code": error.code})
            return
        if state is None:
            return  # whoever reads it next will say so
        self.stores.streams.measure(
            record.instance, None, Measured(retained=state.retained, behind=state.behind, caught_up=False)
        )
        if state.retained > record.budget:
            log.warning(
                "nobody reads a slot, and the server keeps too much log for it",
                extra={"action": "over_budget", "slot": record.name, "bytes": state.retained},
            )
            if record.action is BudgetAction.DROP:
                self.give_up_slot(record, None)

    def give_up_slot(self, record: SlotRecord, epoch: int | None) -> bool:
        """The slot is made anew, and scans find what is missing: the source's disk comes first. False: somebody was faster."""
        if not self.stores.streams.start_anew(
            record.instance,
            code="over_budget",
            reason="The server kept more log for the slot than its budget allows: it is made anew, and a scan follows.",
            epoch=epoch,
        ):
            return False
        self.sources.slots(self.stores.instances.get(record.instance)).drop(record.name)
        log.error("a slot was given up", extra={"action": "slot_given_up", "slot": record.name})
        return True

    # ---- people

    def create_slot(self, instance: InstanceId, name: str, *, reason: str, actor: str) -> SlotRecord:
        """To be made, by the poller, with a new beginning."""
        self.stores.instances.get(instance)
        if not self.stores.streams.streamed(instance):
            raise Conflicting(
                "no definition streams from this database instance: activate one with change detection STREAM"
            )
        return self.stores.streams.create_again(instance, name, reason=reason, actor=actor)

    def drop_slot(self, instance: InstanceId, *, reason: str, actor: str) -> SlotRecord:
        """Dropped at the source, and not made again before somebody says so."""
        record = self.slot_of(instance)
        dropped = self.stores.streams.dropped(instance, reason=reason, actor=actor)
        self.sources.slots(self.stores.instances.get(instance)).drop(record.name)
        return dropped

    def advance_slot(self, instance: InstanceId, to: Lsn | None, *, reason: str, actor: str) -> SlotRecord:
        """Changes before the position are never read; a scan of every definition follows. None: to the end of the log.

        Fences off whoever reads the slot first, and ends it."""
        record = self.slot_of(instance)
        slots = self.sources.slots(self.stores.instances.get(instance))
        end = slots.server().wal_end
        wanted = end if to is None else to
        if not record.queued <= wanted <= end:
            raise ConfigurationError(
                f"the position lies between {lsn_text(record.queued)} and {lsn_text(end)}", code="invalid_request"
            )
        moved = self.stores.streams.moved(instance, wanted, reason=reason, actor=actor)
        slots.end_reader(record.name)
        slots.advance(record.name, wanted)
        return moved

    def slot_of(self, instance: InstanceId) -> SlotRecord:
        found = self.stores.streams.slot(instance)
        if found is None:
            raise NotFound(f"there is no slot for the database instance {instance}")
        return found

    def stream_health(self, record: DefinitionRecord) -> tuple[str, ...]:
        """What keeps a definition's changes from being streamed, a sentence each."""
        if record.draft.change_detection is not ChangeDetection.STREAM or record.state not in _STREAMING_STATES:
            return ()
        slot = self.stores.streams.slot(record.instance_id)
        watched = {found.definition: found.membership for found in self.stores.streams.streamed(record.instance_id)}
        return tuple(stream_sentences(slot, watched=watched.get(record.id) is not None, patience=SILENCE))

    def slot_view(self, record: SlotRecord) -> dict[str, Any]:
        """A slot for people: how far behind it is in bytes and seconds, who reads it, and what it waits for."""
        identity = record.identity
        return {
            "instance_id": str(record.instance),
            "instance": self.stores.instances.get(record.instance).name,
            "slot": record.name,
            "phase": record.phase,
            "reader": record.holder if record.alive else None,
            "streaming": record.streaming if record.alive else None,
            "heartbeat_at": record.heartbeat_at,
            "system_identifier": identity and identity.system,
            "timeline": identity and identity.timeline,
            "created_lsn": identity and lsn_text(identity.created),
            "queued_lsn": lsn_text(record.queued) if identity else None,
            "lag_bytes": record.behind,
            "lag_seconds": None if record.lag is None else round(record.lag.total_seconds(), 1),
            "retained_bytes": record.retained,
            "measured_at": record.measured_at,
            "budget_bytes": record.budget,
            "budget_action": record.action,
            "over_budget": record.over_budget,
            "paused": record.paused_reason,
            "most_per_second": record.most_per_second,
            "changes": record.changes,
            "keys": record.keys,
            "messages": record.messages,
            "problem": None
            if record.problem_code is None
            else {"code": record.problem_code, "detail": record.problem_text},
            "definitions": [
                {
                    "id": str(found.definition),
                    "name": self.stores.definitions.get(found.definition).name,
                    "watched": found.membership is not None,
                }
                for found in self.stores.streams.streamed(record.instance)
            ],
        }
