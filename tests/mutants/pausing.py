"""The rules of fields that are paused taken out one by one."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from shared.core import drift, reconcile
from shared.core.paused import Pause
from shared.settle import decide, entries, judge, look, write_rows
from tests.mutants.mutant import Mutant
from tests.mutants.patches import put

PAUSED = "tests/settle/test_paused_fields.py::"


def _goes_on(stack: ExitStack) -> None:
    real = reconcile.flows_of

    def flows_of(fields: Any, mode: Any, key: Any) -> Any:
        return real([replace(mapping, paused=None) for mapping in fields], mode, key)

    stack.enter_context(patch.object(reconcile, "flows_of", flows_of))


def _whatever_was_there(known: Pause | None, *others: Any) -> None:
    del known, others


PAUSING = (
    Mutant(
        "paused_field_written",
        "A field that is paused is written none the less",
        _goes_on,
        directed=PAUSED + "test_a_paused_field_is_written_on_neither_side_and_the_others_go_on_both_ways",
    ),
    Mutant(
        "paused_base_forgotten",
        "What was agreed about a paused field is forgotten by the next agreement",
        put(entries, "held", lambda base, paused: {}),
        directed=PAUSED + "test_an_items_edit_during_the_pause_is_an_edit_once_the_field_goes_on",
    ),
    Mutant(
        "paused_base_survives_row",
        "What was agreed about a paused field is believed of a row that was made anew without it",
        put(write_rows, "without", lambda base, paused: base or {}),
        directed=PAUSED + "test_a_row_that_was_made_again_during_the_pause_empties_nothing_in_its_item[answered]",
    ),
    Mutant(
        "paused_item_believed",
        "An item that was edited while a field was paused is believed to have in it what was agreed",
        put(look, "unseen_under", lambda fingerprint: frozenset()),
        directed=PAUSED + "test_an_items_edit_during_the_pause_is_an_edit_once_the_field_goes_on",
    ),
    Mutant(
        "paused_row_deleted",
        "A row is deleted although nobody can see what a paused field's column got",
        put(judge, "_hides_edits", lambda page: False),
        directed=PAUSED + "test_a_row_whose_item_is_deleted_during_the_pause_waits_for_a_person",
    ),
    Mutant(
        "paused_brings_back",
        "A row that was left without an item gets one when a field pauses, for its stamp covers other columns",
        put(decide, "fields_of", lambda fingerprint: fingerprint),
        directed=PAUSED + "test_an_item_that_was_deleted_and_is_to_stay_away_does_not_come_back_with_a_pause",
    ),
    Mutant(
        "paused_only_if_seen_gone",
        "A column that was dropped and made anew before anybody looked is taken for the one that was",
        put(drift, "_keep_their_places", lambda record, now: False),
        directed="tests/unit/core/test_drift.py::"
        "test_a_column_that_was_dropped_and_made_anew_before_anybody_looked_pauses_its_field",
    ),
    Mutant(
        "paused_until_any_column",
        "A field goes on with whatever column has its name, be it made anew and empty",
        put(drift, "_made_anew", _whatever_was_there),
        directed="tests/unit/core/test_drift.py::test_a_column_that_was_made_anew_stays_paused",
    ),
)
