"""Which capture a run uses."""

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from shared.core.definition import ChangeDetection, SyncDefinition
from shared.usecases.choosing import LONGEST_WITHOUT_SCAN, capture_of
from tests.unit.core.make import a_column

AUTO, SCAN, WATERMARK = ChangeDetection.AUTO, ChangeDetection.SCAN, ChangeDetection.WATERMARK
HOUR, DAY = timedelta(hours=1), LONGEST_WITHOUT_SCAN


def chosen(
    wanted: ChangeDetection, *, scan_seconds: float | None, since_scan: timedelta | None = HOUR, cursor: bool = True
) -> ChangeDetection:
    column = a_column("updated_at", "timestamptz") if cursor else None
    definition = SimpleNamespace(change_detection=wanted, source=SimpleNamespace(cursor_column=column))
    return capture_of(
        cast("SyncDefinition", definition), scan_seconds=scan_seconds, interval=HOUR, since_scan=since_scan
    )


@pytest.mark.parametrize(
    ("seconds", "capture"),
    [
        pytest.param(None, SCAN, id="no scan was measured yet"),
        pytest.param(72.0, SCAN, id="2 % of an hour"),
        pytest.param(72.1, WATERMARK, id="more"),
    ],
)
def test_auto_scans_while_a_scan_takes_a_fiftieth_of_the_interval_at_most(
    seconds: float | None, capture: ChangeDetection
):
    assert chosen(AUTO, scan_seconds=seconds) is capture


def test_auto_without_a_cursor_column_scans_however_long_it_takes():
    assert chosen(AUTO, scan_seconds=3600.0, cursor=False) is SCAN


@pytest.mark.parametrize("wanted", [AUTO, WATERMARK])
def test_a_watermark_gives_way_to_a_scan_once_a_day(wanted: ChangeDetection):
    assert chosen(wanted, scan_seconds=600.0, since_scan=DAY - timedelta(seconds=1)) is WATERMARK
    assert chosen(wanted, scan_seconds=600.0, since_scan=DAY) is SCAN


def test_a_table_that_is_declared_too_large_begins_with_the_watermark():
    assert chosen(WATERMARK, scan_seconds=None, since_scan=None) is WATERMARK


def test_a_scan_that_was_asked_for_is_a_scan():
    assert chosen(SCAN, scan_seconds=3600.0) is SCAN


@pytest.mark.parametrize("seconds", [None, 1.0, 3600.0])
def test_below_a_stream_a_scan_is_the_net_however_long_it_takes(seconds: float | None):
    assert chosen(ChangeDetection.STREAM, scan_seconds=seconds) is SCAN
