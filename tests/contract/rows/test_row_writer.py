"""What settle relies on of every RowWriter."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from shared.core.errors import ConfigurationError, Doubt, InvariantViolated, PreconditionFailed, RowRejected
from shared.core.ids import RowVersion, identity_of, key_texts
from shared.core.source import (
    Busy,
    DeleteRow,
    InsertRow,
    Moved,
    RelationKind,
    RowChange,
    RowOutcome,
    TransactionFate,
    UpdateRow,
    Wrote,
)
from shared.ports import RowTransaction
from tests.contract.rows.conftest import Bench


def insert(key: str, **values: str | None) -> InsertRow:
    return InsertRow(op=uuid4(), identity=identity_of([key]), values=values)


def update(bench: Bench, key: str, **values: str | None) -> UpdateRow:
    """An update of the row as it is now."""
    row = bench.row(key)
    assert row is not None
    return UpdateRow(op=uuid4(), identity=row.identity, version=row.version, values=values)


def delete(bench: Bench, key: str) -> DeleteRow:
    row = bench.row(key)
    assert row is not None
    return DeleteRow(op=uuid4(), identity=row.identity, version=row.version)


def applied(transaction: RowTransaction, *changes: RowChange) -> list[RowOutcome]:
    outcomes = transaction.apply(changes)
    assert set(outcomes) == {change.op for change in changes}
    return [outcomes[change.op] for change in changes]


def written(bench: Bench, *changes: RowChange) -> list[RowOutcome]:
    transaction = bench.writer.begin(bench.spec)
    outcomes = applied(transaction, *changes)
    transaction.commit()
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.COMMITTED}
    return outcomes


def test_a_page_of_inserts_updates_and_deletes_lands_whole_and_reads_back_as_it_will_stand(bench):
    bench.put("1", a="old", b="kept")
    bench.put("2", a="x")
    changes = [update(bench, "1", a="new"), delete(bench, "2"), insert("3", a="", b=None)]
    one, two, three = written(bench, *changes)
    assert one == Wrote(row=bench.row("1"))
    assert two == Wrote(row=None)
    assert three == Wrote(row=bench.row("3"))
    assert bench.row("2") is None
    assert one.row.values == {"id": "1", "a": "new", "b": "kept"}
    assert three.row.values == {"id": "3", "a": "", "b": None}


def test_each_row_of_a_page_gets_its_own_columns_and_nulls(bench):
    for key in ("1", "2", "3"):
        bench.put(key, a=f"a{key}", b=f"b{key}")
    written(bench, update(bench, "1", a=None), update(bench, "2", b="B"), update(bench, "3", a="A", b=None))
    assert [bench.row(key).values for key in ("1", "2", "3")] == [
        {"id": "1", "a": None, "b": "b1"},
        {"id": "2", "a": "a2", "b": "B"},
        {"id": "3", "a": "A", "b": None},
    ]


def test_an_update_of_nothing_writes_nothing_and_still_compares_the_version(bench):
    bench.put("1", a="x")
    before = bench.row("1")
    assert written(bench, update(bench, "1")) == [Wrote(row=before)]
    stale = replace(update(bench, "1"), version=RowVersion("3"))
    transaction = bench.writer.begin(bench.spec)
    assert applied(transaction, stale) == [Moved()]
    transaction.close()


def test_nothing_is_seen_by_others_before_the_commit(bench):
    bench.put("1", a="old")
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, update(bench, "1", a="new"), insert("2"))
    assert bench.row("1").values["a"] == "old"
    assert bench.row("2") is None
    transaction.commit()
    assert bench.row("1").values["a"] == "new"
    assert bench.row("2") is not None


def test_a_row_that_somebody_has_changed_or_deleted_since_it_was_read_has_moved(bench):
    for key in ("1", "2", "3", "4"):
        bench.put(key, a="old")
    stale = [update(bench, "1", a="mine"), delete(bench, "2"), update(bench, "3", a="mine"), delete(bench, "4")]
    bench.put("1", a="theirs")
    bench.put("2", a="theirs")
    bench.delete("3")
    bench.delete("4")
    transaction = bench.writer.begin(bench.spec)
    assert applied(transaction, *stale) == [Moved()] * 4
    transaction.close()
    assert bench.row("1").values["a"] == "theirs"
    assert bench.row("2").values["a"] == "theirs"


def test_an_insert_of_a_key_that_is_there_has_moved_and_changes_nothing(bench):
    bench.put("1", a="theirs")
    transaction = bench.writer.begin(bench.spec)
    assert applied(transaction, insert("1", a="mine")) == [Moved()]
    transaction.close()
    assert bench.row("1").values["a"] == "theirs"


def test_a_row_that_somebody_holds_is_busy_and_nobody_waits(bench):
    for key in ("1", "2", "3"):
        bench.put(key, a="old")
    changes = [update(bench, "1", a="new"), delete(bench, "2"), update(bench, "3", a="new")]
    bench.hold("1")
    bench.hold("2")
    transaction = bench.writer.begin(bench.spec)
    busy, also_busy, free = applied(transaction, *changes)
    assert (busy, also_busy) == (Busy(), Busy())
    assert isinstance(free, Wrote)
    transaction.close()
    assert bench.row("3").values["a"] == "old"


def test_a_page_with_a_row_that_was_missed_cannot_be_committed(bench):
    bench.put("1", a="old")
    bench.put("2", a="old")
    changes = [update(bench, "1", a="new"), update(bench, "2", a="new")]
    bench.put("2", a="theirs")
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, *changes)
    with pytest.raises(InvariantViolated):
        transaction.commit()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert bench.row("1").values["a"] == "old"


def test_a_transaction_that_is_closed_has_written_nothing_and_was_aborted(bench):
    bench.put("1", a="old")
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, update(bench, "1", a="new"), insert("2"))
    transaction.close()
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert bench.row("1").values["a"] == "old"
    assert bench.row("2") is None
    with pytest.raises(InvariantViolated):
        transaction.commit()


def test_closing_after_the_commit_takes_nothing_back(bench):
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, insert("1"))
    transaction.commit()
    transaction.close()
    assert bench.row("1") is not None


def test_a_row_that_a_rule_of_the_table_refuses_is_rejected_and_the_transaction_is_over(bench):
    bench.put("1", a="old")
    bench.put("2", a="old")
    changes = [update(bench, "1", a="new"), update(bench, "2", a="new")]
    bench.refuse("2")
    transaction = bench.writer.begin(bench.spec)
    with pytest.raises(RowRejected) as rejected:
        transaction.apply(changes)
    assert rejected.value.code == "row_refused"
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert bench.row("1").values["a"] == "old"
    assert written(bench, update(bench, "1", a="new")) == [Wrote(row=bench.row("1"))]


def test_what_a_trigger_makes_of_a_row_is_read_back_before_the_commit(bench):
    bench.put("1", a="x", b="y")
    bench.shout()
    one, two = written(bench, update(bench, "1", a="new"), insert("2", a="also", b="sent"))
    assert one == Wrote(row=bench.row("1"))
    assert two == Wrote(row=bench.row("2"))
    assert (one.row.values["b"], two.row.values["b"]) == ("NEW", "ALSO")


def test_a_row_that_a_trigger_silently_leaves_unwritten_has_moved(bench):
    bench.put("1", a="old")
    bench.put("2", a="old")
    changes = [update(bench, "1", a="new"), update(bench, "2", a="new")]
    bench.swallow("1")
    transaction = bench.writer.begin(bench.spec)
    swallowed, other = applied(transaction, *changes)
    assert swallowed == Moved()
    assert isinstance(other, Wrote)
    transaction.close()


@pytest.mark.parametrize(
    ("fault", "fate", "value"),
    [("lost_after", TransactionFate.COMMITTED, "new"), ("lost_before", TransactionFate.ABORTED, "old")],
)
def test_a_commit_without_an_answer_is_in_doubt_until_its_fate_is_asked(bench, fault, fate, value):
    bench.put("1", a="old")
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, update(bench, "1", a="new"))
    bench.next_commit(fault)
    with pytest.raises(Doubt):
        transaction.commit()
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: fate}
    assert bench.row("1").values["a"] == value
    assert written(bench, insert("2")) == [Wrote(row=bench.row("2"))]


def test_a_commit_that_is_still_under_way_is_pending_holds_its_rows_and_lands_late(bench):
    bench.put("1", a="old")
    before = update(bench, "1", a="again")
    transaction = bench.writer.begin(bench.spec)
    (wrote,) = applied(transaction, update(bench, "1", a="new"))
    bench.next_commit("late")
    with pytest.raises(Doubt):
        transaction.commit()
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.PENDING}
    assert bench.row("1").values["a"] == "old"
    second = bench.writer.begin(bench.spec)
    assert applied(second, before) == [Busy()]
    second.close()
    bench.land_late()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.COMMITTED}
    assert wrote == Wrote(row=bench.row("1"))
    assert wrote.row.values["a"] == "new"


@pytest.mark.parametrize(("fault", "error"), [("refused", RowRejected), ("serialization", PreconditionFailed)])
def test_a_commit_that_the_server_refuses_has_written_nothing(bench, fault, error):
    bench.put("1", a="old")
    transaction = bench.writer.begin(bench.spec)
    bench.next_commit(fault)
    applied(transaction, update(bench, "1", a="new"))
    with pytest.raises(error):
        transaction.commit()
    transaction.close()
    assert bench.writer.fate([transaction.transaction]) == {transaction.transaction: TransactionFate.ABORTED}
    assert bench.row("1").values["a"] == "old"


def test_an_open_transaction_is_pending_and_each_has_a_name_of_its_own(bench):
    one, two = bench.writer.begin(bench.spec), bench.writer.begin(bench.spec)
    names = [one.transaction, two.transaction]
    assert len(set(names)) == 2
    assert bench.writer.fate(names) == dict.fromkeys(names, TransactionFate.PENDING)
    one.close()
    two.close()


def test_of_another_server_or_timeline_and_of_ids_to_come_nothing_is_known(bench):
    transaction = bench.writer.begin(bench.spec)
    applied(transaction, insert("1"))
    transaction.commit()
    system, timeline, xid = transaction.transaction.split("/")
    strangers = [
        f"{int(system) + 1}/{timeline}/{xid}",
        f"{system}/{int(timeline) + 1}/{xid}",
        f"{system}/{timeline}/{int(xid) + 1_000_000}",
        f"{system}/{timeline}",
        "nonsense",
        "",
    ]
    assert bench.writer.fate(strangers) == dict.fromkeys(strangers, TransactionFate.UNKNOWN)
    assert bench.writer.fate([]) == {}


def test_reserved_identities_are_nobodys_and_never_come_twice(bench):
    first, second = bench.writer.reserve(bench.spec, 3), bench.writer.reserve(bench.spec, 2)
    reserved = [*first, *second]
    assert (len(first), len(second), len(set(reserved))) == (3, 2, 5)
    assert bench.tables.read_rows(bench.spec, reserved) == {}
    changes = [InsertRow(op=uuid4(), identity=identity, values={"a": "new"}) for identity in reserved]
    assert all(isinstance(outcome, Wrote) for outcome in written(bench, *changes))
    assert set(bench.tables.read_rows(bench.spec, reserved)) == set(reserved)


def test_key_texts_become_the_identities_that_rows_print_and_others_none(bench):
    bench.put("7")
    found = bench.writer.identities(bench.spec, [["07"], ["seven"], ["7", "8"], ["-0"], ["\0"], []])
    assert found == [identity_of(["7"]), None, None, identity_of(["0"]), None, None]
    assert bench.writer.identities(bench.spec, []) == []
    assert key_texts(bench.row("7").identity) == ("7",)


def test_one_row_is_written_once_in_a_transaction_and_a_transaction_is_used_once(bench):
    bench.put("1", a="old")
    twice = bench.writer.begin(bench.spec)
    with pytest.raises(InvariantViolated):
        twice.apply([update(bench, "1", a="x"), update(bench, "1", b="y")])
    twice.close()
    again = bench.writer.begin(bench.spec)
    applied(again, insert("2"))
    with pytest.raises(InvariantViolated):
        again.apply([insert("3")])
    again.close()
    assert bench.row("2") is None


def test_the_key_of_a_new_row_is_its_identitys_and_that_of_a_row_that_is_there_is_never_written(bench):
    (new,) = written(bench, insert("1", id="2", a="x"))
    assert new.row.identity == identity_of(["1"])
    transaction = bench.writer.begin(bench.spec)
    with pytest.raises(InvariantViolated):
        transaction.apply([update(bench, "1", id="2")])
    transaction.close()
    assert bench.row("1") == new.row


@pytest.mark.parametrize("kind", [RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW, RelationKind.FOREIGN_TABLE])
def test_only_ordinary_and_partitioned_tables_are_written_to(bench, kind):
    with pytest.raises(ConfigurationError) as refused:
        bench.writer.begin(replace(bench.spec, relation=kind))
    assert refused.value.code == "not_writable"


def test_no_change_at_all_may_be_applied_and_committed(bench):
    assert written(bench) == []
    assert UUID(int=0) not in bench.writer.fate([])
