"""What every ListStore does, in memory and over Graph."""

from typing import Any
from uuid import uuid4

import pytest

from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import DeltaExpired, ListGone
from shared.core.ids import ETag, FieldNo, ItemId
from shared.core.items import (
    CreateItem,
    DeleteItem,
    DeltaEntry,
    Duplicate,
    Item,
    ItemWrite,
    Landed,
    Looked,
    Mismatch,
    Missing,
    Outcome,
    PatchItem,
    Stopped,
)
from shared.core.source import SourceColumn, SourceType
from tests.contract.lists.conftest import Bench

NOBODY = ItemId(999_999)


def key(number: int) -> str:
    return f"{number:064x}"


def do(bench: Bench, write: ItemWrite) -> Outcome:
    return bench.lists.write(bench.target, [write])[write.op]


def create(bench: Bench, number: int, **fields: Any) -> CreateItem:
    return CreateItem(op=uuid4(), fields={bench.target.key_column: key(number), **fields})


def made(bench: Bench, number: int, **fields: Any) -> Landed:
    outcome = do(bench, create(bench, number, **fields))
    assert isinstance(outcome, Landed)
    assert outcome.etag is not None
    return outcome


def patch(landed: Landed, **fields: Any) -> PatchItem:
    assert landed.etag is not None
    return PatchItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag, fields=fields)


def delete(landed: Landed) -> DeleteItem:
    assert landed.etag is not None
    return DeleteItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag)


def item(bench: Bench, item_id: ItemId) -> Item | None:
    look = bench.lists.look(bench.target, [item_id])[item_id]
    assert isinstance(look, Looked)
    return look.item


def changes(bench: Bench, token: str | None) -> tuple[dict[ItemId, DeltaEntry], str]:
    entries: dict[ItemId, DeltaEntry] = {}
    for _ in range(200):
        page = bench.lists.delta(bench.target, token)
        entries |= {entry.item_id: entry for entry in page.entries}
        token = page.next_token
        if page.complete:
            return entries, token
    raise AssertionError("the delta does not end")


def test_what_a_creation_sent_is_read_back_by_id_and_by_key(bench: Bench) -> None:
    landed = made(bench, 1, Title="Bridge", amount=3.5, status="open")
    found = item(bench, landed.item_id)
    assert found is not None
    assert (found.id, found.etag, found.sync_key) == (landed.item_id, landed.etag, key(1))
    assert (found.fields["Title"], found.fields["amount"], found.fields["status"]) == ("Bridge", 3.5, "open")
    assert bench.lists.find(bench.target, [key(1)]) == {key(1): Looked(item=found)}


def test_an_item_nobody_made_is_absent_by_id_and_by_key(bench: Bench) -> None:
    assert bench.lists.look(bench.target, [NOBODY]) == {NOBODY: Looked(item=None)}
    assert bench.lists.find(bench.target, [key(9)]) == {key(9): Looked(item=None)}


def test_every_asked_item_gets_an_answer_whatever_their_number(bench: Bench) -> None:
    keys = [key(number) for number in range(1, 46)]
    for start in range(0, 45, 20):
        writes = [create(bench, number, Title=str(number)) for number in range(start + 1, min(start + 20, 45) + 1)]
        outcomes = bench.lists.write(bench.target, writes)
        assert set(outcomes) == {write.op for write in writes}
        assert all(isinstance(outcome, Landed) for outcome in outcomes.values())
    found = bench.lists.find(bench.target, [*keys, key(99)])
    assert set(found) == {*keys, key(99)}
    ids = [look.item.id for look in found.values() if isinstance(look, Looked) and look.item]
    assert len(set(ids)) == 45
    looked = bench.lists.look(bench.target, [*ids, NOBODY])
    assert set(looked) == {*ids, NOBODY}
    assert all(isinstance(look, Looked) and (look.item is None) == (at == NOBODY) for at, look in looked.items())


def test_nothing_asked_is_nothing_answered(bench: Bench) -> None:
    assert bench.lists.look(bench.target, []) == {}
    assert bench.lists.find(bench.target, []) == {}
    assert bench.lists.write(bench.target, []) == {}


def test_a_key_that_is_taken_makes_no_second_item(bench: Bench) -> None:
    made(bench, 1, Title="first")
    assert do(bench, create(bench, 1, Title="second")) == Duplicate()
    assert bench.count() == 1


