"""What settle concludes after lost answers taken out: what is asked of whom, what is kept, which item is a row's."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

from shared.core.ids import IdentityHash, sync_key
from shared.core.items import Duplicate, Looked
from shared.core.ledger import EntryState, IntentKind
from shared.core.mapping import item_values
from shared.core.runs import RunCounts
from shared.core.values import moments
from shared.ports import Confirmation
from shared.settle import decide, entries, judge, look, page, recover, write_items
from shared.settle.decide import digests_of
from shared.settle.page_state import PageState
from shared.settle.work import Work
from tests.mutants.mutant import two_way
from tests.mutants.patches import put, without_intents

FORMER = "tests/settle/test_former_items.py::"

# ---- what a page had in hand


def _by_number_only(work: Work, observations: Mapping[bytes, Any]) -> bool:
    seen = observations.get(work.key)
    return seen is not None and seen.number == work.claimed.number and _used(work, seen)


def _by_age_only(work: Work, observations: Mapping[bytes, Any]) -> bool:
    seen, entry = observations.get(work.key), work.known
    older = entry is not None and entry.confirmed is not None
    return seen is not None and older and entry.confirmed < seen.since and _used(work, seen)


def _used(work: Work, seen: Any) -> bool:
    entry = work.known
    if entry is None or work.item_read or work.probe or work.doubts or entry.item_id != seen.item.id or work.observed:
        return False
    work.observed = True
    look._take(work, seen.item)
    return True


# ---- which item is a row's


def _only_where_none_is_known(work: Work, item: Any) -> None:
    if not work.item_read:
        look._take(work, item)


def _hand_over_silently(state: PageState, work: Work) -> None:
    due = Confirmation(claimed=work.claimed, due_in=timedelta(0))
    state._unsettled(work, due, RunCounts(delayed=1), entries.handed_over(work))


def _creates_speak_for_any_item(stack: ExitStack) -> None:
    real = judge.decide

    def decided(*arguments: Any) -> Any:
        with patch.object(Work, "lacks_key", False):
            return real(*arguments)

    stack.enter_context(patch.object(judge, "decide", decided))


def _key_is_asked_always(stack: ExitStack) -> None:
    """An item that is gone is looked for by the row's key, although both sides were agreed on."""
    real = look.look

    def looked(lists: Any, target: Any, works: Sequence[Work]) -> Any:
        answer = real(lists, target, works)
        gone = [work for work in works if work.item_read and work.item is None and work.state is EntryState.SETTLED]
        for work in gone:
            key = sync_key(IdentityHash(work.key))
            found = lists.find(target, [key])[key]
            if isinstance(found, Looked):
                look._take(work, found.item)
        return answer

    stack.enter_context(patch.object(page, "look", looked))


def _key_is_never_asked(stack: ExitStack) -> None:
    """A create that is refused because the key is taken is tried again without asking who has it."""
    real = write_items.answered

    def answered(state: Any, acted: Any, outcome: Any, again: Any) -> None:
        real(state, acted, outcome, again)
        if isinstance(outcome, Duplicate):
            acted.work.probe, acted.work.look, acted.work.duplicates = False, False, 0

    stack.enter_context(patch.object(write_items, "answered", answered))


# ---- what is on record


def _yes_goes_at_once(stack: ExitStack) -> None:
    real = Work.took_effect

    def took_effect(self: Work, intent: Any) -> None:
        real(self, intent)
        if self.known is not None:
            kept = tuple(other for other in self.known.intents if other.op != intent.op)
            self.known = replace(self.known, intents=kept)

    stack.enter_context(patch.object(Work, "took_effect", took_effect))


def _no_history(stack: ExitStack) -> None:
    real = page.learn

    class Forgetful:
        def versions_since(self, *arguments: Any) -> None:
            return None

    def learn(work: Work, lists: Any, target: Any, digests_of: Any) -> None:
        real(work, Forgetful(), target, digests_of)  # type: ignore[arg-type]

    stack.enter_context(patch.object(page, "learn", learn))


def _no_roll_forward(work: Work, intent: Any) -> None:
    work.took_effect(intent)


def _creates_speak_over_a_base(stack: ExitStack) -> None:
    real = decide._ours

    def ours(work: Work) -> Any:
        kept, work.base = work.base, None
        try:
            return real(work)
        finally:
            work.base = kept

    stack.enter_context(patch.object(decide, "_ours", ours))


def _kept_items_are_assumed(stack: ExitStack) -> None:
    real = judge.kept

    def kept(work: Work, definition: Any, at: Any) -> Any:
        return replace(real(work, definition, at), etag=entries.item_of(work)[1])

    stack.enter_context(patch.object(judge, "kept", kept))


def _whole_versions(state: Any, item: Any) -> Any:
    return digests_of(item_values(state.definition.fields, item, state.definition.target.site_zone))


