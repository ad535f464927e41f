"""What a person should know of a definition's stream: whether anything moves, not whether a process is up."""

from collections.abc import Iterator
from datetime import timedelta

from shared.core.slots import Phase, SlotRecord


def stream_sentences(slot: SlotRecord | None, *, watched: bool, patience: timedelta) -> Iterator[str]:
    """A sentence for each thing that keeps changes from the list. `patience`: a poller may be silent so long."""
    scans = "changes are found by the scheduled scan"
    if slot is None:
        yield f"No poller has read this database yet: {scans}."
        return
    match slot.phase:
        case Phase.DROPPED:
            yield f"The replication slot was dropped by a person: {scans}."
        case Phase.BROKEN:
            yield f"The stream stopped. {slot.problem_text}"
        case Phase.WANTED:
            yield f"The replication slot is still to be made: {scans}."
        case Phase.STREAMING if slot.paused_reason is not None:
            yield f"The stream is paused ({slot.paused_reason}): {scans}, and the source keeps its log."
        case Phase.STREAMING if slot.silent is None or slot.silent > patience:
            yield f"No poller reads the replication slot: {scans}, and the source keeps its log."
        case Phase.STREAMING if slot.streaming is False:
            yield "Changes are asked for by SQL, because no replication connection is allowed: they are a little late."
    if slot.phase is Phase.STREAMING and not watched:
        yield f"The table is not streamed: {scans}. {slot.problem_text or ''}".rstrip()
    elif slot.phase is not Phase.BROKEN and slot.problem_text is not None:
        yield slot.problem_text
    if slot.over_budget:
        yield "The source keeps more log for the stream than its budget allows."
