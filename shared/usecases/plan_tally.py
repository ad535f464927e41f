"""What a plan counts: every subject is decided as settle decides it, and what would be written is tried and thrown away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from shared.core.definition import SyncDefinition
from shared.core.errors import RowRejected
from shared.core.ids import FieldNo
from shared.core.items import Looked
from shared.core.mapping import Value, item_values
from shared.core.reconcile import (
    Ask,
    CreateTheItem,
    Decision,
    DeleteTheItem,
    DeleteTheRow,
    FieldConflict,
    InsertTheRow,
    Leave,
    Merge,
    Policy,
)
from shared.ports import ListStore
from shared.settle.acts import insert_row, update_row
from shared.settle.decide import decide
from shared.settle.work import Work

SAMPLES = 5
KINDS = (
    *("create", "update", "delete"),
    *("row_insert", "row_update", "row_delete"),
    *("ask", "unchanged", "parked", "foreign"),
)
"""`ask`: deletes that the definition's policies leave to a person; `unchanged`: nothing is written, by policy too;
`foreign`: items of nobody's that are left alone."""
_NO_OP = UUID(int=0)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Mutable, of one plan."""

    definition: SyncDefinition
    policy: Policy
    lists: ListStore | None
    counts: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    """Values that would lose, by the rule under which."""
    refused: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def emptied(self) -> "Tally":
        """With counts of its own; samples and reasons are shared."""
        return replace(self, counts=Counter(), conflicts=Counter())

    def judge(self, work: Work) -> None:
        try:
            decision = decide(work, self.definition, self.policy)
            self._try(work, decision)
        except RowRejected as rejected:
            self.park(work, rejected.message)
            return
        for kind in self._kinds(work, decision):
            self.counts[kind] += 1
            self._sample(kind, work, decision)
        conflicts = getattr(decision, "conflicts", ())
        self.conflicts.update(conflict.rule for conflict in conflicts)
        if conflicts:
            self._keep("conflict", work, [self._conflict(work, conflict) for conflict in conflicts])

    def park(self, work: Work, message: str) -> None:
        self.counts["parked"] += 1
        self.refused[message] += 1
        self._keep("parked", work, [], reason=message)

    # ---- inside

    def _try(self, work: Work, decision: Decision) -> None:
        """Raises RowRejected for a value that the row's column cannot hold."""
        match decision:
            case Merge(to_row=fields) if fields and work.item_read:
                update_row(work, self.definition, _NO_OP, fields, ())
            case InsertTheRow() if work.item_read:
                insert_row(work, self.definition, self.policy, _NO_OP, ())
            case _:
                pass

    def _kinds(self, work: Work, decision: Decision) -> Sequence[str]:
        match decision:
            case CreateTheItem():
                return ("create",)
            case InsertTheRow():
                return ("row_insert", "update") if self._wants_key(work) else ("row_insert",)
            case Merge(to_item=to_item, to_row=to_row):
                kinds = [*["row_update"] * bool(to_row), *["update"] * (bool(to_item) or self._wants_key(work))]
                return kinds or ("unchanged",)
            case DeleteTheItem():
                return ("delete",)
            case DeleteTheRow():
                return ("row_delete",)
            case Ask():
                return ("ask",)
            case Leave(foreign=True):
                return ("foreign",)
            case _:
                return ("unchanged",)

    def _wants_key(self, work: Work) -> bool:
        return self.policy.writes_items and work.lacks_key

    def _sample(self, kind: str, work: Work, decision: Decision) -> None:
        if len(self.samples.get(kind, [])) >= SAMPLES:
            return
        match kind, decision:
            case "create", CreateTheItem():
                self._keep(kind, work, self._values(work.row_values))
            case "row_insert", InsertTheRow():
                self._keep(kind, work, self._values(work.item_values))
            case "update", Merge(to_item=fields):
                before = self._item_values(work, fields)
                self._keep(kind, work, self._changes(fields, before, work.row_values))
            case "row_update", Merge(to_row=fields):
                self._keep(kind, work, self._changes(fields, work.row_values, work.item_values))
            case _:
                self._keep(kind, work, [])

    def _item_values(self, work: Work, fields: frozenset[FieldNo]) -> Mapping[FieldNo, Value]:
        """The item's values; one that was only assumed is read for the sample."""
        if work.item_read or self.lists is None or work.known is None or work.known.item_id is None:
            return work.item_values
        look = self.lists.look(self.definition.target, [work.known.item_id])[work.known.item_id]
        if not isinstance(look, Looked) or look.item is None:
            return {}
        by_no = self.definition.by_no()
        return item_values([by_no[no] for no in fields], look.item, self.definition.target.site_zone)

    def _values(self, values: Mapping[FieldNo, Value]) -> list[dict[str, Any]]:
        by_no = self.definition.by_no()
        return [{"column": by_no[no].source.name, "to": _shown(value)} for no, value in values.items()]

    def _changes(
        self, fields: frozenset[FieldNo], before: Mapping[FieldNo, Value], after: Mapping[FieldNo, Value]
    ) -> list[dict[str, Any]]:
        by_no = self.definition.by_no()
        return [
            {
                "column": by_no[no].source.name,
                "from": _shown(before[no]) if no in before else None,
                "to": _shown(after[no]),
            }
            for no in after
            if no in fields
        ]

    def _conflict(self, work: Work, conflict: FieldConflict) -> dict[str, Any]:
        def held(values: Mapping[FieldNo, Value]) -> Any:
            return _shown(values[conflict.no]) if conflict.no in values else None

        return {
            "column": self.definition.by_no()[conflict.no].source.name,
            "row": held(work.row_values),
            "item": held(work.item_values),
            "winner": conflict.winner,
            "rule": conflict.rule,
        }

    def _keep(self, kind: str, work: Work, fields: list[dict[str, Any]], *, reason: str | None = None) -> None:
        kept = self.samples.setdefault(kind, [])
        if len(kept) < SAMPLES:
            kept.append({"key": work.identity, "fields": fields} | ({"reason": reason} if reason else {}))


def _shown(value: Value) -> Any:
    shown = value.canonical
    if isinstance(shown, str) and len(shown) > 120:
        return shown[:120] + "…"
    return list(shown) if isinstance(shown, tuple) else shown
