"""What a change stream stops a definition for, as holds with words for a person."""

from collections.abc import Sequence

from shared.core.problems import Problem
from shared.core.slots import Break
from shared.core.source import TableRef
from shared.ports import HoldRequest

STREAM_BROKEN = "STREAM_BROKEN"


def broken(found: Break, slot: str) -> HoldRequest:
    return HoldRequest(
        kind=STREAM_BROKEN,
        explanation=f"{found.explanation} Changes may be missing, so the stream stopped, and nothing is written. Make sure "
        "that the right database answers, then release this hold: a new slot is made, and after it a scan, under every "
        "guard, finds what is missing.",
        details={"reason": found.kind.value, "slot": slot},
    )


def truncated(table: TableRef) -> HoldRequest:
    return HoldRequest(
        kind="TRUNCATED",
        explanation=f"{table} was emptied by TRUNCATE. Its log names no row of it, and all of its items would be deleted. "
        "Nothing is written. If the rows are to be gone, release this hold: the next run scans the table, and its deletes "
        "wait for your approval. If they were loaded anew, release it too: their items stay.",
        details={"table": str(table)},
    )


def drifted(table: TableRef, sentences: Sequence[str]) -> HoldRequest:
    return HoldRequest(
        kind="SCHEMA_DRIFT",
        explanation=f"{table} is not what this definition was made for: {'; '.join(sentences)}. Nothing is written, so that no "
        "item is emptied for it. Save the definition for the table as it is now (or change the table back), then release "
        "this hold.",
        details={"table": str(table), "columns": len(sentences)},
    )


def narrow(table: TableRef, problem: Problem) -> HoldRequest:
    return HoldRequest(
        kind="REPLICA_IDENTITY",
        explanation=f"{problem.message}. Nothing is written. To mend it: {problem.remedy} Then release this hold: a scan finds "
        "what the log did not tell.",
        details={"table": str(table)},
    )
