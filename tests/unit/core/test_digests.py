import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.digests import DIGEST_SIZE, NULL_DIGEST, content_hash, digest, pack, unpack
from shared.core.errors import InvariantViolated

texts = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.one_of(st.none(), st.booleans(), st.integers(), texts, st.lists(texts, max_size=4).map(tuple))
bases = st.dictionaries(st.integers(0, 65_535), st.binary(min_size=DIGEST_SIZE, max_size=DIGEST_SIZE), max_size=20)


def typed(value):
    return (type(value), value)


@given(values, values)
def test_digests_are_equal_exactly_when_type_and_value_are(one, other):
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), ("1", 1), (("1",), "1"), (None, ""), ((), None), (("ab",), ("a", "b")), ("N", None)],
)
def test_values_that_look_alike_have_different_digests(one, other):
    assert digest(one) != digest(other)


def test_the_digest_of_a_value_never_changes_between_releases():
    # Ledgers hold these: another encoding would make every row look changed.
    assert NULL_DIGEST.hex() == "738096e476d3c5447c3cb95c39bfc964"
    assert [digest(value).hex()[:8] for value in (True, 42, "café", ("a", "b"))] == [
        "05835258",
        "385b5c7f",
        "a37d0d04",
        "ad52b7d2",
    ]


@given(bases)
def test_packed_digests_come_back_as_they_were(base):
    assert unpack(pack(base)) == base


@given(bases)
def test_packing_does_not_depend_on_the_order_of_fields(base):
    assert pack(dict(reversed(base.items()))) == pack(base)


@given(bases, bases)
def test_content_hashes_are_equal_exactly_when_the_bases_are(one, other):
    assert (content_hash(one) == content_hash(other)) == (one == other)


@pytest.mark.parametrize("packed", [b"x", b"\0\1" + bytes(16) + b"\0\0" + bytes(16), (b"\0\1" + bytes(16)) * 2])
def test_bytes_that_were_not_packed_here_are_an_invariant_violated(packed):
    with pytest.raises(InvariantViolated):
        unpack(packed)
