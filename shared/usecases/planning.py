"""A plan: what the next runs would do, without a write to either side. Settle that stops before writing.

The subjects are those that settle would have: what is in the backlog, what the list tells since its token, and what the
scan finds. Each is read as far as settle reads it, and decided by the same decision. Items that settle would not look at
are taken to be what the ledger says.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from shared.core.backlog import Claimed, Lane, Reason
from shared.core.definition import SyncDefinition
from shared.core.estimate import Ceiling, Workload, estimate
from shared.core.guards import Verdict, delete_limit, judge_deletes, judge_enumeration, judge_scan
from shared.core.ids import ClaimToken, Identity, ItemId, ItemSubject, MarkNumber, RowSubject, RunId, identity_of
from shared.core.items import Item, Looked, Stopped
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.paused import fields_of
from shared.core.reconcile import policy_of
from shared.ports import Backlog, Ledger, ListCursors, ListStore, RowWriter, ScanResult, Scans, SourceTables
from shared.settle.decide import key_fields
from shared.settle.look import knows_too_little, look, must_look
from shared.settle.strays import SECOND_ITEM, keyed_hash, named_rows
from shared.settle.work import Work, start
from shared.usecases.plan_list import ListReading, read_list
from shared.usecases.plan_tally import KINDS, Tally

PAGE = 1000
MOST = 200_000
"""Differing rows that are looked at one by one; beyond that the shares found are applied to the rest, and it is said."""
LOOKS = 500
"""Items that are read one by one, at 1 RU each; what needs more is counted as not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a plan may look at. `lists` None: there is no list yet, everything is a create."""

    source: SourceTables
    rows: RowWriter
    scans: Scans
    ledger: Ledger
    backlog: Backlog
    cursors: ListCursors
    lists: ListStore | None


def plan(definition: SyncDefinition, run: RunId, sight: Sight, ceiling: Ceiling) -> dict[str, Any]:
    """The plan as a document: counts for both sides, samples, conflicts, cost, what the guards would say, and the base it
    was computed from. Raises what the source and the list raise. The scan's table is dropped whatever happens."""
    planner = _Planner(definition, sight)
    try:
        with sight.source.copy_stamps(definition.source) as stamps:
            loaded = sight.scans.load(definition, run, stamps)
        result = sight.scans.compare(definition, run, loaded)
        planner.marked()
        planner.listed()
        planner.remapped()
        scale = planner.scanned(run, result)
    finally:
        sight.scans.drop(run)
    return planner.document(result, scale, ceiling)


def base_of(definition: SyncDefinition, document: Mapping[str, Any]) -> bytes:
    """What a plan was computed from: a plan whose base has moved is not applied."""
    facts = repr(
        (
            definition.version,
            definition.mapping_fingerprint,
            definition.scope_fingerprint,
            sorted(document["rows"].items()),
            sorted(document["list"].items()),
        )
    )
    return hashlib.blake2b(facts.encode(), digest_size=16).digest()


