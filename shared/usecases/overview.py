"""Documents for people."""

from dataclasses import asdict
from typing import Any

from shared.core.runs import RunRecord, RunStatus


def run_document(record: RunRecord) -> dict[str, Any]:
    """A run with its counts; a run that did nothing says why in its notes."""
    notes = list(record.notes)
    done = record.status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
    counts = record.counts
    if done and not notes and not (counts.items_processed or counts.items_failed or counts.awaiting_approval):
        notes.append("Nothing was due.")
    seconds = None
    if record.start_time is not None and record.end_time is not None:
        seconds = round((record.end_time - record.start_time).total_seconds(), 3)
    return {
        "id": str(record.id),
        "definition_id": str(record.definition),
        "run_type": record.type,
        "status": record.status,
        "trigger": record.trigger,
        "requested_by": record.requested_by,
        "capture": record.capture,
        "queued_at": record.queued_at,
        "start_time": record.start_time,
        "end_time": record.end_time,
        "seconds": seconds,
        **asdict(counts),
        "captured": dict(record.captured),
        "notes": notes,
        "error_code": record.error_code,
        "error_message": record.error_message,
    }
