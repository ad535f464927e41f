"""Writes to rows whose COMMIT got no answer: the source knows what became of their transactions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.core.backlog import Reason
from shared.core.errors import RowRejected
from shared.core.ids import Digest, FieldNo
from shared.core.ledger import EntryState, Intent, IntentKind
from shared.core.paused import without
from shared.core.source import Row, TransactionFate
from shared.settle.page_state import PageState
from shared.settle.work import Work

RowDigests = Callable[[Row], Mapping[FieldNo, Digest]]


def recover(page: PageState, works: Sequence[Work]) -> list[Work]:
    """Rolls agreements forward, or voids what never landed; returns the works that can be settled now. To be asked before
    the rows are read: a reading from before a commit would look like a user's edit."""
    asked = {intent.transaction for work in works for intent in _in_doubt(work) if intent.transaction is not None}
    fates = page.tools.rows.fate(asked) if asked else {}
    ready = []
    for work in works:
        pending = False
        for intent in _in_doubt(work):
            match fates.get(intent.transaction or "", TransactionFate.UNKNOWN):
                case TransactionFate.COMMITTED:
                    _roll_forward(work, intent, page.definition.paused)
                case TransactionFate.ABORTED:
                    work.void(intent)
                case TransactionFate.PENDING:
                    pending = True
                case TransactionFate.UNKNOWN:
                    pass  # the row itself is compared, once it is read
        if pending:
            page.later(work, timedelta(seconds=5), Reason.DOUBT)
        else:
            ready.append(work)
    return ready


def compare(work: Work, digests_of: RowDigests, paused: frozenset[FieldNo]) -> None:
    """Where the source does not know the transaction any more (another server, or long ago) values are compared: what was
    sent and stands there is ours. A row that cannot be read as values is left for the decision to refuse. What was sent for a
    field that is `paused` since cannot be seen: its base stays, and both sides are compared with it once it goes on."""
    for intent in _in_doubt(work):
        seen = replace(intent, digests=without(intent.digests, paused))
        try:
            stands = _stands(work.row, seen, digests_of)
        except RowRejected:
            return
        if stands:
            _roll_forward(work, seen, paused)
        else:
            work.void(intent)


def _stands(row: Row | None, intent: Intent, digests_of: RowDigests) -> bool:
    if intent.kind is IntentKind.DELETE_ROW:
        return row is None or row.soft_deleted
    if row is None:
        return False
    digests = digests_of(row)
    return all(digests.get(no) == digest for no, digest in intent.digests.items())


def _in_doubt(work: Work) -> tuple[Intent, ...]:
    landed = {intent.op for intent in work.landed}
    return tuple(intent for intent in work.doubts if intent.kind.of_row and intent.op not in landed)


def _roll_forward(work: Work, intent: Intent, paused: frozenset[FieldNo]) -> None:
    """What a row write that landed agreed on. A row that was made without a paused field agrees with nobody about it."""
    if intent.kind is IntentKind.DELETE_ROW:
        work.base, work.state = None, EntryState.TOMBSTONE
    else:
        agreed = without(work.base, paused) if intent.kind is IntentKind.INSERT_ROW else work.base or {}
        work.base = {**agreed, **intent.digests}
        work.state = EntryState.SETTLED
    work.took_effect(intent)
