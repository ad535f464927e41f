"""The item half of a page: intents on record first, then batches, then what each answer means."""

from collections.abc import Sequence
from typing import assert_never

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.errors import Throttled
from shared.core.flows import Flow
from shared.core.ids import ItemSubject
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
    Landed,
    Mismatch,
    Missing,
    NotSent,
    Outcome,
    Refused,
    Stopped,
)
from shared.core.ledger import Provenance
from shared.ports import IntentUpdate
from shared.settle.acts import Act, counted
from shared.settle.entries import settled, tombstone
from shared.settle.holds import hold_for
from shared.settle.job import BATCH
from shared.settle.page_state import PageState, Rounds
from shared.settle.work import Work


def write_items(page: PageState, acts: Sequence[Act]) -> Rounds:
    """Returns the works that have to be looked at again."""
    if not acts:
        return []
    held = page.tools.ledger.intend(
        page.definition.id,
        page.claim.token,
        [
            IntentUpdate(
                claimed=act.work.claimed,
                entry=act.entry,
                conflicts=act.conflicts,
                void_conflicts=tuple(act.work.void_ops),
            )
            for act in acts
        ],
    )
    yield Boundary.INTENDED
    ready = [act for act in acts if act.work.key in held]
    for act in ready:
        act.work.known, act.work.state = act.entry, act.entry.state
    again: list[Work] = []
    rest = [ready[n : n + BATCH] for n in range(0, len(ready), BATCH)]
    while rest:
        batch = rest.pop(0)
        if page.stopping or not page.has_room():
            _unsent(page, [act for left in (batch, *rest) for act in left], None)
            break
        try:
            outcomes = page.tools.lists.write(page.definition.target, [act.write for act in batch])
        except Throttled as throttled:
            page.wait = throttled.retry_after or 1.0
            _unsent(page, [act for left in (batch, *rest) for act in left], None)
            break
        yield Boundary.SENT
        for act in batch:
            answered(page, act, outcomes[act.write.op], again)
        if len(page.concluded) >= page.limits.confirm_every:
            yield from page.flush()
    return again


def answered(page: PageState, act: Act, outcome: Outcome, again: list[Work]) -> None:
    """Concludes the subject, leaves it in doubt, or adds it to those that are looked at again."""
    work, intent = act.work, act.intent
    match outcome:
        case Landed():
            landed(page, act, outcome)
        case Missing() if isinstance(act.write, DeleteItem):
            landed(page, act, Landed(item_id=act.write.item_id, etag=None))
        case Mismatch() | Missing():
            work.void(intent)
            work.again()
            again.append(work)
        case Duplicate() if work.duplicates == 0 and (isinstance(act.write, CreateItem) or work.creates):
            work.void(intent)
            work.again()
            work.probe, work.duplicates = isinstance(act.write, CreateItem), 1
            again.append(work)
        case Duplicate():
            work.void(intent)
            page.park(work, "unique_value", "another item already holds a value of this row in a unique column")
        case Refused(code=code, message=message):
            work.void(intent)
            page.park(work, code, message)
        case NotSent(retry_after=seconds):
            page.wait = max(page.wait or 0.0, seconds or 1.0)
            _unsent(page, [act], seconds)
        case Doubtful():
            page.doubtful(work)
        case Stopped(error=error):
            page.hold = hold_for(error)
            _unsent(page, [act], None)
        case _:
            assert_never(outcome)


def landed(page: PageState, act: Act, outcome: Landed) -> None:
    work = act.work
    work.doubts = (*work.doubts, act.intent)
    work.landed.append(act.intent)
    work.quarrels = work.quarrels or bool(act.conflicts)
    if isinstance(act.write, DeleteItem):
        entry = tombstone(work, page.definition, page.at(), wrote=Provenance.PUSH)
        page.settle(work, entry, counted(act))
        return
    if isinstance(act.write, CreateItem):
        work.base = None  # nothing was agreed about a new item but what it was made with
    base = {no: value.digest for no, value in work.row_values.items()}
    entry = settled(work, page.definition, page.at(), outcome.item_id, outcome.etag, base, wrote=Provenance.PUSH)
    page.settle(work, entry, counted(act), marks=(*_stray_marks(page, act, outcome), *_second_look(page, work)))


def _second_look(page: PageState, work: Work) -> tuple[Mark, ...]:
    """What SharePoint notes by itself about our write (Modified, the version, a new item's id) is in no answer: where a
    definition pulls that, the item is read once more. The mark takes a number, so the subject stays due."""
    if not _pulls_system_fields(page):
        return ()
    return (Mark(subject=work.claimed.subject, reasons=frozenset({Reason.SAMPLE}), lane=work.claimed.lane),)


def _pulls_system_fields(page: PageState) -> bool:
    return any(
        mapping.is_system_field and page.policy.flows.get(mapping.no) is Flow.TO_ROW
        for mapping in page.definition.fields
    )


def _stray_marks(page: PageState, act: Act, outcome: Landed) -> tuple[Mark, ...]:
    """The item that stood for the row before becomes a subject of its own: a person may bring it back."""
    former = act.entry
    if former.item_id is None or former.item_id == outcome.item_id:
        return ()
    subject = ItemSubject(list_id=page.definition.target.list_id, item_id=former.item_id)
    return (Mark(subject=subject, reasons=frozenset({Reason.ITEM}), lane=Lane.PUSH),)


def _unsent(page: PageState, acts: Sequence[Act], seconds: float | None) -> None:
    """Certainly without effect: the intents go, the subjects stay due."""
    for act in acts:
        act.work.void(act.intent)
    page.unsent((act.work for act in acts), seconds)
