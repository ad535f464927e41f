"""A run's steps, each bounded in time: capture, settle, finish. What the activities do."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.captures.scan import scan
from shared.captures.watermark import watermark
from shared.core.backlog import Lane
from shared.core.boundaries import Boundary
from shared.core.definition import ChangeDetection, SyncDefinition
from shared.core.ids import RunId
from shared.core.runs import RunCounts
from shared.ports import Cursors, HoldRequest, Holds, Ledger, Scans, SourceTables
from shared.settle.job import Job, Limits, Tools
from shared.settle.page import settle_page

T = TypeVar("T")


def drive(steps: Generator[Boundary, None, T]) -> T:
    """Runs captures and settle to their end; in production nothing happens at the boundaries."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """`capture`: which one ran. `numbers`: what it saw, for the run's record. `notes`: sentences for a person."""

    capture: str
    numbers: dict[str, int | float]
    notes: tuple[str, ...]
    held: bool


def capture(
    definition: SyncDefinition,
    run: RunId,
    kind: ChangeDetection,
    *,
    source: SourceTables,
    scans: Scans,
    holds: Holds,
    cursors: Cursors,
    ledger: Ledger,
    lane: Lane = Lane.PUSH,
) -> Captured:
    """Marks what may differ at the source. `kind`: SCAN or WATERMARK."""
    if kind is ChangeDetection.WATERMARK:
        report = drive(watermark(definition, source=source, cursors=cursors, ledger=ledger, lane=lane))
        notes = [] if report.exact else [f"The watermark is read with an overlap: {report.reason}"]
        if not report.read:
            notes.append("No row is newer than the cursor.")
        return Captured(
            capture="watermark", numbers={"read": report.read, "marked": report.marked}, notes=tuple(notes), held=False
        )
    found = drive(scan(definition, run, source=source, scans=scans, holds=holds, lane=lane))
    result = found.result
    numbers: dict[str, int | float] = {
        "scanned": result.scanned,
        "ledger": result.ledger,
        "new": result.new,
        "changed": result.changed,
        "gone": result.gone,
        "marked": found.marked,
    }
    notes = [hold.explanation for hold in found.holds]
    if not found.holds and not (result.new or result.changed or result.gone):
        notes.append(
            f"All {result.scanned:,} rows in scope carry the stamp that the ledger has: the scan marked nothing."
        )
    return Captured(capture="scan", numbers=numbers, notes=tuple(notes), held=found.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    pages: int
    claimed: int
    counts: RunCounts
    wait: float | None
    """Seconds that everybody has to wait."""
    hold: HoldRequest | None
    more: bool
    """The time was up, or something changed, before the backlog was empty."""


def settle(
    definition: SyncDefinition,
    run: RunId | None,
    tools: Tools,
    *,
    limits: Limits,
    seconds: float,
    go_on: Callable[[], bool],
    lanes: Sequence[Lane] = tuple(Lane),
) -> Settled:
    """Settles pages until nothing is due, everybody has to wait, a hold is needed, or `seconds` are over.

    `go_on` is asked between two pages: False when the definition or the run is not what it was any more."""
    until = tools.clock.monotonic() + seconds
    job = Job(definition=definition, run=run, lanes=lanes, limits=limits)
    pages, claimed, counts = 0, 0, RunCounts()
    while True:
        page = drive(settle_page(job, tools))
        counts += page.counts
        pages, claimed = pages + 1, claimed + page.claimed
        if page.hold is not None:
            tools.holds.open(definition.id, page.hold, run)
        done = page.claimed == 0 or page.hold is not None or page.wait is not None
        if done or tools.clock.monotonic() >= until or not go_on():
            return Settled(
                pages=pages,
                claimed=claimed,
                counts=counts,
                wait=page.wait,
                hold=page.hold,
                more=page.claimed > 0 and page.hold is None,
            )
