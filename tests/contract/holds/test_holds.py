"""What guards and settle rely on of every Holds."""

from dataclasses import replace

from shared.ports import HoldRequest
from tests.contract.holds.conftest import Bench

STOP = HoldRequest(kind="FEWER_ROWS", explanation="half of the rows are gone", details={"scanned": 1})
DELETES = HoldRequest(kind="DELETE_GUARD", explanation="too many deletes", details={}, deletes_only=True)


def shown(bench: Bench) -> list[tuple[str, str]]:
    return [(hold.kind, hold.explanation) for hold in bench.holds.blocking(bench.definition)]


def test_nothing_is_held_or_waived_at_first(bench):
    assert shown(bench) == []
    assert bench.holds.waived(bench.definition) == frozenset()


def test_a_kind_is_open_once_and_the_last_explanation_counts(bench):
    first = bench.holds.open(bench.definition, STOP, None)
    again = bench.holds.open(bench.definition, replace(STOP, explanation="all rows are gone"), None)
    assert first == again
    assert shown(bench) == [("FEWER_ROWS", "all rows are gone")]


def test_kinds_are_told_apart_and_come_in_the_order_of_their_opening(bench):
    first = bench.holds.open(bench.definition, STOP, None)
    second = bench.holds.open(bench.definition, replace(STOP, kind="EMPTY_SIDE"), None)
    assert first != second
    assert [kind for kind, _ in shown(bench)] == ["FEWER_ROWS", "EMPTY_SIDE"]


def test_a_hold_of_deletes_stops_nothing_else(bench):
    bench.holds.open(bench.definition, DELETES, None)
    assert shown(bench) == []


def test_a_person_who_lets_it_go_on_waives_that_kind(bench):
    bench.holds.open(bench.definition, STOP, None)
    bench.holds.open(bench.definition, replace(STOP, kind="EMPTY_SIDE"), None)
    bench.release(bench.definition, "FEWER_ROWS")
    assert [kind for kind, _ in shown(bench)] == ["EMPTY_SIDE"]
    assert bench.holds.waived(bench.definition) == {"FEWER_ROWS"}


def test_a_kind_that_was_released_can_be_opened_again(bench):
    bench.holds.open(bench.definition, STOP, None)
    bench.release(bench.definition, "FEWER_ROWS")
    bench.holds.open(bench.definition, STOP, None)
    assert [kind for kind, _ in shown(bench)] == ["FEWER_ROWS"]


def test_definitions_are_held_and_waived_each_for_itself(bench):
    bench.holds.open(bench.other, STOP, None)
    assert shown(bench) == []
    bench.release(bench.other, "FEWER_ROWS")
    assert bench.holds.waived(bench.definition) == frozenset()


def test_deletes_are_allowed_until_the_days_limit_is_reached(bench):
    allowed = [bench.holds.allow_deletes(bench.definition, 4, limit=10) for _ in range(4)]
    assert allowed == [4, 4, 2, 0]


def test_a_limit_that_was_lowered_below_what_is_used_allows_none(bench):
    assert bench.holds.allow_deletes(bench.definition, 5, limit=10) == 5
    assert bench.holds.allow_deletes(bench.definition, 5, limit=3) == 0
    assert bench.holds.allow_deletes(bench.definition, 5, limit=7) == 2


def test_the_allowance_is_each_definitions_own(bench):
    assert bench.holds.allow_deletes(bench.definition, 10, limit=10) == 10
    assert bench.holds.allow_deletes(bench.other, 10, limit=10) == 10


def test_no_deletes_wanted_take_nothing(bench):
    assert bench.holds.allow_deletes(bench.definition, 0, limit=10) == 0
    assert bench.holds.allow_deletes(bench.definition, 10, limit=10) == 10