def test_a_change_under_the_current_etag_lands_and_gives_the_next_one(bench: Bench) -> None:
    landed = made(bench, 1, Title="a", amount=1)
    changed = do(bench, patch(landed, Title="b"))
    assert isinstance(changed, Landed)
    found = item(bench, landed.item_id)
    assert found is not None
    assert found.etag == changed.etag != landed.etag
    assert (found.fields["Title"], found.fields["amount"]) == ("b", 1)
    again = do(bench, patch(changed, Title="c"))
    assert isinstance(again, Landed)


def test_a_null_clears_and_what_is_cleared_is_absent(bench: Bench) -> None:
    landed = made(bench, 1, Title="a", amount=1)
    assert isinstance(do(bench, patch(landed, amount=None)), Landed)
    found = item(bench, landed.item_id)
    assert found is not None
    assert "amount" not in found.fields


def test_a_creation_takes_nulls_as_absent(bench: Bench) -> None:
    landed = made(bench, 1, Title="a", amount=None)
    found = item(bench, landed.item_id)
    assert found is not None
    assert "amount" not in found.fields


def test_a_change_or_deletion_under_an_old_etag_changes_nothing(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    newer = bench.edit(landed.item_id, {"Title": "person"})
    assert do(bench, patch(landed, Title="b")) == Mismatch()
    assert do(bench, delete(landed)) == Mismatch()
    found = item(bench, landed.item_id)
    assert found is not None
    assert (found.etag, found.fields["Title"]) == (newer, "person")


def test_a_deletion_under_the_current_etag_removes_the_item(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    assert do(bench, delete(landed)) == Landed(item_id=landed.item_id, etag=None)
    assert item(bench, landed.item_id) is None
    assert bench.lists.find(bench.target, [key(1)]) == {key(1): Looked(item=None)}


def test_a_write_to_an_item_that_is_gone_says_missing(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    bench.remove(landed.item_id)
    assert do(bench, patch(landed, Title="b")) == Missing()
    assert do(bench, delete(landed)) == Missing()


def test_a_key_is_free_again_once_its_item_is_gone_and_its_id_is_not(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    bench.remove(landed.item_id)
    assert made(bench, 1, Title="b").item_id != landed.item_id


def test_writes_of_one_call_have_outcomes_of_their_own(bench: Bench) -> None:
    first, second, third = made(bench, 1), made(bench, 2), made(bench, 3)
    bench.edit(second.item_id, {"Title": "person"})
    bench.remove(third.item_id)
    writes: list[ItemWrite] = [
        patch(first, Title="x"),
        patch(second, Title="x"),
        delete(third),
        create(bench, 1),
        create(bench, 4),
    ]
    outcomes = bench.lists.write(bench.target, writes)
    kinds = [type(outcomes[write.op]) for write in writes]
    assert kinds == [Landed, Mismatch, Missing, Duplicate, Landed]


def test_a_person_is_an_editor_and_we_are_not(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    ours = item(bench, landed.item_id)
    assert ours is not None
    assert ours.editor_id is None
    bench.edit(landed.item_id, {"Title": "b"})
    theirs = item(bench, landed.item_id)
    assert theirs is not None
    assert theirs.editor_id is not None


def test_a_list_that_is_gone_stops_every_call_and_makes_nothing_absent(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    bench.lose()
    looks = [
        *bench.lists.look(bench.target, [landed.item_id]).values(),
        *bench.lists.find(bench.target, [key(1)]).values(),
    ]
    writes: list[ItemWrite] = [patch(landed, Title="b"), delete(landed), create(bench, 2)]
    outcomes = bench.lists.write(bench.target, writes)
    for answer in (*looks, *outcomes.values()):
        assert isinstance(answer, Stopped)
        assert isinstance(answer.error, ListGone)
    for call in (
        lambda: bench.lists.delta(bench.target, None),
        lambda: bench.lists.enumerate(bench.target, None),
        lambda: bench.lists.versions_since(bench.target, landed.item_id, landed.etag or ETag("")),
    ):
        with pytest.raises(ListGone):
            call()


def test_the_versions_after_an_etag_are_told_oldest_first(bench: Bench) -> None:
    landed = made(bench, 1, Title="a", amount=1)
    assert landed.etag is not None
    assert list(bench.lists.versions_since(bench.target, landed.item_id, landed.etag) or ()) == []
    first = bench.edit(landed.item_id, {"Title": "b"})
    second = bench.edit(landed.item_id, {"amount": 2})
    found = bench.lists.versions_since(bench.target, landed.item_id, landed.etag)
    assert found is not None
    assert [(version.fields["Title"], version.fields["amount"]) for version in found] == [("b", 1), ("b", 2)]
    assert [(version.id, version.etag) for version in found] == [(landed.item_id, first), (landed.item_id, second)]


def test_an_item_that_is_gone_has_no_versions(bench: Bench) -> None:
    landed = made(bench, 1, Title="a")
    assert landed.etag is not None
    bench.remove(landed.item_id)
    assert bench.lists.versions_since(bench.target, landed.item_id, landed.etag) is None


def test_a_delta_from_the_start_tells_everything_and_then_only_what_changed(bench: Bench) -> None:
    landed = {made(bench, number, Title=str(number)).item_id for number in range(1, 18)}
    everything, token = changes(bench, None)
    assert {at for at, entry in everything.items() if not entry.deleted} == landed
    nothing, token = changes(bench, token)
    assert nothing == {}
    first, second, *_ = sorted(landed)
    etag = bench.edit(first, {"Title": "edited"})
    bench.remove(second)
    added = bench.add({"Title": "new"})
    told, _ = changes(bench, token)
    assert set(told) == {first, second, added}
    assert (told[first].etag, told[second].deleted, told[second].etag, told[added].deleted) == (etag, True, None, False)
    seen = told[first].item
    assert seen is not None
    assert seen.fields["Title"] == "edited"


def test_a_delta_from_now_tells_only_what_comes(bench: Bench) -> None:
    made(bench, 1)
    page = bench.lists.delta(bench.target, "latest")
    assert page.entries == ()
    landed = made(bench, 2)
    told, _ = changes(bench, page.next_token)
    assert set(told) == {landed.item_id}


def test_a_dead_token_asks_for_an_enumeration(bench: Bench) -> None:
    made(bench, 1)
    _, token = changes(bench, None)
    bench.expire()
    with pytest.raises(DeltaExpired):
        bench.lists.delta(bench.target, token)


def test_a_token_that_is_taken_after_all_others_died_tells_what_comes(bench: Bench) -> None:
    bench.expire()
    token = bench.lists.delta(bench.target, "latest").next_token
    landed = made(bench, 1)
    assert set(changes(bench, token)[0]) == {landed.item_id}


def test_a_page_asked_for_twice_is_told_twice(bench: Bench) -> None:
    _, token = changes(bench, None)
    landed = made(bench, 1)
    assert changes(bench, token)[0] == changes(bench, token)[0]
    assert set(changes(bench, token)[0]) == {landed.item_id}


def test_an_enumeration_tells_every_id_and_etag_and_ends(bench: Bench) -> None:
    landed = {(made(bench, number).item_id) for number in range(1, 18)}
    token: str | None = None
    seen: dict[ItemId, ETag | None] = {}
    for _ in range(100):
        page = bench.lists.enumerate(bench.target, token)
        seen |= {entry.item_id: entry.etag for entry in page.entries}
        if page.complete:
            break
        token = page.next_token
    assert page.complete
    assert set(seen) == landed
    assert all(etag is not None for etag in seen.values())


def test_changes_and_enumerations_tell_which_items_have_no_key(bench: Bench) -> None:
    _, token = changes(bench, None)
    ours, theirs = made(bench, 1).item_id, bench.add({"Title": "by hand"})
    told, _ = changes(bench, token)
    assert {at: entry.keyless for at, entry in told.items()} == {ours: False, theirs: True}
    page = bench.lists.enumerate(bench.target, None)
    assert {entry.item_id: entry.keyless for entry in page.entries} == {ours: False, theirs: True}
    assert [entry.item for entry in page.entries] == [None, None]


def test_columns_that_are_as_the_fields_say_differ_in_nothing(bench: Bench) -> None:
    kinds = {"Title": FieldKind.TEXT, "amount": FieldKind.NUMBER, "Modified": FieldKind.DATETIME}
    fields = [
        FieldMapping(
            no=FieldNo(no),
            source=SourceColumn(name=name.lower(), type=SourceType(name="text", declared="text")),
            target_column_name=name,
            target_display_name=name,
            kind=kind,
            is_system_field=name == "Modified",
        )
        for no, (name, kind) in enumerate(kinds.items(), start=1)
    ]
    assert bench.lists.drift(bench.target, fields) == ()
    bench.lose()
    with pytest.raises(ListGone):
        bench.lists.drift(bench.target, fields)


def test_an_empty_list_is_enumerated_in_one_page(bench: Bench) -> None:
    page = bench.lists.enumerate(bench.target, None)
    assert (page.entries, page.complete) == ((), True)
