"""The rules of two-way sync taken out one by one: each has to be noticed.

The rules are those of level-triggered sync as the seeds taught them: what is a reason of its own, what an observation may
be used for, what stays on record, what moves the base, what is asked of whom after a lost answer.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import psycopg

from shared.adapters.graph.items import SharePointLists
from shared.adapters.metastore import enumerations
from shared.adapters.postgres.writing import PostgresRowTransaction
from shared.captures import delta
from shared.core.boundaries import Boundary
from shared.core.errors import DeltaExpired
from shared.core.ids import key_texts
from shared.core.items import LATEST
from shared.core.ledger import IntentKind
from shared.core.source import Busy, DeleteRow, Moved, TransactionFate, UpdateRow, Wrote
from shared.ports import Confirmation
from shared.settle import acts, decide, entries, judge, look, page, page_state, strays, write_rows
from shared.settle.page_state import PageState
from shared.settle.work import Work
from tests.mutants.mutant import Apply, two_way
from tests.mutants.patches import put, without_intents
from tests.simulation.twoway import world as sandbox

# ---- what the list tells


def _deletion_by_etag(stack: ExitStack) -> None:
    real = delta._is_echo
    stack.enter_context(patch.object(delta, "_is_echo", lambda entry, agreed: entry.deleted or real(entry, agreed)))


def _token_first(stack: ExitStack) -> None:
    def delta_page(definition: Any, *, lists: Any, cursors: Any, **others: Any) -> Generator[Boundary, None, Any]:
        stored = cursors.get_delta(definition.id, definition.target.list_id)
        ahead = None
        if stored is not None:
            try:
                ahead = lists.delta(definition.target, stored.token)
            except DeltaExpired:
                ahead = None
        if stored is not None and ahead is not None:
            cursors.advance_delta(definition, expected=stored, new=replace(stored, token=ahead.next_token), marks=())

        class Behind:
            """Whose token is the old one: what is marked now was passed a boundary ago."""

            def get_delta(self, *arguments: Any) -> Any:
                return stored

            def advance_delta(self, definition: Any, *, expected: Any, new: Any, **marks: Any) -> Any:
                current = cursors.get_delta(definition.id, definition.target.list_id)
                return cursors.advance_delta(definition, expected=current, new=new or current, **marks)

        return (yield from real(definition, lists=lists, cursors=Behind(), **others))

    real = delta.delta_page
    stack.enter_context(patch.object(sandbox, "delta_page", delta_page))


def _jumps_to_latest(stack: ExitStack) -> None:
    real = SharePointLists.delta

    def read(self: Any, target: Any, token: Any) -> Any:
        try:
            return real(self, target, token)
        except DeltaExpired:
            return real(self, target, LATEST)

    stack.enter_context(patch.object(SharePointLists, "delta", read))


def _observed(work: Work, observations: Mapping[bytes, Any]) -> bool:
    """Whatever the capture had in hand counts as a reading."""
    seen, entry = observations.get(work.key), work.known
    if seen is None or entry is None or work.item_read or entry.item_id != seen.item.id or work.observed:
        return False
    work.observed = True
    look._take(work, seen.item)
    return True


# ---- claims and doubts


def _released_early(stack: ExitStack) -> None:
    def doubtful(self: Any, work: Work) -> None:
        self.open.pop(work.key, None)
        self.tools.backlog.release(self.definition.id, self.claim.token, [work.claimed])

    stack.enter_context(patch.object(PageState, "doubtful", doubtful))


class _Fates:
    """A RowWriter whose fates are told otherwise."""

    def __init__(self, real: Any, told: Callable[[TransactionFate], TransactionFate]) -> None:
        self._real, self._told = real, told

    def fate(self, transactions: Any) -> Any:
        return {name: self._told(fate) for name, fate in self._real.fate(transactions).items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _told(told: Callable[[TransactionFate], TransactionFate]) -> Apply:
    def apply(stack: ExitStack) -> None:
        real = page.recover

        def recover(state: Any, works: Sequence[Work]) -> list[Work]:
            if not isinstance(state.tools.rows, _Fates):
                state.tools = replace(state.tools, rows=_Fates(state.tools.rows, told))
            return real(state, works)

        stack.enter_context(patch.object(page, "recover", recover))

    return apply


def _aborted_while_pending(fate: TransactionFate) -> TransactionFate:
    return TransactionFate.ABORTED if fate is TransactionFate.PENDING else fate


def _half_moves_no_base(stack: ExitStack) -> None:
    real = write_rows._landed

    def landed(state: Any, act: Any, intent: Any, row: Any, half: Any) -> None:
        before = act.work.base
        real(state, act, intent, row, half)
        if not isinstance(act.change, DeleteRow):
            act.work.base = before or {}

    stack.enter_context(patch.object(write_rows, "_landed", landed))


def _speaks_for_ever(stack: ExitStack) -> None:
    def ours(work: Work) -> Any:
        found: dict[Any, set[Any]] = {}
        for intent in work.doubts:
            for no, digest in intent.digests.items():
                found.setdefault(no, set()).add(digest)
        return {no: frozenset(digests) for no, digests in found.items()}

    stack.enter_context(patch.object(decide, "_ours", ours))
    stack.enter_context(patch.object(entries, "_alive", lambda work, at, etag: work.doubts))


def _creating_forgets(stack: ExitStack) -> None:
    real = acts.creating

    def creating(work: Work, definition: Any, intent: Any) -> Any:
        return replace(real(work, definition, intent), item_id=None, etag=None, base=None)

    stack.enter_context(patch.object(acts, "creating", creating))


def _takes_base_along(stack: ExitStack) -> None:
    def take(work: Work, item: Any) -> None:
        work.item, work.item_read = item, True

    real = page_state.handed_over

    def handed_over(work: Work) -> Any:
        return replace(real(work), base=work.base)

    stack.enter_context(patch.object(look, "_take", take))
    stack.enter_context(patch.object(page_state, "handed_over", handed_over))


def _dropped_at_once(stack: ExitStack) -> None:
    stack.enter_context(patch.object(strays, "_gone", lambda claimed, lease: Confirmation(claimed=claimed)))


# ---- the row's half


def _row_without_compare(stack: ExitStack) -> None:
    real = PostgresRowTransaction.apply

    def apply(self: Any, changes: Sequence[Any]) -> Any:
        statement = f"select id, xmin::text from public.{self._spec.table.name}"
        try:
            current = dict(self._session.connection.execute(statement).fetchall())
        except psycopg.Error:
            return real(self, changes)  # it tells that the session is gone
        blind = []
        for change in changes:
            version = current.get(int(key_texts(change.identity)[0]))
            compares = isinstance(change, UpdateRow | DeleteRow) and version is not None
            blind.append(replace(change, version=version) if compares else change)
        return real(self, blind)

    stack.enter_context(patch.object(PostgresRowTransaction, "apply", apply))


class _Blind:
    """A RowTransaction that calls a missed row written."""

    def __init__(self, real: Any, rows: Mapping[Any, Any]) -> None:
        self._real, self._rows = real, rows

    def apply(self, changes: Sequence[Any]) -> Any:
        by_op = {change.op: change for change in changes}
        outcomes = self._real.apply(changes)
        self._real._missed = False
        return {
            op: Wrote(row=self._rows[by_op[op].identity])
            if isinstance(outcome, Busy | Moved) and by_op[op].identity in self._rows
            else outcome
            for op, outcome in outcomes.items()
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _missed_row_commits(stack: ExitStack) -> None:
    rows: dict[Any, Any] = {}
    real_update, real_carry = judge.update_row, write_rows._carried_out

    def update_row(work: Work, *arguments: Any) -> Any:
        rows[work.identity] = work.row
        return real_update(work, *arguments)

    def carried_out(state: Any, group: Any, intents: Any, transaction: Any, half: Any) -> Any:
        return (yield from real_carry(state, group, intents, _Blind(transaction, rows), half))

    stack.enter_context(patch.object(judge, "update_row", update_row))
    stack.enter_context(patch.object(write_rows, "_carried_out", carried_out))


def _same_operation(stack: ExitStack) -> None:
    stack.enter_context(patch.object(write_rows, "_anew", lambda state, act: act))


def _any_commit(stack: ExitStack) -> None:
    stack.enter_context(patch.object(PageState, "has_room", lambda self: True))


def _second_item_forgotten(stack: ExitStack) -> None:
    stack.enter_context(patch.object(strays, "_second_item", lambda claimed: Confirmation(claimed=claimed)))


def _partial_is_whole(stack: ExitStack) -> None:
    stack.enter_context(patch.object(page, "knows_too_little", lambda work, policy: False))


def _claims_overlooked(stack: ExitStack) -> None:
    told = {name: text.replace("b.claim is not null or", "false or") for name, text in enumerations.SQL.items()}
    stack.enter_context(patch.object(enumerations, "SQL", told))


_ROWS = (IntentKind.INSERT_ROW, IntentKind.UPDATE_ROW, IntentKind.DELETE_ROW)


def _nothing(stack: ExitStack) -> None:
    """The mutation is in the list's set-up."""


