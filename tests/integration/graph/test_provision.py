"""Provisioning against the simulator: made once, killed anywhere, resumed, refused with words."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from shared.core.definition import FieldKind
from shared.core.errors import ConfigurationError, ListGone, PermissionMissing, SyncError
from shared.core.ids import ListId
from shared.core.items import CreateItem, Landed
from shared.core.provisioning import ColumnPlan, ProvisionedList
from tests.integration.graph.rig import COLUMNS, READER, SELECTED, Rig, plan, target_of

EVERY_KIND = (
    ColumnPlan(name="Title", display_name="Project", kind=FieldKind.TEXT, is_title=True),
    ColumnPlan(name="code", display_name="Code", kind=FieldKind.TEXT, indexed=True, unique=True),
    ColumnPlan(name="remarks", display_name="Remarks", kind=FieldKind.NOTE),
    ColumnPlan(name="amount", display_name="Amount", kind=FieldKind.NUMBER, indexed=True, required=True),
    ColumnPlan(name="price", display_name="Price", kind=FieldKind.CURRENCY),
    ColumnPlan(name="due_at", display_name="Due at", kind=FieldKind.DATETIME),
    ColumnPlan(name="due_on", display_name="Due on", kind=FieldKind.DATE),
    ColumnPlan(name="done", display_name="Done", kind=FieldKind.BOOLEAN),
    ColumnPlan(name="state", display_name="State", kind=FieldKind.CHOICE, choices=("open", "closed")),
    ColumnPlan(name="tags", display_name="Tags", kind=FieldKind.MULTICHOICE, choices=("a", "b")),
)


def ours(rig: Rig) -> list[dict[str, Any]]:
    return [one for one in rig.all_lists() if one["title"] == "Projects"]


def writes(rig: Rig) -> list[str]:
    """Changes that the application asked Graph for."""
    asked = rig.ask("GET", "requests?limit=100000")["requests"]
    return [f"{one['method']} {one['path']}" for one in asked if one["method"] != "GET" and "/v1.0/" in one["path"]]


def whole(rig: Rig, made: ProvisionedList) -> None:
    """The list is what the plan says, each thing once."""
    assert len(ours(rig)) == 1
    names = [one["name"] for one in rig.columns(made.list_id)]
    assert len(names) == len(set(names))
    for wanted in COLUMNS:
        found = next(one for one in rig.columns(made.list_id) if one["name"] == wanted.name)
        assert found["displayName"] == wanted.display_name
        assert found["required"] is wanted.required
        assert found["indexed"] is wanted.indexed
    key = next(one for one in rig.columns(made.list_id) if one["name"] == made.key_column)
    assert (key["hidden"], key["indexed"], key["enforceUniqueValues"]) == (True, True, True)
    assert rig.provisioner().drift(plan(), made.list_id) == ()


def test_a_list_is_made_with_every_kind_of_column_and_a_second_time_changes_nothing(rig: Rig) -> None:
    first = rig.provisioner().provision(plan(*EVERY_KIND))
    assert first.created
    assert [(one.wanted, one.name, one.kind) for one in first.columns] == [
        (one.name, one.name, one.kind) for one in EVERY_KIND
    ]
    assert {one.wanted: (one.indexed, one.unique) for one in first.columns if one.indexed} == {
        "code": (True, True),
        "amount": (True, False),
    }
    rig.ask("DELETE", "requests")
    second = rig.provisioner().provision(plan(*EVERY_KIND))
    assert second == replace(first, created=False, changes=())
    assert writes(rig) == []
    assert rig.provisioner().drift(plan(*EVERY_KIND), first.list_id) == ()


def test_the_list_is_found_again_after_a_person_renamed_it(rig: Rig) -> None:
    first = rig.provisioner().provision(plan())
    rig.ask("PATCH", f"people/lists/{first.list_id}", {"displayName": "Renamed"})
    assert rig.provisioner().provision(plan()).list_id == first.list_id


def test_rows_keep_a_list_that_is_ours(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    write = CreateItem(op=uuid4(), fields={"SyncBridgeKey": "0" * 64, "Title": "row"})
    outcome = rig.lists(("Title",)).write(target_of(rig.site, made.list_id, made.key_column), [write])[write.op]
    assert isinstance(outcome, Landed)
    assert rig.provisioner().provision(plan()).list_id == made.list_id
    assert len(rig.rows(made.list_id)) == 1


def count_of_requests(rig: Rig) -> int:
    rig.ask("DELETE", "requests")
    rig.provisioner().provision(plan())
    asked = rig.ask("GET", "requests?limit=100000")["requests"]
    return sum("/v1.0/" in one["path"] for one in asked)


FAULTS: dict[str, dict[str, Any]] = {
    "reset before": {"kind": "reset"},
    "reset after": {"kind": "reset", "when": "after"},
    "504 after": {"kind": "status", "status": 504, "when": "after"},
    "cut answer": {"kind": "truncate"},
    "save conflict": {"kind": "status", "status": 409},
    "429": {"kind": "status", "status": 429, "retry_after": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_killed_at_any_request_it_goes_on_and_makes_everything_once(rig: Rig, name: str) -> None:
    steps = count_of_requests(rig)
    assert steps >= 8
    for step in range(1, steps + 1):
        rig.reset()
        rig.faults(({"path": r"^/v1\.0/", "nth": [step]}, FAULTS[name]))
        try:
            made = rig.provisioner().provision(plan())
        except SyncError as error:
            assert error.code in {"graph_unavailable", "throttled"}, (step, error)  # noqa: PT017
            rig.calm()
            made = rig.provisioner().provision(plan())
        rig.calm()
        whole(rig, made)


def test_everything_that_can_go_wrong_at_once_ends_in_one_list(rig: Rig) -> None:
    rig.ask("PUT", "faults", {"seed": 3, "preset": "rough", "rate": 0.3, "after_share": 0.6})
    for _ in range(60):
        try:
            made = rig.provisioner().provision(plan())
        except SyncError as error:
            assert error.code in {"graph_unavailable", "throttled", "columns_not_kept"}, error  # noqa: PT017
        else:
            break
    rig.calm()
    whole(rig, made)


def test_columns_that_graph_dropped_from_its_answer_are_added(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    amount = next(one for one in rig.columns(made.list_id) if one["name"] == "amount")
    rig.ask("DELETE", f"people/lists/{made.list_id}/columns/{amount['id']}")
    assert rig.provisioner().drift(plan(), made.list_id) == ("The list has no column amount.",)
    again = rig.provisioner().provision(plan())
    assert again.changes == ("The column amount was added.",)
    whole(rig, again)


def test_a_display_name_that_graph_ignored_is_set_and_a_persons_is_left_alone(rig: Rig) -> None:
    rig.knobs(display_name_ignored=True)
    made = rig.provisioner().provision(plan())
    shown = {one.name: one.display_name for one in made.columns}
    assert shown["amount"] == "Amount"
    amount = next(one for one in rig.columns(made.list_id) if one["name"] == "amount")
    rig.ask("PATCH", f"people/lists/{made.list_id}/columns/{amount['id']}", {"displayName": "Betrag"})
    again = rig.provisioner().provision(plan())
    assert {one.name: one.display_name for one in again.columns}["amount"] == "Betrag"
    assert again.changes == ()


def test_a_name_that_graph_changed_is_the_one_that_is_told(rig: Rig) -> None:
    wish = plan(ColumnPlan(name="Order", display_name="Order no.", kind=FieldKind.TEXT), name="Books")
    made = rig.provisioner().provision(wish)
    (column,) = made.columns
    assert (column.wanted, column.display_name) == ("Order", "Order no.")
    assert column.name not in ("Order", "")
    assert column.kind is FieldKind.TEXT
    again = rig.provisioner().provision(wish)
    assert again.columns == made.columns
    assert again.changes == ()


def test_lost_uniqueness_index_and_hiding_of_the_key_are_mended(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    key = next(one for one in rig.columns(made.list_id) if one["name"] == made.key_column)
    changed = {"enforceUniqueValues": False, "indexed": False, "hidden": False}
    rig.ask("PATCH", f"people/lists/{made.list_id}/columns/{key['id']}", changed)
    assert len(rig.provisioner().drift(plan(), made.list_id)) == 1
    again = rig.provisioner().provision(plan())
    assert again.changes == ("The column SyncBridgeKey was changed: enforceUniqueValues, hidden, indexed.",)
    whole(rig, again)


def test_new_choices_are_added_and_a_persons_are_kept(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    status = next(one for one in rig.columns(made.list_id) if one["name"] == "status")
    mine = {"choice": {"choices": ["open", "closed", "paused"], "displayAs": "dropDownMenu", "allowTextEntry": False}}
    rig.ask("PATCH", f"people/lists/{made.list_id}/columns/{status['id']}", mine)
    wish = plan(
        ColumnPlan(name="status", display_name="Status", kind=FieldKind.CHOICE, choices=("open", "closed", "void"))
    )
    (column,) = rig.provisioner().provision(wish).columns
    assert column.choices == ("open", "closed", "paused", "void")


def test_a_title_that_nothing_is_mapped_to_blocks_nobody(rig: Rig) -> None:
    made = rig.provisioner().provision(plan(COLUMNS[1]))
    title = next(one for one in rig.columns(made.list_id) if one["name"] == "Title")
    assert title["required"] is False


def test_an_empty_list_of_a_person_is_taken_over_and_one_with_items_is_refused(rig: Rig) -> None:
    empty = ListId(rig.ask("POST", "people/lists", {"site": "/sites/hr", "displayName": "Empty"})["id"])
    made = rig.provisioner().provision(replace(plan(), existing=empty))
    assert (made.list_id, made.created) == (empty, False)
    full = ListId(rig.ask("POST", "people/lists", {"site": "/sites/hr", "displayName": "Projects"})["id"])
    rig.add(full, {"Title": "mine"})
    before = rig.ask("GET", f"people/lists/{full}")
    with pytest.raises(ConfigurationError) as caught:
        rig.provisioner().provision(plan(definition=8))
    assert caught.value.code == "list_not_empty"
    assert rig.ask("GET", f"people/lists/{full}") == before


def test_a_list_of_another_definition_is_refused_even_when_empty(rig: Rig) -> None:
    rig.provisioner().provision(plan(definition=7))
    with pytest.raises(ConfigurationError) as caught:
        rig.provisioner().provision(plan(definition=8))
    assert caught.value.code == "list_taken"


def test_a_document_library_is_refused_with_words(rig: Rig) -> None:
    library = rig.ask(
        "POST", "people/lists", {"site": "/sites/hr", "displayName": "Files", "list": {"template": "documentLibrary"}}
    )
    with pytest.raises(ConfigurationError) as caught:
        rig.provisioner().provision(replace(plan(), existing=ListId(library["id"])))
    assert "document library" in caught.value.message


def test_a_column_of_another_kind_is_refused_and_every_problem_is_told(rig: Rig) -> None:
    rig.provisioner().provision(plan())
    wish = plan(
        ColumnPlan(name="amount", display_name="Amount", kind=FieldKind.TEXT),
        ColumnPlan(name="status", display_name="Status", kind=FieldKind.NUMBER),
        ColumnPlan(name="Editor", display_name="Editor", kind=FieldKind.TEXT),
    )
    with pytest.raises(ConfigurationError) as caught:
        rig.provisioner().provision(wish)
    assert len(caught.value.problems) == 3
    assert "amount is of the kind NUMBER, but TEXT is needed" in caught.value.problems[0]


def test_a_list_that_is_gone_is_told(rig: Rig) -> None:
    with pytest.raises(ListGone):
        rig.provisioner().provision(replace(plan(), existing=ListId(str(uuid4()))))


def test_an_application_that_may_not_make_lists_is_told_which_right_it_needs(rig: Rig) -> None:
    with pytest.raises(PermissionMissing) as caught:
        rig.provisioner(READER).provision(plan())
    assert "Sites.Manage.All" in caught.value.remedy
    assert rig.provisioner(SELECTED).provision(plan()).created
