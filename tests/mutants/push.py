"""The rules of pushing taken out one by one."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import shared.adapters.graph.items as graph_items
import shared.adapters.metastore.ledger as metastore_ledger
from shared.adapters.graph.batch import Member
from shared.adapters.graph.presence import Presence
from shared.core.ids import FieldNo, IdentityHash, sync_key
from shared.core.items import CreateItem, DeleteItem, Doubtful, Duplicate, Landed, Looked, PatchItem
from shared.core.ledger import IntentKind
from shared.core.reconcile import Decision, Merge
from shared.settle import acts, entries, judge, look, page, write_items
from shared.settle.page_state import PageState
from shared.settle.work import Work
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import without_base, without_intents

# ---- the list


def _without_if_match(kind: type) -> Apply:
    def apply(stack: ExitStack) -> None:
        real = graph_items.member_for

        def member_for(target: Any, write: Any) -> Any:
            made = real(target, write)
            return replace(made, headers={}) if isinstance(write, kind) and isinstance(made, Member) else made

        stack.enter_context(patch.object(graph_items, "member_for", member_for))

    return apply


def _nothing(stack: ExitStack) -> None:
    """The mutation is in the list's set-up."""


def _blind_success(stack: ExitStack) -> None:
    real = write_items.answered

    def answered(state: Any, acted: Any, outcome: Any, again: Any) -> None:
        if isinstance(outcome, Duplicate) and isinstance(acted.write, CreateItem):
            key = sync_key(IdentityHash(acted.work.key))
            seen = state.tools.lists.find(state.definition.target, [key])[key]
            if isinstance(seen, Looked) and seen.item is not None:
                outcome = Landed(item_id=seen.item.id, etag=seen.item.etag)
        real(state, acted, outcome, again)

    stack.enter_context(patch.object(write_items, "answered", answered))


def _believes_404(stack: ExitStack) -> None:
    stack.enter_context(patch.object(Presence, "absent", lambda self, conclusion: conclusion()))


# ---- the claim, the mark


def _removes_any_mark(stack: ExitStack) -> None:
    real = metastore_ledger._conclude

    def _conclude(connection: Any, definition: Any, token: Any, locked: Any, confirmations: Any) -> None:
        numbers = {**locked.held, **{c.claimed.subject.key: c.claimed.number for c in confirmations}}
        real(connection, definition, token, replace(locked, held=numbers), confirmations)

    stack.enter_context(patch.object(metastore_ledger, "_conclude", _conclude))


def _claim_unchecked(stack: ExitStack) -> None:
    real = metastore_ledger._lock

    def _lock(connection: Any, definition: Any, token: Any, keys: Any) -> Any:
        locked = real(connection, definition, token, keys)
        return replace(locked, held={**dict.fromkeys((bytes(key) for key in keys), 0), **locked.held})

    stack.enter_context(patch.object(metastore_ledger, "_lock", _lock))


def _trusts_after_takeover(stack: ExitStack) -> None:
    real = look.must_look

    def must_look(work: Work) -> bool:
        return real(replace(work, claimed=replace(work.claimed, takeover=False), doubts=()))

    stack.enter_context(patch.object(page, "must_look", must_look))


def _early_release(stack: ExitStack) -> None:
    real = write_items.answered

    def answered(state: Any, acted: Any, outcome: Any, again: Any) -> None:
        if isinstance(outcome, Doubtful):
            state.tools.backlog.release(state.definition.id, state.claim.token, [acted.work.claimed])
        real(state, acted, outcome, again)

    stack.enter_context(patch.object(write_items, "answered", answered))


def _no_fence(stack: ExitStack) -> None:
    stack.enter_context(patch.object(PageState, "has_room", lambda self: True))


def _confirmed_first(stack: ExitStack) -> None:
    real = page.write_items

    def confirmed_first(state: Any, ready: Sequence[Any]) -> Any:
        for acted in ready:
            if isinstance(acted.write, PatchItem):
                write_items.landed(state, acted, Landed(item_id=acted.write.item_id, etag=None))
        yield from state.flush()
        again = yield from real(state, ready)
        return again

    stack.enter_context(patch.object(page, "write_items", confirmed_first))


# ---- what is on record


def _no_void(stack: ExitStack) -> None:
    stack.enter_context(patch.object(Work, "void", lambda self, intent: None))


def _forgets_ghosts(stack: ExitStack) -> None:
    real = entries.tombstone

    def tombstone(*arguments: Any, **named: Any) -> Any:
        return replace(real(*arguments, **named), intents=())

    for module in (judge, write_items):
        stack.enter_context(patch.object(module, "tombstone", tombstone))


def _keeps_base(stack: ExitStack) -> None:
    real = entries.tombstone

    def tombstone(work: Work, *arguments: Any, **named: Any) -> Any:
        return replace(real(work, *arguments, **named), base=work.base)

    for module in (judge, write_items):
        stack.enter_context(patch.object(module, "tombstone", tombstone))


def _doubt_is_forgotten(stack: ExitStack) -> None:
    stack.enter_context(patch.object(entries, "_may_have_landed", lambda work, intent: False))
    stack.enter_context(patch.object(Work, "took_effect", Work.void))


# ---- deciding


def _no_log(stack: ExitStack) -> None:
    stack.enter_context(patch.object(acts, "records", lambda *arguments, **named: ()))


def _stamp_is_truth(stack: ExitStack) -> None:
    real = judge.decide

    def decide(work: Work, definition: Any, policy: Any) -> Decision:
        made = real(work, definition, policy)
        known = work.known
        if isinstance(made, Merge) and known is not None and work.row is not None and work.row.stamp != known.stamp:
            return replace(made, to_item=frozenset(policy.flows))
        return made

    stack.enter_context(patch.object(judge, "decide", decide))


