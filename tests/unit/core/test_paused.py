"""What an agreement remembers about fields that were paused when it was made."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.core.definition import Direction, FieldKind, SyncMode
from shared.core.flows import flows_of
from shared.core.ids import Digest, FieldNo
from shared.core.paused import Pause, agreed_under, fields_of, held, unseen_under, without
from shared.core.source import KeyStrategy, SourceKey
from tests.unit.core.make import a_column, a_field

PAUSE = Pause(reason="the column a is gone", since=datetime(2026, 1, 1, tzinfo=UTC), seen_by="run")
FIELDS = b"f" * 16
A, B = FieldNo(1), FieldNo(300)


@pytest.mark.parametrize("unseen", [(), (A,), (B, A)])
def test_an_agreement_remembers_which_fields_were_paused_and_unseen(unseen: tuple[FieldNo, ...]):
    fingerprint = agreed_under(FIELDS, [A, B], unseen)
    assert unseen_under(fingerprint) == frozenset(unseen)
    assert fields_of(fingerprint) == FIELDS
    assert (fingerprint == agreed_under(FIELDS, [A, B])) is (not unseen)


def test_an_agreement_without_paused_fields_is_known_by_the_fields_alone():
    assert agreed_under(FIELDS, ()) == FIELDS
    assert unseen_under(None) == unseen_under(FIELDS) == frozenset()


def test_a_pause_does_not_depend_on_the_order_in_which_fields_were_paused():
    assert agreed_under(FIELDS, [B, A]) == agreed_under(FIELDS, [A, B])


def test_what_was_agreed_is_parted_into_what_is_held_and_the_rest():
    base = {A: Digest(b"a"), B: Digest(b"b")}
    assert held(base, frozenset({B})) == {B: Digest(b"b")}
    assert without(base, frozenset({B})) == {A: Digest(b"a")}
    assert held(None, frozenset({B})) == without(None, frozenset()) == {}


@pytest.mark.parametrize("mode", list(SyncMode))
def test_a_paused_field_takes_no_part_in_any_mode(mode: SyncMode):
    key = SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(a_column("id"),))
    fields = [
        replace(a_field(FieldKind.TEXT, no=no, name=name), direction=Direction.BIDIRECTIONAL)
        for no, name in ((1, "a"), (2, "b"))
    ]
    assert set(flows_of(fields, mode, key)) == {1, 2}
    assert set(flows_of([replace(fields[0], paused=PAUSE), fields[1]], mode, key)) == {2}
