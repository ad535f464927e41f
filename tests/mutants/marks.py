"""The metastore's rules taken out: marks and their numbers, claims and confirmations, comparisons of whole sides."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import shared.adapters.metastore.ledger as metastore_ledger
from shared.adapters.metastore import backlog, enumerations
from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.run_tables import RunTables
from shared.core.errors import MetastoreUnavailable
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import both, in_metastore, put

# ---- marks


def _coalesced(reason: str) -> Apply:
    """A mark with this reason only is not written where it tells nothing new."""
    scans = "where not excluded.reasons <@ array['SCAN', 'ROW_GONE']\n"
    return in_metastore("backlog", "policy", (scans, scans.replace("['SCAN'", f"['{reason}', 'SCAN'")))


def _all_at_once(stack: ExitStack) -> None:
    real = BacklogStore.__init__

    def made(self: Any, metastore: Any, **options: Any) -> None:
        real(self, metastore, chunk=1_000_000)

    stack.enter_context(patch.object(BacklogStore, "__init__", made))


# ---- claims and confirmations


def _ledger_before_claim(stack: ExitStack) -> None:
    """As a statement that does both sees it: the ledger as it was when the statement began, and the newest claims."""
    real_claim, real_entries = BacklogStore.claim, LedgerStore.entries
    everything = metastore_ledger.SQL["columns"] + " where l.sync_def_id = %(definition)s"
    before: dict[Any, Any] = {}

    def claim(self: Any, definition: Any, **options: Any) -> Any:
        with self._metastore.connection() as connection:
            found = connection.execute(everything, {"definition": definition}, binary=True).fetchall()
        before[definition] = {entry.identity: entry for _, entry in map(metastore_ledger.rows.entry_of, found)}
        return real_claim(self, definition, **options)

    def entries(self: Any, definition: Any, identities: Sequence[Any]) -> Any:
        if definition not in before:
            return real_entries(self, definition, identities)
        return {identity: before[definition][identity] for identity in identities if identity in before[definition]}

    stack.enter_context(patch.object(BacklogStore, "claim", claim))
    stack.enter_context(patch.object(LedgerStore, "entries", entries))


def _mark_goes_first(stack: ExitStack) -> None:
    real, conclude = metastore_ledger._confirm, metastore_ledger._conclude

    def confirm(connection: Any, definition: Any, token: Any, confirmations: Any, run: Any) -> Any:
        keys = [confirmation.claimed.subject.key for confirmation in confirmations]
        locked = metastore_ledger._lock(connection, definition, token, keys)
        held = [one for one in confirmations if locked.holds(one.claimed.subject.key)]
        conclude(connection, definition, token, locked, held)
        connection.execute("commit")
        connection.execute("begin")
        with (
            patch.object(metastore_ledger, "_conclude", lambda *arguments: None),
            patch.object(metastore_ledger, "_lock", lambda *arguments: locked),
        ):
            return real(connection, definition, token, confirmations, run)

    stack.enter_context(patch.object(metastore_ledger, "_confirm", confirm))


# ---- comparisons


def _two_statements(stack: ExitStack) -> None:
    """The claims are read after the ledger, by a statement of their own."""
    compare = enumerations.SQL["compare"]
    claims = compare[compare.index("select b.subject_hash, b.source_identity") :].split("\n)\n")[0]
    second = (
        "with known as (select source_identity_hash as hash, sp_item_id as item_id from syncbridge.sync_ledger"
        " where sync_def_id = %(definition)s::uuid), found as (select subject_hash as hash from {differing})"
        f" insert into {{differing}} (subject_hash, identity, item_id, etag, kind) {claims}"
    )
    in_metastore("enumerations", "compare", ("where b.sync_def_id", "where false and b.sync_def_id"))(stack)
    real_compare, real_index = EnumerationStore.compare, RunTables.index_differing
    asked: dict[Any, Any] = {}

    def compared(self: Any, definition: Any, run: Any, position: Any) -> Any:
        asked[run] = {"definition": definition.id}
        return real_compare(self, definition, run, position)

    def index_differing(self: Any, connection: Any, run: Any) -> None:
        connection.execute(self.compose(second, run), asked[run])
        real_index(self, connection, run)

    stack.enter_context(patch.object(EnumerationStore, "compare", compared))
    stack.enter_context(patch.object(RunTables, "index_differing", index_differing))


_REMEMBERED = "(select max(loaded) from syncbridge.run_tables)"


def _findings_uncounted(stack: ExitStack) -> None:
    real = RunTables.pages

    def pages(self: Any, *arguments: Any) -> Any:
        try:
            yield from real(self, *arguments)
        except MetastoreUnavailable:
            return

    stack.enter_context(patch.object(RunTables, "pages", pages))


METASTORE = "tests/integration/metastore/"
CRASH = METASTORE + "test_crashes.py::test_nothing_is_concluded_from_tables_that_a_crash_has_emptied"
NUMBERED = METASTORE + "test_marks.py::test_every_mark_that_is_not_a_scans_takes_a_new_number"

MARKS = (
    Mutant(
        "number_of_its_own",
        "Each subject counts its marks by itself, from 1",
        both(
            in_metastore(
                "backlog",
                "mark",
                ("reasons, lane, news)\nselect", "reasons, lane, news, number)\nselect"),
                ("m.news\n", "m.news, 1\n"),
            ),
            in_metastore("backlog", "policy", ("number = excluded.number", "number = b.number + 1")),
        ),
        directed=METASTORE + "test_marks.py::test_a_number_never_comes_back_when_a_mark_is_removed_and_made_again",
    ),
    Mutant(
        "change_coalesced",
        "A change that the list tells again is not numbered anew",
        _coalesced("ITEM"),
        directed=f"{NUMBERED}[ITEM]",
    ),
    Mutant(
        "deletion_coalesced",
        "A deletion that the list tells again is not numbered anew",
        _coalesced("ITEM_GONE"),
        directed=f"{NUMBERED}[ITEM_GONE]",
    ),
    Mutant(
        "stream_coalesced",
        "A change that the stream tells again is not numbered anew",
        _coalesced("STREAM"),
        directed=f"{NUMBERED}[STREAM]",
    ),
    Mutant(
        "claimed_not_renumbered",
        "A scan's mark is passed over although somebody has read the row before it",
        in_metastore("backlog", "policy", ("when 'DUE' then b.claim is not null or", "when 'DUE' then")),
        directed=METASTORE
        + "test_marks.py::test_a_scan_mark_renumbers_a_claimed_subject_because_its_worker_may_have_read_before",
    ),
    Mutant(
        "scan_rewrites",
        "A scan that finds again what is marked already writes all of it again",
        in_metastore("backlog", "policy", ("where not excluded.reasons <@", "where true or not excluded.reasons <@")),
        directed=METASTORE + "test_marks.py::test_a_repeated_scan_mark_is_not_even_written",
    ),
    Mutant(
        "marks_in_one_statement",
        "Any number of marks is one transaction, and settle waits for its end",
        _all_at_once,
        directed=METASTORE + "test_concurrency.py::test_many_marks_are_claimed_while_others_are_still_being_made",
    ),
    Mutant(
        "marks_unordered",
        "Marks are made in the order in which they come",
        both(
            in_metastore("backlog", "mark", (" order by m.hash", "")),
            put(backlog, "merge", list),
        ),
        directed=METASTORE + "test_concurrency.py::test_marks_are_made_in_the_order_of_their_hash",
    ),
    Mutant(
        "ledger_before_claim",
        "The ledger is read under a snapshot from before the claim",
        _ledger_before_claim,
        directed=METASTORE + "test_concurrency.py::test_what_is_confirmed_at_any_moment_of_a_claim_is_seen_by_it",
    ),
    Mutant(
        "mark_goes_first",
        "The mark is removed before the agreement is written, in a transaction of its own",
        _mark_goes_first,
        directed=METASTORE + "test_ledger.py::test_a_tombstone_with_a_base_is_refused",
    ),
    Mutant(
        "confirmed_without_lock",
        "A confirmation asks whether the claim still stands, and does not lock it",
        in_metastore("ledger", "lock", ("\n   for update", "")),
        directed=METASTORE
        + "test_concurrency.py::test_a_takeover_and_the_former_holders_confirmation_exclude_each_other",
    ),
    Mutant(
        "claims_after_ledger",
        "A comparison of the whole list reads ledger and claims by two statements",
        _two_statements,
        directed=METASTORE
        + "test_enumerations.py::test_what_is_confirmed_at_any_moment_of_a_comparison_is_looked_at_again",
    ),
    Mutant(
        "scan_uncounted",
        "A scan's table that lost its rows reads as an empty source",
        both(
            in_metastore("scans", "compare", ("and (select count(*) from {scan}) = %(loaded)s::bigint", "")),
            in_metastore("scans", "totals", ("(select count(*) from {scan})", _REMEMBERED)),
        ),
        directed=CRASH,
    ),
    Mutant(
        "list_uncounted",
        "A list's table that lost its items reads as an empty list",
        both(
            in_metastore("enumerations", "totals", ("(select count(*) from {listed})", _REMEMBERED)),
            in_metastore("enumerations", "count_listed", ("count(*) from {listed}", _REMEMBERED)),
        ),
        directed=CRASH,
    ),
    Mutant(
        "findings_uncounted",
        "Differences that got lost are passed over",
        _findings_uncounted,
        directed=CRASH,
    ),
)
