"""The row half of a page: one source transaction for all of its row writes, which lands whole or not at all.

    begin (the transaction's id is durable) -> intents on record under that id -> lock, compare, write, read back -> COMMIT

If any row misses, the transaction is rolled back, its intents are void, and the others are tried again without it: a
transaction that committed with a row missing would be told as landed for all of them (pg_xact_status knows no rows).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.errors import (
    ConfigurationError,
    Doubt,
    PreconditionFailed,
    RowRejected,
    RowsHidden,
    SafetyStop,
    Throttled,
)
from shared.core.ids import RowVersion
from shared.core.ledger import EntryState, Intent, Provenance
from shared.core.mapping import row_values
from shared.core.paused import without
from shared.core.reconcile import Side
from shared.core.runs import RunCounts
from shared.core.source import Busy, InsertRow, Moved, Row, RowOutcome, UpdateRow, Wrote
from shared.ports import IntentUpdate, RowTransaction
from shared.settle.acts import RowAct, RowStep, overwritten, records, row_intent
from shared.settle.entries import bound
from shared.settle.holds import hold_for
from shared.settle.page_state import PageState
from shared.settle.work import Work

DRIFTED = "schema_drift"
"""The code of what the table says that is not what it was any more: whoever runs the page looks at it as a whole."""
BUSY_FOR = timedelta(seconds=5)
"""When a row that somebody else had locked is due again."""


class RowHalf:
    """What became of a page's row writes: `written` go on to their item half, `again` are looked at again."""

    def __init__(self) -> None:
        self.written: list[Work] = []
        self.again: list[Work] = []


def write_rows(page: PageState, acts: Sequence[RowAct]) -> Generator[Boundary, None, RowHalf]:
    half = RowHalf()
    if _empties(acts) and not page.stopping:
        _require_columns(page)
    groups = [list(acts)] if acts else []
    while groups:
        group = groups.pop(0)
        if page.stopping or not page.has_room():
            page.unsent((act.work for left in (group, *groups) for act in left), None)
            break
        rest = yield from _write(page, group, half)
        groups = [*([_anew(page, act) for act in left] for left in rest), *groups]
    return half


def _empties(acts: Sequence[RowAct]) -> bool:
    """Whether a row loses a value because its item shows none. A yes/no column without a value may count as no."""
    return any(
        isinstance(act.change, UpdateRow) and any(value.canonical in (None, False) for value in act.values.values())
        for act in acts
    )


def _require_columns(page: PageState) -> None:
    """A column that somebody removed, made anew, or made of another type shows in every item as a value that is missing."""
    definition = page.definition
    try:
        found = page.tools.lists.drift(definition.target, [m for m in definition.fields if m.paused is None])
    except Throttled as throttled:
        page.wait = throttled.retry_after or 1.0
        return
    except (SafetyStop, ConfigurationError) as stop:
        page.hold = hold_for(stop)
        return
    if found:
        page.hold = hold_for(
            ConfigurationError(
                f"{' '.join(found)} Nothing was emptied in the table. Take the field out of the definition, or bring the"
                " column back with its values, then release this hold. A column that is made anew is empty in every item:"
                " provision the list again to take it as it is, and whichever side has a value gives it to the other.",
                code="schema_drift",
            )
        )


def _anew(page: PageState, act: RowAct) -> RowAct:
    """The same write as an operation of its own: the void one's loss in the conflict log is void for good."""
    return replace(act, change=replace(act.change, op=page.op()))


def _write(page: PageState, group: list[RowAct], half: RowHalf) -> Generator[Boundary, None, list[list[RowAct]]]:
    """One transaction; returns the groups that are to be tried after it."""
    try:
        transaction = page.tools.rows.begin(page.definition.source)
    except (RowsHidden, ConfigurationError) as stop:
        if stop.code == DRIFTED:
            raise
        page.hold = hold_for(stop)
        page.unsent((act.work for act in group), None)
        return []
    try:
        yield Boundary.ROWS_BEGUN
        intents = {act.change.op: row_intent(act, transaction.transaction, page.at()) for act in group}
        group = _intend(page, group, intents)
        yield Boundary.ROWS_INTENDED
        if not group:
            return []
        return (yield from _carried_out(page, group, intents, transaction, half))
    finally:
        transaction.close()


def _intend(page: PageState, group: list[RowAct], intents: dict[UUID, Intent]) -> list[RowAct]:
    """The acts whose subjects are still held, with their intents on record."""
    entries = {act.change.op: bound(act.work, page.definition, intents[act.change.op]) for act in group}
    held = page.tools.ledger.intend(
        page.definition.id,
        page.claim.token,
        [
            IntentUpdate(
                claimed=act.work.claimed,
                entry=entries[act.change.op],
                conflicts=(
                    *records(act.work, page.definition, act.change.op, act.conflicts, winner=Side.ITEM),
                    *overwritten(act.work, page.definition, act.change.op, act.wishes),
                ),
                void_conflicts=tuple(act.work.void_ops),
            )
            for act in group
        ],
    )
    ready = [act for act in group if act.work.key in held]
    for act in ready:
        act.work.known = entries[act.change.op]
        act.work.state = act.work.known.state
    return ready