class _Planner:
    """Mutable: one plan's private state. A subject counts once, whoever names it."""

    def __init__(self, definition: SyncDefinition, sight: Sight) -> None:
        self.definition, self.sight = definition, sight
        self.policy = policy_of(definition)
        self.tally = Tally(definition=definition, policy=self.policy, lists=sight.lists)
        self.reading = ListReading()
        self.done: set[bytes] = set()
        self.looks = 0
        self.not_looked_at = 0
        self.other_fields = 0
        """Rows that were agreed on under other fields, at most MOST."""

    # ---- who is to be settled

    def marked(self) -> None:
        """What captures have marked and nobody has settled."""
        after: bytes | None = None
        while True:
            page = self.sight.backlog.peek(self.definition.id, after=after, limit=PAGE)
            self._rows([claimed for claimed in page if isinstance(claimed.subject, RowSubject)], {})
            self._strays({c.subject.item_id: None for c in page if isinstance(c.subject, ItemSubject)})
            if len(page) < PAGE:
                return
            after = page[-1].subject.key

    def listed(self) -> None:
        """What the list tells; its token stays where it is."""
        lists = self.sight.lists
        if lists is None:
            return
        parts = read_list(
            self.definition,
            self.policy,
            self.reading,
            lists=lists,
            cursors=self.sight.cursors,
            ledger=self.sight.ledger,
        )
        for part in parts:
            self._rows([_claimed(identity) for identity in part.known], part.known)
            self._rows([_claimed(identity, Reason.ITEM_GONE) for identity in part.unread], {})
            self._strays(part.strays)

    def remapped(self) -> None:
        """What was agreed on under other fields: the next run looks at all of it."""
        fields, after = fields_of(self.definition.mapping_fingerprint), None
        while self.other_fields < MOST:
            page = self.sight.ledger.under_other_fields(self.definition.id, fields, after=after, limit=PAGE)
            self.other_fields += len(page)
            self._rows([_claimed(identity) for _, identity in page], {})
            if len(page) < PAGE:
                return
            after, _ = page[-1]

    def scanned(self, run: RunId, result: ScanResult) -> float:
        """What differs at the source; by how much what was counted of it has to be multiplied."""
        before, seen, after = self.tally, 0, None
        self.tally = before.emptied()
        while seen < MOST:
            page = self.sight.scans.differing(self.definition, run, after=after, limit=PAGE)
            if not page:
                break
            after = page[-1][0]
            self._rows([_claimed(identity) for _, identity, _ in page], {})
            seen += len(page)
            if len(page) < PAGE:
                break
        differing = result.new + result.changed + result.gone
        scale = differing / seen if seen and seen < differing else 1.0
        for name, count in self.tally.counts.items():
            before.counts[name] += round(count * scale)
        for rule, count in self.tally.conflicts.items():
            before.conflicts[rule] += round(count * scale)
        self.tally = before
        return scale

    # ---- what would become of them

    def _rows(self, claimed: Sequence[Claimed], items: Mapping[Identity, Item | None]) -> None:
        """`items`: readings of their items that are at hand."""
        fresh = [c for c in claimed if c.subject.key not in self.done and isinstance(c.subject, RowSubject)]
        self.done.update(c.subject.key for c in fresh)
        for start_at in range(0, len(fresh), PAGE):
            self._judge(self._works(fresh[start_at : start_at + PAGE]), items)

    def _works(self, claimed: Sequence[Claimed]) -> list[Work]:
        identities = [c.subject.identity for c in claimed if isinstance(c.subject, RowSubject)]
        entries = self.sight.ledger.entries(self.definition.id, identities)
        return [start(c, entries.get(i)) for c, i in zip(claimed, identities, strict=True)]

    def _judge(self, works: Sequence[Work], items: Mapping[Identity, Item | None]) -> None:
        rows = self.sight.source.read_rows(self.definition.source, [work.identity for work in works])
        for work in works:
            work.row = rows.get(work.identity)
            if work.identity in items:
                work.item, work.item_read = items[work.identity], True
            elif self.sight.lists is not None:
                work.look = must_look(work) or knows_too_little(work, self.policy)
        self._look([work for work in works if work.look])
        for work in works:
            if work.item_read or not work.look:
                self.tally.judge(work)

    def _look(self, works: Sequence[Work]) -> None:
        """Reads items one by one, as many as a plan may."""
        may = works[: max(0, LOOKS - self.looks)]
        self.looks += len(may)
        self.not_looked_at += len(works) - len(may)
        if self.sight.lists is not None and may:
            _, _, stopped = look(self.sight.lists, self.definition.target, may)
            if stopped is not None:
                raise stopped.error
            self.not_looked_at += sum(not work.item_read for work in may)
            for work in may:
                if work.made is not None:
                    work.item, work.base = work.made, None

    def _strays(self, items: Mapping[ItemId, Item | None]) -> None:
        """Items that are not tied to a row: another row's, nobody's, or a row to be."""
        there = {item_id: item for item_id, item in self._read(items).items() if not item.is_check}
        keyed = {item_id: key for item_id, item in there.items() if (key := keyed_hash(item)) is not None}
        by_hash = self.sight.ledger.by_hashes(self.definition.id, list(keyed.values()))
        nobodys = {}
        for item_id, item in there.items():
            entry = by_hash.get(keyed[item_id]) if item_id in keyed else None
            if entry is None:
                nobodys[item_id] = item
            elif entry.item_id not in (None, item_id) and entry.state is not EntryState.TOMBSTONE:
                self.tally.park(self._bound(item, entry.identity), SECOND_ITEM.message)
            else:
                self._rows([_claimed(entry.identity)], {entry.identity: item})
        if self.definition.takes_foreign_items:
            self._new_rows(nobodys)
        else:
            self.reading.foreign += len(nobodys)

    def _read(self, items: Mapping[ItemId, Item | None]) -> dict[ItemId, Item]:
        fresh = {i: item for i, item in items.items() if self._subject(i).key not in self.done}
        self.done.update(self._subject(item_id).key for item_id in fresh)
        there = {item_id: item for item_id, item in fresh.items() if item is not None}
        unread = [item_id for item_id, item in fresh.items() if item is None]
        may = unread[: max(0, LOOKS - self.looks)]
        self.looks += len(may)
        self.not_looked_at += len(unread) - len(may)
        if self.sight.lists is not None and may:
            for item_id, answer in self.sight.lists.look(self.definition.target, may).items():
                match answer:
                    case Stopped(error=error):
                        raise error
                    case Looked(item=item) if item is not None:
                        there[item_id] = item
                    case Looked():
                        pass  # gone again
                    case _:
                        self.not_looked_at += 1
        return there

    def _new_rows(self, items: Mapping[ItemId, Item]) -> None:
        fields = key_fields(self.definition)
        if fields is None:
            for item in items.values():
                self.tally.judge(self._bound(item, identity_of([f"item {item.id}"])))
            return
        named, problems = named_rows(self.definition, self.sight.rows, fields, items)
        for item_id, parking in problems.items():
            self.tally.park(self._bound(items[item_id], identity_of([f"item {item_id}"])), parking.message)
        entries = self.sight.ledger.entries(self.definition.id, list(named.values()))
        rows = self.sight.source.read_rows(self.definition.source, list(named.values())) if named else {}
        taken: set[Identity] = set()
        for item_id, identity in named.items():
            entry, work = entries.get(identity), self._bound(items[item_id], identity)
            if identity in taken or (entry is not None and entry.state is not EntryState.TOMBSTONE):
                self.tally.park(work, SECOND_ITEM.message)
                continue
            taken.add(identity)
            work.row = rows.get(identity)
            self.done.add(work.key)  # a row that is adopted differs by the scan too
            self.tally.judge(work)

    def _bound(self, item: Item, identity: Identity) -> Work:
        """The work of an item that has just been bound to a row."""
        entry = LedgerEntry(
            identity=identity,
            state=EntryState.BOUND,
            source_instance_id=self.definition.source.instance_id,
            list_id=self.definition.target.list_id,
            item_id=item.id,
            etag=item.etag,
        )
        work = start(_claimed(identity), entry)
        work.item, work.item_read = item, True
        return work

    def _subject(self, item_id: ItemId) -> ItemSubject:
        return ItemSubject(list_id=self.definition.target.list_id, item_id=item_id)

    # ---- in words

    def document(self, result: ScanResult, scale: float, ceiling: Ceiling) -> dict[str, Any]:
        counts = {name: self.tally.counts[name] for name in KINDS}
        counts["foreign"] += self.reading.foreign
        # A list's change costs no reading: its values come with the page.
        work = Workload(creates=counts["create"], updates=counts["update"], deletes=counts["delete"])
        cost = estimate(replace(work, item_reads=self.looks + self.not_looked_at), ceiling)
        reading = self.reading
        return {
            "definition": str(self.definition.id),
            "definition_version": self.definition.version,
            "exact": scale == 1.0 and self.other_fields < MOST and reading.complete and not self.not_looked_at,
            "rows": {
                "in_scope": result.scanned,
                "known": result.ledger,
                "new": result.new,
                "changed": result.changed,
                "gone": result.gone,
            },
            "list": {"read": reading.how, "pages": reading.pages, "changed": reading.changed, "gone": reading.gone},
            "counts": {**counts, "stays_equal": result.scanned - result.new - result.changed},
            "conflicts": dict(self.tally.conflicts),
            "parked_reasons": dict(self.tally.refused.most_common(20)),
            "samples": self.tally.samples,
            "notes": list(self._notes(scale)),
            "cost": {
                "ru": cost.ru,
                "minutes": round(cost.time.total_seconds() / 60, 2),
                "days": cost.days,
                "daily_cap_bites": cost.days > 1,
                "ru_per_minute": ceiling.per_minute,
                "ru_per_day": ceiling.per_day,
            },
            "guards": [
                {"kind": verdict.kind, "explanation": verdict.explanation, "deletes_only": verdict.deletes_only}
                for verdict in self._guards(result, counts)
            ],
        }

    def _guards(self, result: ScanResult, counts: Mapping[str, int]) -> Sequence[Verdict]:
        """Each kind once, as there is one hold of a kind."""
        said = list(judge_scan(self.definition.guards, result))
        if self.reading.how == "whole" and self.reading.complete:
            said += judge_enumeration(self.definition, self.reading)
        deletes, limit = counts["delete"] + counts["row_delete"], delete_limit(self.definition.guards, result.ledger)
        if deletes > limit:
            said.append(judge_deletes(deletes, limit, {"limit": limit}))
        kinds = [verdict.kind for verdict in said]
        return [verdict for at, verdict in enumerate(said) if verdict.kind not in kinds[:at]]

    def _notes(self, scale: float) -> Iterator[str]:
        if scale != 1.0:
            yield f"More than {MOST:,} rows differ: the shares found among those were applied to the rest."
        if self.other_fields >= MOST:
            yield f"More than {MOST:,} rows were agreed on under other fields: what comes after them is not counted."
        if not self.reading.complete:
            yield f"The list has more to tell than {self.reading.pages:,} pages: what comes after them is not counted."
        if self.not_looked_at:
            yield f"{self.not_looked_at:,} items have to be read one by one before it is known what becomes of them."


def _claimed(identity: Identity, *reasons: Reason) -> Claimed:
    return Claimed(
        subject=RowSubject(identity=identity),
        number=MarkNumber(0),
        reasons=frozenset(reasons),
        lane=Lane.PEOPLE,
        token=ClaimToken(UUID(int=0)),
        takeover=False,
        attempts=0,
    )
