"""The composition root: wires adapters to captures, settle and use cases. What functions, the poller and tests hold."""

import os
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared import __version__
from shared.adapters.graph.client import GraphClient
from shared.adapters.hosts import HostRules
from shared.adapters.metastore.budget import BudgetStore
from shared.adapters.metastore.migrations import check
from shared.adapters.metastore.pool import Metastore
from shared.adapters.queue import StorageQueues
from shared.adapters.secrets import SealingKey, SecretResolver, key_vault
from shared.captures.command import mark_keys, mark_matching
from shared.core.backlog import BacklogCounts, Lane, Reason
from shared.core.catalog import DatabaseInstance, SharePointConnection
from shared.core.definition import ChangeDetection, SyncDefinition
from shared.core.errors import ConfigurationError, Conflicting, InvariantViolated, SafetyStop, SyncError
from shared.core.estimate import Workload, estimate
from shared.core.ids import DefinitionId, Identity, RunId
from shared.core.record import DefinitionRecord, compiled
from shared.core.runs import ActiveRun, RunCounts, RunRecord, RunStatus, RunType
from shared.core.schedule import next_due, parse_schedule, zone_of
from shared.core.scope import Scope
from shared.handles import POSTGRES_AUDIENCE, Graphs, Secrets, Sources, ceiling_of, timing_within
from shared.ports import Clock, HoldRequest, IdSource, Queue
from shared.process import RandomIds, SystemClock, identity_token, own_credential
from shared.settings import Settings
from shared.settle.holds import hold_for
from shared.settle.job import Limits, Tools
from shared.stores import stores_of
from shared.usecases.choosing import capture_of
from shared.usecases.overview import run_document
from shared.usecases.runs import SCHEDULED, Ending, ending, lane_of, scope_hold, why_not
from shared.usecases.steps import Captured, Settled, capture, drive, settle


