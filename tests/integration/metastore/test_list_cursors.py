"""The token of a list's changes on a real metastore: it moves with its page's marks, and only from where it was."""

from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.metastore.cursors import CursorStore
from shared.core.backlog import Echo, Lane, Mark, Reason
from shared.core.ids import ETag, MarkNumber
from shared.core.ledger import EntryState
from shared.core.runs import DeltaCursor
from shared.ports import Confirmation, Parking
from tests.integration.metastore.support import (
    LIST,
    backlog_row,
    claim,
    claim_one,
    entry,
    identity,
    item,
    keep_definition,
    list_spec,
    mark,
    row,
)
from tests.integration.metastore.test_concurrency import together

FIRST, SECOND = (
    DeltaCursor(token="https://graph/1", fingerprint=b"f"),
    DeltaCursor(token="https://graph/2", fingerprint=b"f"),
)


@pytest.fixture
def cursors(store):
    return CursorStore(store)


@pytest.fixture
def spec(sql, definition):
    keep_definition(sql, definition)
    return list_spec(definition)


@pytest.fixture
def agreed(backlog, ledger, definition):
    """A function that settles entries; returns them as the ledger has them."""

    def put(*entries):
        for one in entries:
            backlog.mark(definition, [Mark(subject=row_of(one), reasons=frozenset({Reason.COMMAND}), lane=Lane.PUSH)])
            (claimed,) = claim(backlog, definition).subjects
            assert ledger.confirm(definition, claimed.token, [Confirmation(claimed=claimed, entry=one)], run=None)
        found = ledger.entries(definition, [one.identity for one in entries])
        return [found[one.identity] for one in entries]

    return put


def row_of(one):
    return replace(row(1), identity=one.identity)


def told(n, *reasons, news='"e,1"'):
    return Mark(
        subject=row(n), reasons=frozenset(reasons or {Reason.ITEM}), lane=Lane.PEOPLE, news=ETag(news) if news else None
    )


def echo(one, *reasons):
    return Echo(mark=told(1, *reasons), confirmed=one.confirmed)


def test_a_token_moves_with_its_marks_whose_numbers_are_told(backlog, definition, cursors, spec, sql):
    assert cursors.get_delta(definition, LIST) is None
    before = backlog.next_number()
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[told(1), told(2)])
    assert made is not None
    assert made == {row(n).key: backlog_row(sql, n)["number"] for n in (1, 2)}
    assert all(number > before for number in made.values())
    assert cursors.get_delta(definition, LIST) == FIRST


def test_every_page_renumbers_what_it_marks_again(definition, cursors, spec):
    first = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[told(1)])
    again = cursors.advance_delta(spec, expected=FIRST, new=SECOND, marks=[told(1)])
    assert first is not None
    assert again is not None
    assert again[row(1).key] > first[row(1).key]


@pytest.mark.parametrize("expected", [None, SECOND, replace(FIRST, fingerprint=b"other")])
def test_a_page_whose_token_has_moved_leaves_no_trace(backlog, definition, cursors, spec, expected):
    cursors.advance_delta(spec, expected=None, new=FIRST, marks=[])
    for new in (SECOND, None):
        assert cursors.advance_delta(spec, expected=expected, new=new, marks=[told(1)]) is None
    assert cursors.get_delta(definition, LIST) == FIRST
    assert backlog.counts(definition).due == 0


def test_a_token_is_forgotten_only_while_it_is_the_one_that_was_refused(definition, cursors, spec):
    cursors.advance_delta(spec, expected=None, new=FIRST, marks=[])
    assert cursors.advance_delta(spec, expected=FIRST, new=None, marks=[]) == {}
    assert cursors.get_delta(definition, LIST) is None
    assert cursors.advance_delta(spec, expected=FIRST, new=None, marks=[]) is None
    assert cursors.advance_delta(spec, expected=None, new=None, marks=[]) == {}


def test_of_workers_that_move_one_token_at_the_same_time_one_does(backlog, definition, cursors, spec):
    def move(n):
        return cursors.advance_delta(
            spec, expected=None, new=replace(FIRST, token=f"https://graph/{n}"), marks=[told(n)]
        )

    won = [made for made in together(*[lambda n=n: move(n) for n in range(6)]) if made is not None]
    assert len(won) == 1
    assert backlog.counts(definition).due == 1