def _carried_out(
    page: PageState,
    group: list[RowAct],
    intents: dict[UUID, Intent],
    transaction: RowTransaction,
    half: RowHalf,
) -> Generator[Boundary, None, list[list[RowAct]]]:
    def void() -> None:
        transaction.close()
        for act in group:
            act.work.void(intents[act.change.op])

    try:
        outcomes = transaction.apply([act.change for act in group])
        if any(not isinstance(outcome, Wrote) for outcome in outcomes.values()):
            void()
            return _without_the_missed(page, group, outcomes, half)
        unwanted = {act.change.op: why for act in group if (why := _unwanted(act, outcomes[act.change.op]))}
        if unwanted:
            void()
            parked = [act for act in group if act.change.op in unwanted]
            for act in parked:
                page.park(act.work, *unwanted[act.change.op])
            return _others(group, parked)
        yield Boundary.ROWS_WRITTEN
        if not page.has_room():  # a worker that slept past its lease does not commit any more
            void()
            page.unsent((act.work for act in group), None)
            return []
        transaction.commit()
    except RowRejected as rejected:
        void()
        if len(group) > 1:  # nobody can say which row it was: halves find it in few steps
            return _halves(group)
        page.park(group[0].work, rejected.code, rejected.message)
        return []
    except PreconditionFailed:
        void()
        if len(group) > 1:  # a lock that somebody holds for long keeps its own row only
            return _halves(group)
        group[0].work.again()
        half.again.append(group[0].work)
        return []
    except (RowsHidden, ConfigurationError) as stop:
        void()
        page.unsent((act.work for act in group), None)
        if stop.code == DRIFTED:
            raise
        page.hold = hold_for(stop)
        return []
    except Doubt:
        for act in group:
            page.doubtful(act.work)
        yield Boundary.ROWS_COMMITTED
        return []
    yield Boundary.ROWS_COMMITTED
    for act in group:
        outcome = outcomes[act.change.op]
        assert isinstance(outcome, Wrote)  # noqa: S101  the others were looked at above
        _landed(page, act, intents[act.change.op], outcome.row, half)
    return []


def _halves(group: list[RowAct]) -> list[list[RowAct]]:
    middle = len(group) // 2
    return [group[:middle], group[middle:]]


def _without_the_missed(
    page: PageState, group: list[RowAct], outcomes: Mapping[UUID, RowOutcome], half: RowHalf
) -> list[list[RowAct]]:
    missed = []
    for act in group:
        match outcomes[act.change.op]:
            case Wrote():
                continue
            case Busy():
                page.later(act.work, BUSY_FOR, Reason.RETRY)
            case Moved():
                _moved(page, act, half)
        missed.append(act)
    return _others(group, missed)


def _moved(page: PageState, act: RowAct, half: RowHalf) -> None:
    """The row is another one by now: look again. Twice on the same version: something in the database swallows it."""
    version = RowVersion("") if isinstance(act.change, InsertRow) else act.change.version
    if act.work.missed == version:
        page.park(
            act.work,
            "row_not_written",
            "the database neither writes this row nor says why: a trigger or a policy swallows the write, or another row "
            "has a value that has to be unique",
        )
        return
    act.work.missed = version
    act.work.again()
    half.again.append(act.work)


def _others(group: list[RowAct], done: list[RowAct]) -> list[list[RowAct]]:
    ops = {act.change.op for act in done}
    left = [act for act in group if act.change.op not in ops]
    return [left] if left else []


def _unwanted(act: RowAct, outcome: RowOutcome) -> tuple[str, str] | None:
    """Why a write that would work is not committed: code and words. A row that was inserted for an item and is not in the
    filter would take the item with it; so would one that a trigger removes at once."""
    match act.step, outcome:
        case RowStep.INSERT | RowStep.UPDATE, Wrote(row=None):
            return "row_not_written", "a trigger of the database removes this row as soon as it is written"
        case RowStep.INSERT, Wrote(row=Row(in_scope=False) | Row(soft_deleted=True)):
            return "out_of_scope", "the new row would not match the definition's filter"
        case _:
            return None


def _landed(page: PageState, act: RowAct, intent: Intent, row: Row | None, half: RowHalf) -> None:
    """The base moves for what was written at once, whatever becomes of the item half. What a trigger or a default made of
    it is an edit of the row, and goes to the item next."""
    work = act.work
    work.doubts = (*work.doubts, intent)
    work.landed.append(intent)
    work.wrote_row = Provenance.PULL
    work.met += [wish.conflict for wish in act.wishes]
    work.quarrels = work.quarrels or any(conflict.winner is Side.ITEM for conflict in act.conflicts)
    if act.step is RowStep.DELETE:
        work.counts += RunCounts(rows_deleted=1)
        work.base, work.state, work.row = None, EntryState.TOMBSTONE, row
        half.written.append(work)
        return
    work.counts += RunCounts(
        rows_inserted=int(act.step is RowStep.INSERT), rows_updated=int(act.step is RowStep.UPDATE)
    )
    agreed = without(work.base, page.definition.paused) if act.step is RowStep.INSERT else work.base or {}
    work.base = {**agreed, **intent.digests}
    work.state, work.row = EntryState.SETTLED, row
    work.quarrels = work.quarrels or _altered(page, intent, row)
    half.written.append(work)


def _altered(page: PageState, intent: Intent, row: Row | None) -> bool:
    """Whether the row does not read back as it was sent."""
    if row is None:
        return True
    try:
        stands = row_values([mapping for mapping in page.definition.fields if mapping.no in intent.digests], row)
    except RowRejected:
        return True
    return any(stands[no].digest != digest for no, digest in intent.digests.items())
