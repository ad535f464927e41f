"""Cursors: they move in the transaction that makes the marks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.core.backlog import Echo, Mark
from shared.core.definition import SyncDefinition
from shared.core.ids import DefinitionId, InstanceId, ListId, MarkNumber
from shared.core.runs import DeltaCursor, WatermarkCursor


class Cursors(Protocol):
    def get_watermark(self, definition: DefinitionId, instance: InstanceId) -> WatermarkCursor | None: ...

    def advance_watermark(
        self,
        definition: SyncDefinition,
        *,
        expected: WatermarkCursor | None,
        new: WatermarkCursor | None,
        marks: Sequence[Mark],
    ) -> bool:
        """Marks and cursor in one transaction; False: the cursor was not `expected` any more, nothing was written."""


class ListCursors(Protocol):
    def get_delta(self, definition: DefinitionId, list_id: ListId) -> DeltaCursor | None: ...

    def advance_delta(
        self,
        definition: SyncDefinition,
        *,
        expected: DeltaCursor | None,
        new: DeltaCursor | None,
        marks: Sequence[Mark],
        echoes: Sequence[Echo] = (),
    ) -> Mapping[bytes, MarkNumber] | None:
        """Marks and token in one transaction: the numbers that the marks have now, by subject key. None: the token was
        not `expected` any more, nothing was written. `new` None: the token is forgotten (an enumeration follows).
        Echoes become marks only where something is under way."""
