"""The ledger: entries in bulk, intents before a write, confirmations after it.

Every transaction locks the backlog's rows of its subjects first, in the order of their hash: whoever takes a claim over
has to wait for it, and an old holder finds its token gone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, LiteralString

import psycopg

from shared.adapters.metastore import entries as rows
from shared.adapters.metastore.backlog import insert_marks, merge, subject_columns
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Mark, Reason, SubjectState
from shared.core.errors import InvariantViolated
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    Identity,
    IdentityHash,
    ItemId,
    ListId,
    MarkNumber,
    RunId,
    Stamp,
    identity_hash,
)
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.runs import ConflictRecord, RunCounts
from shared.ports import Confirmation, IntentUpdate, Parking

SQL = load("ledger")
CONFLICTS = load("conflicts")
RUNS = load("runs")
_BY_HASHES = SQL["columns"] + "\n" + SQL["by_hashes"]
_BY_ITEMS = SQL["columns"] + "\n" + SQL["by_items"]
_TOMBSTONES_OF = SQL["columns"] + "\n" + SQL["tombstones_of"]
_ONE_ITEM_ONE_ROW = "sync_ledger_item"
_TAKEN = Parking(
    code="item_taken",
    message="the item stands for another row already; it is looked at again once that row has been settled",
    retry_in=timedelta(minutes=10),
)

_Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locked:
    """A page's rows of the backlog, locked: the numbers of those that the token holds."""

    held: Mapping[bytes, MarkNumber]

    def holds(self, key: bytes) -> bool:
        return key in self.held