def test_a_lists_token_and_a_sources_watermark_are_forgotten_apart(definition, cursors, spec):
    cursors.advance_delta(spec, expected=None, new=FIRST, marks=[])
    cursors.reset(definition)
    assert cursors.get_delta(definition, LIST) == FIRST


def test_an_echo_of_an_entry_that_nobody_works_on_is_no_mark(backlog, definition, cursors, spec, agreed):
    (one,) = agreed(entry(1))
    assert cursors.advance_delta(spec, expected=None, new=FIRST, marks=[], echoes=[echo(one)]) == {}
    assert backlog.counts(definition).due == 0


def test_an_echo_is_a_mark_where_the_row_is_claimed(backlog, ledger, definition, cursors, spec, agreed):
    (one,) = agreed(entry(1))
    claimed = claim_one(backlog, definition, 1)
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[], echoes=[echo(one)])
    assert made is not None
    assert made.keys() == {row(1).key}
    gone = Confirmation(claimed=claimed, entry=entry(1, EntryState.TOMBSTONE, stamp=None))
    assert ledger.confirm(definition, claimed.token, [gone], run=None)
    (again,) = claim(backlog, definition).subjects
    assert (again.reasons, again.news) == ({Reason.SCAN, Reason.ITEM}, '"e,1"')


@pytest.mark.parametrize(
    "conclusion", [{"await_approval": True}, {"park": Parking(code="c", message="m", retry_in=None)}]
)
def test_an_echo_is_a_mark_where_the_row_waits_because_its_item_was_gone(
    backlog, ledger, definition, cursors, spec, agreed, conclusion
):
    (one,) = agreed(entry(1))
    claimed = claim_one(backlog, definition, 1, Reason.ITEM_GONE)
    ledger.confirm(
        definition, claimed.token, [Confirmation(claimed=claimed, remove_mark=False, **conclusion)], run=None
    )
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[], echoes=[echo(one)])
    assert made is not None
    assert made.keys() == {row(1).key}
    assert [found.subject for found in claim(backlog, definition).subjects] == [row(1)]


def test_an_echo_does_not_wake_a_row_that_waits_for_another_reason(backlog, ledger, definition, cursors, spec, agreed):
    (one,) = agreed(entry(1))
    claimed = claim_one(backlog, definition, 1, Reason.ROW_GONE)
    ledger.confirm(
        definition, claimed.token, [Confirmation(claimed=claimed, remove_mark=False, await_approval=True)], run=None
    )
    assert cursors.advance_delta(spec, expected=None, new=FIRST, marks=[], echoes=[echo(one)]) == {}
    assert claim(backlog, definition).subjects == ()


def test_an_echo_is_a_mark_where_the_entry_was_confirmed_anew_since_it_was_read(
    backlog, definition, cursors, spec, agreed
):
    (one,) = agreed(entry(1))
    agreed(entry(1, EntryState.TOMBSTONE, stamp=None))
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[], echoes=[echo(one)])
    assert made is not None
    assert made.keys() == {row(1).key}


def test_an_echo_of_an_entry_that_is_no_more_is_a_mark(cursors, spec):
    stale = Echo(mark=told(1), confirmed=MarkNumber(1))
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[told(2)], echoes=[stale])
    assert made is not None
    assert made.keys() == {row(1).key, row(2).key}


def test_items_of_nobody_are_marked_beside_rows(backlog, definition, cursors, spec):
    nobodys = Mark(subject=item(9), reasons=frozenset({Reason.ITEM_GONE}), lane=Lane.PEOPLE)
    made = cursors.advance_delta(spec, expected=None, new=FIRST, marks=[nobodys, mark(1)])
    assert made is not None
    assert made.keys() == {item(9).key, row(1).key}
    assert {found.subject for found in claim(backlog, definition).subjects} == {item(9), row(1)}


def test_tombstones_tell_whose_item_was_deleted(ledger, definition, agreed):
    agreed(
        entry(1, EntryState.TOMBSTONE, item_id=5, stamp=None),
        entry(2, item_id=6),
        entry(3, EntryState.TOMBSTONE, item_id=None),
    )
    assert {item_id: one.identity for item_id, one in ledger.tombstones_of(definition, LIST, [5, 6, 7]).items()} == {
        5: identity(1)
    }
    assert ledger.tombstones_of(definition, str(uuid4()), [5]) == {}
