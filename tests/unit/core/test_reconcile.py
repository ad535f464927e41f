"""The reconciler, from its own decision tables and by the laws of a merge."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.decision_tables import FIELD_CASES, GROUP_CASES, NEW, UNIT_CASES, FieldCase, GroupCase, UnitCase
from shared.core.definition import ConflictPolicy, DeletePolicy, ForeignPolicy
from shared.core.digests import NULL_DIGEST
from shared.core.flows import Flow
from shared.core.ids import Digest, FieldNo
from shared.core.ledger import EntryState
from shared.core.reconcile import (
    Merge,
    Policy,
    Reading,
    Side,
    reconcile,
)

ONE, TWO = FieldNo(1), FieldNo(2)
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TIMES: dict[str, dict[str, Any]] = {
    "": {},
    "row": {"row_time": NOON + timedelta(seconds=1), "item_time": NOON},
    "item": {"row_time": NOON, "item_time": NOON + timedelta(seconds=1)},
    "tie": {"row_time": NOON + timedelta(milliseconds=1), "item_time": NOON},
    "ours": {"row_time": NOON, "item_time": NOON + timedelta(hours=1), "item_time_is_ours": True},
    "unknown": {"row_time": None, "item_time": NOON},
}


def digest(letter: str) -> Digest:
    return NULL_DIGEST if letter == "empty" else Digest(letter.encode() * 16)


def held(letter: str) -> dict[FieldNo, Digest] | None:
    return None if letter == "-" else {} if letter == NEW else {ONE: digest(letter)}


@pytest.mark.parametrize("case", FIELD_CASES, ids=lambda case: case.words)
def test_a_field_is_decided_as_its_table_says(case: FieldCase):
    policy = Policy(
        flows={ONE: Flow(case.flow)}, conflict=ConflictPolicy(case.policy), writes_rows=case.flow != "TO_ITEM"
    )
    decision = reconcile(
        Reading(
            state=EntryState.SETTLED if case.base != "-" else EntryState.CREATING,
            base=held(case.base),
            row=held(case.row),
            item=held(case.item),
            ours={ONE: frozenset({digest(case.ours)})} if case.ours else {},
            **TIMES[case.times],
        ),
        policy,
    )
    assert isinstance(decision, Merge)
    written = "item" if decision.to_item else "row" if decision.to_row else ""
    logged = {Side.ROW: "item", Side.ITEM: "row"}[decision.conflicts[0].winner] if decision.conflicts else ""
    assert (case.write, case.logged) == (written, logged)


@pytest.mark.parametrize("case", GROUP_CASES, ids=lambda case: case.words)
def test_a_group_is_decided_as_its_table_says(case: GroupCase):
    def both(letters: str) -> dict[FieldNo, Digest]:
        return {ONE: digest(letters[0]), TWO: digest(letters[1])}

    policy = Policy(
        flows={ONE: Flow.BOTH, TWO: Flow.BOTH},
        groups=((ONE, TWO),),
        conflict=ConflictPolicy(case.policy),
        writes_rows=True,
    )
    reading = Reading(state=EntryState.SETTLED, base=both(case.base), row=both(case.row), item=both(case.item))
    decision = reconcile(reading, policy)
    assert isinstance(decision, Merge)
    written = "item" if decision.to_item else "row" if decision.to_row else ""
    assert (case.write, case.logged) == (written, len(decision.conflicts))
    assert not (decision.to_item and decision.to_row)


@pytest.mark.parametrize("case", UNIT_CASES, ids=lambda case: f"{case.mode}: {case.words}")
def test_a_unit_is_decided_as_its_table_says(case: UnitCase):
    flow = {"TWO_WAY": Flow.BOTH, "ONE_WAY_PUSH": Flow.TO_ITEM, "ONE_WAY_PULL": Flow.TO_ROW}[case.mode]
    policy = Policy(
        flows={ONE: flow},
        row_deleted=DeletePolicy(case.row_deleted),
        item_deleted=DeletePolicy(case.item_deleted),
        foreign=ForeignPolicy(case.foreign),
        writes_rows=case.mode != "ONE_WAY_PUSH",
        writes_items=case.mode != "ONE_WAY_PULL",
    )
    reading = Reading(
        state=None if case.state == "-" else EntryState(case.state),
        base=held(case.base),
        row=held(case.row),
        item=held(case.item),
        row_left_out=case.left_out,
        ours={ONE: frozenset({digest(case.ours)})} if case.ours else {},
        created_by_us=bool(case.ours),
    )
    decision = reconcile(reading, policy, approved=case.approved)
    rules = [] if isinstance(decision, Merge) else [conflict.rule for conflict in getattr(decision, "conflicts", ())]
    assert (case.decision, [case.logged] if case.logged else []) == (type(decision).__name__, rules)


def test_a_persons_edit_that_a_delete_takes_along_is_logged():
    policy = Policy(flows={ONE: Flow.TO_ITEM})
    reading = Reading(state=EntryState.SETTLED, base=held("a"), row=None, item=held("b"))
    decision = reconcile(reading, policy)
    assert [ONE] == [conflict.no for conflict in decision.conflicts]


@pytest.mark.parametrize("base", [{ONE: digest("a")}, {ONE: digest("a"), TWO: digest("a")}], ids=["unread", "older"])
def test_what_the_list_notes_by_itself_is_nobodys_edit_against_a_delete(base: dict[FieldNo, Digest]):
    policy = Policy(flows={ONE: Flow.BOTH, TWO: Flow.TO_ROW}, writes_rows=True, system=frozenset({TWO}))
    noted = {ONE: digest("a"), TWO: digest("b")}
    reading = Reading(state=EntryState.SETTLED, base=base, row=None, item=noted)
    assert "DeleteTheItem" == type(reconcile(reading, policy)).__name__
    typed = replace(reading, item={**noted, ONE: digest("c")})
    assert "InsertTheRow" == type(reconcile(typed, policy)).__name__


def test_a_late_creation_for_a_row_that_is_gone_is_a_ghost_whatever_the_list_notes_by_itself():
    policy = Policy(
        flows={ONE: Flow.BOTH, TWO: Flow.TO_ROW},
        foreign=ForeignPolicy.INSERT,
        writes_rows=True,
        system=frozenset({TWO}),
    )
    reading = Reading(
        state=EntryState.TOMBSTONE,
        base=None,
        row=None,
        item={ONE: digest("a"), TWO: digest("b")},
        ours={ONE: frozenset({digest("a")})},
        created_by_us=True,
    )
    assert "DeleteTheItem" == type(reconcile(reading, policy)).__name__


def test_an_approved_delete_is_done():
    policy = Policy(flows={ONE: Flow.TO_ITEM}, row_deleted=DeletePolicy.APPROVE)
    reading = Reading(state=EntryState.SETTLED, base=held("a"), row=None, item=held("a"))
    assert "Ask" == type(reconcile(reading, policy)).__name__
    assert "DeleteTheItem" == type(reconcile(reading, policy, approved=True)).__name__


FIELDS = [FieldNo(n) for n in range(1, 5)]
letters = st.sampled_from(["a", "b", "c", "empty"])
sides = st.fixed_dictionaries({no: letters.map(digest) for no in FIELDS})
bases = st.one_of(st.none(), st.dictionaries(st.sampled_from(FIELDS), letters.map(digest)))
flows = st.fixed_dictionaries({no: st.sampled_from(Flow) for no in FIELDS})


def merged(reading: Reading, policy: Policy) -> tuple[dict, dict, Merge]:
    """Both sides after the merge's writes."""
    decision = reconcile(reading, policy)
    assert isinstance(decision, Merge)
    row = {**reading.row, **{no: reading.item[no] for no in decision.to_row}}
    item = {**reading.item, **{no: reading.row[no] for no in decision.to_item}}
    return row, item, decision


