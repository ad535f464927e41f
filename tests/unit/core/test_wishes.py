"""What comes of a value that a person wants back: it waits, is written, or cannot be."""

from uuid import UUID

from shared.core.flows import Flow
from shared.core.ids import FieldNo
from shared.core.mapping import value_of
from shared.core.reconcile import Merge, Side
from shared.core.wishes import Overlay, Wish, overlay

ONE, TWO = FieldNo(1), FieldNo(2)
FLOWS = {ONE: Flow.BOTH, TWO: Flow.BOTH}
ROW = {ONE: value_of("a"), TWO: value_of("b")}


def wish(number: int, no: FieldNo, value: str) -> Wish:
    return Wish(conflict=UUID(int=number), no=no, side=Side.ITEM, value=value_of(value))


def test_a_wish_is_written_when_both_sides_agree():
    wanted = wish(1, ONE, "old")
    assert overlay(Merge(), ROW, [wanted], FLOWS) == Overlay(writes=(wanted,))


def test_a_wish_waits_while_anything_else_is_to_be_written():
    for merge in (Merge(to_item=frozenset({TWO})), Merge(to_row=frozenset({ONE}))):
        assert overlay(merge, ROW, [wish(1, ONE, "old")], FLOWS) == Overlay()


def test_a_wish_whose_value_stands_there_is_met():
    assert overlay(Merge(), ROW, [wish(1, ONE, "a")], FLOWS) == Overlay(met=(UUID(int=1),))


def test_of_two_wishes_for_one_field_the_later_is_written_and_both_are_met():
    first, second = wish(1, ONE, "old"), wish(2, ONE, "older")
    found = overlay(Merge(), ROW, [first, second], FLOWS)
    assert (found.writes, found.met) == ((second,), (UUID(int=1),))


def test_wishes_for_several_fields_are_written_together():
    wishes = [wish(1, ONE, "old"), wish(2, TWO, "old")]
    assert overlay(Merge(), ROW, wishes, FLOWS).writes == tuple(wishes)


def test_a_field_that_flows_one_way_or_not_at_all_cannot_come_back():
    for flows in ({ONE: Flow.TO_ITEM}, {ONE: Flow.TO_ROW}, {}):
        found = overlay(Merge(), ROW, [wish(1, ONE, "old")], flows)
        assert (list(found.refused), found.writes) == ([UUID(int=1)], ())
    assert "both ways" in found.refused[UUID(int=1)]
