"""The table's columns compared with what a definition was made for: fields pause, and go on again."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.control_ports import Definitions, SourceAdmin
from shared.core.drift import adjusted, alike, drift_of
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import FieldNo
from shared.core.record import DefinitionRecord, renumbered
from shared.ports import HoldRequest
from shared.usecases.stream_holds import drifted

BY_RUN, BY_STREAM = "run", "stream"
"""Who has looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    record: DefinitionRecord
    """As it is now: another version where fields were paused or go on."""
    hold: HoldRequest | None = None
    """What stops the whole definition."""
    resumed: bool = False
    """Some field goes on: a scan has to find what changed in it meanwhile."""


def look_at_columns(
    record: DefinitionRecord,
    *,
    source: SourceAdmin,
    definitions: Definitions,
    at: datetime,
    seen_by: str,
    scans: bool = False,
) -> Looked:
    """Pauses the fields whose columns are not what they were, and lets those go on whose columns are as they were again:
    then the scheduled run is wanted, in the same transaction, to find what changed in them meanwhile. `scans`: whoever looks
    reads the whole table next.

    Raises what the source raises; NotFound where the whole table is gone."""
    now = source.introspect(record.table)
    drift = drift_of(record, now)
    if drift.whole:
        return Looked(record=record, hold=drifted(record.table, drift.whole))
    wanted = adjusted(record, drift, now, at=at, seen_by=seen_by)
    if wanted == record:
        return Looked(record=record)
    try:
        resumed = bool(_paused(record) - _paused(wanted))
        saved = definitions.save(wanted, actor=f"columns compared by a {seen_by}", wants_run=resumed and not scans)
    except Conflicting:  # somebody else was faster, with this or with another change: whoever looks next sees the rest
        return Looked(record=definitions.get(record.id))
    return Looked(record=saved, resumed=resumed)


def resume(
    record: DefinitionRecord,
    no: FieldNo,
    *,
    source: SourceAdmin,
    definitions: Definitions,
    at: datetime,
    actor: str,
) -> DefinitionRecord:
    """A person says that a paused field goes on. Raises Conflicting while its column is not what it was, NotFound where the
    field was taken out meanwhile.

    A column that was made anew is as good as one that is mapped now: nothing was agreed about it, so the field gets a number
    of its own, and whichever side has a value gives it to the other."""
    mapping = next((mapping for mapping in record.fields if mapping.no == no), None)
    if mapping is None:
        raise NotFound(f"definition {record.name!r} does not have this field any more")
    if mapping.paused is None:
        raise Conflicting(f"the field {mapping.source.name} is not paused", code="not_paused")
    now = source.introspect(record.table)
    drift, column = drift_of(record, now), now.column(mapping.source.name)
    anew = column if no in drift.anew and column is not None and alike(mapping.source.type, column.type) else None
    if drift.whole or (no in drift.fields and anew is None):
        reason = "; ".join(drift.whole) or drift.fields[no]
        raise Conflicting(
            f"the field {mapping.source.name} stays paused: {reason}. Change the table back, map the field to another column, or "
            "take it out of the definition",
            code="still_differs",
        )
    if anew is not None:
        fields = tuple(replace(m, source=anew, paused=None) if m.no == no else m for m in record.fields)
        record = renumbered(replace(record, fields=fields), {no})
    going_on = adjusted(record, drift_of(record, now), now, at=at, seen_by=actor)
    return definitions.save(going_on, actor=actor, wants_run=True)


def _paused(record: DefinitionRecord) -> set[FieldNo]:
    return {mapping.no for mapping in record.fields if mapping.paused is not None}