@given(base=bases, row=sides, item=sides, flow=flows, policy=st.sampled_from(list(ConflictPolicy)))
def test_after_a_merge_both_sides_are_equal_and_nothing_was_invented(base, row, item, flow, policy):
    reading = Reading(state=EntryState.SETTLED, base=base, row=row, item=item)
    new_row, new_item, decision = merged(reading, Policy(flows=flow, conflict=policy, writes_rows=True))
    assert new_row == new_item
    assert all(new_row[no] in (row[no], item[no]) for no in FIELDS)
    assert not decision.to_item & decision.to_row


@given(base=bases, row=sides, item=sides, flow=flows)
def test_a_second_merge_has_nothing_to_do(base, row, item, flow):
    policy = Policy(flows=flow, writes_rows=True)
    new_row, new_item, _ = merged(Reading(state=EntryState.SETTLED, base=base, row=row, item=item), policy)
    again = reconcile(Reading(state=EntryState.SETTLED, base=new_row, row=new_row, item=new_item), policy)
    assert Merge() == again


@given(base=bases, row=sides, item=sides)
def test_a_value_that_loses_was_edited_and_stands_in_the_log(base, row, item):
    policy = Policy(flows=dict.fromkeys(FIELDS, Flow.BOTH), writes_rows=True)
    _, new_item, decision = merged(Reading(state=EntryState.SETTLED, base=base, row=row, item=item), policy)
    logged = {conflict.no for conflict in decision.conflicts}
    for no in FIELDS:
        both_edited = (base or {}).get(no) != row[no] and (base or {}).get(no) != item[no]
        if no not in (base or {}) and NULL_DIGEST in (row[no], item[no]):
            both_edited = False  # never agreed on, and one side has nothing to say
        assert (no in logged) == (row[no] != item[no] and both_edited)
        if no in logged:
            assert new_item[no] == row[no]


@given(base=sides, row=sides, item=sides)
def test_swapping_the_sides_and_the_policy_gives_the_same_result(base, row, item):
    both = dict.fromkeys(FIELDS, Flow.BOTH)
    forward, _, _ = merged(
        Reading(state=EntryState.SETTLED, base=base, row=row, item=item),
        Policy(flows=both, conflict=ConflictPolicy.SOURCE_WINS, writes_rows=True),
    )
    mirrored, _, _ = merged(
        Reading(state=EntryState.SETTLED, base=base, row=item, item=row),
        Policy(flows=both, conflict=ConflictPolicy.DESTINATION_WINS, writes_rows=True),
    )
    assert forward == mirrored


@given(base=sides, row=sides, item=sides)
def test_fields_of_a_group_come_from_one_side(base, row, item):
    group = tuple(FIELDS[:3])
    policy = Policy(flows=dict.fromkeys(FIELDS, Flow.BOTH), groups=(group,), writes_rows=True)
    new_row, _, _ = merged(Reading(state=EntryState.SETTLED, base=base, row=row, item=item), policy)
    together = [new_row[no] for no in group]
    assert together in ([row[no] for no in group], [item[no] for no in group])


@given(row=sides, item=sides, base=bases)
def test_a_push_only_definition_never_decides_to_write_a_row(row, item, base):
    policy = Policy(flows=dict.fromkeys(FIELDS, Flow.TO_ITEM))
    for state in (None, *EntryState):
        for shown in (Reading(state=state, base=base, row=row, item=item),):
            for reading in (shown, replace(shown, row=None), replace(shown, item=None)):
                name = type(reconcile(reading, policy)).__name__
                assert name not in ("InsertTheRow", "DeleteTheRow")
