"""Which capture a push uses."""

from datetime import timedelta

from shared.core.definition import ChangeDetection, SyncDefinition

SHARE = 0.02
"""A scan that takes more of the interval between runs than this gives way to the watermark, by `AUTO`."""
LONGEST_WITHOUT_SCAN = timedelta(hours=24)
"""A watermark sees no deletes and no rows that left the scope: a scan finds them, this late at most."""


def capture_of(
    definition: SyncDefinition,
    *,
    scan_seconds: float | None,
    interval: timedelta,
    since_scan: timedelta | None = None,
) -> ChangeDetection:
    """SCAN or WATERMARK. `scan_seconds`: what the last scan took; None: there was none yet, so measure one.
    `since_scan`: how long ago the last scan began, or the first run where none was a scan; None: this is the first run.
    """
    wanted = definition.change_detection
    if wanted is ChangeDetection.STREAM:
        return ChangeDetection.SCAN  # the net below the stream is exact
    if wanted is ChangeDetection.AUTO:
        small = scan_seconds is None or scan_seconds <= interval.total_seconds() * SHARE
        wanted = ChangeDetection.SCAN if small or definition.source.cursor_column is None else ChangeDetection.WATERMARK
    if wanted is ChangeDetection.WATERMARK and since_scan is not None and since_scan >= LONGEST_WITHOUT_SCAN:
        return ChangeDetection.SCAN
    return wanted
