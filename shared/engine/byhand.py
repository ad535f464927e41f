"""What people ask for: marks by hand, holds released, runs looked at and cancelled."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.captures.command import mark_keys, mark_matching
from shared.control_ports import Plan
from shared.core.backlog import BacklogCounts, Lane, Reason
from shared.core.errors import Conflicting, SyncError
from shared.core.estimate import Workload, estimate
from shared.core.ids import DefinitionId, Identity, RunId
from shared.core.record import preview
from shared.core.runs import RunRecord, RunStatus
from shared.core.scope import Scope
from shared.engine.parts import Parts
from shared.handles import ceiling_of
from shared.usecases.conflicts import reversible
from shared.usecases.overview import run_document
from shared.usecases.planning import Sight, base_of, plan
from shared.usecases.queues import advice
from shared.usecases.standing import standing
from shared.usecases.steps import drive

_LATELY = timedelta(days=7)
"""How long a hint that was dropped is told of."""


class ByHand(Parts):
    """The control API's questions and orders that are none of the catalog."""

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

    def backlog_of(self, definition: DefinitionId) -> dict[str, Any]:
        self.stores.definitions.get(definition)
        return _counts(self.stores.backlog.counts(definition))

    def standing_of(self, definition: DefinitionId) -> tuple[str, ...]:
        """What of it waits for a person."""
        holds = self.stores.holds.list(definition, released=False)
        return standing(holds, self.stores.backlog.counts(definition))

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
        """Releasing SCOPE_CHANGED or POLICY_CHANGED agrees to what the hold was about, and to nothing later. What a
        definition may write is agreed to by who could see what it would: a plan of the version that is held."""
        stores = self.stores
        asked = stores.holds.get(hold)
        definition = DefinitionId(asked["definition_id"])
        if asked["kind"] == "POLICY_CHANGED" and not stores.plans.made_for(definition):
            raise Conflicting(
                "nobody has made a plan of this definition as it is now: make one, look at it, then release this hold",
                code="plan_missing",
            )
        released = stores.holds.release(hold, reason=reason, actor=actor)
        match released["kind"]:
            case "SCOPE_CHANGED":
                scope = bytes.fromhex(released["details"]["scope"])
                stores.definitions.agree_scope(definition, scope, actor=actor)
            case "POLICY_CHANGED":
                # The list is read anew: what nobody cared about under the old terms may matter now.
                stores.cursors.forget_lists(definition)
                stores.definitions.agree_terms(definition, released["details"]["terms"], actor=actor)
            case _:
                pass
        return released

    def plan(self, definition: DefinitionId, *, actor: str) -> Plan:
        """What the next runs would do, kept. Also for a draft, whose list is not there yet."""
        record, stores = self.stores.definitions.get(definition), self.stores
        connection, instance, spec = self.connection_of(record), self.instance_of(record), preview(record)
        there = record.target.list_id is not None
        sight = Sight(
            source=self.sources.tables(instance),
            rows=self.sources.writer(instance),
            scans=stores.scans,
            ledger=stores.ledger,
            backlog=stores.backlog,
            cursors=stores.cursors,
            lists=self.graphs.lists(self.graphs.client(connection, Lane.PEOPLE), spec) if there else None,
        )
        document = plan(spec, RunId(self.ids.uuid()), sight, ceiling_of(connection))
        kept = Plan(
            id=self.ids.uuid(),
            definition=record.id,
            document=document,
            base=base_of(spec, document),
            created_by=actor,
        )
        stores.plans.add(kept)
        return kept

    def reverse_conflict(self, conflict: UUID, *, actor: str) -> list[UUID]:
        """The value that lost is wanted back; the next run writes it, to both sides, as a new edit. The conflicts that
        this is about: those of one group come back together. Raises Conflicting for a value that cannot come back."""
        shown = self.stores.conflicts.get(conflict)
        record = self.stores.definitions.get(DefinitionId(shown["definition_id"]))
        fields = reversible(shown, record)
        return list(self.stores.conflicts.wish(conflict, fields, actor=actor))

    def queue_view(self, name: str) -> dict[str, Any]:
        """How many messages of a queue wait, and what became of those that failed again and again."""
        parked, dropped = self.stores.streams.set_aside(name, age=_LATELY)
        view: dict[str, Any] = {"queue": name, "waiting": None, "failed": None, "parked": parked, "dropped": dropped}
        try:
            view |= {"waiting": self.queue.depth(name), "failed": self.queue.depth(f"{name}-poison")}
        except SyncError as error:
            return {**view, "what_to_do": f"{error.message}: what waits there is not known"}
        return {**view, "what_to_do": advice(parked=parked, dropped=dropped, failed=view["failed"])}

    def withdraw_reversal(self, conflict: UUID, *, actor: str) -> list[UUID]:
        return list(self.stores.conflicts.withdraw(conflict, actor=actor))


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
