"""The capture of a definition whose fields have changed: rows that were agreed on under other fields.

A stamp covers columns of the table, and an eTag the item; neither says that the same column goes to another list column now,
or is read by another rule. The ledger knows under which fields each row was agreed on. It is asked once for each change.
"""

from collections.abc import Generator

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.ids import RowSubject
from shared.core.paused import fields_of
from shared.ports import Backlog, Ledger

CHUNK = 5000


def mark_other_fields(
    definition: SyncDefinition, *, ledger: Ledger, backlog: Backlog, lane: Lane
) -> Generator[Boundary, None, int]:
    """Marks what was agreed on under other fields, and what somebody holds, who may yet agree on it so; how many."""
    fields, marked, after = fields_of(definition.mapping_fingerprint), 0, None
    while True:
        page = ledger.under_other_fields(definition.id, fields, after=after, limit=CHUNK)
        marks = [
            Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.MAPPING}), lane=lane)
            for _, identity in page
        ]
        if marks:
            marked += backlog.mark(definition.id, marks)
            yield Boundary.FIELDS_MARKED
        if len(page) < CHUNK:
            return marked
        after, _ = page[-1]