ROWS = "tests/contract/rows/test_row_writer.py::"
CLAIMS = "tests/integration/metastore/test_enumerations.py::"


TWO_WAY = (
    two_way("deletion_by_etag", "A deletion that the list tells counts as old news", _deletion_by_etag, seeds=(3,)),
    two_way("token_first", "The list's token is stored before its page is marked", _token_first, seeds=(14,)),
    two_way("jumps_to_latest", "A dead token is answered by going on from now", _jumps_to_latest, seeds=(5,)),
    two_way(
        "observation_unchecked",
        "What a page had in hand is used whatever came since",
        put(page, "observe", _observed),
        directed="tests/settle/test_two_way_readings.py::test_an_observation_that_is_not_current_any_more_is_not_used",
    ),
    two_way(
        "claims_overlooked",
        "A comparison of the whole list does not mark what is claimed at that moment",
        _claims_overlooked,
        directed=CLAIMS + "test_every_row_that_is_claimed_at_that_moment_is_marked_gone",
    ),
    two_way(
        "gone_dropped_at_once",
        "An unknown item that is gone is not waited for",
        _dropped_at_once,
        directed="tests/settle/test_two_way_strays.py::test_an_item_that_is_gone_before_its_creator_has_said_so_is_waited_for",
    ),
    two_way(
        "doubt_released_early",
        "A claim is given back although its write may still land",
        _released_early,
        directed="tests/settle/test_two_way_lost_answers.py::test_a_write_without_an_answer_keeps_its_claim_until_the_lease_is_over",
    ),
    two_way(
        "no_fence",
        "A worker writes and commits although its lease has no room for it",
        _any_commit,
        directed="tests/settle/test_two_way_lost_answers.py::test_a_worker_that_slept_past_its_lease_does_not_commit",
    ),
    two_way(
        "no_row_intents", "Writes to rows are not recorded before they are sent", without_intents(*_ROWS), seeds=(2,)
    ),
    two_way(
        "no_item_intents",
        "PATCHes are not recorded before they are sent",
        without_intents(IntentKind.PATCH_ITEM),
        seeds=(8,),
    ),
    two_way(
        "no_create_intents",
        "Creates are not recorded before they are sent",
        without_intents(IntentKind.CREATE_ITEM),
        directed="tests/settle/test_two_way_edits.py::test_an_edit_of_an_item_whose_create_got_no_answer_is_an_edit_and_no_conflict",
    ),
    two_way(
        "commit_never_landed",
        "A COMMIT without an answer counts as not landed",
        _told(lambda fate: TransactionFate.ABORTED),
        seeds=(2,),
    ),
    two_way(
        "commit_always_landed",
        "A COMMIT without an answer counts as landed",
        _told(lambda fate: TransactionFate.COMMITTED),
        seeds=(0,),
    ),
    two_way(
        "pending_is_aborted",
        "A transaction that is under way counts as not landed",
        _told(_aborted_while_pending),
        directed="tests/settle/test_two_way_lost_answers.py::test_a_commit_that_is_under_way_is_waited_for",
    ),
    two_way(
        "values_for_fates",
        "After a lost COMMIT values are compared",
        _told(lambda fate: TransactionFate.UNKNOWN),
        directed="tests/settle/test_two_way_lost_answers.py::test_a_user_who_writes_after_a_commit_without_an_answer_makes_no_conflict",
    ),
    two_way(
        "half_moves_no_base", "The base does not move when the row's half has landed", _half_moves_no_base, seeds=(4,)
    ),
    two_way(
        "partial_is_whole",
        "An item is believed although only the row's half was agreed on",
        _partial_is_whole,
        directed="tests/settle/test_two_way_one_way_fields.py::test_a_value_that_gives_way_is_logged_although_the_items_half_had_to_wait",
    ),
    two_way("intents_for_ever", "An intent speaks although it cannot land any more", _speaks_for_ever, seeds=(0,)),
    two_way(
        "creating_forgets",
        "While an item is made anew the former one is forgotten",
        _creating_forgets,
        seeds=(9,),
    ),
    two_way(
        "base_of_another_item",
        "The base of one item is taken for another's",
        _takes_base_along,
        directed="tests/settle/test_two_way_edits.py::test_what_was_agreed_with_a_former_item_says_nothing_about_its_successor",
    ),
    two_way(
        "no_void",
        "A definite no leaves the intent on record",
        put(Work, "void", lambda self, intent: None),
        directed="tests/settle/test_two_way_one_way_fields.py::test_a_value_that_gives_way_is_logged_although_the_items_half_had_to_wait",
    ),
    two_way(
        "row_without_compare",
        "A row is written whatever its version is",
        _row_without_compare,
        directed=ROWS + "test_a_row_that_somebody_has_changed_or_deleted_since_it_was_read_has_moved[postgresql]",
    ),
    two_way(
        "missed_row_commits",
        "A page commits although one of its rows was missed",
        _missed_row_commits,
        directed="tests/settle/test_two_way_edits.py::test_a_row_that_somebody_holds_stays_due_and_the_others_are_written",
    ),
    two_way(
        "same_operation",
        "A write that is tried again keeps the void one's name",
        _same_operation,
        directed="tests/settle/test_two_way_lost_answers.py::test_the_value_that_lost_in_a_transaction_that_was_tried_again_is_in_the_log",
    ),
    two_way(
        "second_item_forgotten",
        "A second item with a row's key is not looked at again",
        _second_item_forgotten,
        seeds=(25,),
    ),
    two_way("key_not_unique", "The list's key column takes a value twice", _nothing, unique=False, seeds=(9,)),
)
