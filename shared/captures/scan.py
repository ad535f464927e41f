"""The exact capture: the stamp of every row in scope against the ledger, compared in the metastore by one statement.

Finds inserts, changes, deletes and rows that left the scope; needs SELECT and nothing else. It has no cursor: a scan
that dies is started over. Guards speak before a single mark is made.
"""

from collections.abc import Generator
from dataclasses import dataclass

from shared.core.backlog import Lane
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.guards import judge_scan
from shared.core.ids import RunId
from shared.ports import HoldRequest, Holds, ScanResult, Scans, SourceTables, request_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    result: ScanResult
    marked: int
    holds: tuple[HoldRequest, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the whole definition was stopped, and nothing marked."""
        return any(not hold.deletes_only for hold in self.holds)


def scan(
    definition: SyncDefinition, run: RunId, *, source: SourceTables, scans: Scans, holds: Holds, lane: Lane = Lane.PUSH
) -> Generator[Boundary, None, ScanReport]:
    """Marks every row whose stamp differs from the ledger's. Raises what the source raises; nothing is marked then."""
    with source.copy_stamps(definition.source) as stamps:
        loaded = scans.load(definition, run, stamps)
    yield Boundary.SCAN_LOADED
    result = scans.compare(definition, run, loaded)
    waived = holds.waived(definition.id)
    requests = tuple(
        request_of(verdict) for verdict in judge_scan(definition.guards, result) if verdict.kind not in waived
    )
    for request in requests:
        holds.open(definition.id, request, run)
    yield Boundary.SCAN_COMPARED
    marked = 0
    if all(request.deletes_only for request in requests):
        for chunk in scans.mark(definition, run, lane=lane, hold_deletes=bool(requests)):
            marked += chunk
            yield Boundary.SCAN_MARKED
    scans.drop(run)
    return ScanReport(result=result, marked=marked, holds=requests)
