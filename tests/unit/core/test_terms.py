"""What a definition may write, and in words what became of it."""

from dataclasses import replace

from shared.core.definition import ConflictPolicy, DeletePolicy, Direction, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.ids import FieldNo
from shared.core.source import KeyStrategy
from shared.core.terms import changes, terms_of
from tests.unit.core.make import a_field

PUSHED = a_field(name="total", no=1, direction=Direction.PUSH_ONLY)
PULLED = a_field(name="note", no=2)
PUSH = DraftDefinition(name="d", key_strategy=KeyStrategy.PRIMARY_KEY, fields=())
TWO_WAY = replace(PUSH, mode=SyncMode.TWO_WAY)


def test_fields_that_are_only_pushed_are_no_part_of_the_terms():
    assert terms_of(PUSH, [PUSHED]) == terms_of(PUSH, [])
    assert terms_of(TWO_WAY, [PUSHED, PULLED]) == terms_of(TWO_WAY, [PULLED])


def test_who_wins_is_a_term_only_where_values_are_merged():
    assert terms_of(PUSH, []) == terms_of(replace(PUSH, conflict_policy=ConflictPolicy.DESTINATION_WINS), [])
    assert terms_of(TWO_WAY, []) != terms_of(replace(TWO_WAY, conflict_policy=ConflictPolicy.DESTINATION_WINS), [])


def test_the_column_that_is_compared_is_a_term_where_the_latest_wins():
    latest = replace(TWO_WAY, conflict_policy=ConflictPolicy.LATEST_WINS, cursor_column="changed")
    assert changes(terms_of(latest, []), terms_of(replace(latest, cursor_column="moved"), [])) == (
        "the column that LATEST_WINS compares was changed and is moved",
    )
    assert terms_of(TWO_WAY, []) == terms_of(replace(TWO_WAY, cursor_column="moved"), [])


def test_a_wider_mode_is_told_with_all_that_comes_with_it():
    assert changes(terms_of(PUSH, [PUSHED]), terms_of(TWO_WAY, [PUSHED, PULLED])) == (
        "the mode was ONE_WAY_PUSH and is TWO_WAY",
        "item_deleted was RECREATE and is PROPAGATE",
        "foreign_items was IGNORE and is INSERT",
        "the conflict policy was not set and is SOURCE_WINS",
        "the list now writes note",
    )


def test_a_policy_that_the_mode_suggests_is_the_same_as_one_that_is_said():
    said = replace(TWO_WAY, item_deleted=DeletePolicy.PROPAGATE)
    assert changes(terms_of(TWO_WAY, []), terms_of(said, [])) == ()


def test_a_field_of_another_list_column_is_told_once():
    assert changes(terms_of(TWO_WAY, [PULLED]), terms_of(TWO_WAY, [replace(PULLED, no=FieldNo(3))])) == (
        "the list writes note from another list column, or another kind of one",
    )


def test_a_field_s_end_and_its_new_direction_are_told_by_its_column():
    both = terms_of(TWO_WAY, [PULLED])
    assert changes(both, terms_of(TWO_WAY, [])) == ("the list does not write note any more",)
    other = replace(PULLED, direction=Direction.PULL_ONLY, group="g")
    assert changes(both, terms_of(TWO_WAY, [other])) == ("note is PULL_ONLY now, in the group g",)
    assert changes(None, both) == ("nobody has agreed to anything yet",)
