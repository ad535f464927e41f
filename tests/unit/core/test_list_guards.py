"""What an enumeration's counts may hold: the guards speak before a single mark is made."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.definition import DeletePolicy, GuardSettings, SyncDefinition, SyncMode
from shared.core.guards import GuardKind, Verdict, delete_limit, judge_enumeration


@dataclass(frozen=True)
class Counts:
    listed: int
    known: int
    changed: int = 0
    gone: int = 0


@dataclass(frozen=True)
class Case:
    mode: SyncMode = SyncMode.TWO_WAY
    item_deleted: DeletePolicy = DeletePolicy.PROPAGATE
    guards: GuardSettings = field(default_factory=GuardSettings)

    def judge(self, counts: Counts) -> tuple[Verdict, ...]:
        made = SimpleNamespace(mode=self.mode, item_deleted=self.item_deleted, guards=self.guards)
        return judge_enumeration(cast("SyncDefinition", made), counts)

    def kinds(self, counts: Counts) -> list[GuardKind]:
        return [verdict.kind for verdict in self.judge(counts)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(0, 0), []),
        (Counts(1000, 0), []),
        (Counts(1000, 1000, changed=10), []),
        (Counts(0, 1, gone=1), []),
        (Counts(0, 4, gone=2), []),
        (Counts(0, 100, gone=100), [GuardKind.EMPTY_LIST, GuardKind.DELETE_GUARD]),
        (Counts(30, 100, gone=100), [GuardKind.FEWER_ITEMS, GuardKind.DELETE_GUARD]),
        (Counts(499, 1000, gone=501), [GuardKind.FEWER_ITEMS, GuardKind.DELETE_GUARD]),
        (Counts(5000, 1000, gone=501), [GuardKind.FEWER_ITEMS, GuardKind.DELETE_GUARD]),
        (Counts(500, 1000, gone=500), []),
        (Counts(9_499, 10_000, gone=501), [GuardKind.DELETE_GUARD]),
        (Counts(999, 999, changed=999), []),
        (Counts(2000, 2000, changed=1801), [GuardKind.CHANGE_GUARD]),
        (Counts(2000, 2000, changed=1800), []),
    ],
)
def test_an_enumeration_trips_exactly_the_guards_that_its_counts_pass(counts, expected):
    assert Case().kinds(counts) == expected


@pytest.mark.parametrize(
    "case",
    [
        Case(mode=SyncMode.ONE_WAY_PUSH, item_deleted=DeletePolicy.RECREATE),
        Case(mode=SyncMode.ONE_WAY_PUSH, item_deleted=DeletePolicy.PROPAGATE),
        Case(item_deleted=DeletePolicy.RECREATE),
        Case(item_deleted=DeletePolicy.KEEP),
        Case(item_deleted=DeletePolicy.APPROVE),
    ],
)
def test_where_no_row_is_deleted_an_empty_list_holds_all_the_same_and_the_delete_guard_has_nothing_to_say(case):
    assert case.kinds(Counts(0, 100, gone=100)) == [GuardKind.EMPTY_LIST]
    assert case.kinds(Counts(9_000, 10_000, gone=1000)) == []


@pytest.mark.parametrize(
    ("case", "consequence"),
    [
        (Case(), "their rows then wait for your approval"),
        (Case(item_deleted=DeletePolicy.RECREATE), "they are then made again"),
        (Case(mode=SyncMode.ONE_WAY_PUSH), "they are then made again"),
        (Case(item_deleted=DeletePolicy.KEEP), "their rows then stay without items"),
        (Case(item_deleted=DeletePolicy.APPROVE), "you are then asked about each of them"),
    ],
)
@pytest.mark.parametrize("counts", [Counts(0, 100, gone=100), Counts(10, 100, gone=90)])
def test_a_hold_says_what_releasing_it_does(case, consequence, counts):
    assert consequence in case.judge(counts)[0].explanation


def test_only_the_delete_guard_holds_deletes_alone():
    first, second = Case().judge(Counts(0, 100, gone=100))
    assert (first.deletes_only, second.deletes_only) == (False, True)
    assert second.details == {"listed": 0, "known": 100, "changed": 0, "gone": 100, "wanted": 100, "allowed": 50}


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_deletes_than_the_limit_never_pass_an_enumeration_unheld(listed, known, gone):
    counts = Counts(listed, known, gone=min(gone, known))
    case = Case()
    assert (GuardKind.DELETE_GUARD in case.kinds(counts)) == (counts.gone > delete_limit(case.guards, known))
