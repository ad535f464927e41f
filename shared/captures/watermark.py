"""The capture for tables too large to scan at every run: rows after a keyset cursor, up to a safe bound.

Finds inserts and changes; deletes are left to the scheduled scan underneath. A page's marks and the cursor's move are
one transaction, so the cursor cannot pass a row. Rows at or above the bound are marked too, for low latency, but the
stored cursor stays below it: a transaction that is still open may yet commit there.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.ids import RowSubject
from shared.core.runs import WatermarkCursor
from shared.core.untold import INEXACT, OVERLAP
from shared.ports import Cursors, Ledger, SourceTables

PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkReport:
    read: int
    marked: int
    exact: bool
    reason: str
    """Why the bound is not exact, or why the cursor does not move."""
    finished: bool
    """False: another worker moved the cursor; what it has not marked the next run will."""


def watermark(
    definition: SyncDefinition,
    *,
    source: SourceTables,
    cursors: Cursors,
    ledger: Ledger,
    overlap: timedelta = OVERLAP,
    lane: Lane = Lane.PUSH,
) -> Generator[Boundary, None, WatermarkReport]:
    """Marks the rows after the stored cursor that the ledger does not have as they are."""
    spec = definition.source
    fingerprint = definition.watermark_fingerprint
    stored = cursors.get_watermark(definition.id, spec.instance_id)
    position: WatermarkCursor | None = stored if stored is not None and stored.fingerprint == fingerprint else None
    bound = source.watermark_bound(spec)
    details = {} if bound.exact else {INEXACT: "yes"}
    read = marked = 0
    while True:
        page = source.watermark_page(spec, position, limit=PAGE, bound=bound, overlap=overlap)
        overlap = timedelta(0)  # only a pass's first page goes back
        known = ledger.stamps(definition.id, [identity for identity, _ in page.identities])
        marks = [
            Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.WATERMARK}), lane=lane)
            for identity, stamp in page.identities
            if known.get(identity) != stamp
        ]
        # The source hands a fingerprint on and knows none at the beginning: without it every run would begin anew.
        new = stored if page.safe is None else replace(page.safe, fingerprint=fingerprint, details=details)
        if not cursors.advance_watermark(definition, expected=stored, new=new, marks=marks):
            return WatermarkReport(read=read, marked=marked, exact=bound.exact, reason=bound.reason, finished=False)
        read, marked = read + len(page.identities), marked + len(marks)
        stored, position = new, page.last
        yield Boundary.PAGE_MARKED
        if page.complete:
            return WatermarkReport(read=read, marked=marked, exact=bound.exact, reason=bound.reason, finished=True)
