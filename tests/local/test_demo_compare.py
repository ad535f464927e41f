from zoneinfo import ZoneInfo

import pytest

from infra.local.demo.compare import Pair, compare, from_item, from_row

BERLIN = ZoneInfo("Europe/Berlin")
KEY = Pair(column="id", field="id0", kind="number")
NAME = Pair(column="name", field="Title", kind="text")


def rows(*pairs):
    return [{"id": number, "name": name} for number, name in pairs]


def items(*pairs):
    return [{"id0": number, "Title": name} for number, name in pairs]


def test_equal_sides_are_equal_in_any_order():
    found = compare(rows(("1", "a"), ("2", "b")), items((2.0, "b"), (1.0, "a")), [NAME], key=KEY, zone=BERLIN)
    assert found.equal
    assert (found.rows, found.items) == (2, 2)


@pytest.mark.parametrize(
    ("theirs", "missing", "surplus", "differing"),
    [
        (items((1.0, "a")), 1, 0, 0),
        (items((1.0, "a"), (2.0, "b"), (3.0, "c")), 0, 1, 0),
        (items((1.0, "a"), (2.0, "b"), (2.0, "b")), 0, 1, 0),
        (items((1.0, "a"), (2.0, "B")), 0, 0, 1),
        (items((1.0, "a"), (None, "b")), 1, 1, 0),
    ],
)
def test_a_missing_a_doubled_a_foreign_and_a_differing_item_are_each_told_apart(theirs, missing, surplus, differing):
    found = compare(rows(("1", "a"), ("2", "b")), theirs, [NAME], key=KEY, zone=BERLIN)
    assert not found.equal
    assert (found.missing, found.surplus, found.differing) == (missing, surplus, differing)
    assert found.examples


@pytest.mark.parametrize(
    ("kind", "row", "item"),
    [
        ("text", "a\r\nb", "a\nb"),
        ("text", "", None),
        ("text", None, ""),
        ("number", "9999999999.99", 9999999999.99),
        ("number", "3.10", 3.1),
        ("number", "0.00", 0.0),
        ("number", "1e-07", 1e-07),
        ("number", "-2147483648", -2147483648.0),
        ("boolean", "t", True),
        ("boolean", "false", False),
        ("datetime", "2026-03-29 01:30:00.75+00", "2026-03-29T01:30:00Z"),
        ("datetime", "2026-03-29 01:30:00", "2026-03-29T01:30:00Z"),
        ("date", "8900-12-30", "8900-12-29T23:00:00Z"),
        ("date", "2026-07-01", "2026-06-30T22:00:00Z"),
        ("json", '{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
    ],
)
def test_what_survives_a_list_is_equal(kind, row, item):
    assert from_row(row, kind) == from_item(item, kind, BERLIN)


@pytest.mark.parametrize(
    ("kind", "row", "item"),
    [
        ("text", "a", "A"),
        ("text", "a ", "a"),
        ("number", "0.1", 0.1000000000001),
        ("number", "0", None),
        ("boolean", "f", None),
        ("datetime", "2026-03-29 01:30:00+00", "2026-03-29T01:30:01Z"),
        ("date", "2026-03-29", "2026-03-28T22:59:59Z"),
        ("json", '{"a": 1}', '{"a": 2}'),
    ],
)
def test_what_differs_is_different(kind, row, item):
    assert from_row(row, kind) != from_item(item, kind, BERLIN)
