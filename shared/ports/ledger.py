"""The ledger: what both sides agreed on last, what is under way, and what settle concluded."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from shared.core.backlog import Claimed, Mark, Reason
from shared.core.ids import ClaimToken, DefinitionId, Identity, IdentityHash, ItemId, ListId, MarkNumber, RunId, Stamp
from shared.core.ledger import LedgerEntry
from shared.core.renames import Followed, Rename
from shared.core.runs import ConflictRecord, RunCounts
from shared.core.wishes import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What settle concluded about one claimed subject; all of a page is written in one transaction.

    Exactly one of: entry moves (settled), parked, delayed, awaiting, or nothing but the mark's removal.
    """

    claimed: Claimed
    entry: LedgerEntry | None = None
    """The new ledger entry, written only if the claim is still held."""
    remove_mark: bool = True
    """Remove the mark if its number is unchanged; else release the claim and leave the subject due."""
    park: "Parking | None" = None
    due_in: timedelta | None = None
    """Leave the subject due after this time (release the claim)."""
    add_reasons: frozenset[Reason] = frozenset()
    await_approval: bool = False
    await_reason: str = ""
    """Why it waits, for a person."""
    final_conflicts: tuple[UUID, ...] = ()
    """Writes that landed: their pending conflicts become final."""
    void_conflicts: tuple[UUID, ...] = ()
    """Writes that certainly did not land: their pending conflicts are void."""
    counts: RunCounts = field(default_factory=RunCounts)
    """What this conclusion adds to its run's figures, if it is written."""
    marks: tuple[Mark, ...] = ()
    """Other subjects that became due by this conclusion, in the same transaction."""
    bind: "Binding | None" = None
    """An item subject's: which row it stands for from now on."""
    quarrel: bool = False
    """What was written undoes somebody else's write, or follows one the other way: the loop breaker counts it."""
    met_wishes: tuple[UUID, ...] = ()
    """Conflicts whose losing value was written again."""
    refused_wishes: Mapping[UUID, str] = field(default_factory=dict)
    """Conflicts whose losing value cannot be written again, each with the reason for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """An entry for another identity than the subject's own, written only if that identity has no entry, or still the
    tombstone that was read. When it has another one by now, nothing of the conclusion is written and the subject stays
    due."""

    entry: LedgerEntry
    expected: MarkNumber | None
    """`confirmed` of the tombstone that was read; None: there was no entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    code: str
    message: str
    """A sentence for a person; no row values."""
    retry_in: timedelta | None
    """None: only a person's retry, or a changed row, makes it due again."""
    stamp: Stamp | None = None
    """The row's stamp when it was parked: a scan that sees the same stamp leaves it parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentUpdate:
    """Before acting: the entry with its new intents, and conflicts that are pending with them."""

    claimed: Claimed
    entry: LedgerEntry
    conflicts: tuple[ConflictRecord, ...] = ()
    void_conflicts: tuple[UUID, ...] = ()
    """Writes that certainly did not land and go off the record with this entry: their pending conflicts are void."""


class Ledger(Protocol):
    def entries(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, LedgerEntry]: ...

    def by_items(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]: ...

    def tombstones_of(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]:
        """The tombstones that remember these items as those of their rows."""

    def by_hashes(
        self, definition: DefinitionId, hashes: Sequence[IdentityHash]
    ) -> Mapping[IdentityHash, LedgerEntry]: ...

    def bound_items(
        self, definition: DefinitionId, list_id: ListId, *, after: ItemId | None, limit: int
    ) -> Sequence[tuple[ItemId, Identity]]:
        """The items that stand for rows, by id."""

    def stamps(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Stamp]:
        """Stamps of the entries that have one."""

    def under_other_fields(
        self, definition: DefinitionId, fields: bytes, *, after: IdentityHash | None, limit: int
    ) -> Sequence[tuple[IdentityHash, Identity]]:
        """Rows that were agreed on under other fields than those of this fingerprint (see shared.core.paused), or are on the
        way to an agreement, or that somebody holds; by hash."""

    def live_count(self, definition: DefinitionId) -> int:
        """Entries with a stamp: rows that the ledger believes in."""

    def intend(self, definition: DefinitionId, token: ClaimToken, updates: Sequence[IntentUpdate]) -> frozenset[bytes]:
        """Writes the intents of the subjects whose claim is still held; returns their keys. One transaction."""

    def confirm(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        confirmations: Sequence[Confirmation],
        *,
        run: RunId | None,
    ) -> frozenset[bytes]:
        """Ledger, backlog, conflict log and run counters in one transaction, only for subjects whose claim is held.

        Backlog rows are locked by claim first. Returns the keys that were confirmed; the others are marked DOUBT."""


class Renames(Protocol):
    """Key changes that a capture told and nobody has followed yet."""

    def touching(self, definition: DefinitionId, identities: Sequence[Identity]) -> Sequence[Rename]:
        """Those from or to one of the identities, and those that lead on from them, in their order."""

    def follow(
        self, definition: DefinitionId, token: ClaimToken, renames: Sequence[Rename], *, present: Collection[Identity]
    ) -> Followed:
        """In one transaction, as shared.core.renames.follow says of what ledger and backlog hold then. Both sides stay due; a
        claim on them that has run out is ended. `present`: identities that have a row."""


class Wishes(Protocol):
    def open(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Sequence[Wish]]:
        """Values that people want back from the conflict log, in the order in which they asked. They are met or refused
        by a confirmation."""
