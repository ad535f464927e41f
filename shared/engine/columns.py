"""What every step does about a table whose columns are not what they were."""

import logging

from shared.core.errors import SyncError
from shared.core.ids import DefinitionId, FieldNo
from shared.core.record import DefinitionRecord
from shared.engine.parts import Parts
from shared.usecases import columns
from shared.usecases.columns import Looked

log = logging.getLogger("syncbridge.columns")


class Columns(Parts):
    """Level-triggered: whoever looks makes the definition's paused fields what the catalog says."""

    def look_at_columns(self, record: DefinitionRecord, *, seen_by: str, scans: bool = False) -> Looked:
        """`scans`: whoever looks reads the whole table next. Raises what the source raises; NotFound where the whole table is
        gone."""
        looked = columns.look_at_columns(
            record,
            source=self.sources.admin(self.instance_of(record)),
            definitions=self.stores.definitions,
            at=self.clock.now(),
            seen_by=seen_by,
            scans=scans,
        )
        paused = _paused(looked.record)
        if paused != _paused(record):
            log.warning(
                "the fields that are paused are others now",
                extra={"action": "fields_paused", "definition": str(record.id), "columns": paused},
            )
        return looked

    def changed_since(self, record: DefinitionRecord, error: SyncError, *, seen_by: str) -> bool:
        """Whether a step failed because a column is not what it was, and the definition is another one by now, which does
        without it: the step is to be tried again, under that one."""
        if error.code != "schema_drift":
            return False
        try:
            looked = self.look_at_columns(self.stores.definitions.get(record.id), seen_by=seen_by)
        except SyncError:  # what it failed for says more
            return False
        return looked.hold is None and looked.record.version != record.version

    def resume_field(self, definition: DefinitionId, no: FieldNo, *, actor: str) -> DefinitionRecord:
        """Raises Conflicting while the column is not what it was."""
        record = self.stores.definitions.get(definition)
        return columns.resume(
            record,
            no,
            source=self.sources.admin(self.instance_of(record)),
            definitions=self.stores.definitions,
            at=self.clock.now(),
            actor=actor,
        )


def _paused(record: DefinitionRecord) -> list[str]:
    return [mapping.source.name for mapping in record.fields if mapping.paused is not None]
