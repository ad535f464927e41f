"""Runs of one definition: started, captured, settled, finished. What the activities and the schedule tick call."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.adapters.graph.client import GraphClient
from shared.captures.fields import mark_other_fields
from shared.core.backlog import Lane
from shared.core.definition import ChangeDetection, SyncDefinition, SyncMode
from shared.core.errors import ConfigurationError, InvariantViolated, SafetyStop, SyncError
from shared.core.ids import DefinitionId, InstanceId, RunId
from shared.core.paused import fields_of
from shared.core.record import DefinitionRecord
from shared.core.runs import ActiveRun, RunCounts, RunStatus, RunType
from shared.core.schedule import next_due, parse_schedule, zone_of
from shared.core.untold import Untold
from shared.engine.columns import Columns
from shared.ports import HoldRequest
from shared.settle.holds import hold_for
from shared.usecases.choosing import capture_of
from shared.usecases.columns import BY_RUN
from shared.usecases.health import UNTOLD_FOR, paused_sentences
from shared.usecases.ingress import capture_list
from shared.usecases.runs import SCHEDULED, Ending, ending, lane_of, lanes_of, unagreed, why_not
from shared.usecases.steps import Captured, Settled, capture, drive, settle

_BETWEEN_POLLS, _AFTER_FAILURE = timedelta(seconds=10), timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one step of reading a list came to. `wait`: seconds. `more`: the list has more to tell. `workers`: how many
    settle activities what was found is worth."""

    held: bool = False
    wait: float | None = None
    more: bool = False
    workers: int = 1


