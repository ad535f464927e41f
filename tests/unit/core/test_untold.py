"""Which rows a watermark has passed over for good, by what their cursor column reads."""

from datetime import UTC, datetime

import pytest

from shared.core.ids import Identity, identity_of
from shared.core.runs import WatermarkCursor
from shared.core.source import KeyStrategy, SourceColumn, SourceKey, SourceType
from shared.core.untold import INEXACT, is_behind, is_in_order


def behind(
    kind: str, position: str, text: str | None, *, last: str | None = "x", exact: bool = True, agreed=None
) -> bool:
    column = SourceColumn(name="changed", type=SourceType(name=kind, declared=kind))
    details = {} if exact else {INEXACT: "yes"}
    identity = None if last is None else Identity(last)
    cursor = WatermarkCursor(value=position, identity=identity, fingerprint=b"f", details=details)
    return is_behind(cursor, column, text, agreed_at=agreed)


AT = "2026-03-01 12:00:00+00"


@pytest.mark.parametrize(
    ("kind", "position", "text", "expected"),
    [
        ("timestamptz", AT, "2026-03-01 11:59:59.999999+00", True),
        ("timestamptz", AT, "2026-03-01 12:00:00.000001+00", False),
        ("timestamptz", "2026-03-01T12:00:00+00:00", "2016-03-01 12:00:00+00", True),
        ("timestamp", "2026-03-01 12:00:00", "2026-03-01 11:00:00", True),
        ("timestamp", "2026-03-01 12:00:00", "2026-03-01 13:00:00", False),
        ("date", "2026-03-01", "2026-02-28", True),
        ("date", "2026-03-01", "2026-03-01", False),
        ("int8", "9", "10", False),
        ("int8", "10", "9", True),
        ("xid8", "700", "700", False),
        ("xid8", "700", "699", True),
        ("timestamptz", AT, None, True),
        ("timestamptz", AT, "-infinity", True),
        ("timestamptz", AT, "infinity", False),
        ("timestamptz", "infinity", AT, False),
        ("timestamptz", AT, "0044-03-15 12:00:00+00 BC", False),
    ],
)
def test_a_row_is_behind_where_its_value_lies_before_the_position(kind: str, position: str, text: str | None, expected):
    assert behind(kind, position, text) is expected


@pytest.mark.parametrize(
    ("last", "exact", "agreed", "expected"),
    [
        ("x", True, datetime(2026, 3, 1, 12, tzinfo=UTC), True),
        ("x", True, datetime(2026, 3, 1, 11, tzinfo=UTC), False),
        ("x", True, None, False),
        (None, True, datetime(2026, 3, 1, 12, tzinfo=UTC), False),
        ("x", False, datetime(2026, 3, 1, 12, tzinfo=UTC), False),
    ],
)
def test_at_the_position_itself_only_a_row_whose_time_has_not_moved_is_behind(last, exact, agreed, expected):
    assert behind("timestamptz", AT, AT, last=last, exact=exact, agreed=agreed) is expected


@pytest.mark.parametrize(
    ("kind", "position", "text", "expected"),
    [
        ("timestamptz", AT, "2026-03-01 11:45:00+00", False),
        ("timestamptz", AT, "2026-03-01 11:44:59+00", True),
        ("int8", "20000", "10000", False),
        ("int8", "20000", "9999", True),
    ],
)
def test_what_is_read_again_at_every_pass_is_not_behind(kind: str, position: str, text: str, expected):
    assert behind(kind, position, text, exact=False) is expected


@pytest.mark.parametrize(
    ("text", "key", "last", "expected"),
    [
        ("700", ["9"], ["9"], True),
        ("700", ["8"], ["10"], True),
        ("700", ["10"], ["9"], False),
        ("700", ["1", "3"], ["1", "20"], True),
        ("700", ["2", "3"], ["1", "20"], False),
        ("700", ["9"], None, False),
        ("701", ["8"], ["9"], False),
    ],
)
def test_of_rows_of_one_transaction_those_are_behind_that_were_read_by_their_key(text, key, last, expected):
    """A transaction id is the value of all rows that it wrote; what is read at it is read in the order of the keys."""
    assert tied(text, key, last, "int8") is expected
    assert tied("700", key, last, "text") is (key == last), "the order of texts is the database's own"
    assert not tied("700", key, last, "int8", exact=False), "it is read again"


def tied(text: str, key: list[str], last: list[str] | None, kind: str, *, exact: bool = True) -> bool:
    columns = tuple(SourceColumn(name=f"k{n}", type=SourceType(name=kind, declared=kind)) for n in range(len(key)))
    cursor = WatermarkCursor(
        value="700",
        identity=None if last is None else identity_of(last),
        fingerprint=b"f",
        details={} if exact else {INEXACT: "yes"},
    )
    column = SourceColumn(name="changed", type=SourceType(name="xid8", declared="xid8"))
    in_order = is_in_order(cursor, SourceKey(strategy=KeyStrategy.UNIQUE, columns=columns), identity_of(key))
    return is_behind(cursor, column, text, agreed_at=None, in_order=in_order)
