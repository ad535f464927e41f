"""The capture of a queue's message: marks the rows whose keys changed, for every definition that has that table and key.

A key that became another one is told with its marks: settle looks whether the item can go over. The capture has no cursor
of its own: the slot's position moved when the message was in the queue. A message that comes twice, late
or out of order makes marks that are settled for nothing.
"""

from collections.abc import Generator, Sequence

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.changes import ChangeMessage, TableChanges
from shared.core.definition import SyncDefinition
from shared.core.ids import DefinitionId, RowSubject
from shared.ports import Backlog


def stream(
    message: ChangeMessage, definitions: Sequence[SyncDefinition], *, backlog: Backlog, lane: Lane = Lane.CDC
) -> Generator[Boundary, None, tuple[DefinitionId, ...]]:
    """The definitions of which something was marked. Every mark takes a number: a row that is being settled right now may
    have been read before this change."""
    marked = []
    for definition in definitions:
        told = [changes for changes in message.tables if _concerns(changes, message, definition)]
        marks = [
            Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.STREAM}), lane=lane)
            for changes in told
            for identity in changes.operations
        ]
        if marks:
            renames = [rename for changes in told for rename in changes.renames]
            backlog.mark(definition.id, marks, renames)
            marked.append(definition.id)
            yield Boundary.STREAM_MARKED
    return tuple(marked)


def _concerns(changes: TableChanges, message: ChangeMessage, definition: SyncDefinition) -> bool:
    source = definition.source
    key = tuple(column.name for column in source.key.columns)
    return source.instance_id == message.slot.instance and (changes.table, changes.key) == (source.table, key)
