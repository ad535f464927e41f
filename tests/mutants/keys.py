"""The rules of keys that change taken out one by one."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from shared.adapters.metastore import renames as store
from shared.core import renames as core
from shared.core.ids import Identity
from shared.core.ledger import IntentKind, LedgerEntry
from shared.core.renames import Followed, Rename
from shared.settle import page
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import in_metastore, put

RENAMES = "tests/settle/renames/"


def _followed(change: Any) -> Apply:
    """What is known about rows and claims is changed before a rename is decided."""

    def apply(stack: ExitStack) -> None:
        real = store.follow

        def follow(
            renames: Sequence[Rename],
            entries: Mapping[Identity, LedgerEntry],
            *,
            present: Collection[Identity],
            held: Collection[Identity],
        ) -> Followed:
            return real(renames, entries, **change(renames, present, held))

        stack.enter_context(patch.object(store, "follow", follow))

    return apply


def _former_is_gone(renames: Sequence[Rename], present: Collection[Identity], held: Collection[Identity]) -> Any:
    return {"present": set(present) - {rename.former for rename in renames}, "held": held}


def _nobody_holds(renames: Sequence[Rename], present: Collection[Identity], held: Collection[Identity]) -> Any:
    return {"present": present, "held": ()}


def _handed(change: Any) -> Apply:
    """Both entries after a rename are changed: the former row's, and its heir's."""

    def apply(stack: ExitStack) -> None:
        real = core._handed_over

        def handed_over(former: LedgerEntry | None, heir: LedgerEntry | None, new: Identity) -> Any:
            made = real(former, heir, new)
            return None if made is None else change(former, *made)

        stack.enter_context(patch.object(core, "_handed_over", handed_over))

    return apply


def _any_heir(stack: ExitStack) -> None:
    real = core._handed_over
    stack.enter_context(patch.object(core, "_handed_over", lambda former, heir, new: real(former, None, new)))


KEYS = (
    Mutant(
        "rename_believed",
        "A rename is carried out although its former row is there",
        _followed(_former_is_gone),
        directed=RENAMES + "test_made_anew.py::test_a_new_row_under_the_former_key_keeps_the_item_of_that_key",
    ),
    Mutant(
        "rename_takes_any_heir",
        "An entry goes over although the new row has an item",
        _any_heir,
        directed=RENAMES + "test_made_anew.py::test_a_new_key_that_has_an_item_already_keeps_its_own",
    ),
    Mutant(
        "rename_takes_row_writes",
        "An entry goes over although a write to its row is in doubt",
        put(core, "_OF_KNOWN_ITEMS", frozenset(IntentKind)),
        directed="tests/unit/core/test_renames.py::test_only_writes_to_the_item_itself_go_over[UPDATE_ROW]",
    ),
    Mutant(
        "rename_not_waited_for",
        "A row that is gone again is settled before the message with its next key can have come",
        put(store, "FRESH", timedelta(0)),
        directed=RENAMES
        + "test_made_anew.py::test_a_key_that_has_changed_on_before_the_first_change_is_settled_keeps_the_item",
    ),
    Mutant(
        "rename_under_claims",
        "An entry goes over while somebody is at work on it",
        _followed(_nobody_holds),
        directed=RENAMES
        + "test_other_workers.py::test_while_somebody_else_is_at_work_on_one_key_the_other_waits[the former key]",
    ),
    Mutant(
        "rename_leaves_claims",
        "Whoever wakes up after its lease still holds a row whose entry has gone over",
        in_metastore("renames", "take_away", ("set claim = null, claimed_until = null", "set claim = b.claim")),
        directed=RENAMES
        + "test_other_workers.py::test_a_worker_whose_lease_is_over_can_write_nothing_about_a_key_that_has_changed[the new key]",
    ),
    Mutant(
        "rename_not_looked_at",
        "What the ledger has of an item is believed after its row got another key",
        _handed(lambda former, buried, handed: (buried, replace(handed, etag=former.etag))),
        directed=RENAMES + "test_stays.py::test_a_row_whose_key_changes_keeps_its_item[push]",
    ),
    Mutant(
        "rename_keeps_item",
        "The tombstone of the former key remembers the item that stands for another row now",
        _handed(
            lambda former, buried, handed: (
                replace(buried, item_id=former.item_id, list_id=former.list_id),
                handed,
            )
        ),
        directed=RENAMES + "test_stays.py::test_a_row_whose_key_changes_keeps_its_item[push]",
    ),
    Mutant(
        "rename_in_one_pass",
        "Entries get items before others have given them away",
        put(store, "without_item", lambda entry: entry),
        directed=RENAMES
        + "test_made_anew.py::test_a_key_that_gives_its_item_away_and_gets_another_one_that_stays_with_it[ABCD]",
    ),
    Mutant(
        "namesake_taken",
        "An item that is found by its key is the row's, whoever it stands for",
        put(page, "without_namesakes", lambda *_: None),
        directed=RENAMES
        + "test_half_way.py::test_a_create_in_doubt_for_the_former_key_never_makes_a_ghost_of_another_rows_item",
    ),
)
