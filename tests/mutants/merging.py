"""What a two-way engine decides, taken out: who wins, what is asked for and what is logged; and whole engines of a simpler
make."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from shared.core import reconcile
from shared.core.flows import Flow
from shared.settle import acts, decide, judge, page_state, write_rows
from shared.settle.entries import item_of
from tests.mutants.mutant import Apply, Mutant, two_way
from tests.mutants.patches import in_metastore, put, without_base


def _no_log(stack: ExitStack) -> None:
    for module in (acts, write_rows):
        stack.enter_context(patch.object(module, "records", lambda *arguments, **named: ()))


def _policy(**changes: Any) -> Apply:
    def apply(stack: ExitStack) -> None:
        real = page_state.policy_of
        stack.enter_context(
            patch.object(page_state, "policy_of", lambda definition: replace(real(definition), **changes))
        )

    return apply


def _delete_wins(stack: ExitStack) -> None:
    absent, gone = reconcile._item_absent, reconcile._row_absent

    def item_absent(reading: Any, policy: Any, approved: bool) -> Any:
        return absent(replace(reading, base=reading.row) if reading.base else reading, policy, approved)

    def row_absent(reading: Any, policy: Any, approved: bool) -> Any:
        return gone(replace(reading, base=reading.item) if reading.base else reading, policy, approved)

    stack.enter_context(patch.object(reconcile, "_item_absent", item_absent))
    stack.enter_context(patch.object(reconcile, "_row_absent", row_absent))


def _asks_nobody(stack: ExitStack) -> None:
    absent, gone = reconcile._item_absent, reconcile._row_absent
    stack.enter_context(
        patch.object(reconcile, "_item_absent", lambda reading, policy, _: absent(reading, policy, True))
    )
    stack.enter_context(patch.object(reconcile, "_row_absent", lambda reading, policy, _: gone(reading, policy, True)))


def _by_lot(stack: ExitStack) -> None:
    real = reconcile._winner

    def winner(reading: Any, policy: Any, flow: Any, *, row_edited: bool, item_edited: bool) -> Any:
        side, rule = real(reading, policy, flow, row_edited=row_edited, item_edited=item_edited)
        if flow is not Flow.BOTH or not (row_edited and item_edited):
            return side, rule
        heads = sum(sum(digest) for digest in reading.row.values()) % 2
        return (reconcile.Side.ROW if heads else reconcile.Side.ITEM), rule

    stack.enter_context(patch.object(reconcile, "_winner", winner))


def _row_level(stack: ExitStack) -> None:
    def units(row: Any, policy: Any) -> Any:
        both = tuple(no for no in row if policy.flows[no] is Flow.BOTH)
        yield both
        yield from ((no,) for no in row if no not in both)

    stack.enter_context(patch.object(reconcile, "_units", units))


def _one_way(stack: ExitStack) -> None:
    real = page_state.policy_of

    def policy_of(definition: Any) -> Any:
        policy = real(definition)
        return replace(policy, flows={no: Flow.TO_ITEM for no, flow in policy.flows.items() if flow is not Flow.TO_ROW})

    stack.enter_context(patch.object(page_state, "policy_of", policy_of))


def _kept_agrees_on_nothing(stack: ExitStack) -> None:
    real = judge.kept
    stack.enter_context(
        patch.object(judge, "kept", lambda work, *rest: real(replace(work, unedited=frozenset()), *rest))
    )


def _kept_is_assumed(stack: ExitStack) -> None:
    real = judge.kept

    def kept(work: Any, *rest: Any) -> Any:
        return replace(real(work, *rest), etag=item_of(work)[1])

    stack.enter_context(patch.object(judge, "kept", kept))


def _asked_without_record(stack: ExitStack) -> None:
    real = page_state.PageState.await_approval

    def await_approval(self: Any, work: Any, reason: str, entry: Any = None) -> None:
        real(self, work, reason)

    stack.enter_context(patch.object(page_state.PageState, "await_approval", await_approval))


def _never_agreed_is_agreed(stack: ExitStack) -> None:
    real = reconcile._item_absent

    def item_absent(reading: Any, policy: Any, approved: bool) -> Any:
        return real(replace(reading, base={}) if reading.base is None else reading, policy, approved)

    stack.enter_context(patch.object(reconcile, "_item_absent", item_absent))


GONE = "tests/settle/test_two_way_deletes.py::test_a_row_stays_gone_whose_item_was_made_by_a_create_without_an_answer_and_is_kept"

MERGING = (
    two_way("delete_wins", "A delete wins against an edit, without a word", _delete_wins, seeds=(6,)),
    Mutant(
        "row_goes_with_any_item",
        "A row goes with an item that only named it",
        _never_agreed_is_agreed,
        kind="one-way",
        seeds=(76,),
    ),
    Mutant(
        "dead_rows_agreement",
        "An item that takes the place of a row that is gone is known as the dead row's item was",
        in_metastore("ledger", "bind", ("mapping_fingerprint = null, ", "")),
        directed="tests/settle/test_two_way_strays.py"
        "::test_an_item_that_takes_a_dead_rows_place_gets_its_key_though_its_first_write_had_to_wait",
    ),
    Mutant("asks_nobody", "What a person has to approve is done without", _asks_nobody, kind="asking", seeds=(1,)),
    Mutant(
        "approval_outlives_news",
        "An approval stands although what was to be deleted is there again",
        in_metastore(
            "backlog", "policy", ("approved = b.approved\n                  and", "approved = b.approved or false and")
        ),
        directed="tests/integration/metastore/test_marks.py::test_an_approval_is_void_when_the_row_shows_up_again",
    ),
    two_way(
        "refused_item_asked_again",
        "An item whose delete a person refused is as good as any other",
        put(decide, "_item_kept", lambda work, definition: False),
        directed="tests/settle/test_two_way_deletes.py::test_an_item_whose_delete_a_person_refused_is_not_asked_about_again_whatever_becomes_of_it",
    ),
    two_way(
        "refused_row_gets_item",
        "A row whose delete a person refused gets an item again",
        put(decide, "_row_kept", lambda work, definition: False),
        directed="tests/settle/test_two_way_ingress.py::"
        "test_rows_of_rejected_deletes_stay_without_items_until_they_change",
    ),
    two_way(
        "refused_in_doubt_forgotten",
        "Nobody looks again at what a person refused while a write was in doubt",
        in_metastore("holds", "reject_doubtful", ("and l.intents <> '[]'", "and false")),
        directed="tests/settle/test_two_way_deletes.py::test_a_delete_that_a_person_refuses_while_a_write_is_in_doubt_is_looked_at_once_more",
    ),
    two_way(
        "kept_agrees_on_nothing",
        "What a create in doubt has left in an item that is kept becomes a person's edit",
        _kept_agrees_on_nothing,
        directed=GONE + "[by the policy]",
    ),
    two_way(
        "kept_is_assumed",
        "An item that stays alone is assumed to hold what was agreed on, whatever was typed into it",
        _kept_is_assumed,
        directed="tests/settle/test_two_way_deletes.py::"
        "test_what_a_person_typed_into_an_item_that_stayed_alone_gives_way_and_is_logged_when_its_row_is_back",
    ),
    two_way(
        "asked_without_record",
        "A person is asked about an item that is on record nowhere",
        _asked_without_record,
        directed=GONE + "[by a person]",
    ),
    two_way("no_conflict_log", "Values that lose are not logged", _no_log, seeds=(0,)),
    two_way("groups_ignored", "Fields of a group are merged one by one", _policy(groups=()), seeds=(1,)),
    two_way(
        "system_fields_are_edits",
        "What the list notes by itself counts as a person's edit",
        _policy(system=frozenset()),
        directed="tests/settle/test_two_way_one_way_fields.py::test_a_deleted_row_stays_deleted_although_the_list_noted_our_own_write",
    ),
    two_way("winner_by_lot", "Who wins a conflict is drawn by lot", _by_lot, seeds=(8,)),
    two_way("row_level", "Whole rows are merged instead of fields", _row_level, seeds=(0,)),
    two_way("no_base", "Both sides are compared without a merge base", without_base, seeds=(0,)),
    two_way("one_way", "People's edits never go to rows", _one_way, seeds=(0,)),
)