class LedgerStore:
    """Satisfies the port Ledger."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def entries(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, LedgerEntry]:
        found = self.by_hashes(definition, [identity_hash(identity) for identity in identities])
        return {entry.identity: entry for entry in found.values()}

    def by_hashes(self, definition: DefinitionId, hashes: Sequence[IdentityHash]) -> Mapping[IdentityHash, LedgerEntry]:
        with self._metastore.connection() as connection:
            return entries_of(connection, definition, hashes)

    def by_items(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]:
        """The entries whose row the items stand for; a tombstone's former item is nobody's."""
        return self._of_items(_BY_ITEMS, definition, list_id, items)

    def tombstones_of(
        self, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]:
        return self._of_items(_TOMBSTONES_OF, definition, list_id, items)

    def _of_items(
        self, statement: LiteralString, definition: DefinitionId, list_id: ListId, items: Sequence[ItemId]
    ) -> Mapping[ItemId, LedgerEntry]:
        parameters = {"definition": definition, "list": list_id, "items": list(items)}
        with self._metastore.connection() as connection:
            found = connection.execute(statement, parameters, binary=True).fetchall()
        entries = (entry for _, entry in map(rows.entry_of, found))
        return {entry.item_id: entry for entry in entries if entry.item_id is not None}

    def bound_items(
        self, definition: DefinitionId, list_id: ListId, *, after: ItemId | None, limit: int
    ) -> Sequence[tuple[ItemId, Identity]]:
        values = {"definition": definition, "list": list_id, "after": after or 0, "limit": limit}
        with self._metastore.connection() as connection:
            found = connection.execute(SQL["bound_items"], values).fetchall()
        return [(ItemId(item), Identity(identity)) for item, identity in found]

    def stamps(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Stamp]:
        parameters = {"definition": definition, "hashes": [identity_hash(identity) for identity in identities]}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["stamps"], parameters, binary=True).fetchall()
        return {Identity(identity): Stamp(stamp) for identity, stamp in rows}

    def under_other_fields(
        self, definition: DefinitionId, fields: bytes, *, after: IdentityHash | None, limit: int
    ) -> Sequence[tuple[IdentityHash, Identity]]:
        parameters = {"definition": definition, "fields": fields, "after": after or b"", "limit": limit}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["under_other_fields"], parameters, binary=True).fetchall()
        return [(IdentityHash(bytes(hashed)), Identity(identity)) for hashed, identity in rows]

    def live_count(self, definition: DefinitionId) -> int:
        with self._metastore.connection() as connection:
            return int(connection.execute(SQL["live_count"], {"definition": definition}).fetchall()[0][0])

    def intend(self, definition: DefinitionId, token: ClaimToken, updates: Sequence[IntentUpdate]) -> frozenset[bytes]:
        """An entry whose item stands for another row is not written: its subject is parked and its key left out."""

        def work(
            connection: _Connection, updates: Sequence[IntentUpdate], taken: Sequence[IntentUpdate]
        ) -> frozenset[bytes]:
            keys = [update.claimed.subject.key for update in (*updates, *taken)]
            locked = _lock(connection, definition, token, keys)
            held = [update for update in updates if locked.holds(update.claimed.subject.key)]
            upsert(connection, definition, [update.entry for update in held], quarrels=None)
            _record_conflicts(connection, definition, [record for update in held for record in update.conflicts])
            void = [op for update in held for op in update.void_conflicts]
            if void:
                connection.execute(CONFLICTS["conclude"], {"landed": [], "void": void, "run": None})
            parked = [Confirmation(claimed=update.claimed, park=_TAKEN) for update in taken]
            _conclude(connection, definition, token, locked, [c for c in parked if locked.holds(c.claimed.subject.key)])
            return frozenset(update.claimed.subject.key for update in held)

        try:
            return self._metastore.transact(lambda connection: work(connection, updates, ()))
        except InvariantViolated as violation:
            taken = self._taken(definition, violation, [update.entry for update in updates])
        free = [update for update in updates if identity_hash(update.entry.identity) not in taken]
        refused = [update for update in updates if identity_hash(update.entry.identity) in taken]
        return self._metastore.transact(lambda connection: work(connection, free, refused))

    def confirm(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        confirmations: Sequence[Confirmation],
        *,
        run: RunId | None,
    ) -> frozenset[bytes]:
        """`final_conflicts` names every operation that landed, conflict or not.

        A subject that was marked while it was claimed stays due, whatever was concluded about it. A subject whose item
        stands for another row already is parked instead of being settled."""

        def work(connection: _Connection, confirmations: Sequence[Confirmation]) -> frozenset[bytes]:
            return _confirm(connection, definition, token, confirmations, run)

        try:
            return self._metastore.transact(lambda connection: work(connection, confirmations))
        except InvariantViolated as violation:
            given = [entry for confirmation in confirmations if (entry := _written(confirmation)) is not None]
            taken = self._taken(definition, violation, given)
        mended = [
            Confirmation(claimed=confirmation.claimed, park=_TAKEN, counts=RunCounts(items_failed=1))
            if (entry := _written(confirmation)) is not None and identity_hash(entry.identity) in taken
            else confirmation
            for confirmation in confirmations
        ]
        return self._metastore.transact(lambda connection: work(connection, mended))

    def _taken(
        self, definition: DefinitionId, violation: InvariantViolated, entries: Sequence[LedgerEntry]
    ) -> frozenset[bytes]:
        """Hashes of the entries that broke "one item stands for one row"; raises any other violation again."""
        if violation.context.get("constraint") != _ONE_ITEM_ONE_ROW:
            raise violation
        parameters = rows.parameters(entries)
        wanted = {name: parameters[name] for name in ("hashes", "lists", "items", "states")}
        with self._metastore.connection() as connection:
            found = connection.execute(SQL["taken_items"], {"definition": definition, **wanted}, binary=True).fetchall()
        taken = {bytes(key) for (key,) in found}
        first: dict[tuple[ListId | None, ItemId], bytes] = {}
        for entry in entries:
            if entry.item_id is not None and entry.state is not EntryState.TOMBSTONE:
                key = identity_hash(entry.identity)
                if first.setdefault((entry.list_id, entry.item_id), key) != key:
                    taken.add(key)
        if not taken:  # it was free again when we looked: the caller's next attempt will do
            raise violation
        return frozenset(taken)


def _written(confirmation: Confirmation) -> LedgerEntry | None:
    """The entry that a conclusion writes: its subject's own, or the one that its item is bound to."""
    return confirmation.bind.entry if confirmation.bind is not None else confirmation.entry


