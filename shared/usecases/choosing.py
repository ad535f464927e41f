"""Which capture a push uses."""

from datetime import timedelta

from shared.core.definition import ChangeDetection, SyncDefinition

SHARE = 0.02
"""A scan that takes more of the interval between runs than this gives way to the watermark, by `AUTO`."""
NIGHTLY = timedelta(hours=24)


def capture_of(definition: SyncDefinition, *, scan_seconds: float | None, interval: timedelta) -> ChangeDetection:
    """SCAN or WATERMARK. `scan_seconds`: what the last scan took; None: there was none yet, so measure one."""
    if definition.change_detection is not ChangeDetection.AUTO:
        return definition.change_detection
    if definition.source.cursor_column is None or scan_seconds is None:
        return ChangeDetection.SCAN
    return ChangeDetection.SCAN if scan_seconds <= interval.total_seconds() * SHARE else ChangeDetection.WATERMARK
