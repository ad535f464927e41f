"""One side cannot be seen, or not all of it: that is never a deletion on the other one."""

from collections.abc import Callable

import pytest

from tests.scenarios.case import Case

pytestmark = pytest.mark.slow


@pytest.fixture
def staffed(case: Case) -> Case:
    """Six people, agreed on; since then a user has changed the first row and a person the second one's item."""
    for key in range(1, 7):
        case.user_inserts(key, name=f"name {key}", city="Oslo")
    case.push()
    case.pull()
    case.user_updates(1, city="Rome")
    case.person_edits("2", city="Bonn")
    case.begins()
    return case


def gone(case: Case) -> Callable[[], object]:
    case.theatre.change_site(case.site, gone=True)
    return lambda: case.theatre.change_site(case.site, gone=False)


def read_only(case: Case) -> Callable[[], object]:
    case.theatre.change_site(case.site, read_only=True)
    return lambda: case.theatre.change_site(case.site, read_only=False)


def revoked(case: Case) -> Callable[[], object]:
    case.stage.ask("POST", "people/revoke", {"site": case.site})
    return lambda: case.theatre.grant_site(case.site)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [(gone, "LIST_GONE"), (read_only, "PERMISSION"), (revoked, "PERMISSION")],
    ids=["deleted", "read-only", "revoked"],
)
def test_a_site_that_is_out_of_reach_holds_the_definition_and_no_row_is_deleted(staffed: Case, loss, kind: str):
    case = staffed
    back = loss(case)
    case.told("the site is out of reach")
    before = set(case.rows())
    if loss is read_only:
        assert case.pull().counts.rows_updated == 1, "what can be read is"
    else:
        assert case.pull().status == "HELD"
        case.release(kind)
    assert case.push().status == "HELD"
    assert set(case.holds()) == {kind}
    assert set(case.rows()) == before
    back()
    case.told("the site is back")
    case.release(kind)
    case.push()
    case.pull()
    assert [row["city"] for row in case.agreed().values()] == ["Rome", "Bonn", "Oslo", "Oslo", "Oslo", "Oslo"]
    case.quiet()
    case.golden()


def test_a_list_that_was_deleted_holds_the_definition_and_no_row_is_deleted(staffed: Case):
    case, list_id = staffed, staffed.list_id
    case.people("DELETE", "")
    case.told("a person deletes the list")
    before = case.rows()
    assert case.pull().status == "HELD"
    assert case.push().status == "HELD"
    assert set(case.holds()) == {"LIST_GONE"}
    case.release("LIST_GONE")
    assert case.push().status == "HELD"
    assert case.rows() == before
    assert case.list_id == list_id
    case.golden()


def test_a_site_that_is_locked_for_a_while_is_waited_for(staffed: Case):
    case = staffed
    lists = {"path": f"/lists/{case.list_id}", "max": 2}
    with case.faults((lists, {"kind": "status", "status": 423})):
        before = case.now()
        case.pull()
        case.push()
    assert case.now() - before >= 600
    assert case.rows()["2"]["city"] == "Bonn"
    case.agreed()
    assert not case.holds()
    case.quiet()
    case.golden()


def test_a_list_that_was_emptied_loses_no_row_beyond_the_days_allowance_without_a_person(staffed: Case):
    case = staffed
    case.person_deletes(*(str(key) for key in range(1, 7)))
    case.pull()
    assert len(case.rows()) == 3
    assert [state for _, state, _ in case.waiting() if state != "DUE"] == ["AWAITING_APPROVAL"] * 2
    assert case.item("1").values["city"] == "Rome", "an edit in the table outlives the deletion of its item"
    assert set(case.holds()) == {"DELETE_GUARD"}
    case.golden()


def test_a_list_that_reads_as_empty_at_once_holds_the_definition_before_a_row_is_touched(staffed: Case):
    case = staffed
    case.person_deletes(*(str(key) for key in range(1, 7)))
    case.stage.ask("POST", f"lists/{case.list_id}/expire-tokens")
    case.told("the token runs out")
    assert case.pull().status == "HELD"
    assert set(case.holds()) == {"EMPTY_LIST", "DELETE_GUARD"}
    assert len(case.rows()) == 6
    case.golden()


def test_rows_that_a_policy_hides_hold_the_definition_and_no_item_is_deleted(staffed: Case):
    case = staffed
    case.owner("create policy few on public.staff using (id = 1)")
    case.owner("alter table public.staff enable row level security")
    before = [item.id for item in case.items()]
    assert case.push().status == "HELD"
    assert case.pull().status == "HELD"
    assert set(case.holds()) == {"ROWS_HIDDEN"}
    assert "bypassrls" in case.holds()["ROWS_HIDDEN"]
    assert [item.id for item in case.items()] == before
    case.golden()
    case.owner("alter table public.staff disable row level security")
    case.release("ROWS_HIDDEN")
    case.push()
    case.pull()
    assert [row["city"] for row in case.agreed().values()] == ["Rome", "Bonn", "Oslo", "Oslo", "Oslo", "Oslo"]
    case.quiet()


def test_a_table_that_was_truncated_holds_the_definition_before_an_item_is_touched(staffed: Case):
    case = staffed
    case.owner("truncate public.staff")
    assert case.push().status == "HELD"
    assert set(case.holds()) == {"EMPTY_SOURCE", "DELETE_GUARD"}
    assert len(case.items()) == 6
    case.golden()
