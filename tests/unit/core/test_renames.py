"""Which renames the ledger follows, and which are left to a delete and a create."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import Digest, ETag, FieldNo, Identity, InstanceId, ItemId, ListId, MarkNumber, Stamp, identity_of
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance
from shared.core.renames import Followed, Rename, follow

KEYS = "ABCDE"


def entry(key: str, item: int | None = 1, state: EntryState = EntryState.SETTLED, *kinds: IntentKind) -> LedgerEntry:
    settled = state is EntryState.SETTLED
    return LedgerEntry(
        identity=identity_of([key]),
        state=state,
        source_instance_id=InstanceId(UUID(int=1)),
        list_id=None if item is None else ListId("list"),
        item_id=None if item is None else ItemId(item),
        etag=ETag("etag"),
        stamp=Stamp(5),
        base={FieldNo(1): Digest(b"digest")} if settled else None,
        provenance=Provenance.PULL,
        intents=tuple(
            Intent(op=UUID(int=n), kind=kind, guard=None, expires_at=datetime(2026, 1, 1, tzinfo=UTC))
            for n, kind in enumerate(kinds)
        ),
        generation=3,
    )


def followed(
    renames: list[str], *entries: LedgerEntry, present: str, held: str = "", fresh: bool = False
) -> tuple[dict[str, LedgerEntry], Followed]:
    told = [
        Rename(number=MarkNumber(n), former=identity_of([pair[0]]), new=identity_of([pair[1]]), fresh=fresh)
        for n, pair in enumerate(renames)
    ]
    result = follow(
        told,
        {one.identity: one for one in entries},
        present={identity_of([key]) for key in present},
        held={identity_of([key]) for key in held},
    )
    return {key: result.entries[identity_of([key])] for key in KEYS if identity_of([key]) in result.entries}, result


def test_an_entry_goes_over_with_its_item_and_base_and_leaves_a_tombstone_without_them():
    former = entry("A", 7)
    made, result = followed(["AB"], former, present="B")
    assert made["B"] == replace(former, identity=identity_of(["B"]), etag=None, provenance=None, generation=1)
    assert (made["A"].state, made["A"].item_id, made["A"].base, made["A"].stamp) == (
        EntryState.TOMBSTONE,
        None,
        None,
        None,
    )
    assert made["A"].generation == 3
    assert (result.done, result.busy) == ((0,), frozenset())


@pytest.mark.parametrize("kind", IntentKind)
def test_only_writes_to_the_item_itself_go_over(kind):
    made, result = followed(["AB"], entry("A", 1, EntryState.SETTLED, kind), present="B")
    assert bool(made) is (kind in (IntentKind.PATCH_ITEM, IntentKind.DELETE_ITEM))
    assert result.done == (0,)


@pytest.mark.parametrize("state", [state for state in EntryState if state is not EntryState.SETTLED])
def test_what_is_not_agreed_does_not_go_over(state):
    assert followed(["AB"], entry("A", 1, state), present="B")[0] == {}


def test_nothing_goes_over_from_a_row_that_the_ledger_does_not_know():
    assert followed(["AB"], present="B")[0] == {}


@pytest.mark.parametrize("state", EntryState)
def test_an_heir_that_has_an_item_keeps_it(state):
    made, _ = followed(["AB"], entry("A", 1), entry("B", 2, state), present="B")
    assert bool(made) is (state is EntryState.TOMBSTONE)


def test_an_heir_that_may_still_get_an_item_of_its_own_inherits_none():
    buried = entry("B", None, EntryState.TOMBSTONE, IntentKind.CREATE_ITEM)
    assert followed(["AB"], entry("A", 1), buried, present="B")[0] == {}


@pytest.mark.parametrize(("renames", "present"), [(["AB"], "AB"), (["AB"], ""), (["AB", "BA"], "A")])
def test_rows_say_otherwise(renames, present):
    made, result = followed(renames, entry("A"), present=present)
    assert (made, len(result.done)) == ({}, len(renames))


def test_a_new_row_that_is_gone_again_is_waited_for_only_while_the_news_is_fresh_and_an_item_depends_on_it():
    both = frozenset({identity_of(["A"]), identity_of(["B"])})
    assert followed(["AB"], entry("A"), present="", fresh=True)[1] == Followed(entries={}, done=(), busy=both)
    assert followed(["AB"], entry("A"), present="")[1] == Followed(entries={}, done=(MarkNumber(0),), busy=frozenset())
    assert followed(["AB"], present="", fresh=True)[1] == Followed(entries={}, done=(MarkNumber(0),), busy=frozenset())


def test_a_chain_is_followed_to_its_end():
    made, result = followed(["AB", "BC", "CD"], entry("A", 7), present="D")
    assert [key for key, one in made.items() if one.item_id == 7] == ["D"]
    assert result.done == (0, 1, 2)


def test_a_chain_stops_where_somebody_is_at_work_and_what_hangs_on_it_waits():
    made, result = followed(["AB", "BC", "CD", "EA"], entry("A", 7), entry("E", 8), present="AD", held="C")
    assert made == {}
    assert (result.done, result.busy) == ((0, 3), frozenset(identity_of([key]) for key in "BCD"))


@given(
    st.lists(st.permutations(list(KEYS)).map(lambda keys: keys[0] + keys[1]), max_size=8),
    st.sets(st.sampled_from(KEYS)),
    st.sets(st.sampled_from(KEYS)),
    st.sets(st.sampled_from(KEYS)),
    st.booleans(),
)
def test_whatever_is_told_no_item_is_lost_or_stands_for_two_rows(renames, live, present, held, fresh):
    entries = [entry(key, number) for number, key in enumerate(KEYS) if key in live]
    made, result = followed(renames, *entries, present="".join(present), held="".join(held), fresh=fresh)
    after = {one.identity: one for one in entries} | {one.identity: one for one in made.values()}
    items = sorted(one.item_id for one in after.values() if one.state is not EntryState.TOMBSTONE)
    assert items == sorted(one.item_id for one in entries)
    assert not {Identity(i) for i in made and {one.identity for one in made.values()}} & {
        identity_of([k]) for k in held
    }
    assert all(one < other for one, other in pairwise(result.done))
    # A row that is there keeps what it has.
    assert all(made[key].state is not EntryState.TOMBSTONE for key in made if key in present)
