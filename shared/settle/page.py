"""Settle: claim a page of subjects, look at both sides, reconcile, act, confirm. The only way to write to either side.

The way of one subject through a page is forward only: claimed -> row read -> item read, where it may have changed ->
decided -> its intent on record -> sent -> confirmed. A definite no (412, a duplicate) goes back to reading, at most
`limits.rounds` times. A write without an answer keeps its claim until the lease runs out: whoever takes over knows
from the intents on record what to ask for.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never
from uuid import UUID

from shared.core.backlog import Claim, Lane, Mark, Reason
from shared.core.backoff import retry_delay
from shared.core.boundaries import Boundary
from shared.core.errors import (
    ConfigurationError,
    InvariantViolated,
    RowRejected,
    RowsHidden,
    SafetyStop,
    SyncError,
    Throttled,
)
from shared.core.guards import delete_limit, judge_deletes, loops
from shared.core.ids import ClaimToken, Digest, FieldNo, ItemSubject, RowSubject
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
    Item,
    Landed,
    Mismatch,
    Missing,
    NotSent,
    Outcome,
    Refused,
    Stopped,
)
from shared.core.mapping import item_values
from shared.core.reconcile import (
    Ask,
    CreateTheItem,
    DeleteTheItem,
    DeleteTheRow,
    Forget,
    InsertTheRow,
    Leave,
    Merge,
    Retire,
    Side,
    policy_of,
)
from shared.core.runs import RunCounts
from shared.ports import Confirmation, HoldRequest, IntentUpdate, Parking, request_of
from shared.settle.conclude import (
    Act,
    Moment,
    confirmation,
    counted,
    create,
    delete,
    item_of,
    patch,
    settled,
    tombstone,
)
from shared.settle.decide import decide
from shared.settle.holds import hold_for
from shared.settle.job import BATCH, Job, PageResult, Tools
from shared.settle.look import learn, look, must_look
from shared.settle.strays import settle_strays
from shared.settle.work import Work, start

Steps = Generator[Boundary, None, None]


def settle_page(job: Job, tools: Tools) -> Generator[Boundary, None, PageResult]:
    """Settles one page of due subjects of a definition; yields after each durable step.

    Raises Transient when the source or the metastore is away; claims that are not in doubt are given back first.
    """
    began = tools.clock.monotonic()
    token = ClaimToken(tools.ids.uuid())
    claim = tools.backlog.claim(
        job.definition.id, limit=job.limits.page, lease=job.limits.lease, token=token, lanes=job.lanes
    )
    if not claim.subjects:
        return PageResult(claimed=0)
    page = _Page(job, tools, claim, began)
    yield Boundary.CLAIMED
    try:
        yield from page.run()
    except SyncError:
        page.give_back()
        raise
    return page.result()


class _Page:
    """The private state of one claimed page."""

    def __init__(self, job: Job, tools: Tools, claim: Claim, began: float) -> None:
        self.job, self.tools, self.claim, self.began = job, tools, claim, began
        self.definition, self.limits = job.definition, job.limits
        self.policy = policy_of(job.definition)
        self.concluded: list[Confirmation] = []
        self.open = {claimed.subject.key: claimed for claimed in claim.subjects}
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

    # ---- the way through

    def run(self) -> Steps:
        identities = [c.subject.identity for c in self.claim.subjects if isinstance(c.subject, RowSubject)]
        strays = [c for c in self.claim.subjects if isinstance(c.subject, ItemSubject)]
        if identities:
            entries = self.tools.ledger.entries(self.definition.id, identities)
            pending = []
            for claimed in self.claim.subjects:
                if isinstance(claimed.subject, RowSubject):
                    work = start(claimed, entries.get(claimed.subject.identity))
                    work.look = must_look(work)
                    pending.append(work)
            for _ in range(self.limits.rounds):
                if not pending or self.stopping:
                    break
                pending = yield from self.round(pending)
            for work in pending:
                self.later(work, timedelta(seconds=10), Reason.RETRY)
        if strays and not self.stopping:
            try:
                for conclusion in settle_strays(strays, self.definition, self.tools, self.limits.lease):
                    self.conclude(conclusion, RunCounts(items_processed=1))
            except Throttled as throttled:
                self.wait = throttled.retry_after or 1.0
        yield from self.flush()
        self.give_back()

    def round(self, works: Sequence[Work]) -> Generator[Boundary, None, list[Work]]:
        """One look at each, and what follows from it; returns those that have to be looked at again."""
        try:
            rows = self.tools.source.read_rows(self.definition.source, [work.identity for work in works])
        except RowsHidden as hidden:
            self.hold = hold_for(hidden)
            return []
        for work in works:
            work.row = rows.get(work.identity)
        yield Boundary.ROWS_READ
        readable = yield from self.look([work for work in works if work.look])
        if self.stopping:
            return []
        acts = self.decide([work for work in works if not work.look or work.key in readable])
        again = yield from self.act(acts)
        return again

    def look(self, works: Sequence[Work]) -> Generator[Boundary, None, frozenset[bytes]]:
        """Reads items; returns the keys of those that were read."""
        if not works:
            return frozenset()
        target = self.definition.target
        try:
            unread, said, stopped = look(self.tools.lists, target, works)
            for work in works:
                learn(work, self.tools.lists, target, self.version_digests)
        except Throttled as throttled:
            self.wait = throttled.retry_after or 1.0
            return frozenset()
        except (SafetyStop, ConfigurationError) as stop:
            self.hold = hold_for(stop)
            return frozenset()
        if stopped is not None:
            self.hold = hold_for(stopped.error)
            return frozenset()
        yield Boundary.ITEMS_READ
        waits = [answer.retry_after for answer in said if answer.retry_after is not None]
        for work in unread:
            self.later(work, timedelta(seconds=max(waits, default=5.0)), Reason.DOUBT)
        return frozenset(work.key for work in works if work.item_read)

    def version_digests(self, item: Item) -> Mapping[FieldNo, Digest]:
        taking_part = tuple(mapping for mapping in self.definition.fields if mapping.no in self.policy.flows)
        return {
            no: value.digest for no, value in item_values(taking_part, item, self.definition.target.site_zone).items()
        }

    # ---- deciding

    def decide(self, works: Sequence[Work]) -> list[Act]:
        acts: list[Act] = []
        deletes: list[tuple[Work, DeleteTheItem]] = []
        for work in works:
            try:
                decision = decide(work, self.definition, self.policy)
            except RowRejected as rejected:
                self.park(work, rejected.code, rejected.message)
                continue
            match decision:
                case Merge(to_item=fields, conflicts=conflicts, adopted=adopted) if fields and not decision.to_row:
                    acts.append(patch(work, self.definition, self.op(), self.at(), fields, conflicts, adopted=adopted))
                case Merge() if not decision.to_row:
                    item_id, etag = item_of(work)
                    base = {no: value.digest for no, value in work.row_values.items()}
                    entry = settled(work, self.definition, self.at(), item_id, etag, base, wrote=False)
                    self.conclude(
                        confirmation(work, entry, self.at()),
                        RunCounts(items_processed=1, unchanged=1, adopted=int(decision.adopted)),
                    )
                case CreateTheItem(conflicts=conflicts):
                    acts.append(create(work, self.definition, self.op(), self.at(), conflicts))
                case DeleteTheItem(ghost=ghost) if ghost or work.claimed.approved or work.delete_allowed:
                    acts.append(delete(work, self.definition, self.op(), self.at(), decision.conflicts))
                case DeleteTheItem():
                    deletes.append((work, decision))
                case Retire():
                    self.conclude(
                        confirmation(work, tombstone(work, self.definition, self.at()), self.at()),
                        RunCounts(items_processed=1, unchanged=1),
                    )
                case Leave(side=side, foreign=foreign):
                    self.leave(work, side, foreign=foreign)
                case Ask(delete=side):
                    what = "delete the item" if side is None or side is Side.ITEM else "delete the row"
                    self.await_approval(work, f"the definition's policy asks a person before it may {what}")
                case Forget():
                    self.conclude(
                        Confirmation(claimed=work.claimed, void_conflicts=tuple(work.void_ops)),
                        RunCounts(items_processed=1, unchanged=1),
                    )
                case Merge() | InsertTheRow() | DeleteTheRow():
                    raise InvariantViolated(
                        f"definition {self.definition.name!r} is {self.definition.mode}: it never writes to the source"
                    )
                case _:
                    assert_never(decision)
        return [acted for acted in acts + self.guarded(deletes) if not self.loops(acted.work)]

    def loops(self, work: Work) -> bool:
        """The loop breaker: a row that is written again and again is set aside before the next write."""
        if work.known is None or not loops(work.known.recent_writes, self.definition.guards):
            return False
        self.park(
            work,
            "loop",
            f"written {work.known.recent_writes} times within {self.definition.guards.loop_window}: "
            "something undoes what is written; find it, then retry this row",
        )
        return True

    def guarded(self, deletes: list[tuple[Work, DeleteTheItem]]) -> list[Act]:
        """As many deletes as the rolling day lets through; the others wait for a person."""
        if not deletes:
            return []
        limit = delete_limit(self.definition.guards, self.tools.ledger.live_count(self.definition.id))
        allowed = self.tools.holds.allow_deletes(self.definition.id, len(deletes), limit=limit)
        acts = []
        for work, decision in deletes[:allowed]:
            work.delete_allowed = True
            acts.append(delete(work, self.definition, self.op(), self.at(), decision.conflicts))
        if deletes[allowed:]:
            verdict = judge_deletes(len(deletes), allowed, {"limit": limit})
            self.tools.holds.open(self.definition.id, request_of(verdict), self.job.run)
            for work, _ in deletes[allowed:]:
                self.await_approval(work, "the delete guard: too many deletes within a day")
        return acts

    def leave(self, work: Work, side: Side, *, foreign: bool) -> None:
        """Nothing is written by policy; the ledger remembers, so that no capture brings it up again."""
        if foreign and not (work.known is not None and work.known.intents):
            self.conclude(
                Confirmation(claimed=work.claimed, void_conflicts=tuple(work.void_ops)),
                RunCounts(items_processed=1, unchanged=1),
            )
            return
        if foreign:  # writes in doubt stay on record, and due, until they cannot surface any more
            entry = tombstone(work, self.definition, self.at())
        elif side is Side.ROW:
            entry = tombstone(work, self.definition, self.at(), keep_stamp=True)
        else:
            item_id, etag = item_of(work)
            kept = replace_row(work)
            entry = settled(kept, self.definition, self.at(), item_id, etag, work.base or {}, wrote=False)
        self.conclude(confirmation(work, entry, self.at()), RunCounts(items_processed=1, unchanged=1))

    # ---- acting

    def act(self, acts: Sequence[Act]) -> Generator[Boundary, None, list[Work]]:
        """Intents on record first, then batches; returns the works that have to be looked at again."""
        if not acts:
            return []
        held = self.tools.ledger.intend(
            self.definition.id,
            self.claim.token,
            [
                IntentUpdate(
                    claimed=a.work.claimed,
                    entry=a.entry,
                    conflicts=a.conflicts,
                    void_conflicts=tuple(a.work.void_ops),
                )
                for a in acts
            ],
        )
        yield Boundary.INTENDED
        ready = [acted for acted in acts if acted.work.key in held]
        for acted in ready:
            acted.work.known = acted.entry
        again: list[Work] = []
        rest = [ready[n : n + BATCH] for n in range(0, len(ready), BATCH)]
        while rest:
            batch = rest.pop(0)
            if self.stopping or not self.has_room():
                self.unsent([acted for left in (batch, *rest) for acted in left], None)
                break
            try:
                outcomes = self.tools.lists.write(self.definition.target, [acted.write for acted in batch])
            except Throttled as throttled:
                self.wait = throttled.retry_after or 1.0
                self.unsent([acted for left in (batch, *rest) for acted in left], None)
                break
            yield Boundary.SENT
            for acted in batch:
                self.answered(acted, outcomes[acted.write.op], again)
            if len(self.concluded) >= self.limits.confirm_every:
                yield from self.flush()
        return again

    def answered(self, acted: Act, outcome: Outcome, again: list[Work]) -> None:
        work, intent = acted.work, acted.intent
        match outcome:
            case Landed():
                self.landed(acted, outcome)
            case Missing() if isinstance(acted.write, DeleteItem):
                self.landed(acted, Landed(item_id=acted.write.item_id, etag=None))
            case Mismatch() | Missing():
                work.void(intent)
                work.again()
                again.append(work)
            case Duplicate() if isinstance(acted.write, CreateItem) and work.duplicates == 0:
                work.void(intent)
                work.again()
                work.probe, work.duplicates = True, 1
                again.append(work)
            case Duplicate():
                work.void(intent)
                self.park(work, "unique_value", "another item already holds a value of this row in a unique column")
            case Refused(code=code, message=message):
                work.void(intent)
                self.park(work, code, message)
            case NotSent(retry_after=seconds):
                self.wait = max(self.wait or 0.0, seconds or 1.0)
                self.unsent([acted], seconds)
            case Doubtful():
                # No early release: what was sent has the rest of the lease to land or to die.
                self.open.pop(work.key, None)
                self.counts += RunCounts(delayed=1)
            case Stopped(error=error):
                self.hold = hold_for(error)
                self.unsent([acted], None)
            case _:
                assert_never(outcome)

    def landed(self, acted: Act, outcome: Landed) -> None:
        work = acted.work
        work.doubts = (*work.doubts, acted.intent)
        work.landed.append(acted.intent)
        marks: tuple[Mark, ...] = ()
        if isinstance(acted.write, DeleteItem):
            entry = tombstone(work, self.definition, self.at())
        else:
            base = {no: value.digest for no, value in work.row_values.items()}
            entry = settled(work, self.definition, self.at(), outcome.item_id, outcome.etag, base, wrote=True)
            marks = self.stray_marks(acted, outcome)
        self.conclude(replace(confirmation(work, entry, self.at()), marks=marks), counted(acted))

    def stray_marks(self, acted: Act, outcome: Landed) -> tuple[Mark, ...]:
        """The item that stood for the row before becomes a subject of its own: a person may bring it back."""
        former = acted.entry
        if former.item_id is None or former.item_id == outcome.item_id:
            return ()
        subject = ItemSubject(list_id=self.definition.target.list_id, item_id=former.item_id)
        return (Mark(subject=subject, reasons=frozenset({Reason.ITEM}), lane=Lane.PUSH),)

    def unsent(self, acts: Iterable[Act], seconds: float | None) -> None:
        """Certainly without effect: the intent goes, the subject stays due."""
        for acted in acts:
            acted.work.void(acted.intent)
            self.later(acted.work, timedelta(seconds=seconds or 0.0), None)

    # ---- concluding

    def park(self, work: Work, code: str, message: str) -> None:
        delay = retry_delay(code, work.claimed.attempts, self.tools.jitter())
        self.conclude(
            Confirmation(
                claimed=work.claimed,
                entry=work.known,
                remove_mark=False,
                park=Parking(
                    code=code, message=message, retry_in=delay, stamp=work.row.stamp if work.row is not None else None
                ),
                void_conflicts=tuple(work.void_ops),
            ),
            RunCounts(items_failed=1),
        )

    def await_approval(self, work: Work, reason: str) -> None:
        self.conclude(
            Confirmation(
                claimed=work.claimed,
                entry=work.known,
                remove_mark=False,
                await_approval=True,
                await_reason=reason,
                void_conflicts=tuple(work.void_ops),
            ),
            RunCounts(awaiting_approval=1),
        )

    def later(self, work: Work, due_in: timedelta, reason: Reason | None) -> None:
        self.conclude(
            Confirmation(
                claimed=work.claimed,
                entry=work.known if work.void_ops else None,
                remove_mark=False,
                due_in=due_in,
                add_reasons=frozenset() if reason is None else frozenset({reason}),
                void_conflicts=tuple(work.void_ops),
            ),
            RunCounts(delayed=1),
        )

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

    def give_back(self) -> None:
        """Releases what was neither settled nor sent."""
        if self.open:
            left, self.open = list(self.open.values()), {}
            wait = timedelta(seconds=self.wait) if self.wait else None
            self.tools.backlog.release(self.definition.id, self.claim.token, left, due_in=wait)

    def op(self) -> UUID:
        return self.tools.ids.uuid()


def replace_row(work: Work) -> Work:
    """The same work without its row: an item that is kept while its row is gone has no stamp."""
    return replace(work, row=None)
