"""The rules of fields that are paused taken out one by one."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from shared.adapters.postgres import rows
from shared.core import drift, list_columns, reconcile
from shared.engine import runs as engine_runs
from shared.settle import decide, entries, judge, look, write_rows
from shared.usecases import definitions as usecases
from tests.mutants.mutant import Mutant
from tests.mutants.patches import in_metastore, put

PAUSED = "tests/settle/test_paused_fields.py::"


def _goes_on(stack: ExitStack) -> None:
    real = reconcile.flows_of

    def flows_of(fields: Any, mode: Any, key: Any) -> Any:
        return real([replace(mapping, paused=None) for mapping in fields], mode, key)

    stack.enter_context(patch.object(reconcile, "flows_of", flows_of))


def _whatever_was_there(was: Any, now: Any, *, in_place: bool, paused: bool = False) -> None:
    del was, now, in_place, paused


def _forgets_what_was_made_anew(stack: ExitStack) -> None:
    real = usecases.drift_of

    def drift_of(record: Any, now: Any) -> Any:
        found = real(record, now)
        return replace(found, anew=frozenset()) if found.whole else found

    stack.enter_context(patch.object(usecases, "drift_of", drift_of))


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
        "other_fields_unmarked",
        "Rows that were agreed on under other fields wait until they change",
        put(engine_runs, "mark_other_fields", lambda *_, **__: (yield from ())),
        directed="tests/scenarios/test_changed_mapping.py::"
        "test_fields_that_exchange_their_list_columns_are_equal_again_after_the_next_run[ONE_WAY_PUSH]",
    ),
    Mutant(
        "other_fields_unclaimed",
        "What a worker holds while the fields change is not marked",
        in_metastore("ledger", "under_other_fields", ("and b.claim is not null", "and false")),
        directed="tests/settle/test_new_fields.py::"
        "test_a_row_that_is_made_meanwhile_under_the_former_fields_is_looked_at_again",
    ),
    Mutant(
        "list_column_by_name",
        "A list column that was made anew is taken for the one of its name",
        put(list_columns, "made_anew", lambda field, column: False),
        directed="tests/scenarios/test_list_drift.py::"
        "test_a_column_that_was_made_anew_before_anybody_looked_empties_nothing_in_the_table",
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
    Mutant(
        "stopped_forgets_anew",
        "A definition that stopped and is saved again takes columns that were made anew for those that were agreed on",
        _forgets_what_was_made_anew,
        directed="tests/scenarios/test_table_drift.py::"
        "test_fields_that_are_all_made_anew_stop_the_definition_and_empty_nothing_once_it_is_saved_again",
    ),
    Mutant(
        "rows_read_unlooked",
        "A column that is made anew while a run is under way is read as if it were the one that was",
        put(rows, "moved", lambda spec, now: None),
        directed="tests/scenarios/test_table_drift.py::"
        "test_a_column_that_is_made_anew_while_a_run_is_under_way_empties_nothing",
    ),
)
