"""Small worlds of rows and items: agreed, perturbed on both sides, settled, perturbed and settled again."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.definition import ConflictPolicy, DeletePolicy, ForeignPolicy
from shared.core.flows import Flow
from shared.core.ids import Digest, FieldNo
from shared.core.ledger import EntryState
from shared.core.reconcile import (
    Ask,
    CreateTheItem,
    Decision,
    DeleteTheItem,
    DeleteTheRow,
    FieldConflict,
    Forget,
    InsertTheRow,
    Leave,
    Merge,
    Policy,
    Reading,
    Retire,
    Side,
    reconcile,
)

FIELDS = [FieldNo(n) for n in range(1, 4)]
KEYS = ["p", "q", "r"]
Values = dict[FieldNo, Digest]


def digest(letter: str) -> Digest:
    return Digest(letter.encode() * 16)


letters = st.sampled_from("abcd").map(digest)
values = st.tuples(*[letters] * len(FIELDS)).map(lambda drawn: dict(zip(FIELDS, drawn, strict=True)))
seeds = st.integers(0, 2**32)
TWO_WAY = Policy(
    flows=dict.fromkeys(FIELDS, Flow.BOTH),
    item_deleted=DeletePolicy.PROPAGATE,
    foreign=ForeignPolicy.INSERT,
    writes_rows=True,
)
PUSH = Policy(flows=dict.fromkeys(FIELDS, Flow.TO_ITEM))
PULL = Policy(
    flows=dict.fromkeys(FIELDS, Flow.TO_ROW),
    row_deleted=DeletePolicy.RECREATE,
    item_deleted=DeletePolicy.PROPAGATE,
    foreign=ForeignPolicy.INSERT,
    writes_rows=True,
    writes_items=False,
)


@st.composite
def policies(draw: st.DrawFn, deletes: tuple[DeletePolicy, ...] = tuple(DeletePolicy)) -> Policy:
    return replace(
        TWO_WAY,
        groups=draw(st.sampled_from([(), (tuple(FIELDS[:2]),)])),
        conflict=draw(st.sampled_from(list(ConflictPolicy))),
        row_deleted=draw(st.sampled_from(deletes)),
        item_deleted=draw(st.sampled_from(deletes)),
        foreign=draw(st.sampled_from(list(ForeignPolicy))),
    )


@dataclass
class Pair:
    """A row and its item, and what the ledger says about them."""

    row: Values | None = None
    item: Values | None = None
    state: EntryState | None = None
    base: Values | None = None
    kept: Values | None = None
    """The row that was left without an item."""

    def settle(self, policy: Policy) -> bool:
        """One look, one decision, its writes; whether something was written."""
        decision = self.decided(policy)
        if isinstance(decision, Ask):
            decision = self.decided(policy, approved=True)
        match decision:
            case Merge(to_item=to_item, to_row=to_row):
                assert self.row is not None
                assert self.item is not None
                row, item = dict(self.row), dict(self.item)
                self.row = {**row, **{no: item[no] for no in to_row}}
                self.item = {**item, **{no: row[no] for no in to_item}}
                self.agree(self.row)
                return bool(to_item or to_row)
            case CreateTheItem():
                assert self.row is not None
                self.item = dict(self.row)
                self.agree(self.row)
            case InsertTheRow():
                assert self.item is not None
                self.row = dict(self.item)
                self.agree(self.item)
            case DeleteTheItem() | DeleteTheRow() | Retire():
                wrote = self.row is not None or self.item is not None
                self.row = self.item = self.base = self.kept = None
                self.state = EntryState.TOMBSTONE
                return wrote
            case Leave(side=Side.ROW):
                assert self.row is not None
                self.state, self.base, self.kept = EntryState.TOMBSTONE, None, dict(self.row)
                return False
            case Leave() | Forget() | Ask():
                return False
        return True

    def decided(self, policy: Policy, *, approved: bool = False) -> Decision:
        kept = self.row is not None and self.state is EntryState.TOMBSTONE and self.row == self.kept
        reading = Reading(state=self.state, base=self.base, row=self.row, item=self.item, row_kept=kept)
        return reconcile(reading, policy, approved=approved)

    def agree(self, agreed: Values) -> None:
        self.state, self.base = EntryState.SETTLED, dict(agreed)


World = dict[str, Pair]


def a_world(chance: random.Random) -> World:
    world = {}
    for key in KEYS:
        pair = Pair()
        if chance.random() < 0.8:
            pair.row = {no: digest(chance.choice("abcd")) for no in FIELDS}
            pair.item = dict(pair.row)
            pair.agree(pair.row)
        world[key] = pair
    return world


def perturb(world: World, chance: random.Random) -> None:
    """Edits, deletions and creations on either side, some of the same thing on both."""
    for _ in range(chance.randrange(1, 8)):
        pair = world[chance.choice(KEYS)]
        side = chance.choice(["row", "item"])
        held = getattr(pair, side)
        if held is None:
            setattr(pair, side, {no: digest(chance.choice("abcd")) for no in FIELDS})
        elif chance.random() < 0.2:
            setattr(pair, side, None)
        else:
            held[chance.choice(FIELDS)] = digest(chance.choice("abcd"))


def settle(world: World, policy: Policy, chance: random.Random) -> int:
    """Passes in an order of their own until one writes nothing; how many wrote."""
    for passes in range(5):
        order = list(KEYS)
        chance.shuffle(order)
        if not sum(world[key].settle(policy) for key in order):
            return passes
    raise AssertionError("the world does not come to rest")


def copied(world: World) -> World:
    def copy(held: Values | None) -> Values | None:
        return None if held is None else dict(held)

    return {key: replace(p, row=copy(p.row), item=copy(p.item), base=copy(p.base)) for key, p in world.items()}


def seen(world: World) -> dict[str, tuple[Values | None, Values | None]]:
    return {key: (pair.row, pair.item) for key, pair in world.items()}


@given(seed=seeds, policy=policies())
def test_a_world_comes_to_rest_after_one_pass_whatever_the_policies(seed, policy):
    chance = random.Random(seed)
    world = a_world(chance)
    for _ in range(2):
        perturb(world, chance)
        assert settle(world, policy, chance) <= 1


@given(seed=seeds, policy=policies())
def test_the_order_of_the_subjects_makes_no_difference(seed, policy):
    chance = random.Random(seed)
    world = a_world(chance)
    for _ in range(2):
        perturb(world, chance)
        other = copied(world)
        settle(world, policy, random.Random(seed + 1))
        settle(other, policy, random.Random(seed + 2))
        assert seen(world) == seen(other)


@given(seed=seeds, policy=policies(deletes=(DeletePolicy.PROPAGATE, DeletePolicy.RECREATE)))
def test_a_settled_two_way_world_is_equal_on_both_sides(seed, policy):
    chance = random.Random(seed)
    world = a_world(chance)
    for _ in range(2):
        perturb(world, chance)
        settle(world, replace(policy, foreign=ForeignPolicy.INSERT), chance)
        assert all(row == item for row, item in seen(world).values())


@pytest.mark.parametrize(("policy", "record"), [(PUSH, "row"), (PULL, "item")], ids=["push", "pull"])
@given(seed=seeds)
def test_a_settled_one_way_world_is_what_its_record_says_and_the_record_is_never_written(policy, record, seed):
    chance = random.Random(seed)
    world = a_world(chance)
    for _ in range(2):
        perturb(world, chance)
        before = {key: getattr(pair, record) and dict(getattr(pair, record)) for key, pair in world.items()}
        settle(world, policy, chance)
        assert {key: getattr(pair, record) for key, pair in world.items()} == before
        other = "item" if record == "row" else "row"
        for key, pair in world.items():
            if before[key] is not None:
                assert getattr(pair, other) == before[key]


@given(seed=seeds, policy=policies(deletes=(DeletePolicy.PROPAGATE,)))
def test_a_delete_that_met_no_edit_stays_a_delete(seed, policy):
    chance = random.Random(seed)
    world = a_world(chance)
    gone = [key for key in KEYS if world[key].row is not None and chance.random() < 0.5]
    for key in gone:
        setattr(world[key], chance.choice(["row", "item"]), None)
    settle(world, policy, chance)
    settle(world, policy, chance)
    assert all((world[key].row, world[key].item) == (None, None) for key in gone)


# ---------------------------------------------------------------- the sides swapped

MIRRORED_POLICY = {
    ConflictPolicy.SOURCE_WINS: ConflictPolicy.DESTINATION_WINS,
    ConflictPolicy.DESTINATION_WINS: ConflictPolicy.SOURCE_WINS,
}
MIRRORED_FLOW = {Flow.BOTH: Flow.BOTH, Flow.TO_ITEM: Flow.TO_ROW, Flow.TO_ROW: Flow.TO_ITEM}
MIRRORED_SIDE = {Side.ROW: Side.ITEM, Side.ITEM: Side.ROW}
MIRRORED_RULE = {
    "SOURCE_WINS": "DESTINATION_WINS",
    "DESTINATION_WINS": "SOURCE_WINS",
    "ROW_DELETED": "ITEM_DELETED",
    "ITEM_DELETED": "ROW_DELETED",
}


def mirrored_policy(policy: Policy) -> Policy:
    return replace(
        policy,
        flows={no: MIRRORED_FLOW[flow] for no, flow in policy.flows.items()},
        conflict=MIRRORED_POLICY[policy.conflict],
        row_deleted=policy.item_deleted,
        item_deleted=policy.row_deleted,
        writes_rows=policy.writes_items,
        writes_items=policy.writes_rows,
    )


def mirrored(decision: Decision) -> Decision:
    def logged(conflicts: tuple[FieldConflict, ...]) -> tuple[FieldConflict, ...]:
        return tuple(
            FieldConflict(no=c.no, winner=MIRRORED_SIDE[c.winner], rule=MIRRORED_RULE.get(c.rule, c.rule))
            for c in conflicts
        )

    match decision:
        case Merge():
            return replace(
                decision, to_item=decision.to_row, to_row=decision.to_item, conflicts=logged(decision.conflicts)
            )
        case CreateTheItem(conflicts=conflicts, survives=survives):
            return InsertTheRow(conflicts=logged(conflicts), survives=survives)
        case InsertTheRow(conflicts=conflicts, survives=survives):
            return CreateTheItem(conflicts=logged(conflicts), survives=survives)
        case DeleteTheItem(conflicts=conflicts):
            return DeleteTheRow(conflicts=logged(conflicts))
        case DeleteTheRow(conflicts=conflicts):
            return DeleteTheItem(conflicts=logged(conflicts))
        case Leave(side=side):
            return Leave(side=MIRRORED_SIDE[side])
        case Ask(delete=side):
            return Ask(delete=None if side is None else MIRRORED_SIDE[side])
        case _:
            return decision


@given(
    base=values,
    row=st.one_of(st.none(), values),
    item=st.one_of(st.none(), values),
    flow=st.fixed_dictionaries({no: st.sampled_from(Flow) for no in FIELDS}),
    modes=st.sampled_from([(True, True), (True, False), (False, True)]),
    conflict=st.sampled_from(list(MIRRORED_POLICY)),
    deletes=st.tuples(st.sampled_from(DeletePolicy), st.sampled_from(DeletePolicy)),
    approved=st.booleans(),
)
def test_what_is_agreed_is_decided_alike_from_either_side(base, row, item, flow, modes, conflict, deletes, approved):
    policy = Policy(
        flows=flow,
        conflict=conflict,
        row_deleted=deletes[0],
        item_deleted=deletes[1],
        writes_rows=modes[0],
        writes_items=modes[1],
    )
    reading = Reading(state=EntryState.SETTLED, base=base, row=row, item=item)
    other = replace(reading, row=item, item=row)
    forward = reconcile(reading, policy, approved=approved)
    backward = reconcile(other, mirrored_policy(policy), approved=approved)
    assert mirrored(backward) == forward
