"""Reading and writing items while the simulator loses, cuts and delays answers."""

from typing import Any
from uuid import uuid4

import pytest

from shared.adapters.graph.client import Timing
from shared.core.definition import FieldKind, TargetList
from shared.core.errors import ConfigurationError, DeltaExpired, ListGone, PermissionMissing, SyncError
from shared.core.ids import ETag, ItemId
from shared.core.items import (
    CreateItem,
    DeleteItem,
    Doubtful,
    Duplicate,
    Landed,
    Looked,
    Mismatch,
    Missing,
    NotSent,
    Outcome,
    PatchItem,
    Stopped,
    Unread,
)
from shared.core.provisioning import ColumnPlan
from tests.integration.graph.rig import READER, SELECTED, Rig, plan, target_of

COLUMNS = ("Title", "amount", "status")
BATCH = {"path": r"/\$batch", "inner": False}


@pytest.fixture
def target(rig: Rig) -> TargetList:
    made = rig.provisioner().provision(plan())
    return target_of(rig.site, made.list_id, made.key_column)


def key(number: int) -> str:
    return f"{number:064x}"


def create(number: int, **fields: Any) -> CreateItem:
    return CreateItem(op=uuid4(), fields={"SyncBridgeKey": key(number), "Title": f"row {number}", **fields})


def write(rig: Rig, target: TargetList, *writes: Any) -> list[Outcome]:
    outcomes = rig.lists(COLUMNS).write(target, writes)
    return [outcomes[one.op] for one in writes]


