"""What a definition does to its source beside reading: the rights that it needs there."""

from dataclasses import dataclass

from shared.core.definition import ChangeDetection, DeletePolicy, ForeignPolicy, SyncMode
from shared.core.flows import Flow, flows_of
from shared.core.keys import NewKey, new_key
from shared.core.policies import policies_of
from shared.core.record import DefinitionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    insert: bool = False
    update: tuple[str, ...] = ()
    """The columns it writes."""
    delete: bool = False
    reserve: bool = False
    """Keys for new rows are made before the rows are: the key's sequence is drawn from."""
    stream: bool = False
    """Change data capture."""


def needs_of(record: DefinitionRecord) -> Needs:
    """Rows are inserted by every mode that writes rows: an edit in the list outlives the deletion of its row."""
    mode, stream = record.draft.mode, record.draft.change_detection is ChangeDetection.STREAM
    if mode is SyncMode.ONE_WAY_PUSH:
        return Needs(stream=stream)
    flows = flows_of(record.fields, mode, record.key)
    written = [mapping.source.name for mapping in record.fields if flows.get(mapping.no) in (Flow.BOTH, Flow.TO_ROW)]
    policies = policies_of(record.draft)
    deletes = policies.item_deleted in (DeletePolicy.PROPAGATE, DeletePolicy.APPROVE)
    if deletes and record.soft_delete_column is not None:
        written.append(record.soft_delete_column.name)
    makes_keys = policies.foreign_items is ForeignPolicy.INSERT and (
        new_key(record.key.columns, record.fields) is NewKey.RESERVED
    )
    return Needs(
        insert=True,
        update=tuple(dict.fromkeys(written)),
        delete=deletes and record.soft_delete_column is None,
        reserve=makes_keys,
        stream=stream,
    )