class Engine:
    """One per process. Nothing is connected before `open`."""

    def __init__(
        self, settings: Settings, *, clock: Clock, ids: IdSource, metastore: Metastore, secrets: Secrets
    ) -> None:
        self.settings, self.clock, self.ids, self.secrets = settings, clock, ids, secrets
        self.metastore = metastore
        hosts = HostRules(allowed=settings.allowed_hosts)
        self.stores = stores_of(metastore)
        self.queue: Queue = StorageQueues(
            settings.queue_connection, service=settings.queue_service, credential=own_credential
        )
        self.sources = Sources(
            secrets=secrets, hosts=hosts, pool_size=settings.pool_size, identity_token=identity_token
        )
        self.graphs = Graphs(
            secrets=secrets,
            hosts=hosts,
            clock=clock,
            ids=ids,
            company=settings.company,
            version=__version__,
            timing=timing_within(settings.request_timeout),
            budget=lambda connection, limit: BudgetStore(
                metastore, tenant=connection.tenant_id, client=connection.client_id, limit=limit
            ),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> "Engine":
        """With the machine's clock and the environment's secrets. Settings of the app itself are no secrets to refer to."""
        visible = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("SYNCBRIDGE_", "AzureWebJobs", "WEBSITE_", "IDENTITY_", "MSI_", "APPLICATIONINSIGHTS_")
            )
        }
        vault = key_vault(settings.key_vault_url) if settings.key_vault_url else None
        secrets = Secrets(
            resolver=SecretResolver(environ=visible, vault=vault),
            key=SealingKey(key=settings.secret_key) if settings.secret_key else None,
        )
        entra = settings.metastore_auth == "ENTRA"
        metastore = Metastore(
            settings.metastore_dsn, password=_metastore_token if entra else None, max_size=settings.pool_size
        )
        return cls(settings, clock=SystemClock(), ids=RandomIds(), metastore=metastore, secrets=secrets)

    def open(self) -> None:
        """Connects to nothing: the first use does, and says then whether the metastore's schema is not this release's."""
        self.metastore.open()
        self.graphs.open()

    def close(self) -> None:
        self.queue.close()
        self.graphs.close()
        self.sources.close()
        self.metastore.close()

    # ---- who is who

    def definition(self, definition: DefinitionId) -> tuple[DefinitionRecord, SyncDefinition]:
        record = self.stores.definitions.get(definition)
        return record, compiled(record)

    def instance_of(self, record: DefinitionRecord) -> DatabaseInstance:
        return self.stores.instances.get(record.instance_id)

    def connection_of(self, record: DefinitionRecord) -> SharePointConnection:
        return self.stores.connections.get(record.target.connection_id)

    def tools(self, record: DefinitionRecord, definition: SyncDefinition, client: GraphClient) -> Tools:
        stores = self.stores
        return Tools(
            source=self.sources.tables(self.instance_of(record)),
            lists=self.graphs.lists(client, definition),
            backlog=stores.backlog,
            ledger=stores.ledger,
            holds=stores.holds,
            clock=self.clock,
            ids=self.ids,
            jitter=random.random,
        )

    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            page=settings.page_size,
            lease=settings.lease,
            request_timeout=settings.request_timeout,
            surface=settings.surface,
        )

    # ---- runs

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
        request = scope_hold(record)
        if request is not None and why_not(record) is None:
            self.stores.holds.open(definition, request, run)
        blocking = self.stores.holds.blocking(definition)
        if blocking or why_not(record) is not None:
            self._finish(run, ending(record, blocking, held=False, error=None, failed_items=False))
            return None
        return record.draft.settle_concurrency

    def capture(self, definition: DefinitionId, run: RunId) -> Captured:
        record, spec = self.definition(definition)
        stores = self.stores
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
            self._stopped(definition, run, error)
            return Captured(capture=kind.value.lower(), numbers={}, notes=(error.message,), held=True)
        seconds = self.clock.monotonic() - began
        if kind is ChangeDetection.SCAN:
            stores.definitions.set_scan_seconds(definition, seconds)
        stores.runs.set_captured(run, found.capture, {**found.numbers, "seconds": round(seconds, 3)}, list(found.notes))
        return found

    def settle(self, definition: DefinitionId, run: RunId) -> Settled:
        """Settles until nothing is due or the activity's time is over. The run's state, the definition's version and
        the holds are looked at between any two pages."""
        record, spec = self.definition(definition)
        if not self.stores.runs.goes_on(run, version=record.version) or why_not(record) is not None:
            return _nothing(None)
        client: GraphClient | None = None
        try:
            lane = lane_of(self.stores.runs.get(run).trigger)
            client = self.graphs.client(self.connection_of(record), lane)
            return settle(
                spec,
                run,
                self.tools(record, spec, client),
                limits=self.limits(),
                seconds=self.settings.activity.total_seconds(),
                go_on=lambda: self.stores.runs.goes_on(run, version=record.version),
            )
        except (SafetyStop, ConfigurationError, InvariantViolated) as error:
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
        if patient and not over and (wait := self._until_leases_end(definition)) is not None:
            return wait
        self._finish(run, end)
        return None

    def _finish(self, run: RunId, end: Ending) -> None:
        self.stores.runs.finish(run, end.status, code=end.code, message=end.message)

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

    def unfinished_runs(self) -> Sequence[ActiveRun]:
        return self.stores.runs.unfinished()

    def abandon_run(self, definition: DefinitionId, run: RunId) -> None:
        del definition
        self.stores.runs.finish(
            run,
            RunStatus.FAILED,
            code="orchestration_ended",
            message="the run's orchestration ended without finishing it; what was left stays in the backlog",
        )

    def start_due_runs(self) -> list[ActiveRun]:
        """Starts a run for every definition whose time has come; several ticks at once start each of them once."""
        now = self.clock.now()
        started = []
        for record in self.stores.definitions.due(now):
            following = next_due(
                parse_schedule(record.draft.schedule),
                last=now,
                now=now,
                zone=zone_of(record.draft.schedule_zone),
            )
            if not self.stores.definitions.set_next_run(record.id, was=record.next_run_at, next_run=following):
                continue
            try:
                run, created = self.start_run(record.id, trigger=SCHEDULED, requested_by="schedule")
            except Conflicting:  # paused meanwhile, or its list waits to be provisioned: the definition says so
                continue
            if created:
                started.append(run)
        return started

    def cancel_run(self, run: RunId, *, actor: str) -> RunRecord:
        """The steps that are under way finish their page; nothing new is started. A run that has ended stays as it is."""
        self.stores.runs.finish(run, RunStatus.CANCELLED, code="cancelled", message=f"cancelled by {actor}")
        return self.stores.runs.get(run)

    def run_view(self, record: RunRecord, *, progress: bool = False) -> dict[str, Any]:
        """A run for people; with its backlog and the time left at the budget's pace while it is under way."""
        view = run_document(record)
        if progress and record.status in (RunStatus.QUEUED, RunStatus.RUNNING):
            counts = self.stores.backlog.counts(record.definition)
            definition = self.stores.definitions.get(record.definition)
            cost = estimate(Workload(updates=counts.due + counts.later), ceiling_of(self.connection_of(definition)))
            view["backlog"] = _counts(counts)
            view["eta_seconds"] = round(cost.time.total_seconds(), 1)
        return view

    # ---- by hand

    def backlog_of(self, definition: DefinitionId) -> dict[str, Any]:
        self.stores.definitions.get(definition)
        return _counts(self.stores.backlog.counts(definition))

    def mark_keys(self, definition: DefinitionId, identities: Sequence[Identity], *, reason: Reason) -> int:
        _, spec = self.definition(definition)
        return drive(mark_keys(spec, identities, backlog=self.stores.backlog, reason=reason, lane=Lane.BACKFILL))

    def mark_rows(self, definition: DefinitionId, condition: Scope | None, *, reason: Reason) -> int:
        record, spec = self.definition(definition)
        return drive(
            mark_matching(
                spec,
                condition,
                source=self.sources.tables(self.instance_of(record)),
                backlog=self.stores.backlog,
                reason=reason,
                lane=Lane.BACKFILL,
            )
        )

    def release_hold(self, hold: UUID, *, reason: str, actor: str) -> dict[str, Any]:
        """Releasing SCOPE_CHANGED agrees to the scope that the hold was about, and to no later one."""
        released = self.stores.holds.release(hold, reason=reason, actor=actor)
        if released["kind"] == "SCOPE_CHANGED":
            scope = bytes.fromhex(released["details"]["scope"])
            self.stores.definitions.agree_scope(DefinitionId(released["definition_id"]), scope, actor=actor)
        return released

    def health(self) -> dict[str, Any]:
        """`status` is ok when the metastore answers with this release's schema."""
        problem: str | None = None
        try:
            token = _metastore_token() if self.settings.metastore_auth == "ENTRA" else None
            check(self.settings.metastore_dsn, password=token).require()
        except SyncError as error:
            problem = error.message
        return {
            "status": "ok" if problem is None else "unavailable",
            "version": __version__,
            "metastore": problem or "ok",
        }

    def housekeeping(self) -> None:
        settings = self.settings
        self.stores.retention.sweep(
            runs=settings.retain_runs, conflicts=settings.retain_conflicts, tombstones=settings.retain_tombstones
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


def _nothing(hold: HoldRequest | None) -> Settled:
    return Settled(pages=0, claimed=0, counts=RunCounts(), wait=None, hold=hold, more=False)


def _metastore_token() -> str:
    return identity_token(POSTGRES_AUDIENCE)


def _counts(counts: BacklogCounts) -> dict[str, Any]:
    return {
        "due": counts.due,
        "later": counts.later,
        "parked": counts.parked,
        "awaiting_approval": counts.awaiting_approval,
        "held": counts.held,
        "next_due_at": counts.next_due_at,
        "oldest_marked_at": counts.oldest_marked_at,
    }