AMBIGUOUS: dict[str, dict[str, Any]] = {
    "500 after the effect": {"kind": "status", "status": 500, "when": "after"},
    "503 after the effect": {"kind": "status", "status": 503, "when": "after"},
    "504 after the effect": {"kind": "status", "status": 504, "when": "after"},
    "reset after the effect": {"kind": "reset", "when": "after"},
    "reset before the effect": {"kind": "reset"},
    "cut answer": {"kind": "truncate"},
    "502 in html": {"kind": "status", "status": 502, "body": "html"},
    "503 empty": {"kind": "status", "status": 503, "body": "empty"},
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_create_without_a_usable_answer_is_in_doubt_and_its_key_tells(
    rig: Rig, target: TargetList, name: str
) -> None:
    rig.faults((BATCH | {"nth": [1]}, AMBIGUOUS[name]))
    assert all(isinstance(outcome, Doubtful) for outcome in write(rig, target, create(1), create(2)))
    rig.calm()
    there = {row["fields"]["SyncBridgeKey"] for row in rig.rows(target.list_id)}
    for number in (1, 2):
        look = rig.lists(COLUMNS).find(target, [key(number)])[key(number)]
        assert isinstance(look, Looked)
        assert (look.item is not None) == (key(number) in there)
        again = write(rig, target, create(number))[0]
        assert isinstance(again, Duplicate) == (key(number) in there)
    assert len(rig.rows(target.list_id)) == 2


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_read_without_a_usable_answer_is_no_reading(rig: Rig, target: TargetList, name: str) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    rig.faults((BATCH, AMBIGUOUS[name]))
    lists = rig.lists(COLUMNS)
    assert isinstance(lists.look(target, [landed.item_id])[landed.item_id], Unread)
    assert isinstance(lists.find(target, [key(1)])[key(1)], Unread)


def test_an_answer_that_never_comes_is_in_doubt_within_the_time_limit(
    rig: Rig, target: TargetList, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.faults((BATCH | {"nth": [1]}, {"kind": "silence", "when": "after", "seconds": 5}))
    monkeypatch.setattr(rig.http, "_timeout", Timing(read=0.3).http)
    (outcome,) = write(rig, target, create(1))
    assert isinstance(outcome, Doubtful)


def test_a_write_that_lands_late_is_in_doubt_and_its_twin_is_a_duplicate(rig: Rig, target: TargetList) -> None:
    rig.ask("POST", "clock", {"mode": "virtual"})
    rig.faults((BATCH | {"nth": [1]}, {"kind": "late", "requests": 1, "seconds": 1}))
    (first,) = write(rig, target, create(1))
    assert isinstance(first, Doubtful)
    rig.calm()
    (second,) = write(rig, target, create(1))
    rig.ask("POST", "clock", {"advance": 60})
    rows = rig.rows(target.list_id)
    assert len(rows) == 1
    assert isinstance(second, Landed | Duplicate)


def test_members_that_get_no_answer_are_in_doubt_and_the_others_are_not(rig: Rig, target: TargetList) -> None:
    rig.faults((BATCH | {"nth": [1]}, {"kind": "batch_drop"}))
    outcomes = write(rig, target, *(create(number) for number in range(1, 11)))
    kinds = {type(outcome) for outcome in outcomes}
    assert kinds == {Landed, Doubtful}
    assert len(rig.rows(target.list_id)) == 10


def test_members_fail_one_by_one(rig: Rig, target: TargetList) -> None:
    rig.faults(
        ({"inner": True, "nth": [2]}, {"kind": "status", "status": 429, "retry_after": 3}),
        ({"inner": True, "nth": [3]}, {"kind": "status", "status": 504, "when": "after"}),
    )
    outcomes = write(rig, target, *(create(number) for number in range(1, 6)))
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["Doubtful", "Landed", "Landed", "Landed", "NotSent"]
    assert NotSent(retry_after=3.0) in outcomes
    assert rig.budget.penalties == [3.0]


def test_an_expired_token_is_renewed_without_a_word(rig: Rig, target: TargetList) -> None:
    rig.faults((BATCH | {"nth": [1]}, {"kind": "unauthorized"}))
    assert all(isinstance(outcome, Landed) for outcome in write(rig, target, create(1), create(2)))
    assert len(rig.rows(target.list_id)) == 2


def test_a_token_that_stays_refused_stops(rig: Rig, target: TargetList) -> None:
    rig.faults((BATCH, {"kind": "unauthorized"}))
    (outcome,) = write(rig, target, create(1))
    assert isinstance(outcome, Stopped)
    assert isinstance(outcome.error, ConfigurationError)


def test_a_revoked_right_stops_reading_and_writing(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    rig.ask("POST", "people/revoke", {"site": "/sites/hr", "app": SELECTED[0]})
    lists = rig.lists(COLUMNS, SELECTED)
    made = create(2)
    answers = [
        lists.look(target, [landed.item_id])[landed.item_id],
        lists.find(target, [key(1)])[key(1)],
        lists.write(target, [made])[made.op],
    ]
    for answer in answers:
        assert isinstance(answer, Stopped)
        assert isinstance(answer.error, PermissionMissing)


def test_an_app_that_may_only_read_is_told_so_at_its_first_write(rig: Rig, target: TargetList) -> None:
    made = create(1)
    outcome = rig.lists(COLUMNS, READER).write(target, [made])[made.op]
    assert isinstance(outcome, Stopped)
    assert isinstance(outcome.error, PermissionMissing)
    assert "write" in outcome.error.remedy


def test_a_column_that_a_person_deleted_stops_with_its_name(rig: Rig, target: TargetList) -> None:
    column = next(one for one in rig.columns(target.list_id) if one["name"] == "amount")
    rig.ask("DELETE", f"people/lists/{target.list_id}/columns/{column['id']}")
    (outcome,) = write(rig, target, create(1, amount=1))
    assert isinstance(outcome, Stopped)
    assert outcome.error.code == "schema_drift"
    assert "amount" in outcome.error.message
    assert rig.rows(target.list_id) == []


def test_an_index_that_a_person_removed_stops_the_finding_with_words(rig: Rig, target: TargetList) -> None:
    column = next(one for one in rig.columns(target.list_id) if one["name"] == "SyncBridgeKey")
    rig.ask(
        "PATCH",
        f"people/lists/{target.list_id}/columns/{column['id']}",
        {"indexed": False, "enforceUniqueValues": False},
    )
    look = rig.lists(COLUMNS).find(target, [key(1)])[key(1)]
    assert isinstance(look, Stopped)
    assert look.error.code == "key_not_indexed"


@pytest.mark.parametrize("status", [409, 400, 500])
def test_a_duplicate_is_one_whatever_status_says_so(rig: Rig, target: TargetList, status: int) -> None:
    rig.knobs(unique_violation=status)
    write(rig, target, create(1))
    assert write(rig, target, create(1)) == [Duplicate()]


@pytest.mark.parametrize("body", ["resourceModified", "notAllowed"])
def test_a_mismatch_is_one_whatever_its_body_says(rig: Rig, target: TargetList, body: str) -> None:
    rig.knobs(precondition_body=body)
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    rig.edit(target.list_id, landed.item_id, {"Title": "person"})
    patch = PatchItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag or ETag(""), fields={"Title": "x"})
    delete = DeleteItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag or ETag(""))
    assert write(rig, target, patch) == [Mismatch()]
    assert write(rig, target, delete) == [Mismatch()]


@pytest.mark.parametrize("knobs", [{}, {"retry_after": False}, {"throttle_status": 503}, {"throttle_body": "gateway"}])
def test_a_tenant_out_of_units_refuses_without_effect_or_leaves_a_doubt(
    rig: Rig, target: TargetList, knobs: dict[str, Any]
) -> None:
    tenant = rig.ask("GET", "tenants")["tenants"][0]
    rig.ask("POST", "tenants", {"name": tenant["name"], "ru_per_minute": 20})
    rig.knobs(throttling=True, **knobs)
    outcomes = write(rig, target, *(create(number) for number in range(1, 21)))
    landed = sum(isinstance(outcome, Landed) for outcome in outcomes)
    unsettled = sum(isinstance(outcome, NotSent | Doubtful) for outcome in outcomes)
    assert landed + unsettled == 20
    assert unsettled > 0
    assert rig.budget.penalties
    assert len(rig.rows(target.list_id)) == landed


def test_a_quarter_of_faults_never_makes_a_wrong_answer(rig: Rig, target: TargetList) -> None:
    """What is said to have landed is there; what is said to be absent is not; nothing is ever twice."""
    rig.ask("PUT", "faults", {"seed": 5, "preset": "rough", "rate": 0.25, "after_share": 0.5})
    lists = rig.lists(COLUMNS)
    done: dict[int, Landed] = {}
    for _ in range(40):
        todo = [create(number) for number in range(1, 61) if number not in done][:20]
        if not todo:
            break
        outcomes = lists.write(target, todo)
        for one in todo:
            number, outcome = int(one.fields["SyncBridgeKey"], 16), outcomes[one.op]
            if isinstance(outcome, Landed):
                done[number] = outcome
            else:
                assert isinstance(outcome, NotSent | Doubtful | Duplicate), outcome
        open_keys = [str(one.fields["SyncBridgeKey"]) for one in todo]
        for found, look in lists.find(target, open_keys).items():
            if isinstance(look, Looked) and look.item is not None:
                assert look.item.etag
                done[int(found, 16)] = Landed(item_id=look.item.id, etag=look.item.etag)
            else:
                assert isinstance(look, Looked | Unread), look
    assert rig.fired() > 0
    rig.calm()
    rows = {int(row["fields"]["SyncBridgeKey"], 16): row["id"] for row in rig.rows(target.list_id)}
    assert len(rig.rows(target.list_id)) == 60
    assert rows == {number: landed.item_id for number, landed in done.items()}


def test_delta_faults_are_typed_and_never_move_the_token(rig: Rig, target: TargetList) -> None:
    write(rig, target, create(1))
    lists = rig.lists(COLUMNS)
    token = lists.delta(target, None).next_token
    (landed,) = write(rig, target, create(2))
    assert isinstance(landed, Landed)
    for name, fault in AMBIGUOUS.items():
        rig.faults(({"path": "/delta"}, fault))
        with pytest.raises(SyncError) as caught:
            lists.delta(target, token)
        assert caught.value.code in {"graph_unavailable", "throttled"}, name
    rig.calm()
    assert [entry.item_id for entry in lists.delta(target, token).entries] == [landed.item_id]


@pytest.mark.parametrize("status", [410, 400, 404])
@pytest.mark.parametrize("code", ["resyncChangesApplyDifferences", "resyncRequired", "syncStateNotFound"])
def test_a_dead_delta_token_is_told_from_a_lost_list(rig: Rig, target: TargetList, status: int, code: str) -> None:
    lists = rig.lists(COLUMNS)
    token = lists.delta(target, "latest").next_token
    rig.knobs(delta_gone_flavour=status, delta_gone_code=code)
    rig.ask("POST", f"lists/{target.list_id}/expire-tokens")
    with pytest.raises(DeltaExpired):
        lists.delta(target, token)
    rig.ask("DELETE", f"people/lists/{target.list_id}")
    with pytest.raises(ListGone):
        lists.delta(target, token)


def test_a_poisoned_page_asks_for_an_enumeration(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    lists = rig.lists(COLUMNS)
    token = lists.delta(target, None).next_token
    rig.knobs(delta_poison=True)
    rig.remove(target.list_id, landed.item_id)
    with pytest.raises(DeltaExpired) as caught:
        lists.delta(target, token)
    assert caught.value.code == "delta_poisoned"
    assert lists.look(target, [landed.item_id]) == {landed.item_id: Looked(item=None)}


def test_an_unmarked_deletion_is_news_that_a_look_explains(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    lists = rig.lists(COLUMNS)
    token = lists.delta(target, None).next_token
    rig.knobs(delta_unmarked_deletes=True)
    rig.remove(target.list_id, landed.item_id)
    (entry,) = lists.delta(target, token).entries
    assert (entry.item_id, entry.etag) == (landed.item_id, None)


def test_dates_of_a_write_answer_are_not_kept_and_its_etag_holds(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    assert landed.etag is not None
    patch = PatchItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag, fields={"Title": "x"})
    (changed,) = write(rig, target, patch)
    assert isinstance(changed, Landed)
    look = rig.lists(COLUMNS).look(target, [landed.item_id])[landed.item_id]
    assert isinstance(look, Looked)
    assert look.item is not None
    assert look.item.etag == changed.etag


def test_a_deleted_item_is_missing_for_a_write_and_absent_for_a_look(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    rig.remove(target.list_id, landed.item_id)
    delete = DeleteItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag or ETag(""))
    assert write(rig, target, delete) == [Missing()]
    never = ItemId(123456)
    assert rig.lists(COLUMNS).look(target, [never]) == {never: Looked(item=None)}


def test_system_columns_and_persons_are_read_under_the_names_that_carry_them(rig: Rig, target: TargetList) -> None:
    item_id = rig.add(target.list_id, {"Title": "x"})
    names = ("id", "AuthorLookupId", "EditorLookupId", "Created", "Modified", "_UIVersionString")
    look = rig.lists(names).look(target, [item_id])[item_id]
    assert isinstance(look, Looked)
    assert look.item is not None
    assert set(names) <= set(look.item.fields)
    assert str(look.item.fields["id"]) == str(item_id)


HOSTILE_KEYS = (
    "O'Brien", "') or (1 eq 1", "''", "' or '1'='1", "a&b=c", "50%", "%27", "#1", "a+b", "a b ", "ünï", "日本", "🙂",
    "x,y", "(x)", "a/b?c", "\\", '"', "$filter", "null", "1 eq 1",
)  # fmt: skip


def test_a_key_of_any_text_finds_its_own_item_and_no_other(rig: Rig) -> None:
    """A list that cannot have our key column is keyed by a mapped unique column: its texts are the database's."""
    code = ColumnPlan(name="code", display_name="Code", kind=FieldKind.TEXT, unique=True)
    made = rig.provisioner().provision(plan(code))
    target = target_of(rig.site, made.list_id, "code")
    writes = [CreateItem(op=uuid4(), fields={"code": text}) for text in HOSTILE_KEYS[:-1]]
    lists = rig.lists(("Title",))
    for start in range(0, len(writes), 20):
        outcomes = lists.write(target, writes[start : start + 20])
        assert all(isinstance(outcome, Landed) for outcome in outcomes.values())
    found = lists.find(target, HOSTILE_KEYS)
    for text, look in found.items():
        assert isinstance(look, Looked), text
        if text == HOSTILE_KEYS[-1]:
            assert look.item is None
        else:
            assert look.item is not None, text
            assert look.item.fields["code"] == text


@pytest.mark.parametrize("edits", [1, 3])
def test_a_list_without_versions_never_tells_a_wrong_history(rig: Rig, target: TargetList, edits: int) -> None:
    rig.ask("PATCH", f"people/lists/{target.list_id}", {"versioning": False})
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    for number in range(edits):
        rig.edit(target.list_id, landed.item_id, {"Title": f"edit {number}"})
    found = rig.lists(COLUMNS).versions_since(target, landed.item_id, landed.etag or ETag(""))
    assert found is None or (edits == 1 and [version.fields["Title"] for version in found] == ["edit 0"])


def test_a_history_that_was_switched_off_in_between_never_tells_a_wrong_one(rig: Rig, target: TargetList) -> None:
    (landed,) = write(rig, target, create(1))
    assert isinstance(landed, Landed)
    rig.edit(target.list_id, landed.item_id, {"Title": "kept"})
    rig.ask("PATCH", f"people/lists/{target.list_id}", {"versioning": False})
    rig.edit(target.list_id, landed.item_id, {"Title": "not kept"})
    found = rig.lists(COLUMNS).versions_since(target, landed.item_id, landed.etag or ETag(""))
    assert found is None or [version.fields["Title"] for version in found] == ["kept", "not kept"]
