"""What marks a row as deleted, and takes the mark away."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.core.soft_delete import cleared, marked
from tests.unit.core.make import a_column

AT = datetime(2026, 3, 1, 23, 30, 15, 250000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_", "mark", "clear"),
    [
        ("bool", "true", "false"),
        ("date", "2026-03-01", None),
        ("timestamptz", "2026-03-01 23:30:15.250000+00", None),
        ("timestamp", "2026-03-01 23:30:15.250000", None),
    ],
)
def test_a_marker_holds_what_its_type_says(type_, mark, clear):
    column = a_column("gone", type_)
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    assert marked(column, AT) == marked(column, elsewhere) == {"gone": mark}
    assert cleared(column) == {"gone": clear}
