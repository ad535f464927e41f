"""Every oracle is shown to speak where something is wrong, and to keep quiet where it is not, on histories by hand."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.simulation.twoway.history import History
from tests.simulation.twoway.oracles import (
    Agreement,
    Item,
    Loss,
    View,
    at_rest,
    differences,
    judged,
    unasked_of,
    unasked_row,
)
from tests.simulation.twoway.terms import Gone, Mode, Side, Terms, Value, Way, Winner

TERMS = Terms(
    reserved=True,
    ways={"a": Way.BOTH, "g": Way.BOTH, "h": Way.BOTH, "p": Way.TO_ITEM, "q": Way.TO_ROW},
    group=("g", "h"),
)
NAMES = tuple(TERMS.ways)
BLANK: dict[str, Value] = dict.fromkeys(NAMES)


def values(**given: Value) -> dict[str, Value]:
    return {**BLANK, **given}


def item(number: int, key: str | None, found: Mapping[str, Value], **more: object) -> Item:
    return replace(Item(id=number, key=key, values=found), **more)  # type: ignore[arg-type]


class Story:
    """A row 1 with item 11, equal and agreed; then whatever happens."""

    def __init__(self, **given: Value) -> None:
        self.history = History()
        self.start = values(**{"a": "r1", "g": "g1", "h": "h1", **given})
        self.history.put("1", None, self.start, NAMES, TERMS.group)
        self.history.seen(11, "1")
        self.history.took("1")

    def user(self, before: Mapping[str, Value], **changed: Value) -> dict[str, Value]:
        after = {**before, **changed}
        self.history.put("1", before, after, changed, TERMS.group)
        return after

    def person(self, before: Mapping[str, Value], **changed: Value) -> dict[str, Value]:
        after = {**before, **changed}
        self.history.typed(11, "1", before, after, changed, TERMS.group)
        return after

    def told(
        self,
        row: Mapping[str, Value] | None,
        *items: Item,
        terms: Terms = TERMS,
        log: frozenset[tuple[str, str, Value]] = frozenset(),
        aside: frozenset[int] = frozenset(),
    ) -> list[str]:
        rows = {} if row is None else {"1": row}
        problems = at_rest(self.history, terms, View(rows=rows, items=items, log=log, aside=aside))
        return sorted({problem.split(":")[0] for problem in problems})


def test_equal_sides_without_a_history_are_sound():
    story = Story()
    assert story.told(story.start, item(11, "1", story.start)) == []


def test_a_row_without_an_item_and_an_item_without_a_row_are_divergence():
    story = Story()
    assert "DIVERGED" in story.told(story.start)
    story.history.removed("1", story.start, agreed=False)
    assert "DIVERGED" in story.told(None, item(11, "1", story.start))


def test_values_that_differ_are_divergence():
    story = Story()
    after = story.user(story.start, a="r2")
    assert story.told(after, item(11, "1", story.start)) == ["DIVERGED"]
    assert story.told(after, item(11, "1", after)) == []


def test_an_item_shows_the_key_of_its_row_where_people_type_keys():
    story = Story()
    typed = replace(TERMS, reserved=False)
    assert story.told(story.start, item(11, "1", story.start, typed_key="1"), terms=typed) == []
    assert story.told(story.start, item(11, "1", story.start, typed_key="9"), terms=typed) == ["DIVERGED"]


def test_a_value_that_no_row_takes_waits_in_its_item():
    story = Story()
    bad = story.person(story.start, a="bad")
    assert story.told(story.start, item(11, "1", bad), aside=frozenset({11})) == []


def test_two_items_of_one_row_are_a_double():
    story = Story()
    assert story.told(story.start, item(11, "1", story.start), item(12, "1", story.start)) == ["DOUBLE"]


def test_one_item_in_two_rows_is_a_double():
    story = Story()
    new = values(a="own1", g="own2", h="own3")
    story.history.added_item(12, new, NAMES, TERMS.group)
    story.history.linked(12, "2")
    rows = {"1": story.start, "2": new, "3": new}
    items = [item(11, "1", story.start), item(12, "2", new), item(13, "3", new)]
    problems = at_rest(story.history, TERMS, View(rows=rows, items=items))
    assert any(problem.startswith("DOUBLE: 'own1'") for problem in problems)


def test_a_persons_item_has_to_become_a_row_only_where_lists_create_rows():
    story = Story()
    new = values(a="own1")
    story.history.added_item(12, new, ["a"], TERMS.group)
    both = (item(11, "1", story.start), item(12, None, new))
    assert story.told(story.start, *both) == ["DIVERGED"]
    assert story.told(story.start, *both, terms=replace(TERMS, foreign_insert=False)) == []
    assert story.told(story.start, *both, aside=frozenset({12})) == []


@pytest.mark.parametrize("side", ["row", "item"])
def test_an_overwritten_edit_is_lost(side: str):
    story = Story()
    (story.user if side == "row" else story.person)(story.start, a="new")
    assert story.told(story.start, item(11, "1", story.start)) == ["LOST", "ZOMBIE"]


def test_an_edit_in_the_log_of_its_field_is_not_lost_and_of_another_field_it_is():
    story = Story()
    story.person(story.start, a="typed")
    after = story.user(story.start, a="r2")
    there = item(11, "1", after)
    assert story.told(after, there) == ["LOST"]
    assert story.told(after, there, log=frozenset({("1", "a", "typed")})) == []
    assert story.told(after, there, log=frozenset({("2", "a", "typed")})) == ["DISHONEST LOG", "LOST"]


def test_an_edit_that_a_reader_replaced_is_not_lost():
    story = Story()
    seen = story.person(story.start, a="typed")
    after = story.user(seen, a="r2")
    assert story.told(after, item(11, "1", after)) == []


def test_an_edit_that_was_replaced_before_it_was_made_again_is_lost():
    story = Story()
    typed = story.person(story.start, a="typed")
    story.user(typed, a="r2")
    story.history.typed(11, "1", story.start, typed, ["a"], TERMS.group)
    assert "LOST" in story.told({**typed, "a": "r2"}, item(11, "1", {**typed, "a": "r2"}))


def test_an_edit_of_an_unlinked_item_is_looked_for_in_its_row():
    story = Story()
    new = values(a="own1")
    story.history.added_item(12, new, ["a"], TERMS.group)
    story.history.linked(12, "2")
    rows = {"1": story.start, "2": values(a="r9")}
    items = [item(11, "1", story.start), item(12, "2", values(a="r9"))]
    assert any(text.startswith("LOST: 'own1'") for text in at_rest(story.history, TERMS, View(rows=rows, items=items)))


def test_a_value_that_its_reader_replaced_and_that_is_there_again_is_a_zombie():
    story = Story()
    seen = story.person(story.start, a="typed")
    story.user(seen, a="r2")
    assert "ZOMBIE" in story.told(seen, item(11, "1", seen), log=frozenset({("1", "p", "r2")}))


def test_a_value_that_won_against_what_replaced_it_is_no_zombie():
    story = Story()
    story.person(story.start, a="typed")
    assert story.told(story.start, item(11, "1", story.start), log=frozenset({("1", "a", "typed")})) == []


def test_a_value_that_somebody_typed_again_is_no_zombie():
    story = Story()
    seen = story.person(story.start, a="typed")
    story.user({**seen}, a="r1")
    assert story.told(story.start, item(11, "1", story.start)) == []


@pytest.mark.parametrize("side", [Side.ROW, Side.ITEM])
def test_what_was_deleted_and_raced_nothing_does_not_come_back(side: Side):
    story = Story()
    if side is Side.ROW:
        story.history.removed("1", story.start, agreed=True)
    else:
        story.history.deleted_item(11, "1", story.start, agreed=True)
    assert story.told(None) == []
    assert story.told(story.start, item(12, "1", story.start)) == ["RESURRECTED"]
    story.user(story.start, a="again")
    assert "RESURRECTED" not in story.told({**story.start, "a": "again"}, item(12, "1", {**story.start, "a": "again"}))


def test_what_raced_a_delete_may_survive_it():
    story = Story()
    story.history.deleted_item(11, "1", story.start, agreed=False)
    assert story.told(story.start, item(12, "1", story.start)) == []


def test_a_policy_says_what_becomes_of_the_other_side_of_a_delete():
    story = Story()
    story.history.deleted_item(11, "1", story.start, agreed=True)
    returns, stays = replace(TERMS, item_deleted=Gone.RETURNS), replace(TERMS, item_deleted=Gone.STAYS)
    there = item(12, "1", story.start)
    assert story.told(story.start, there, terms=returns) == []
    assert story.told(story.start, terms=returns) == ["DIVERGED"]
    assert story.told(story.start, there, terms=stays) == ["RESURRECTED"]
    assert story.told(story.start, terms=stays) == []


def test_an_item_stays_alone_where_rows_that_go_leave_their_items():
    story = Story()
    story.history.removed("1", story.start, agreed=True)
    stays = replace(TERMS, row_deleted=Gone.STAYS)
    assert story.told(None, item(11, "1", story.start), terms=stays) == []
    assert story.told(story.start, item(11, "1", story.start), terms=stays) == ["RESURRECTED"]


def test_an_item_that_nobody_deleted_is_gone_unasked():
    story = Story()
    assert "UNASKED DELETE" in story.told(None)
    story.history.removed("1", story.start, agreed=True)
    assert story.told(None) == []


def test_a_row_is_deleted_only_after_a_person_deleted_its_item():
    story = Story()
    assert unasked_row(story.history, TERMS, "1") != []
    story.history.deleted_item(11, "1", story.start, agreed=True)
    assert unasked_row(story.history, TERMS, "1") == []
    assert unasked_row(story.history, replace(TERMS, item_deleted=Gone.RETURNS), "1") != []


def test_where_a_person_is_asked_a_row_goes_after_a_yes_and_both_sides_stay_apart_after_a_no():
    asks = replace(TERMS, item_deleted=Gone.ASKS)
    story = Story()
    story.history.deleted_item(11, "1", story.start, agreed=True)
    assert unasked_row(story.history, asks, "1") != []
    assert story.told(story.start, terms=asks) == ["DIVERGED", "RESURRECTED"]
    story.history.rejected.add("1")
    assert story.told(story.start, terms=asks) == []
    assert story.told(story.start, item(12, "1", story.start), terms=asks) == ["RESURRECTED"]
    story.history.approved.add("1")
    assert unasked_row(story.history, asks, "1") == []


def test_what_a_person_is_asked_about_is_there():
    story = Story()
    both = View(rows={"1": story.start}, items=(item(11, "1", story.start),))
    neither = View(rows={}, items=())
    for side in Side:
        assert unasked_of(story.history, both, {"1": side}) == []
        assert unasked_of(story.history, neither, {"1": side}) != []
    keyless = View(rows={}, items=(item(12, None, story.start),))
    assert unasked_of(story.history, keyless, {"1": Side.ITEM}) != []
    story.history.hints[12] = "1"
    assert unasked_of(story.history, keyless, {"1": Side.ITEM}) == [], "its key is not on it yet"
    story.history.removed("1", story.start, agreed=True)
    assert unasked_of(story.history, neither, {"1": Side.ROW}) == []


def test_an_item_that_stays_without_its_row_may_be_without_its_key_if_it_never_had_one():
    asks = replace(TERMS, row_deleted=Gone.ASKS)
    story = Story()
    story.history.hints[12] = "1"
    story.history.removed("1", story.start, agreed=True)
    assert differences(story.history, asks, View(rows={}, items=(item(12, None, story.start),))) != []
    story.history.rejected.add("1")
    assert differences(story.history, asks, View(rows={}, items=(item(12, None, story.start),))) == []
    assert differences(story.history, asks, View(rows={}, items=(item(13, None, story.start),))) != []


def test_fields_of_a_group_never_stand_together_as_nobody_left_them():
    story = Story()
    story.user(story.start, g="g2")
    story.person(story.start, h="h2")
    mixed = {**story.start, "g": "g2", "h": "h2"}
    assert story.told(mixed, item(11, "1", mixed)) == ["MIXED"]
    row = {**story.start, "g": "g2"}
    assert story.told(row, item(11, "1", row), log=frozenset({("1", "h", "h2")})) == []


def test_a_persons_own_item_and_the_column_that_nobody_maps_are_left_alone():
    story = Story()
    new = values(a="own1")
    story.history.added_item(12, new, ["a"], TERMS.group)
    story.history.remarks[11] = "mind the gap"
    ignore = replace(TERMS, foreign_insert=False)
    first = item(11, "1", story.start, remark="mind the gap")
    assert story.told(story.start, first, item(12, None, new), terms=ignore) == []
    changed = item(12, None, values(a="else"))
    assert story.told(story.start, first, changed, terms=ignore) == ["FOOTPRINT", "LOST"]
    assert story.told(story.start, item(11, "1", story.start), item(12, None, new), terms=ignore) == ["FOOTPRINT"]


def test_the_log_holds_nothing_that_nobody_wrote():
    story = Story()
    there = item(11, "1", story.start)
    assert story.told(story.start, there, log=frozenset({("1", "a", "nobody's")})) == ["DISHONEST LOG"]


def test_a_restored_value_that_was_never_answered_is_somebodys_own_again():
    story = Story()
    typed = story.person(story.start, a="typed")
    story.history.deleted_item(11, "1", typed, agreed=False)
    story.history.restored(11, "1", typed, TERMS.group)
    assert "LOST" in story.told(story.start, item(11, "1", story.start))
    assert "LOST" not in story.told(typed, item(11, "1", typed))


def test_a_restored_value_that_was_answered_on_the_other_side_is_not():
    story = Story()
    typed = story.person(story.start, a="typed")
    after = story.user(typed, a="r2")
    story.history.deleted_item(11, "1", typed, agreed=False)
    story.history.restored(11, "1", typed, TERMS.group)
    assert "LOST" not in story.told(after, item(11, "1", after))


# ---- the log's lines, when they are written


def line(**given: object) -> Loss:
    return replace(
        Loss(key="1", name="a", winner=Side.ROW, rule="SOURCE_WINS", value="typed", item=11),
        **given,  # type: ignore[arg-type]
    )


def agreement(story: Story) -> Agreement:
    """Both sides read now."""
    now = story.history.tick()
    return Agreement(settled=True, item=11, read={Side.ROW: now, Side.ITEM: now})


def kinds(problems: list[str]) -> list[str]:
    return [problem.split(":")[0] for problem in problems]


def test_a_conflict_is_true_only_if_both_sides_were_edited_since_they_were_last_read():
    story = Story()
    agreed = agreement(story)
    story.person(story.start, a="typed")
    assert kinds(judged(story.history, TERMS, line(), agreed)) == ["FALSE CONFLICT"]
    story.user(story.start, a="r2")
    assert judged(story.history, TERMS, line(), agreed) == []
    assert len(judged(story.history, TERMS, line(), agreement(story))) == 2


def test_an_edit_of_another_field_makes_no_conflict_and_of_the_same_group_it_does():
    story = Story()
    agreed = agreement(story)
    story.person(story.start, h="h2")
    story.user(story.start, a="r2")
    assert kinds(judged(story.history, TERMS, line(name="h", value="h2"), agreed)) == ["FALSE CONFLICT"]
    story.user({**story.start, "a": "r2"}, g="g2")
    assert judged(story.history, TERMS, line(name="h", value="h2"), agreed) == []


def test_a_field_that_goes_one_way_needs_one_editor_and_has_one_winner():
    story = Story()
    agreed = agreement(story)
    story.person(story.start, p="typed")
    assert judged(story.history, TERMS, line(name="p", rule="ONE_WAY"), agreed) == []
    assert kinds(judged(story.history, TERMS, line(name="p", winner=Side.ITEM), agreed)) == [
        "WRONG WINNER",
        "FALSE CONFLICT",
    ]


def test_whatever_is_found_before_anything_was_agreed_may_differ():
    story = Story()
    assert judged(story.history, TERMS, line(), None) == []
    assert judged(story.history, TERMS, line(item=12), agreement(story)) == []


@pytest.mark.parametrize(
    ("winner", "times", "due"),
    [
        (Winner.SOURCE, (1, 9), Side.ROW),
        (Winner.LIST, (9, 1), Side.ITEM),
        (Winner.LATEST, (1, 2), Side.ITEM),
        (Winner.LATEST, (2, 2), Side.ROW),
        (Winner.LATEST, (3, 2), Side.ROW),
        (Winner.LATEST, (1, None), Side.ROW),
    ],
)
def test_the_configured_winner_wins(winner: Winner, times: tuple[int, int | None], due: Side):
    story = Story()
    terms = replace(TERMS, winner=winner)
    right = line(winner=due, row_time=times[0], item_time=times[1])
    assert judged(story.history, terms, right, None) == []
    assert kinds(judged(story.history, terms, replace(right, winner=due.other), None)) == ["WRONG WINNER"]


PULL = replace(TERMS, mode=Mode.PULL, ways=dict.fromkeys("aghq", Way.TO_ROW), row_deleted=Gone.RETURNS)
PUSH = replace(TERMS, mode=Mode.PUSH, ways=dict.fromkeys("aghp", Way.TO_ITEM), item_deleted=Gone.RETURNS)


def test_what_is_not_mapped_may_differ_and_be_anything():
    story = Story()
    other = story.person(story.start, p="typed")
    assert story.told(story.start, item(11, "1", other), terms=PULL) == []
    assert story.told(story.start, item(11, "1", other)) == ["DIVERGED", "ZOMBIE"]


def test_where_the_list_is_the_record_a_row_that_never_was_an_items_stays_and_one_that_was_goes_with_its_item():
    story = Story()
    assert story.told(story.start, item(11, "1", story.start), terms=PULL) == []
    story.history.deleted_item(11, "1", story.start, agreed=False)
    assert story.told(story.start, terms=PULL) == ["DIVERGED"]
    assert story.told(story.start, terms=replace(PULL, item_deleted=Gone.STAYS)) == []
    assert unasked_row(story.history, PULL, "1") == []
    story.history.taken.clear()
    assert story.told(story.start, terms=PULL) == []
    assert unasked_row(story.history, PULL, "1") != []


def test_where_the_list_is_the_record_a_row_that_somebody_made_after_its_item_was_known_may_stay():
    story = Story()
    story.history.deleted_item(11, "1", story.start, agreed=False)
    story.history.removed("1", story.start, agreed=False)
    story.history.put("1", None, story.start, (), TERMS.group)
    assert story.told(story.start, terms=PULL) == []


def test_the_record_makes_what_was_deleted_on_the_other_side_again_once_a_person_has_said_so():
    story = Story()
    story.history.deleted_item(11, "1", story.start, agreed=True)
    there, asks = item(12, "1", story.start), replace(PUSH, item_deleted=Gone.ASKS)
    assert story.told(story.start, there, terms=PUSH) == []
    assert story.told(story.start, there, terms=asks) == []
    assert story.told(story.start, there, terms=replace(PUSH, item_deleted=Gone.STAYS)) == ["RESURRECTED"]
    story.history.rejected.add("1")
    assert story.told(story.start, there, terms=asks) == ["RESURRECTED"]
    story.history.approved.add("1")
    assert story.told(story.start, there, terms=asks) == []


def test_what_stays_by_itself_does_so_until_it_is_edited():
    story = Story()
    stays = replace(TERMS, item_deleted=Gone.STAYS, row_deleted=Gone.STAYS)
    story.history.deleted_item(11, "1", story.start, agreed=False)
    assert story.told(story.start, terms=stays) == []
    edited = story.user(story.start, q="r9")
    assert story.told(edited, terms=stays) == []
    assert story.told(story.user(edited, a="r9"), terms=stays) == ["DIVERGED"]


def left_and_gone(*, seen: bool) -> Story:
    """The row leaves the filter, comes back, and is marked as deleted. `seen`: the engine agreed on both while it was back."""
    story = Story()
    history = story.history
    history.removed("1", story.start, agreed=False, left=True)
    history.put("1", None, story.start, (), TERMS.group)
    if seen:
        history.agreed_at[11] = history.together_at[11] = history.tick()
    history.removed("1", story.start, agreed=False)
    history.agreed_at[11] = history.tick()  # that the item stays
    return story


def test_an_item_that_stays_because_its_row_left_does_so_though_the_row_was_back_for_a_moment_that_nobody_saw():
    there = item(11, "1", values(a="r1", g="g1", h="h1"))
    asks = replace(PULL, row_deleted=Gone.ASKS)
    assert left_and_gone(seen=False).told(None, there, terms=asks) == []
    assert left_and_gone(seen=True).told(None, there, terms=asks) == ["DIVERGED"]
    follows = replace(TERMS, left_scope=Gone.STAYS)
    assert left_and_gone(seen=False).told(None, there, terms=follows) == []
    assert left_and_gone(seen=True).told(None, there, terms=follows) == ["DIVERGED"]
    plain = Story()
    plain.history.removed("1", plain.start, agreed=False)
    assert plain.told(None, there, terms=asks) == ["DIVERGED"], "a row that never left"


def test_an_item_that_stays_by_itself_does_so_until_it_is_edited_in_what_a_row_takes():
    story = Story()
    stays = replace(TERMS, row_deleted=Gone.STAYS)
    story.history.removed("1", story.start, agreed=False)
    edited = story.person(story.start, p="typed")
    assert story.told(None, item(11, "1", edited), terms=stays) == []
    edited = story.person(edited, a="typed")
    assert story.told(None, item(11, "1", edited), terms=stays) == ["DIVERGED"]
    assert story.told(None, item(11, "1", edited), terms=replace(PUSH, row_deleted=Gone.STAYS)) == []


def test_values_of_an_item_that_came_back_stand_in_one_row():
    story = Story()
    own = values(a="own1")
    story.history.added_item(12, own, ["a"], TERMS.group)
    story.history.deleted_item(12, None, own, agreed=False)
    story.history.restored(12, None, own, TERMS.group)
    story.history.hinted(12, "3")
    rows = {"2": own, "3": own}
    problems = at_rest(story.history, PULL, View(rows=rows, items=[item(12, "3", own)]))
    assert any(problem.startswith("DOUBLE: 'own1'") for problem in problems)
