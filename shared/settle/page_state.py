"""What one claimed page knows while it is settled, and the conclusions it has come to."""

from collections.abc import Collection, Generator, Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from shared.core.backlog import Claim, Claimed, Lane, Mark, Reason
from shared.core.backoff import retry_delay
from shared.core.boundaries import Boundary
from shared.core.ids import Identity, ItemSubject, identity_hash
from shared.core.ledger import LedgerEntry
from shared.core.reconcile import policy_of
from shared.core.runs import RunCounts, WatermarkCursor
from shared.ports import Confirmation, HoldRequest, Parking
from shared.settle.entries import Moment, confirmation, decided, handed_over, progressed
from shared.settle.job import Job, PageResult, Tools
from shared.settle.work import Work

Steps = Generator[Boundary, None, None]
Rounds = Generator[Boundary, None, list[Work]]
"""Steps that return the works that have to be looked at again."""


class PageState:
    """Mutable, of one worker. A conclusion is kept until `flush` confirms it; what is neither concluded nor in doubt is
    given back at the end."""

    def __init__(
        self, job: Job, tools: Tools, claim: Claim, began: float, *, position: WatermarkCursor | None = None
    ) -> None:
        self.job, self.tools, self.claim, self.began = job, tools, claim, began
        self.definition, self.limits = job.definition, job.limits
        self.policy = policy_of(job.definition)
        self.position = position
        """How far the watermark had read before the page was claimed."""
        self.concluded: list[Confirmation] = []
        self.open: dict[bytes, Claimed] = {claimed.subject.key: claimed for claimed in claim.subjects}
        """Subjects that are neither confirmed nor in doubt."""
        self.counts = RunCounts()
        self.confirmed = 0
        self.wait: float | None = None
        self.hold: HoldRequest | None = None

    def result(self) -> PageResult:
        return PageResult(
            claimed=len(self.claim.subjects),
            confirmed=self.confirmed,
            counts=self.counts,
            wait=self.wait,
            hold=self.hold,
        )

    @property
    def stopping(self) -> bool:
        return self.wait is not None or self.hold is not None

    def at(self) -> Moment:
        """The metastore's time now, reckoned from the claim by this machine's monotonic clock."""
        elapsed = timedelta(seconds=self.tools.clock.monotonic() - self.began)
        return Moment(now=self.claim.now + elapsed, surface=self.limits.surface)

    def has_room(self) -> bool:
        """Whether the lease has room for a request that takes as long as one can."""
        spent = self.tools.clock.monotonic() - self.began
        return spent + self.limits.request_timeout.total_seconds() <= self.limits.lease.total_seconds()

    def op(self) -> UUID:
        return self.tools.ids.uuid()

    # ---- conclusions

    def park(self, work: Work, code: str, message: str) -> None:
        delay = retry_delay(code, work.claimed.attempts, self.tools.jitter())
        stamp = work.row.stamp if work.row is not None else None
        parking = Parking(code=code, message=message, retry_in=delay, stamp=stamp)
        self._unsettled(work, Confirmation(claimed=work.claimed, park=parking), RunCounts(items_failed=1))

    def await_approval(self, work: Work, reason: str, entry: LedgerEntry | None = None) -> None:
        """A person's word is then about this side, and marks that say the same of it do not end the wait. `entry`: what is
        known by now, where that is more than what was learned of writes in doubt."""
        gone = Reason.ITEM_GONE if work.item_read and work.item is None else Reason.ROW_GONE
        waiting = Confirmation(
            claimed=work.claimed, await_approval=True, await_reason=reason, add_reasons=frozenset({gone})
        )
        self._unsettled(work, waiting, RunCounts(awaiting_approval=1), entry)

    def later(self, work: Work, due_in: timedelta, reason: Reason | None) -> None:
        reasons = frozenset() if reason is None else frozenset({reason})
        delayed = Confirmation(claimed=work.claimed, due_in=due_in, add_reasons=reasons)
        self._unsettled(work, delayed, RunCounts(delayed=1))

    def hand_over(self, work: Work) -> None:
        """Another item than the ledger's is the row's. Before anything is written for it the ledger says so, and the former
        item becomes a subject of its own, in one transaction: what is told of that item is told of the row until then."""
        assert work.known is not None  # noqa: S101  a create is on record
        assert work.known.item_id is not None  # noqa: S101  there is a former item
        subject = ItemSubject(list_id=self.definition.target.list_id, item_id=work.known.item_id)
        former = Mark(subject=subject, reasons=frozenset({Reason.ITEM}), lane=Lane.PUSH)
        due = Confirmation(claimed=work.claimed, due_in=timedelta(0), marks=(former,))
        self._unsettled(work, due, RunCounts(delayed=1), handed_over(work))

    def _unsettled(
        self, work: Work, conclusion: Confirmation, counts: RunCounts, entry: LedgerEntry | None = None
    ) -> None:
        if entry is None:
            (entry, final), void = progressed(work), tuple(work.void_ops)
        else:
            final, void = decided(work, entry)
        self.conclude(
            replace(
                conclusion,
                entry=entry,
                remove_mark=False,
                final_conflicts=final,
                void_conflicts=void,
                quarrel=work.quarrels and bool(work.landed),
                met_wishes=tuple(work.met),
            ),
            counts + work.counts,
        )

    def settle(self, work: Work, entry: LedgerEntry, counts: RunCounts, *, marks: tuple[Mark, ...] = ()) -> None:
        """Both sides agree, or what stays different is meant to. A wish that had to wait leaves the subject due."""
        settled = confirmation(work, entry, self.at())
        self.conclude(
            replace(
                settled,
                marks=marks,
                remove_mark=settled.remove_mark and not work.open_wishes,
                met_wishes=tuple(work.met),
                refused_wishes=dict(work.refused),
            ),
            counts + work.counts + RunCounts(untold=int(work.untold)),
        )

    def doubtful(self, work: Work) -> None:
        """A write without an answer. No early release: what was sent has the rest of the lease to land or to die."""
        self.open.pop(work.key, None)
        self.counts += RunCounts(delayed=1)

    def conclude(self, conclusion: Confirmation, counts: RunCounts) -> None:
        self.open.pop(conclusion.claimed.subject.key, None)
        self.concluded.append(replace(conclusion, counts=counts))

    def flush(self) -> Steps:
        if not self.concluded:
            return
        done, self.concluded = self.concluded, []
        confirmed = self.tools.ledger.confirm(self.definition.id, self.claim.token, done, run=self.job.run)
        self.confirmed += len(confirmed)
        self.counts += sum((c.counts for c in done if c.claimed.subject.key in confirmed), RunCounts())
        yield Boundary.CONFIRMED

    def leave(self, identities: Collection[Identity], due_in: timedelta) -> None:
        """Gives rows back at once, not looked at: somebody waits for them, or they for somebody."""
        keys = [identity_hash(identity) for identity in identities]
        left = [self.open.pop(key) for key in keys if key in self.open]
        if left:
            self.counts += RunCounts(delayed=len(left))
            self.tools.backlog.release(self.definition.id, self.claim.token, left, due_in=due_in)

    def give_back(self) -> None:
        """Releases what was neither settled nor sent."""
        if self.open:
            left, self.open = list(self.open.values()), {}
            wait = timedelta(seconds=self.wait) if self.wait else None
            self.tools.backlog.release(self.definition.id, self.claim.token, left, due_in=wait)

    def unsent(self, works: Iterable[Work], seconds: float | None) -> None:
        """Certainly without effect, and due again."""
        for work in works:
            self.later(work, timedelta(seconds=seconds or 0.0), None)
