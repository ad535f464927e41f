"""From a decision of the reconciler to a write that is ready, or to a conclusion without one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from shared.core.backlog import Mark, Reason
from shared.core.errors import RowRejected
from shared.core.guards import delete_limit, judge_deletes, loops
from shared.core.ids import ItemSubject, Stamp
from shared.core.ledger import EntryState
from shared.core.reconcile import (
    Ask,
    CreateTheItem,
    Decision,
    DeleteTheItem,
    DeleteTheRow,
    Forget,
    InsertTheRow,
    Leave,
    Merge,
    Retire,
    Side,
)
from shared.core.runs import RunCounts
from shared.core.wishes import overlay
from shared.ports import Confirmation, request_of
from shared.settle.acts import (
    Act,
    RowAct,
    create,
    delete,
    delete_row,
    insert_row,
    patch,
    restore_row,
    update_row,
)
from shared.settle.decide import decide, key_differs
from shared.settle.entries import item_of, kept, settled, tombstone
from shared.settle.look import unseen
from shared.settle.page_state import PageState
from shared.settle.untold import is_untold
from shared.settle.work import Work

UNKNOWN = Stamp(0)
"""Of a row that was there, and of which nobody knows what it was like: the ledger believes in rows that have a stamp."""


@dataclass(slots=True)
class Judged:
    """What is to be done: row writes go first, and their rows are judged again for what is left to do to their items."""

    rows: list[RowAct] = field(default_factory=list)
    items: list[Act] = field(default_factory=list)
    again: list[Work] = field(default_factory=list)
    """To be looked at: what was assumed of the item is not enough for what has to be done."""
    deletes: list[tuple[Work, DeleteTheItem | DeleteTheRow]] = field(default_factory=list)
    """Waiting for the guard's word."""


def judge(page: PageState, works: Sequence[Work], *, after_rows: bool = False) -> Judged:
    """`after_rows`: the page has just written these rows; they are not written a second time."""
    judged = Judged()
    for work in works:
        try:
            decision = decide(work, page.definition, page.policy)
            work.untold = work.untold or is_untold(work, page.definition, page.position)
            _judge(page, work, decision, judged, after_rows=after_rows)
        except RowRejected as rejected:
            page.park(work, rejected.code, rejected.message)
    _guard(page, judged)
    judged.items = [act for act in judged.items if not _loops(page, act.work)]
    judged.rows = [act for act in judged.rows if not _loops(page, act.work)]
    return judged


def _judge(page: PageState, work: Work, decision: Decision, judged: Judged, *, after_rows: bool) -> None:
    definition = page.definition
    if work.open_wishes and not after_rows and _carries_out_wishes(page, work, decision, judged):
        return
    match decision:
        case Merge(to_row=fields) if fields and after_rows:
            # A trigger undoes what was written: the row stays due, and the loop breaker bounds the quarrel.
            work.quarrels = True
            page.later(work, timedelta(seconds=10), Reason.RETRY)
        case Merge(to_row=fields) if fields and not work.item_read:
            _look_first(work, judged)
        case InsertTheRow() if not work.item_read:
            _look_first(work, judged)
        case Merge(to_row=fields, conflicts=conflicts) if fields:
            judged.rows.append(update_row(work, definition, page.op(), fields, conflicts))
        case Merge(to_item=fields, conflicts=conflicts, adopted=adopted) if fields or _wants_key(page, work):
            judged.items.append(
                patch(
                    work,
                    definition,
                    page.policy,
                    page.op(),
                    page.at(),
                    fields,
                    conflicts,
                    adopted=adopted and not after_rows,
                )
            )
        case Merge(adopted=adopted):
            _equal(page, work, adopted=adopted)
        case CreateTheItem(conflicts=conflicts):
            judged.items.append(create(work, definition, page.policy, page.op(), page.at(), conflicts))
        case InsertTheRow():
            _insert(page, work, decision, judged)
        case DeleteTheItem(ghost=False) if not work.item_read and unseen(work):
            _look_first(work, judged)
        case DeleteTheRow() if not work.claimed.approved and _hides_edits(page):
            _await(page, work, "the row may have got another value in a column whose field is paused")
        case DeleteTheItem(ghost=ghost) if ghost or work.claimed.approved or work.delete_allowed:
            judged.items.append(delete(work, definition, page.op(), page.at(), decision.conflicts))
        case DeleteTheRow(conflicts=conflicts) if work.claimed.approved or work.delete_allowed:
            judged.rows.append(delete_row(work, definition, page.op(), page.at(), conflicts))
        case DeleteTheItem() | DeleteTheRow():
            judged.deletes.append((work, decision))
        case Retire():
            page.settle(
                work,
                tombstone(work, definition, page.at(), wrote=work.wrote_row),
                RunCounts(items_processed=1, unchanged=int(work.wrote_row is None)),
            )
        case Leave(side=side, foreign=foreign):
            _leave(page, work, side, foreign=foreign)
        case Ask(delete=side):
            again = "make the item again" if page.policy.writes_items else "make the row again"
            what = {Side.ITEM: "delete the item", Side.ROW: "delete the row", None: again}[side]
            _await(page, work, f"the definition's policy asks a person before it may {what}")
        case Forget():
            page.conclude(
                Confirmation(
                    claimed=work.claimed, void_conflicts=tuple(work.void_ops), refused_wishes=dict(work.refused)
                ),
                RunCounts(items_processed=1, unchanged=1),
            )
        case _:
            assert_never(decision)