def _confirm(
    connection: _Connection,
    definition: DefinitionId,
    token: ClaimToken,
    confirmations: Sequence[Confirmation],
    run: RunId | None,
) -> frozenset[bytes]:
    marks = [mark for confirmation in confirmations for mark in confirmation.marks]
    keys = {confirmation.claimed.subject.key for confirmation in confirmations}
    locked = _lock(connection, definition, token, keys.union(mark.subject.key for mark in marks))
    held = [confirmation for confirmation in confirmations if locked.holds(confirmation.claimed.subject.key)]
    held = _bound(connection, definition, held)

    settled = [confirmation for confirmation in held if confirmation.entry is not None]
    upsert(
        connection,
        definition,
        [confirmation.entry for confirmation in settled if confirmation.entry is not None],
        quarrels=[int(confirmation.quarrel) for confirmation in settled],
    )
    _conclude(connection, definition, token, locked, held)
    landed = [op for confirmation in held for op in confirmation.final_conflicts]
    void = [op for confirmation in held for op in confirmation.void_conflicts]
    if landed or void:
        connection.execute(CONFLICTS["conclude"], {"landed": landed, "void": void, "run": run})
    _answer_wishes(connection, held)
    due = [mark for confirmation in held for mark in confirmation.marks]
    due += [
        Mark(subject=lost.subject, reasons=frozenset({Reason.DOUBT}), lane=lost.lane)
        for lost in (confirmation.claimed for confirmation in confirmations)
        if not locked.holds(lost.subject.key)
    ]
    insert_marks(connection, definition, merge(due))
    if run is not None:
        _record_failures(connection, run, held)
        # Last, because every worker of the run updates this row.
        counts = sum((confirmation.counts for confirmation in held), RunCounts())
        if counts != RunCounts():
            connection.execute(RUNS["add_counts"], {"run": run, **asdict(counts)})
    return frozenset(confirmation.claimed.subject.key for confirmation in held)


def _answer_wishes(connection: _Connection, confirmations: Sequence[Confirmation]) -> None:
    met = [conflict for confirmation in confirmations for conflict in confirmation.met_wishes]
    refused = {k: why for confirmation in confirmations for k, why in confirmation.refused_wishes.items()}
    if met or refused:
        connection.execute(
            CONFLICTS["answer"], {"met": met, "refused": list(refused), "reasons": list(refused.values())}
        )


def _bound(
    connection: _Connection, definition: DefinitionId, confirmations: Sequence[Confirmation]
) -> list[Confirmation]:
    """Binds items to identities by compare-and-set; a conclusion that came too late is replaced: its subject stays due."""
    binding = [c for c in confirmations if c.bind is not None]
    if not binding:
        return list(confirmations)
    entries = [c.bind.entry for c in binding if c.bind is not None]
    expected = [c.bind.expected for c in binding if c.bind is not None]
    parameters = {"definition": definition, "expected": expected, **rows.parameters(entries)}
    found = {bytes(key) for (key,) in connection.execute(SQL["bind"], parameters, binary=True).fetchall()}
    return [
        c
        if c.bind is None or identity_hash(c.bind.entry.identity) in found
        else Confirmation(claimed=c.claimed, remove_mark=False, due_in=timedelta(seconds=1))
        for c in confirmations
    ]


def _lock(
    connection: _Connection, definition: DefinitionId, token: ClaimToken, keys: Sequence[bytes] | set[bytes]
) -> _Locked:
    parameters = {"definition": definition, "token": token, "hashes": list(keys)}
    found = connection.execute(SQL["lock"], parameters, binary=True).fetchall()
    return _Locked(held={bytes(key): MarkNumber(number) for key, ours, number, _ in found if ours})


def entries_of(
    connection: _Connection, definition: DefinitionId, hashes: Sequence[IdentityHash]
) -> Mapping[IdentityHash, LedgerEntry]:
    cursor = connection.execute(_BY_HASHES, {"definition": definition, "hashes": list(hashes)}, binary=True)
    return dict(map(rows.entry_of, cursor.fetchall()))


