"""What tests may let happen to the writes of the list store in memory."""

from uuid import uuid4

from shared.core.items import CreateItem, Doubtful, Landed, Looked, NotSent, PatchItem, Stopped, Unread
from tests.fakes.lists import FakeLists, answering, lost_after, lost_before


def create(lists: FakeLists, key: str) -> CreateItem:
    return CreateItem(op=uuid4(), fields={lists.target.key_column: key, "Title": key})


def test_each_write_meets_the_fate_that_stands_next_in_the_script() -> None:
    lists = FakeLists()
    lists.script.extend([lost_after, lost_before, answering(NotSent(retry_after=3))])
    writes = [create(lists, key) for key in "abcd"]
    outcomes = lists.write(lists.target, writes)
    assert [type(outcomes[write.op]) for write in writes] == [Doubtful, Doubtful, NotSent, Landed]
    assert set(lists.values()) == {"a", "d"}


def test_a_write_that_went_astray_lands_late_under_its_own_condition() -> None:
    lists = FakeLists()
    (landed,) = lists.write(lists.target, [create(lists, "a")]).values()
    assert isinstance(landed, Landed)
    assert landed.etag is not None
    lists.script.extend([lists.astray, lists.astray])
    patch = PatchItem(op=uuid4(), item_id=landed.item_id, etag=landed.etag, fields={"Title": "late"})
    lists.write(lists.target, [patch, create(lists, "b")])
    assert lists.values() == {"a": {"Title": "a"}}
    lists.edit(landed.item_id, {"Title": "person"})
    lists.land_late()
    assert lists.values() == {"a": {"Title": "person"}, "b": {"Title": "b"}}


def test_readings_fail_where_a_test_says_so() -> None:
    lists = FakeLists(history=False)
    item = lists.add({lists.target.key_column: "a", "Title": "x"})
    lists.unreadable |= {item, "a"}
    assert lists.look(lists.target, [item]) == {item: Unread()}
    assert lists.find(lists.target, ["a"]) == {"a": Unread()}
    assert isinstance(lists.find(lists.target, ["b"])["b"], Looked)
    assert lists.versions_since(lists.target, item, lists.items[item].etag) is None
    lists.gone = True
    assert isinstance(lists.look(lists.target, [item])[item], Stopped)


def test_other_unique_columns_compare_without_case() -> None:
    lists = FakeLists(unique=("code",))
    lists.add({"code": "AB"})
    write = CreateItem(op=uuid4(), fields={lists.target.key_column: "k", "code": "ab"})
    assert not isinstance(lists.write(lists.target, [write])[write.op], Landed)
