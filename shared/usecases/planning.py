"""A plan: what a push would do, without a write to either side. Settle that stops before writing.

The scan's comparison says exactly which rows differ; the rows are then read and reconciled with what the ledger says
about their items. A few items are read for the samples, so that a person sees what would become what.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from shared.core.backlog import Claimed, Lane
from shared.core.definition import SyncDefinition
from shared.core.errors import RowRejected
from shared.core.estimate import Ceiling, Workload, estimate
from shared.core.guards import judge_scan
from shared.core.ids import ClaimToken, FieldNo, Identity, ItemId, MarkNumber, RowSubject, RunId
from shared.core.items import Looked
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.mapping import Value, item_values
from shared.core.reconcile import Ask, CreateTheItem, Decision, DeleteTheItem, Merge, policy_of
from shared.core.source import Row
from shared.ports import Ledger, ListStore, ScanResult, Scans, SourceTables
from shared.settle.decide import decide
from shared.settle.work import Work, start

PAGE = 1000
MOST = 200_000
"""Differing rows that are looked at one by one; beyond that the shares found are applied to the rest, and it is said."""
SAMPLES = 5
KINDS = ("create", "update", "delete", "ask", "unchanged", "parked")
"""`ask`: deletes that the definition's policies leave to a person; `unchanged`: nothing is written, by policy too."""


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seen: int = 0


def plan(
    definition: SyncDefinition,
    run: RunId,
    *,
    source: SourceTables,
    scans: Scans,
    ledger: Ledger,
    lists: ListStore | None,
    ceiling: Ceiling,
) -> dict[str, Any]:
    """The plan as a document: counts, samples, cost, what the guards would say, and the base it was computed from.

    `lists` None: there is no list yet, everything is a create. Raises what the source raises. The scan's table is
    dropped whatever happens.
    """
    try:
        with source.copy_stamps(definition.source) as stamps:
            loaded = scans.load(definition, run, stamps)
        result = scans.compare(definition, run, loaded)
        tally = _tally(definition, run, source=source, scans=scans, ledger=ledger, lists=lists)
    finally:
        scans.drop(run)
    differing = result.new + result.changed + result.gone
    scale = differing / tally.seen if tally.seen and tally.seen < differing else 1.0
    counts = {name: round(tally.counts[name] * scale) for name in KINDS}
    work = Workload(creates=counts["create"], updates=counts["update"], deletes=counts["delete"])
    cost = estimate(work, ceiling)
    return {
        "definition": str(definition.id),
        "definition_version": definition.version,
        "exact": scale == 1.0,
        "rows": {"in_scope": result.scanned, "known": result.ledger, **_result(result)},
        "counts": {**counts, "stays_equal": result.scanned - result.new - result.changed},
        "parked_reasons": dict(tally.refused.most_common(20)),
        "samples": tally.samples,
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
            for verdict in judge_scan(definition.guards, result)
        ],
    }


def base_of(definition: SyncDefinition, document: Mapping[str, Any]) -> bytes:
    """What a plan was computed from: a plan whose base has moved is not applied."""
    facts = repr(
        (
            definition.version,
            definition.mapping_fingerprint,
            definition.scope_fingerprint,
            sorted(document["rows"].items()),
        )
    )
    return hashlib.blake2b(facts.encode(), digest_size=16).digest()


def _result(result: ScanResult) -> dict[str, int]:
    return {"new": result.new, "changed": result.changed, "gone": result.gone}


def _tally(
    definition: SyncDefinition,
    run: RunId,
    *,
    source: SourceTables,
    scans: Scans,
    ledger: Ledger,
    lists: ListStore | None,
) -> Tally:
    tally = Tally()
    after: bytes | None = None
    while tally.seen < MOST:
        page = scans.differing(definition, run, after=after, limit=PAGE)
        if not page:
            break
        after = page[-1][0]
        identities = [identity for _, identity, _ in page]
        rows = source.read_rows(definition.source, identities)
        entries = ledger.entries(definition.id, identities)
        for identity in identities:
            _judge(tally, definition, identity, rows.get(identity), entries.get(identity), lists)
        tally.seen += len(page)
        if len(page) < PAGE:
            break
    return tally


def _judge(
    tally: Tally,
    definition: SyncDefinition,
    identity: Identity,
    row: Row | None,
    entry: LedgerEntry | None,
    lists: ListStore | None,
) -> None:
    work = _work(identity, row, entry)
    try:
        decision = decide(work, definition, policy_of(definition))
    except RowRejected as rejected:
        tally.counts["parked"] += 1
        tally.refused[rejected.message] += 1
        _sample(tally, "parked", identity, [], reason=rejected.message)
        return
    by_no = definition.by_no()
    kind = _kind(decision)
    tally.counts[kind] += 1
    match decision:
        case CreateTheItem():
            values = work.row_values.items()
            _sample(tally, kind, identity, [{"column": by_no[no].source.name, "to": _shown(v)} for no, v in values])
        case Merge(to_item=changed) if changed:
            if work.known is not None and work.known.item_id is not None and len(tally.samples.get(kind, [])) < SAMPLES:
                ordered = [no for no in work.row_values if no in changed]
                diff = _diff(definition, ordered, work.row_values, work.known.item_id, lists)
                _sample(tally, kind, identity, diff)
        case _:
            _sample(tally, kind, identity, [])


def _work(identity: Identity, row: Row | None, entry: LedgerEntry | None) -> Work:
    """The subject as settle would have it. No item is read: it is taken to be what the ledger says, writes without an
    answer aside."""
    if entry is not None and entry.state is EntryState.BOUND and entry.base is not None:
        entry = replace(entry, state=EntryState.SETTLED)
    claimed = Claimed(
        subject=RowSubject(identity=identity),
        number=MarkNumber(0),
        reasons=frozenset(),
        lane=Lane.PEOPLE,
        token=ClaimToken(UUID(int=0)),
        takeover=False,
        attempts=0,
    )
    work = start(claimed, entry)
    work.row = row
    return work


def _kind(decision: Decision) -> str:
    match decision:
        case CreateTheItem():
            return "create"
        case Merge(to_item=changed) if changed:
            return "update"
        case DeleteTheItem():
            return "delete"
        case Ask():
            return "ask"
        case _:
            return "unchanged"


def _diff(
    definition: SyncDefinition,
    changed: Sequence[FieldNo],
    values: Mapping[FieldNo, Value],
    item_id: ItemId,
    lists: ListStore | None,
) -> list[dict[str, Any]]:
    by_no = definition.by_no()
    before: Mapping[FieldNo, Value] = {}
    if lists is not None:
        look = lists.look(definition.target, [item_id])[item_id]
        if isinstance(look, Looked) and look.item is not None:
            fields = tuple(by_no[no] for no in changed)
            before = item_values(fields, look.item, definition.target.site_zone)
    return [
        {
            "column": by_no[no].source.name,
            "from": _shown(before[no]) if no in before else None,
            "to": _shown(values[no]),
        }
        for no in changed
    ]


def _shown(value: Value) -> Any:
    shown = value.canonical
    if isinstance(shown, str) and len(shown) > 120:
        return shown[:120] + "…"
    return list(shown) if isinstance(shown, tuple) else shown


def _sample(
    tally: Tally, kind: str, identity: Identity, fields: list[dict[str, Any]], *, reason: str | None = None
) -> None:
    kept = tally.samples.setdefault(kind, [])
    if len(kept) < SAMPLES:
        kept.append({"key": identity, "fields": fields} | ({"reason": reason} if reason else {}))