def upsert(
    connection: _Connection,
    definition: DefinitionId,
    entries: Sequence[LedgerEntry],
    *,
    quarrels: Sequence[int] | None,
) -> None:
    """`quarrels`: which entries of a confirmation the loop breaker counts; None: only intents are recorded."""
    if not entries:
        return
    writes = [0] * len(entries) if quarrels is None else list(quarrels)
    window = 600.0
    if any(writes):
        window = connection.execute(SQL["loop_window"], {"definition": definition}).fetchall()[0][0]
    connection.execute(
        SQL["upsert"],
        {
            "definition": definition,
            "confirming": quarrels is not None,
            "writes": writes,
            "window": timedelta(seconds=window),
            **rows.parameters(entries),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What becomes of a subject's place in the backlog when it is not removed."""

    state: SubjectState = SubjectState.DUE
    due_in: float | None = None
    """Seconds; infinity: only a person or a new mark makes it due."""
    attempt: str = "NONE"
    """SETTLED forgets earlier failures, FAILED counts one, WAITS takes an approval back."""
    code: str | None = None
    message: str | None = None
    stamp: int | None = None


def _fate(confirmation: Confirmation, *, marked_again: bool) -> _Fate:
    due_in = None if confirmation.due_in is None else confirmation.due_in.total_seconds()
    if confirmation.park is not None:
        park = confirmation.park
        told = _Fate(attempt="FAILED", code=park.code, message=park.message, stamp=park.stamp)
        if marked_again:  # something changed while it was tried: try once more before it is set aside
            return told
        retry_in = math.inf if park.retry_in is None else park.retry_in.total_seconds()
        return replace(told, state=SubjectState.PARKED, due_in=retry_in)
    if confirmation.await_approval:
        state = SubjectState.DUE if marked_again else SubjectState.AWAITING_APPROVAL
        return _Fate(state=state, attempt="WAITS", code="awaiting_approval", message=confirmation.await_reason)
    if confirmation.entry is not None or confirmation.remove_mark:
        # What was marked meanwhile is news: it does not wait for the second look that was asked for.
        return _Fate(attempt="SETTLED", due_in=None if marked_again else due_in)
    return _Fate(due_in=due_in)


def _conclude(
    connection: _Connection,
    definition: DefinitionId,
    token: ClaimToken,
    locked: _Locked,
    confirmations: Sequence[Confirmation],
) -> None:
    """Marks of held subjects: removed if nothing was marked since the claim, else given back with their fate."""
    removed: list[bytes] = []
    kept: list[tuple[bytes, Confirmation, _Fate]] = []
    for confirmation in confirmations:
        key = confirmation.claimed.subject.key
        marked_again = locked.held[key] != confirmation.claimed.number
        stays = confirmation.park or confirmation.await_approval or confirmation.due_in is not None
        if confirmation.remove_mark and not stays and not marked_again:
            removed.append(key)
        else:
            kept.append((key, confirmation, _fate(confirmation, marked_again=marked_again)))
    if removed:
        connection.execute(SQL["unmark"], {"definition": definition, "token": token, "hashes": removed})
    if kept:
        connection.execute(
            SQL["conclude"],
            {
                "definition": definition,
                "token": token,
                "hashes": [key for key, _, _ in kept],
                "states": [fate.state.value for _, _, fate in kept],
                "due_in": [fate.due_in for _, _, fate in kept],
                "reasons": [",".join(sorted(confirmation.add_reasons)) for _, confirmation, _ in kept],
                "attempts": [fate.attempt for _, _, fate in kept],
                "codes": [fate.code for _, _, fate in kept],
                "messages": [fate.message for _, _, fate in kept],
                "stamps": [fate.stamp for _, _, fate in kept],
            },
        )


def _record_conflicts(connection: _Connection, definition: DefinitionId, records: Sequence[ConflictRecord]) -> None:
    if not records:
        return
    connection.execute(
        CONFLICTS["record"],
        {
            "definition": definition,
            "ops": [record.op for record in records],
            "hashes": [identity_hash(record.identity) for record in records],
            "identities": [record.identity for record in records],
            "fields": [record.field_no for record in records],
            "columns": [record.column for record in records],
            "winners": [str(record.winner) for record in records],
            "policies": [str(record.policy) for record in records],
            "losing": [record.losing_value for record in records],
            "winning": [record.winning_digest for record in records],
            "bases": [record.base_digest for record in records],
            "lists": [record.list_id for record in records],
            "items": [record.item_id for record in records],
            "modified": [record.item_modified for record in records],
            "editors": [record.item_editor for record in records],
            "versions": [record.row_version for record in records],
            "row_times": [record.row_time for record in records],
        },
    )


def _record_failures(connection: _Connection, run: RunId, confirmations: Sequence[Confirmation]) -> None:
    parked = [(confirmation.claimed.subject, confirmation.park) for confirmation in confirmations if confirmation.park]
    if not parked:
        return
    columns = [subject_columns(subject) for subject, _ in parked]
    connection.execute(
        RUNS["record_failures"],
        {
            "run": run,
            "hashes": [subject.key for subject, _ in parked],
            "kinds": [column[0] for column in columns],
            "identities": [column[1] for column in columns],
            "lists": [column[2] for column in columns],
            "items": [column[3] for column in columns],
            "codes": [park.code for _, park in parked],
            "messages": [park.message for _, park in parked],
        },
    )
