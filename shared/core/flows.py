"""Which way a field may be written: the definition's mode and the mapping's direction taken together."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from shared.core.definition import FieldMapping, SyncMode
from shared.core.ids import FieldNo
from shared.core.source import SourceKey


class Flow(StrEnum):
    BOTH = "BOTH"
    TO_ITEM = "TO_ITEM"
    TO_ROW = "TO_ROW"


def flows_of(fields: Iterable[FieldMapping], mode: SyncMode, key: SourceKey) -> Mapping[FieldNo, Flow]:
    """The fields that take part; a field that may not flow in this mode is not listed, nor is one that is paused.

    A row's key is never written from its item: a person who edits a key there would make another row of it. Where items
    are written it goes back to the item; the key of an item that has no row yet is read from it all the same.
    """
    keys = {column.name for column in key.columns}
    flows: dict[FieldNo, Flow] = {}
    for mapping in fields:
        flow = _flow(mapping, mode)
        if mapping.source.name in keys and flow is not None:
            flow = None if mode is SyncMode.ONE_WAY_PULL or not mapping.pushes else Flow.TO_ITEM
        if flow is not None and mapping.paused is None:
            flows[mapping.no] = flow
    return flows


def _flow(mapping: FieldMapping, mode: SyncMode) -> Flow | None:
    match mode:
        case SyncMode.ONE_WAY_PUSH:
            return Flow.TO_ITEM if mapping.pushes else None
        case SyncMode.ONE_WAY_PULL:
            return Flow.TO_ROW if mapping.pulls else None
        case SyncMode.TWO_WAY if mapping.pushes and mapping.pulls:
            return Flow.BOTH
        case SyncMode.TWO_WAY:
            return Flow.TO_ITEM if mapping.pushes else Flow.TO_ROW
