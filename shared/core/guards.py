"""Safety checks on a whole run: pure functions from counts to verdicts, each with an explanation for a person.

The delete guard holds deletes alone; every other guard stops the definition before anything is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.core.definition import DeletePolicy, GuardSettings, SyncDefinition, SyncMode


class GuardKind(StrEnum):
    DELETE_GUARD = "DELETE_GUARD"
    EMPTY_SOURCE = "EMPTY_SOURCE"
    FEWER_ROWS = "FEWER_ROWS"
    EMPTY_LIST = "EMPTY_LIST"
    FEWER_ITEMS = "FEWER_ITEMS"
    CHANGE_GUARD = "CHANGE_GUARD"


class ScanCounts(Protocol):
    """What a scan found, before a single mark is settled."""

    @property
    def scanned(self) -> int:
        """Rows in scope, now."""

    @property
    def ledger(self) -> int:
        """Rows in scope at the last agreement: ledger entries with a row."""

    @property
    def changed(self) -> int: ...

    @property
    def gone(self) -> int: ...

    @property
    def remapped(self) -> int:
        """Of the changed ones: agreed under other fields. That a person changed the fields is no mass update."""

    @property
    def renamed(self) -> int:
        """Of `gone`: their key has become another one, as a change stream told and nobody has settled yet. What is a delete
        all the same is counted when it is settled."""


class ListCounts(Protocol):
    """What an enumeration found, before a single mark is settled."""

    @property
    def listed(self) -> int:
        """Items in the list, now."""

    @property
    def known(self) -> int:
        """Items that stood for rows before the list was read."""

    @property
    def changed(self) -> int: ...

    @property
    def gone(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    kind: GuardKind
    explanation: str
    deletes_only: bool = False
    details: Mapping[str, int | float] = field(default_factory=dict)


def delete_limit(settings: GuardSettings, known: int) -> int:
    """How many deletes a rolling day may have without being asked about: the share of the known rows or the absolute
    number, whichever is less, but at least one, so that a small table can lose a row."""
    return max(min(int(known * settings.max_delete_share), settings.max_deletes), min(1, settings.max_deletes))


def judge_scan(settings: GuardSettings, counts: ScanCounts) -> tuple[Verdict, ...]:
    """The guards that a scan's counts trip, the gravest first; none: the run may go on."""
    return tuple(_verdicts(settings, counts))


def _verdicts(settings: GuardSettings, counts: ScanCounts) -> Iterator[Verdict]:
    details = {"scanned": counts.scanned, "ledger": counts.ledger, "changed": counts.changed, "gone": counts.gone}
    # One row that is gone leaves an empty table too: below a handful nothing can be told from a share.
    notable = counts.ledger >= _HANDFUL
    if notable and counts.scanned == 0:
        yield Verdict(
            kind=GuardKind.EMPTY_SOURCE,
            explanation=(
                f"The source has no row in scope, and at the last run it had {counts.ledger:,}. That looks like the wrong "
                "database, a truncated table or a lost right. Nothing was written. If the rows are really gone, release "
                "this hold: their items then wait for your approval."
            ),
            details=details,
        )
    elif notable and counts.scanned < counts.ledger * settings.min_rows_share:
        yield Verdict(
            kind=GuardKind.FEWER_ROWS,
            explanation=(
                f"The source has {counts.scanned:,} rows in scope, and at the last run it had {counts.ledger:,}: less than "
                f"{settings.min_rows_share:.0%} are left. Nothing was written. Look at the table and at the reading "
                "role's rights, then release this hold."
            ),
            details=details,
        )
    compared = counts.ledger - counts.gone
    changed = counts.changed - counts.remapped
    if changed >= settings.change_floor and changed > compared * settings.max_change_share:
        yield Verdict(
            kind=GuardKind.CHANGE_GUARD,
            explanation=(
                f"{changed:,} of {compared:,} rows changed since the last run, more than "
                f"{settings.max_change_share:.0%}. That looks like a mass update, or like a changed type or collation. "
                "Nothing was written. If it is meant, release this hold."
            ),
            details=details,
        )
    limit = delete_limit(settings, counts.ledger)
    gone = counts.gone - counts.renamed
    if gone > limit:
        yield judge_deletes(gone, limit, details)