class RunSteps(Columns):
    """The steps of runs, each bounded in time."""

    def start_run(
        self, definition: DefinitionId, *, trigger: str, requested_by: str, run_type: RunType = RunType.PUSH
    ) -> tuple[ActiveRun, bool]:
        """The new run, or the one that is under way. Raises Conflicting when the definition does not run now."""
        refusal = why_not(self.stores.definitions.get(definition))
        if refusal is not None:
            raise refusal
        return self.stores.runs.start(
            definition, run_type, trigger=trigger, requested_by=requested_by, run_id=RunId(self.ids.uuid())
        )

    def begin_run(self, definition: DefinitionId, run: RunId) -> int | None:
        """How many settle activities the run may have; None: it is not to go on."""
        if not self.stores.runs.begin(run, orchestration=f"run-{run.hex}"):
            return None
        record = self.stores.definitions.get(definition)
        if why_not(record) is None:
            self._ask_for_agreement(record, run)
            record = self._compare_columns(record, run)
        blocking = self.stores.holds.blocking(definition)
        if blocking or why_not(record) is not None:
            self._finish(definition, run, ending(record, blocking, held=False, error=None, failed_items=False))
            return None
        if self.stores.runs.get(run).type is RunType.INGRESS:
            self.stores.watches.take(definition)  # before the first page is asked for
        return record.draft.settle_concurrency

    def capture(self, definition: DefinitionId, run: RunId) -> Captured:
        record, spec = self.definition(definition)
        stores = self.stores
        if asked := self._ask_for_agreement(record, run):
            return Captured(capture="none", numbers={}, notes=(asked.explanation,), held=True)
        again = self._mark_other_fields(record, spec) if record.draft.mode is not SyncMode.ONE_WAY_PULL else 0
        kind = capture_of(
            spec,
            scan_seconds=record.scan_seconds,
            interval=self._interval(record),
            since_scan=stores.runs.since_scan(definition, run),
        )
        began = self.clock.monotonic()
        try:
            found = capture(
                spec,
                run,
                kind,
                source=self.sources.tables(self.instance_of(record)),
                scans=stores.scans,
                holds=stores.holds,
                cursors=stores.cursors,
                ledger=stores.ledger,
            )
        except (SafetyStop, ConfigurationError, InvariantViolated) as error:
            if self.changed_since(record, error, seen_by=BY_RUN):
                return self.capture(definition, run)
            self._stopped(definition, run, error)
            return Captured(capture=kind.value.lower(), numbers={}, notes=(error.message,), held=True)
        seconds = self.clock.monotonic() - began
        if kind is ChangeDetection.SCAN:
            stores.definitions.set_scan_seconds(definition, seconds)
        notes = [*_again(again), *found.notes, *paused_sentences(record)]
        stores.runs.set_captured(run, found.capture, {**found.numbers, "seconds": round(seconds, 3)}, notes)
        return found

    def _mark_other_fields(self, record: DefinitionRecord, spec: SyncDefinition) -> int:
        """Once for each change of the fields; a run that dies over it begins again. How many rows are marked."""
        fields = fields_of(spec.mapping_fingerprint)
        if record.marked_fields == fields:
            return 0
        lane = Lane.PEOPLE if record.draft.mode is SyncMode.ONE_WAY_PULL else Lane.PUSH  # what the run settles
        marked = drive(mark_other_fields(spec, ledger=self.stores.ledger, backlog=self.stores.backlog, lane=lane))
        self.stores.definitions.set_marked_fields(record.id, fields)
        return marked

    def capture_list(self, definition: DefinitionId, run: RunId, *, workers: int) -> Reading:
        """Reads the list's changes, and settles each page of them while its values are at hand, until there are no more
        or the activity's time is over. `workers`: how many settle activities there may be afterwards."""
        record, spec = self.definition(definition)
        stores = self.stores
        if not stores.runs.goes_on(run, version=record.version) or why_not(record) is not None:
            return Reading()
        if self._ask_for_agreement(record, run):
            return Reading(held=True)
        again = self._mark_other_fields(record, spec) if record.draft.mode is SyncMode.ONE_WAY_PULL else 0
        client: GraphClient | None = None
        try:
            client = self.graphs.client(self.connection_of(record), Lane.PEOPLE)
            found = capture_list(
                spec,
                run,
                self.tools(record, spec, client),
                cursors=stores.cursors,
                enumerations=stores.enumerations,
                limits=self.limits(),
                seconds=self.settings.activity.total_seconds(),
                go_on=lambda: stores.runs.goes_on(run, version=record.version),
            )
        except (SafetyStop, ConfigurationError, InvariantViolated) as error:
            if self.changed_since(record, error, seen_by=BY_RUN):
                return Reading(more=True)
            self._stopped(definition, run, error)
            stores.runs.add_captured(run, "delta", {}, [error.message])
            return Reading(held=True)
        finally:
            if client is not None:
                stores.runs.add_counts(run, RunCounts(ru=client.ru, requests=client.requests))
        notes = [*_again(again), *found.notes, *paused_sentences(record)]
        stores.runs.add_captured(run, "delta", found.numbers, notes)
        few = stores.backlog.counts(definition).due <= self.settings.page_size
        return Reading(held=found.held, wait=found.wait, more=found.more, workers=1 if few else max(workers, 1))

    def settle(self, definition: DefinitionId, run: RunId) -> Settled:
        """Settles until nothing is due or the activity's time is over. The run's state, the definition's version and
        the holds are looked at between any two pages."""
        record, spec = self.definition(definition)
        if not self.stores.runs.goes_on(run, version=record.version) or why_not(record) is not None:
            return _nothing(None)
        if asked := self._ask_for_agreement(record, run):
            return _nothing(asked)
        client: GraphClient | None = None
        try:
            itself = self.stores.runs.get(run)
            client = self.graphs.client(self.connection_of(record), lane_of(itself))
            return settle(
                spec,
                run,
                self.tools(record, spec, client),
                limits=self.limits(),
                seconds=self.settings.activity.total_seconds(),
                go_on=lambda: self.stores.runs.goes_on(run, version=record.version),
                lanes=lanes_of(itself),
            )
        except (SafetyStop, ConfigurationError, InvariantViolated) as error:
            if self.changed_since(record, error, seen_by=BY_RUN):
                return _nothing(None, more=True)
            self._stopped(definition, run, error)
            return _nothing(hold_for(error))
        finally:
            if client is not None:
                self.stores.runs.add_counts(run, RunCounts(ru=client.ru, requests=client.requests))

    def finish_run(
        self, definition: DefinitionId, run: RunId, *, held: bool, error: tuple[str, str] | None, patient: bool = False
    ) -> float | None:
        """Ends the run; None. Or, with `patient`, seconds to wait first: rows whose writes got no answer are claimed
        until the lease is over, and the run is not done before they are settled."""
        stores = self.stores
        end = ending(
            stores.definitions.get(definition),
            stores.holds.blocking(definition),
            held=held,
            error=error,
            failed_items=stores.runs.failed_items(run),
        )
        over = end.status not in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
        # A reading does not wait: notices would wait with it, and the next poll comes when what is left is due.
        patient = patient and stores.runs.get(run).type is not RunType.INGRESS
        if patient and not over and (wait := self._until_leases_end(definition)) is not None:
            return wait
        self._finish(definition, run, end)
        return None

    def _ask_for_agreement(self, record: DefinitionRecord, run: RunId) -> HoldRequest | None:
        """A definition may be changed while its run is under way: every step looks whether a person agreed to it as it
        is. The first hold that was opened; None: everything is agreed."""
        requests = unagreed(record)
        for request in requests:
            self.stores.holds.open(record.id, request, run)
        return requests[0] if requests else None

    def _compare_columns(self, record: DefinitionRecord, run: RunId) -> DefinitionRecord:
        """Fields whose columns are not what they were pause before anything is read; the record as it is then. What keeps
        the table from being looked at, the steps meet too, and say so."""
        try:
            pushes = self.stores.runs.get(run).type is RunType.PUSH
            looked = self.look_at_columns(record, seen_by=BY_RUN, scans=pushes)
        except SyncError:
            return record
        if looked.hold is not None:
            self.stores.holds.open(record.id, looked.hold, run)
        return looked.record

    def _finish(self, definition: DefinitionId, run: RunId, end: Ending) -> None:
        self.stores.runs.finish(run, end.status, code=end.code, message=end.message)
        if self.stores.runs.get(run).type is RunType.INGRESS:
            now = self.clock.now()
            self.stores.watches.after_reading(
                definition,
                earliest=now + _BETWEEN_POLLS,
                retry_at=now + _AFTER_FAILURE if end.status is RunStatus.FAILED else None,
            )

    def _until_leases_end(self, definition: DefinitionId) -> float | None:
        """Seconds until the next subject that somebody holds, or that waits shortly, is due; None: there is none."""
        due = self.stores.backlog.counts(definition).next_due_at
        if due is None:
            return None
        seconds = (due - self.stores.backlog.now()).total_seconds()
        return max(seconds, 0.0) + 0.5 if seconds <= self.settings.lease.total_seconds() else None

    def _stopped(self, definition: DefinitionId, run: RunId, error: SyncError) -> None:
        """What only a person can mend holds the definition, whoever notices it."""
        self.stores.holds.open(definition, hold_for(error), run)

    def untold(self, record: DefinitionRecord) -> Untold:
        """Rows that lately changed without their cursor column, where a watermark may rely on it."""
        if record.cursor_column is None:
            return Untold(rows=0, seen=None)
        return self.stores.runs.untold(record.id, age=UNTOLD_FOR)

    def unfinished_runs(self) -> Sequence[ActiveRun]:
        """Those that have an orchestration, or should; the runs that count a stream's changes have none."""
        return [run for run in self.stores.runs.unfinished() if run.type is not RunType.CDC]

    def abandon_run(self, definition: DefinitionId, run: RunId) -> None:
        end = Ending(
            status=RunStatus.FAILED,
            code="orchestration_ended",
            message="the run's orchestration ended without finishing it; what was left stays in the backlog",
        )
        self._finish(definition, run, end)

    def start_due_runs(self) -> list[ActiveRun]:
        """Starts a run for every definition whose time has come; several ticks at once start each of them once."""
        now, pressed = self.clock.now(), self.stores.streams.pressed()
        runs = [self._start_due(record, now, pressed) for record in self.stores.definitions.due(now)]
        return [run for run in runs if run is not None]

    def start_due_run(self, definition: DefinitionId) -> ActiveRun | None:
        """The same for one of them, as soon as somebody wants it."""
        now, record = self.clock.now(), self.stores.definitions.get(definition)
        due = record.run_wanted or record.next_run_at is None or record.next_run_at <= now
        if not due or self.stores.holds.blocking(definition):
            return None
        return self._start_due(record, now, self.stores.streams.pressed())

    def _start_due(self, record: DefinitionRecord, now: datetime, pressed: Collection[InstanceId]) -> ActiveRun | None:
        if pressed and record.draft.change_detection is not ChangeDetection.STREAM:
            return None  # a source's disk comes first: other work waits until its stream has caught up
        if why_not(record) is not None:
            return None  # what is due, or wanted, stays so until it may run
        following = next_due(
            parse_schedule(record.draft.schedule),
            last=now,
            now=now,
            zone=zone_of(record.draft.schedule_zone),
        )
        return self.stores.runs.start_due(
            record.id,
            was=record.next_run_at,
            wanted=record.run_wanted,
            next_run=following,
            trigger=SCHEDULED,
            requested_by="schedule",
            run_id=RunId(self.ids.uuid()),
        )

    def _interval(self, record: DefinitionRecord) -> timedelta:
        """Between two runs by the schedule; what AUTO measures a scan against."""
        schedule, zone, now = (
            parse_schedule(record.draft.schedule),
            zone_of(record.draft.schedule_zone),
            self.clock.now(),
        )
        first = next_due(schedule, last=now, now=now, zone=zone)
        return next_due(schedule, last=first, now=first, zone=zone) - first


def _again(marked: int) -> list[str]:
    return [f"{marked:,} rows are looked at again: their fields are others now."] if marked else []


def _nothing(hold: HoldRequest | None, *, more: bool = False) -> Settled:
    return Settled(pages=0, claimed=0, counts=RunCounts(), wait=None, hold=hold, more=more)