def _one_field_only(stack: ExitStack) -> None:
    real = judge.decide

    def decide(work: Work, definition: Any, policy: Any) -> Decision:
        made = real(work, definition, policy)
        if isinstance(made, Merge) and len(made.to_item) > 1:
            return replace(made, to_item=frozenset({min(made.to_item, default=FieldNo(1))}))
        return made

    stack.enter_context(patch.object(judge, "decide", decide))


def _reads_unpaid(stack: ExitStack) -> None:
    stack.enter_context(patch.object(graph_items.SharePointLists, "reserve", lambda self, writes: None))


def _keeps_the_reserve(stack: ExitStack) -> None:
    stack.enter_context(patch.object(graph_items.SharePointLists, "release", lambda self: None))


def _history_stops_the_page(stack: ExitStack) -> None:
    def learn_all(here: PageState, works: Sequence[Work]) -> list[tuple[Work, float]]:
        for work in works:
            page.learn(work, here.tools.lists, here.definition.target, lambda item: page._item_digests(here, item))
        return []

    stack.enter_context(patch.object(page, "_learn", learn_all))


SETTLE = "tests/settle/test_push.py::"
SMALL = "tests/settle/test_small_budget.py::"
CREATES = "tests/scenarios/test_creates.py::"
LOSSES = "tests/scenarios/test_losses.py::"
HOLDS = "tests/scenarios/test_absence.py::"

PUSH = (
    Mutant("patch_without_if_match", "A PATCH carries no If-Match", _without_if_match(PatchItem), seeds=(5,)),
    Mutant("delete_without_if_match", "A DELETE carries no If-Match", _without_if_match(DeleteItem), seeds=(6,)),
    Mutant("key_not_unique", "The list's key column takes a value twice", _nothing, unique=False, seeds=(3,)),
    Mutant(
        "duplicate_is_success",
        "A refused second create counts as done, whatever the item holds",
        _blind_success,
        directed=CREATES + "test_a_create_that_lands_just_before_its_repetition_is_found_and_brought_up_to_date",
    ),
    Mutant(
        "list_404_is_item_gone",
        "A 404 is believed without asking for the list",
        _believes_404,
        directed=HOLDS + "test_a_list_that_answers_404_is_never_an_item_that_is_gone",
    ),
    Mutant(
        "any_mark_removed", "A confirmation removes the mark although it was renumbered", _removes_any_mark, seeds=(59,)
    ),
    Mutant("claim_unchecked", "A confirmation is written by whoever comes", _claim_unchecked, seeds=(26,)),
    Mutant("takeover_trusts_ledger", "After a takeover the ledger is believed", _trusts_after_takeover, seeds=(1,)),
    Mutant(
        "doubt_released_early",
        "A claim is given back although its write may still land",
        _early_release,
        directed="tests/settle/test_two_way_lost_answers.py::test_a_write_without_an_answer_keeps_its_claim_until_the_lease_is_over",
    ),
    Mutant(
        "no_fence",
        "A worker writes although its lease has no room for a request",
        _no_fence,
        directed=SETTLE + "test_a_worker_does_not_write_when_its_lease_has_no_room_for_a_request",
    ),
    Mutant("confirmed_before_sent", "A change is confirmed before it is sent", _confirmed_first, seeds=(0,)),
    Mutant(
        "no_create_intent",
        "A create is not recorded before it is sent",
        without_intents(IntentKind.CREATE_ITEM),
        seeds=(1,),
    ),
    Mutant(
        "no_patch_intent",
        "A PATCH is not recorded before it is sent",
        without_intents(IntentKind.PATCH_ITEM),
        seeds=(5,),
    ),
    Mutant(
        "no_delete_intent",
        "A DELETE is not recorded before it is sent",
        without_intents(IntentKind.DELETE_ITEM),
        directed=LOSSES + "test_a_loss_by_a_delete_whose_answer_was_lost_is_final_in_the_log",
    ),
    Mutant("no_void", "A definite no leaves the intent on record", _no_void, seeds=(41,)),
    Mutant(
        "ghosts_forgotten",
        "A create in doubt is not looked for once its row is gone",
        _forgets_ghosts,
        directed=SETTLE + "test_a_create_that_lands_after_its_row_was_deleted_is_removed",
    ),
    Mutant("tombstone_keeps_base", "A tombstone keeps its base", _keeps_base, seeds=(2,)),
    Mutant(
        "doubtful_loss_forgotten", "A loss by a write without an answer is not logged", _doubt_is_forgotten, seeds=(27,)
    ),
    Mutant("no_conflict_log", "Values that lose are not logged", _no_log, seeds=(2,)),
    Mutant("stamp_is_truth", "A differing stamp is written without comparing digests", _stamp_is_truth, seeds=(0,)),
    Mutant(
        "reads_unpaid",
        "A page looks at what it cannot afford to write",
        _reads_unpaid,
        directed=SMALL + "test_pages_in_doubt_are_settled_with_the_budget_of_the_smallest_tier",
    ),
    Mutant(
        "reserve_kept",
        "What a page has reserved and not used does not go back",
        _keeps_the_reserve,
        directed=SMALL + "test_what_a_page_has_reserved_and_does_not_need_goes_back_to_the_budget",
    ),
    Mutant(
        "history_stops_page",
        "One history that cannot be read keeps the whole page waiting",
        _history_stops_the_page,
        directed=SETTLE
        + "test_an_item_whose_history_cannot_be_read_now_does_not_keep_the_rest_of_its_page_waiting[throttled]",
    ),
    Mutant("no_base", "Items are compared without a merge base", without_base, seeds=(0,)),
    Mutant("half_patch", "Of several changed fields one is sent and all are confirmed", _one_field_only, seeds=(0,)),
)