def judge_enumeration(definition: SyncDefinition, counts: ListCounts) -> tuple[Verdict, ...]:
    """The guards that an enumeration's counts trip, the gravest first; none: the run may go on."""
    return tuple(_list_verdicts(definition, counts))


def _list_verdicts(definition: SyncDefinition, counts: ListCounts) -> Iterator[Verdict]:
    settings = definition.guards
    details = {"listed": counts.listed, "known": counts.known, "changed": counts.changed, "gone": counts.gone}
    notable = counts.known >= _HANDFUL
    if notable and counts.listed == 0:
        yield Verdict(
            kind=GuardKind.EMPTY_LIST,
            explanation=(
                f"The list is empty, and {counts.known:,} of its items stood for rows. That looks like a list that was "
                "emptied or replaced by mistake, or like a lost right. Nothing was written. If the items are really "
                f"gone, release this hold: {_of_gone_items(definition)}."
            ),
            details=details,
        )
    elif notable and counts.known - counts.gone < counts.known * settings.min_rows_share:
        yield Verdict(
            kind=GuardKind.FEWER_ITEMS,
            explanation=(
                f"{counts.gone:,} of {counts.known:,} items that stood for rows are gone from the list: less than "
                f"{settings.min_rows_share:.0%} are left. Nothing was written. Look at the list and its recycle bin, then "
                f"release this hold: {_of_gone_items(definition)}."
            ),
            details=details,
        )
    compared = counts.known - counts.gone
    if counts.changed >= settings.change_floor and counts.changed > compared * settings.max_change_share:
        yield Verdict(
            kind=GuardKind.CHANGE_GUARD,
            explanation=(
                f"{counts.changed:,} of {compared:,} items changed since they were last read, more than "
                f"{settings.max_change_share:.0%}. That looks like a mass edit, or like a list that was moved or restored. "
                "Nothing was written. If it is meant, release this hold."
            ),
            details=details,
        )
    limit = delete_limit(settings, counts.known)
    if counts.gone > limit and _deletes_rows(definition):
        yield judge_deletes(counts.gone, limit, details)


def _deletes_rows(definition: SyncDefinition) -> bool:
    """Whether an item that is gone takes its row with it, without being asked about."""
    return definition.mode is not SyncMode.ONE_WAY_PUSH and definition.item_deleted is DeletePolicy.PROPAGATE


def _of_gone_items(definition: SyncDefinition) -> str:
    if _deletes_rows(definition):
        return "their rows then wait for your approval"
    match definition.item_deleted:
        case DeletePolicy.KEEP:
            return "their rows then stay without items"
        case DeletePolicy.APPROVE:
            return "you are then asked about each of them"
        case _:
            return "they are then made again"


_HANDFUL = 5


def judge_deletes(wanted: int, allowed: int, details: Mapping[str, int | float] | None = None) -> Verdict:
    """The verdict on more deletes than the rolling day allows. `allowed`: how many of them are within the limit."""
    return Verdict(
        kind=GuardKind.DELETE_GUARD,
        explanation=(
            f"{wanted:,} deletes are wanted and {allowed:,} are allowed within a day. The others wait for your approval; "
            "everything else goes on. A delete whose row reappears leaves by itself."
        ),
        deletes_only=True,
        details={**(details or {}), "wanted": wanted, "allowed": allowed},
    )


def loops(writes: int, settings: GuardSettings) -> bool:
    """Whether a row was written so often within the loop window that two rules must be undoing one another."""
    return writes >= settings.max_writes_per_row
