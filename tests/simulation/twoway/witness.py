"""Looks over one worker's shoulder, at the ports: when it really read each side, what it called a conflict, and what it
said was agreed. Changes nothing; the oracles judge what it saw."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.core.definition import SourceSpec, TargetList
from shared.core.ids import ClaimToken, DefinitionId, Identity, ItemId, RunId, key_texts
from shared.core.items import Item, Look, Looked
from shared.core.ledger import EntryState
from shared.core.runs import ConflictRecord
from shared.core.source import Row
from shared.ports import Confirmation, IntentUpdate, Ledger, ListStore, SourceTables
from tests.simulation.twoway.history import History, row_name
from tests.simulation.twoway.oracles import Agreement, Loss, judged
from tests.simulation.twoway.terms import Side, Terms, Winner, canonical

SURVIVES = "EDIT_SURVIVES"


class Witness:
    """What one worker has read."""

    def __init__(
        self,
        history: History,
        terms: Terms,
        agreements: dict[str, Agreement],
        problems: list[str],
        row_time: Callable[[str, str | None], int | None],
    ) -> None:
        """`row_time`: when a version of a row was written, as its own column says."""
        self.history, self.terms, self.row_time = history, terms, row_time
        self.agreements, self.problems = agreements, problems
        self.rows_read: dict[str, int] = {}
        self.items_read: dict[int, int] = {}

    # ---- readings

    def read_rows(self, keys: Sequence[str]) -> None:
        at = self.history.tick()
        self.rows_read.update(dict.fromkeys(keys, at))

    def read_items(self, items: Sequence[int]) -> None:
        at = self.history.tick()
        self.items_read.update(dict.fromkeys(items, at))

    # ---- what it says

    def calls_conflict(self, record: ConflictRecord) -> None:
        key, subject = key_of(record.identity), row_name(key_of(record.identity))
        if record.policy == SURVIVES:
            loser = Side(record.winner).other
            if not self.history.deleted(subject, loser):
                self.problems.append(f"FALSE CONFLICT: nobody deleted the {loser.lower()} of {subject}")
            return
        if record.column not in self.terms.ways:
            return
        loss = Loss(
            key=key,
            name=record.column,
            winner=Side(record.winner),
            rule=record.policy,
            value=losing(record.losing_value),
            item=record.item_id,
            row_time=self.row_time(key, record.row_version) if self.terms.winner is Winner.LATEST else None,
            item_time=_second(record.item_modified) if record.item_editor is not None else None,
        )
        self.problems += judged(self.history, self.terms, loss, self.agreements.get(key))

    def agrees(self, confirmation: Confirmation) -> None:
        """Only what settles a subject is an agreement: one half of a merge is none."""
        entry = confirmation.entry
        if entry is not None and entry.item_id is not None:
            buried = entry.state is EntryState.TOMBSTONE and entry.item_id in self.history.hints
            if not buried:  # its item may be another row's by now
                self.history.hinted(entry.item_id, key_of(entry.identity))
        if entry is not None and entry.state is EntryState.SETTLED:
            self.history.took(key_of(entry.identity))
            if entry.item_id is not None:
                self.history.agreed_at[entry.item_id] = self.history.tick()
                if entry.stamp is not None:
                    self.history.together_at[entry.item_id] = self.history.at
        if entry is None or not confirmation.remove_mark:
            return
        key, former = key_of(entry.identity), self.agreements.get(key_of(entry.identity))
        read = dict(former.read) if former is not None else {}
        if former is not None and former.item != entry.item_id:
            read.pop(Side.ITEM, None)
        if key in self.rows_read:
            read[Side.ROW] = self.rows_read[key]
        if entry.item_id in self.items_read:
            read[Side.ITEM] = self.items_read[entry.item_id]
        # Without an eTag an item is known that stays as it is: what was typed into it is in no agreement.
        settled = entry.state is EntryState.SETTLED and entry.etag is not None
        self.agreements[key] = Agreement(settled=settled, item=entry.item_id, read=read)


class WitnessedSource:
    def __init__(self, real: SourceTables, witness: Witness) -> None:
        self._real, self._witness = real, witness

    def read_rows(self, spec: SourceSpec, identities: Sequence[Identity]) -> Mapping[Identity, Row]:
        self._witness.read_rows([key_of(identity) for identity in identities])
        return self._real.read_rows(spec, identities)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class WitnessedLists:
    def __init__(self, real: ListStore, witness: Witness) -> None:
        self._real, self._witness = real, witness

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        looks = self._real.look(target, items)
        self._witness.read_items([item for item, look in looks.items() if isinstance(look, Looked)])
        return looks

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        looks = self._real.find(target, sync_keys)
        found: list[Item | None] = [look.item for look in looks.values() if isinstance(look, Looked)]
        self._witness.read_items([item.id for item in found if item is not None])
        return looks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class WitnessedLedger:
    def __init__(self, real: Ledger, witness: Witness) -> None:
        self._real, self._witness = real, witness

    def intend(self, definition: DefinitionId, token: ClaimToken, updates: Sequence[IntentUpdate]) -> frozenset[bytes]:
        held = self._real.intend(definition, token, updates)
        for update in updates:
            if update.claimed.subject.key in held:
                if update.entry.item_id is not None:
                    self._witness.history.hinted(update.entry.item_id, key_of(update.entry.identity))
                for record in update.conflicts:
                    self._witness.calls_conflict(record)
        return held

    def confirm(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        confirmations: Sequence[Confirmation],
        *,
        run: RunId | None,
    ) -> frozenset[bytes]:
        confirmed = self._real.confirm(definition, token, confirmations, run=run)
        for confirmation in confirmations:
            if confirmation.claimed.subject.key in confirmed:
                self._witness.agrees(confirmation)
        return confirmed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def key_of(identity: Identity) -> str:
    return key_texts(identity)[0]


def losing(text: str | None) -> Any:
    return canonical(None if text is None else json.loads(text))


def _second(time: Any) -> int | None:
    return None if time is None else int(time.timestamp())