def _nearest_day(instant: datetime, zone: tzinfo) -> date:
    return (instant.astimezone(zone) + timedelta(hours=12)).date()


STALE = "tests/settle/test_two_way_readings.py::test_an_observation_that_is_not_current_any_more_is_not_used"


DOUBTS = (
    two_way(
        "observation_by_number",
        "What a page had in hand is used when the mark is still its own, however old the page",
        put(page, "observe", _by_number_only),
        directed=f"{STALE}[the agreement is younger]",
    ),
    two_way(
        "observation_by_age",
        "What a page had in hand is used when the agreement is older, whatever was marked since",
        put(page, "observe", _by_age_only),
        directed=f"{STALE}[the mark is another one]",
    ),
    two_way(
        "kept_item_assumed",
        "An item that stays without its row is taken to have what was agreed on, whatever somebody typed into it",
        _kept_items_are_assumed,
        directed="tests/settle/test_left_rows.py::"
        "test_what_was_typed_into_an_item_that_stays_is_logged_before_a_row_that_is_back_writes_over_it",
    ),
    two_way(
        "version_stops_page",
        "A version with a value that cannot be read stops its whole page",
        put(page, "_item_digests", _whole_versions),
        directed="tests/settle/test_two_way_lost_answers.py::test_a_version_that_cannot_be_read_keeps_its_own_row_only",
    ),
    two_way(
        "nearest_day",
        "A date that is no midnight in the site's zone is read as the day nearby",
        put(moments, "day_shown", _nearest_day),
        directed="tests/unit/core/test_forms.py::test_a_time_of_day_in_a_date_only_column_is_refused",
    ),
    two_way(
        "key_always_asked",
        "A settled row's item that is gone is looked for by its key, and a late ghost answers",
        _key_is_asked_always,
        directed="tests/settle/test_two_way_deletes.py::test_a_ghost_that_lands_after_a_person_deleted_the_item_does_not_bring_it_back",
    ),
    two_way(
        "key_never_asked",
        "Nobody asks who has the key after a create was refused for it",
        _key_is_never_asked,
        directed="tests/scenarios/test_creates.py::"
        "test_a_create_that_lands_just_before_its_repetition_is_found_and_brought_up_to_date",
    ),
    two_way(
        "former_forgotten",
        "Nobody looks at a row's former item again",
        put(write_items, "_stray_marks", lambda *_: ()),
        directed="tests/settle/test_two_way_edits.py::test_a_former_item_that_comes_back_while_its_successor_is_made_is_set_aside",
    ),
    two_way(
        "no_row_delete_intents",
        "Deletes of rows are not recorded before they are sent",
        without_intents(IntentKind.DELETE_ROW),
        directed="tests/settle/test_two_way_deletes.py::test_the_value_that_went_with_a_row_whose_delete_got_no_answer_is_in_the_log",
    ),
    two_way(
        "yes_goes_at_once",
        "A definite yes goes off the record before the confirmation",
        _yes_goes_at_once,
        directed="tests/settle/test_two_way_lost_answers.py::test_the_value_that_lost_by_a_commit_without_an_answer_is_in_the_log_although_the_next_worker_dies",
    ),
    two_way(
        "no_version_history",
        "An item's versions are not asked whether a PATCH without an answer has landed",
        _no_history,
        directed="tests/settle/test_two_way_lost_answers.py::test_a_person_who_types_the_old_value_again_after_a_lost_patch_keeps_it",
    ),
    two_way(
        "no_roll_forward",
        "A COMMIT that landed moves no base",
        put(recover, "_roll_forward", _no_roll_forward),
        directed="tests/settle/test_two_way_lost_answers.py::test_a_user_who_writes_after_a_commit_without_an_answer_makes_no_conflict",
    ),
    two_way(
        "creates_speak_over_base",
        "A create without an answer speaks for fields that were agreed on since",
        _creates_speak_over_a_base,
        directed="tests/settle/test_two_way_edits.py::test_a_create_without_an_answer_does_not_speak_for_what_was_agreed_on_since",
    ),
    two_way(
        "create_speaks_for_any",
        "A create without an answer speaks for an item that does not have the row's key",
        _creates_speak_for_any_item,
        directed=f"{FORMER}test_an_item_that_a_person_brought_back_is_never_taken_for_a_late_create_of_ours",
    ),
    two_way(
        "made_item_unasked",
        "Nobody asks who has the key while the item that is known does not have it, though a create may have landed",
        put(look, "_found", _only_where_none_is_known),
        directed=f"{FORMER}test_the_row_is_the_new_items_and_the_former_one_stays_as_the_person_left_it",
    ),
    two_way(
        "handed_over_silently",
        "A row is handed over to the item that a create has made, and nobody looks at its former one",
        put(PageState, "hand_over", _hand_over_silently),
        directed=f"{FORMER}test_a_former_item_that_comes_back_while_the_new_one_is_found_is_not_forgotten",
    ),
)
