"""What is left to do on a list's columns, from the plan and the list as it is."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.adapters.graph.columns import AddColumn, ChangeColumn, Obstacle, Step, columns_of, steps_for
from shared.core.definition import FieldKind
from shared.core.ids import DefinitionId
from shared.core.provisioning import ColumnPlan, ListPlan

KEY = {
    "name": "SyncBridgeKey", "displayName": "SyncBridgeKey", "hidden": True, "indexed": True, "enforceUniqueValues": True,
    "text": {"allowMultipleLines": False},
}  # fmt: skip
TITLE = {"name": "Title", "displayName": "Title", "required": False, "text": {"allowMultipleLines": False}}


def steps(wanted: list[ColumnPlan], *there: dict[str, Any]) -> list[Step]:
    plan = ListPlan(definition_id=DefinitionId(UUID(int=1)), display_name="x", columns=tuple(wanted))
    return steps_for(plan, columns_of({"value": [{"id": str(uuid4()), **one} for one in there]}))


def column(name: str, kind: FieldKind, **more: Any) -> ColumnPlan:
    return ColumnPlan(name=name, display_name=more.pop("display_name", name), kind=kind, **more)


def test_a_list_that_is_as_planned_leaves_nothing_to_do() -> None:
    number = {"name": "amount", "displayName": "Amount", "number": {}, "indexed": True}
    assert steps([column("amount", FieldKind.NUMBER, display_name="Amount", indexed=True)], KEY, TITLE, number) == []


@pytest.mark.parametrize(
    ("kind", "facet"),
    [
        (FieldKind.TEXT, {"text": {}}),
        (FieldKind.NOTE, {"text": {"allowMultipleLines": True, "textType": "plain"}}),
        (FieldKind.NOTE, {"text": {"allowMultipleLines": True}}),
        (FieldKind.NUMBER, {"number": {}}),
        (FieldKind.CURRENCY, {"currency": {"locale": "de-de"}}),
        (FieldKind.BOOLEAN, {"boolean": {}}),
        (FieldKind.DATETIME, {"dateTime": {"format": "dateTime"}}),
        (FieldKind.DATE, {"dateTime": {"format": "dateOnly"}}),
        (FieldKind.LOOKUP, {"lookup": {"listId": "x"}}),
        (FieldKind.PERSON, {"personOrGroup": {}}),
    ],
)
def test_a_column_of_its_kind_is_taken_as_it_is_and_of_any_other_refused(
    kind: FieldKind, facet: dict[str, Any]
) -> None:
    there = {"name": "x", **facet}
    assert steps([column("x", kind)], KEY, TITLE, there) == []
    for other in FieldKind:
        if other not in (kind, FieldKind.CHOICE, FieldKind.MULTICHOICE):
            (step,) = steps([column("x", other)], KEY, TITLE, there)
            assert isinstance(step, Obstacle)


def test_a_column_without_a_facet_or_with_rich_text_is_nothing_to_write_to() -> None:
    rich = {"text": {"allowMultipleLines": True, "textType": "richText"}}
    for facet in ({}, rich, {"calculated": {}}, {"text": None}):
        (step,) = steps([column("x", FieldKind.NOTE)], KEY, TITLE, {"name": "x", **facet})
        assert isinstance(step, Obstacle)


@pytest.mark.parametrize(
    "wanted",
    [
        column("a b", FieldKind.TEXT),
        column("1a", FieldKind.TEXT),
        column("x", FieldKind.NOTE, indexed=True),
        column("x", FieldKind.MULTICHOICE, choices=("a",), unique=True),
        column("x", FieldKind.BOOLEAN, unique=True),
        column("x", FieldKind.CHOICE),
        column("x", FieldKind.PERSON),
        column("x", FieldKind.COUNTER),
        column("x", FieldKind.UNKNOWN),
    ],
)
def test_a_column_that_cannot_be_made_is_refused_with_a_sentence(wanted: ColumnPlan) -> None:
    (step,) = steps([wanted], KEY, TITLE)
    assert isinstance(step, Obstacle)
    assert step.sentence.endswith(".")


def test_the_key_column_comes_first_and_others_in_their_order() -> None:
    made = steps([column("b", FieldKind.TEXT), column("a", FieldKind.TEXT)], TITLE)
    assert [step.body["name"] for step in made if isinstance(step, AddColumn)] == ["SyncBridgeKey", "b", "a"]


def test_a_foreign_column_under_the_keys_name_is_refused() -> None:
    (step,) = steps([], {**KEY, "text": None, "number": {}}, TITLE)
    assert isinstance(step, Obstacle)


def test_a_column_is_found_by_its_mark_whatever_its_name_became() -> None:
    renamed = {"name": "Order0", "displayName": "Order", "description": "Kept by SyncBridge (Order)", "text": {}}
    assert steps([column("Order", FieldKind.TEXT)], KEY, TITLE, renamed) == []


def test_names_are_compared_without_case() -> None:
    wanted = column("Amount", FieldKind.NUMBER, display_name="amount")
    assert steps([wanted], KEY, TITLE, {"name": "amount", "number": {}}) == []


def test_more_than_twenty_indexes_are_refused_before_anything_is_made() -> None:
    wanted = [column(f"c{n}", FieldKind.TEXT, indexed=True) for n in range(20)]
    made = steps(wanted, TITLE)
    assert isinstance(made[0], Obstacle)
    assert "21" in made[0].sentence
    assert not any(isinstance(step, Obstacle) for step in steps(wanted[:-1], TITLE))


def test_an_index_that_is_there_is_not_counted_twice() -> None:
    there = [{"name": f"c{n}", "displayName": f"c{n}", "text": {}, "indexed": True} for n in range(19)]
    wanted = [column(f"c{n}", FieldKind.TEXT, unique=True) for n in range(19)]
    made = steps(wanted, KEY, TITLE, *there)
    assert len(made) == 19
    assert all(isinstance(step, ChangeColumn) for step in made)


def test_choices_are_only_ever_added_and_free_entry_needs_none() -> None:
    wanted = [column("x", FieldKind.CHOICE, choices=("a", "b"))]
    there = {"name": "x", "choice": {"choices": ["b", "c"], "displayAs": "dropDownMenu"}}
    (step,) = steps(wanted, KEY, TITLE, there)
    assert isinstance(step, ChangeColumn)
    assert step.body["choice"]["choices"] == ["b", "c", "a"]
    free = {"name": "x", "choice": {"choices": ["b"], "displayAs": "dropDownMenu", "allowTextEntry": True}}
    assert steps(wanted, KEY, TITLE, free) == []