def _carries_out_wishes(page: PageState, work: Work, decision: Decision, judged: Judged) -> bool:
    """What people want back is written once there is nothing else to do; whether there is something to write."""
    match decision:
        case Merge():
            found = overlay(decision, work.row_values, work.open_wishes, page.policy.flows)
            work.met += found.met
            work.refused |= found.refused
            if found.writes:
                judged.rows.append(restore_row(work, page.definition, page.op(), found.writes))
            return bool(found.writes)
        case CreateTheItem() | InsertTheRow() | Ask():
            return False  # both sides may be there next time
        case DeleteTheItem() | DeleteTheRow() | Retire() | Leave() | Forget():
            work.refused |= {wish.conflict: "the row or its item is gone" for wish in work.open_wishes}
            return False
        case _:
            assert_never(decision)


def _look_first(work: Work, judged: Judged) -> None:
    """What is assumed of an item has digests, and no values to write."""
    work.again()
    judged.again.append(work)


def _hides_edits(page: PageState) -> bool:
    """Whether a row that is deleted may take an edit along that nobody has seen; one that is only marked keeps it."""
    return bool(page.definition.paused) and page.definition.source.soft_delete_column is None


def _wants_key(page: PageState, work: Work) -> bool:
    return page.policy.writes_items and work.lacks_key


def _equal(page: PageState, work: Work, *, adopted: bool) -> None:
    item_id, etag = item_of(work)
    base = {no: value.digest for no, value in work.row_values.items()}
    entry = settled(work, page.definition, page.at(), item_id, etag, base, wrote=work.wrote_row)
    unchanged = work.wrote_row is None
    page.settle(work, entry, RunCounts(items_processed=1, unchanged=int(unchanged), adopted=int(adopted and unchanged)))


def _insert(page: PageState, work: Work, decision: InsertTheRow, judged: Judged) -> None:
    if work.base is None and work.lacks_key and key_differs(work, page.definition):
        # A person corrected the key before the row was made: the item stands for another row, or for a new one. One that
        # was a row's before, and says so, stays that row's: the key in its column goes back.
        item_id, _ = item_of(work)
        subject = ItemSubject(list_id=page.definition.target.list_id, item_id=item_id)
        mark = Mark(subject=subject, reasons=frozenset({Reason.ITEM}), lane=work.claimed.lane)
        entry = replace(tombstone(work, page.definition, page.at()), item_id=None, list_id=None)
        page.settle(work, entry, RunCounts(items_processed=1, unchanged=1), marks=(mark,))
        return
    judged.rows.append(insert_row(work, page.definition, page.policy, page.op(), decision.conflicts))


def _leave(page: PageState, work: Work, side: Side, *, foreign: bool) -> None:
    """Nothing is written by policy; the ledger remembers, so that no capture brings it up again."""
    at, definition = page.at(), page.definition
    counts = RunCounts(items_processed=1, unchanged=1)
    if foreign and work.row is not None and definition.takes_foreign_items:
        page.park(work, "key_taken", "a row with this item's key exists outside the definition's filter")
        return
    if foreign and not (work.known is not None and (work.known.intents or work.void_ops)):
        void = tuple(work.void_ops)
        page.conclude(
            Confirmation(claimed=work.claimed, void_conflicts=void, refused_wishes=dict(work.refused)), counts
        )
        return
    if foreign:
        # Writes in doubt stay on record, and due, until they cannot surface any more; those that missed go off it.
        entry = tombstone(work, definition, at)
    elif side is Side.ROW:
        entry = tombstone(work, definition, at, keep_stamp=True)
    else:
        entry = kept(work, definition, at)
    page.settle(work, entry, counts)


def _guard(page: PageState, judged: Judged) -> None:
    """As many deletes as the rolling day lets through; the others wait for a person."""
    if not judged.deletes:
        return
    limit = delete_limit(page.definition.guards, page.tools.ledger.live_count(page.definition.id))
    allowed = page.tools.holds.allow_deletes(page.definition.id, len(judged.deletes), limit=limit)
    for work, decision in judged.deletes[:allowed]:
        work.delete_allowed = True
        match decision:
            case DeleteTheItem(conflicts=conflicts):
                judged.items.append(delete(work, page.definition, page.op(), page.at(), conflicts))
            case DeleteTheRow(conflicts=conflicts):
                judged.rows.append(delete_row(work, page.definition, page.op(), page.at(), conflicts))
    if judged.deletes[allowed:]:
        verdict = judge_deletes(len(judged.deletes), allowed, {"limit": limit})
        page.tools.holds.open(page.definition.id, request_of(verdict), page.job.run)
        for work, _ in judged.deletes[allowed:]:
            _await(page, work, "the delete guard: too many deletes within a day")


def _await(page: PageState, work: Work, reason: str) -> None:
    """What is asked about goes on record: an item that a create in doubt has made is the row's before a person says that it
    stays, or the same question would come up again. So does what has just been read of it: nobody looks at it again because
    of what made this page look, and the row may be back before a person has answered."""
    entry, known = None, work.known
    if work.item is not None:
        entry = replace(kept(work, page.definition, page.at()), stamp=UNKNOWN)
        if known is not None and known.state is work.state is EntryState.SETTLED and known.stamp is not None:
            entry = None if (known.etag, known.base) == (entry.etag, entry.base) else entry
    page.await_approval(work, reason, entry)


def _loops(page: PageState, work: Work) -> bool:
    """The loop breaker: a row over which two rules quarrel is set aside before the next write."""
    guards = page.definition.guards
    if work.known is None or not loops(work.known.recent_writes, guards):
        return False
    page.park(
        work,
        "loop",
        f"written {work.known.recent_writes} times against other writes within {guards.loop_window}: "
        "something undoes what is written; find it, then retry this row",
    )
    return True
