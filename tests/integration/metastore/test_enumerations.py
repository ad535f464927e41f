"""A whole list against ledger and claims on a real metastore."""

import itertools
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.core.backlog import Lane, Mark, Reason
from shared.core.errors import MetastoreUnavailable
from shared.core.ids import ETag, ItemId, RunId
from shared.core.items import DeltaEntry
from shared.core.ledger import EntryState
from shared.core.runs import DeltaCursor
from shared.ports import Confirmation, CursorMove, EnumerationResult, ListPosition, MarkedChunk
from tests.integration.metastore.support import (
    LIST,
    Reading,
    backlog_row,
    claim,
    claim_one,
    entry,
    identity,
    interrupted,
    item,
    keep_definition,
    keep_run,
    list_spec,
    mark,
    row,
    scan_whole,
)

TOKEN = DeltaCursor(token="https://graph/now", fingerprint=b"f")


@pytest.fixture
def enumerations(store):
    return EnumerationStore(store, chunk=7)


@pytest.fixture
def cursors(store):
    return CursorStore(store)


@pytest.fixture
def spec(sql, definition):
    keep_definition(sql, definition)
    return list_spec(definition)


@pytest.fixture
def run():
    return RunId(uuid4())


@pytest.fixture
def agree(backlog, ledger, definition):
    """A function that puts entries into the ledger."""

    def put(*entries):
        subjects = [replace(row(1), identity=one.identity) for one in entries]
        backlog.mark(
            definition,
            [Mark(subject=subject, reasons=frozenset({Reason.COMMAND}), lane=Lane.PUSH) for subject in subjects],
        )
        page = claim(backlog, definition, limit=1000)
        by_subject = dict(zip(subjects, entries, strict=True))
        confirmations = [Confirmation(claimed=claimed, entry=by_subject[claimed.subject]) for claimed in page.subjects]
        assert ledger.confirm(definition, page.token, confirmations, run=None)

    return put


def seen(items):
    return [DeltaEntry(item_id=ItemId(n), deleted=False, etag=ETag(etag)) for n, etag in items.items()]


@pytest.fixture
def begin(backlog, enumerations, spec):
    """A function that reads a whole list of (item, eTag) pairs; answers with the position at its end."""

    def read(run, items, *, since=None):
        position = ListPosition(cursor=TOKEN, since=since or backlog.next_number())
        enumerations.start(spec, run, position)
        position = replace(position, complete=True)
        enumerations.load(run, seen(items), position)
        return position

    return read


@pytest.fixture
def enumerate_all(enumerations, spec, begin):
    """A function that reads a whole list, compares it and marks what differs."""

    def do(items, *, hold_deletes=False, since=None):
        run = RunId(uuid4())
        result = enumerations.compare(spec, run, begin(run, items, since=since))
        chunks = enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=hold_deletes, move=None)
        made = sum(chunk.marked for chunk in chunks)
        enumerations.drop(run)
        return result, made

    return do


def due(backlog, definition):
    return {claimed.subject: (claimed.reasons, claimed.news) for claimed in claim(backlog, definition).subjects}


def tables(sql):
    return sql.execute(
        "select count(*) from pg_tables where tablename ~ '^(listed|list_differing)_[0-9a-f]{32}$'"
    ).fetchone()[0]


def test_an_enumeration_finds_new_changed_and_gone_items_and_nothing_else(backlog, definition, enumerate_all, agree):
    agree(entry(1, item_id=1), entry(2, item_id=2), entry(3, item_id=3))

    result, made = enumerate_all({1: '"e,1"', 2: '"e,2"', 9: '"n,1"'})

    assert result == EnumerationResult(listed=3, known=3, new=1, foreign=0, changed=1, gone=1, claimed=0)
    assert made == 3
    assert due(backlog, definition) == {
        row(2): ({Reason.ITEM}, '"e,2"'),
        row(3): ({Reason.ITEM_GONE}, None),
        item(9): ({Reason.ITEM}, '"n,1"'),
    }


def test_a_list_that_is_as_the_ledger_has_it_gets_no_mark(backlog, definition, enumerate_all, agree):
    agree(*(entry(n, item_id=n + 1) for n in range(30)))

    result, made = enumerate_all({n + 1: '"e,1"' for n in range(30)})

    assert (result, made) == (EnumerationResult(listed=30, known=30, new=0, foreign=0, changed=0, gone=0, claimed=0), 0)
    assert backlog.counts(definition).due == 0


def test_tombstones_and_creations_without_an_item_are_not_missed(enumerate_all, agree):
    agree(entry(1, EntryState.TOMBSTONE, item_id=1, stamp=None), entry(2, EntryState.CREATING, item_id=None))

    assert enumerate_all({}) == (
        EnumerationResult(listed=0, known=0, new=0, foreign=0, changed=0, gone=0, claimed=0),
        0,
    )


def test_the_former_item_of_a_tombstone_is_nobodys_when_it_is_back(backlog, definition, enumerate_all, agree):
    agree(entry(1, EntryState.TOMBSTONE, item_id=1, stamp=None))

    result, _ = enumerate_all({1: '"e,1"'})

    assert result.new == 1
    assert due(backlog, definition) == {item(1): ({Reason.ITEM}, '"e,1"')}


def test_an_item_that_is_created_anew_is_looked_at_and_counts_neither_as_known_nor_as_gone(
    backlog, definition, enumerate_all, agree
):
    agree(entry(1, EntryState.CREATING, item_id=1), entry(2, EntryState.CREATING, item_id=2))

    result, _ = enumerate_all({2: '"e,1"'})

    assert (result.listed, result.known, result.gone, result.changed) == (1, 0, 0, 0)
    assert due(backlog, definition) == {row(1): ({Reason.ITEM_GONE}, None), row(2): ({Reason.ITEM}, '"e,1"')}


def test_an_item_that_nothing_was_agreed_about_is_looked_at(backlog, definition, enumerate_all, agree):
    agree(entry(1, EntryState.BOUND, item_id=1))

    result, _ = enumerate_all({1: '"e,1"'})

    assert (result.known, result.changed) == (1, 0)
    assert due(backlog, definition) == {row(1): ({Reason.ITEM}, '"e,1"')}


def test_what_was_agreed_after_the_reading_began_is_looked_at_and_counts_as_nothing(
    backlog, definition, enumerate_all, agree
):
    agree(entry(1, item_id=1))
    since = backlog.next_number()
    agree(entry(2, item_id=2), entry(3, item_id=3))

    result, _ = enumerate_all({1: '"e,1"', 3: '"e,0"'}, since=since)

    assert (result.known, result.gone, result.changed) == (2, 0, 0)
    assert due(backlog, definition) == {row(2): ({Reason.ITEM_GONE}, None), row(3): ({Reason.ITEM}, '"e,0"')}


def test_every_row_that_is_claimed_at_that_moment_is_marked_gone(backlog, definition, enumerate_all, agree, sql):
    agree(entry(1, item_id=1), entry(2, item_id=2))
    claimed = claim_one(backlog, definition, 1)
    creating = claim_one(backlog, definition, "new")
    backlog.mark(definition, [mark(2)])

    result, made = enumerate_all({1: '"e,1"', 2: '"e,1"'})

    assert (result.claimed, made) == (2, 2)
    for n, before in ((1, claimed), ("new", creating)):
        stored = backlog_row(sql, n)
        assert stored["number"] > before.number
        assert "ITEM_GONE" in stored["reasons"]
    assert backlog_row(sql, 2)["reasons"] == ["SCAN"]


def test_what_a_claim_confirms_while_the_list_is_compared_is_looked_at_again(
    backlog, ledger, definition, enumerate_all, sql
):
    """Its item was made before the list was read, and deleted before that too: no page and no change tells."""
    creating = claim_one(backlog, definition, 1)
    enumerate_all({})
    done = Confirmation(claimed=creating, entry=entry(1, item_id=1))
    assert ledger.confirm(definition, creating.token, [done], run=None)

    assert due(backlog, definition) == {row(1): ({Reason.SCAN, Reason.ITEM_GONE}, None)}


def test_what_is_confirmed_at_any_moment_of_a_comparison_is_looked_at_again(
    backlog, ledger, definition, enumerations, spec, run, begin
):
    """It is in the ledger, or still claimed: never in neither."""
    for moment in itertools.count():
        creating = claim_one(backlog, definition, moment)
        done = Confirmation(claimed=creating, entry=entry(moment, item_id=moment + 1))
        run = RunId(uuid4())
        position = begin(run, {})

        with interrupted(
            lambda creating=creating, done=done: ledger.confirm(definition, creating.token, [done], run=None),
            before=moment,
        ) as acted:
            enumerations.compare(spec, run, position)

        if not acted():
            break
        list(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=None))
        reasons, _ = due(backlog, definition)[row(moment)]
        assert Reason.ITEM_GONE in reasons, moment
    assert moment > 5


def test_items_of_nobodys_are_left_alone_unless_they_may_become_rows_or_carry_a_key(
    backlog, enumerations, definition, spec, run, agree
):
    agree(entry(1, item_id=1))
    spec.takes_foreign_items = False
    position = ListPosition(cursor=TOKEN, since=backlog.next_number())
    enumerations.start(spec, run, position)
    enumerations.load(
        run, [replace(one, keyless=one.item_id == 3) for one in seen({1: '"e,1"', 2: '"n,1"', 3: '"n,1"'})], position
    )

    result = enumerations.compare(spec, run, position)
    list(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=None))

    assert result == EnumerationResult(listed=3, known=1, new=1, foreign=1, changed=0, gone=0, claimed=0)
    assert due(backlog, definition) == {item(2): ({Reason.ITEM}, '"n,1"')}


def test_other_lists_and_definitions_are_none_of_its_business(backlog, definition, enumerate_all, agree, ledger):
    agree(replace(entry(1, item_id=1), list_id="another"))

    assert enumerate_all({})[0].known == 0


def test_marks_are_made_in_chunks_in_the_order_of_their_hash(backlog, enumerations, definition, spec, run, begin):
    enumerations.compare(spec, run, begin(run, dict.fromkeys(range(1, 21), '"e,1"')))

    chunks = list(enumerations.mark(spec, run, lane=Lane.DRIFT, hold_deletes=False, move=None))

    assert [chunk.marked for chunk in chunks] == [7, 7, 6]
    assert {claimed.lane for claimed in claim(backlog, definition).subjects} == {Lane.DRIFT}


def test_the_token_is_stored_with_the_last_marks_and_not_before(enumerations, cursors, definition, spec, run, begin):
    enumerations.compare(spec, run, begin(run, dict.fromkeys(range(1, 21), '"e,1"')))
    seen_tokens = []
    move = CursorMove(expected=None, new=TOKEN)
    for chunk in enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=move):
        seen_tokens.append((chunk.moved, cursors.get_delta(definition, LIST)))

    assert seen_tokens == [(False, None), (False, None), (True, TOKEN)]


def test_the_token_is_stored_when_nothing_differs(enumerations, cursors, definition, spec, run, begin):
    enumerations.compare(spec, run, begin(run, {}))

    move = CursorMove(expected=None, new=TOKEN)
    chunks = list(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=move))

    assert chunks == [MarkedChunk(marked=0, moved=True)]
    assert cursors.get_delta(definition, LIST) == TOKEN


def test_a_token_that_another_worker_stored_meanwhile_stays(
    enumerations, cursors, definition, spec, run, begin, backlog
):
    enumerations.compare(spec, run, begin(run, {1: '"e,1"'}))
    theirs = replace(TOKEN, token="https://graph/theirs")
    cursors.advance_delta(spec, expected=None, new=theirs, marks=[])

    move = CursorMove(expected=None, new=TOKEN)
    chunks = list(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=move))

    assert chunks == [MarkedChunk(marked=1, moved=False)]
    assert cursors.get_delta(definition, LIST) == theirs
    assert backlog.counts(definition).due == 1


def test_held_deletes_wait_for_approval_and_all_else_is_due(backlog, definition, enumerate_all, agree, sql):
    agree(entry(1, item_id=1), entry(2, item_id=2), entry(3, EntryState.CREATING, item_id=3))

    enumerate_all({2: '"e,2"'}, hold_deletes=True)

    assert backlog_row(sql, 1)["state"] == "AWAITING_APPROVAL"
    assert due(backlog, definition).keys() == {row(2), row(3)}


def test_deletes_that_were_due_wait_when_a_later_enumeration_holds_them(enumerate_all, agree, sql):
    agree(entry(1, item_id=1))
    enumerate_all({})

    enumerate_all({}, hold_deletes=True)

    assert backlog_row(sql, 1)["state"] == "AWAITING_APPROVAL"


def test_an_approved_delete_is_not_held_again(backlog, definition, enumerate_all, agree, sql):
    agree(entry(1, item_id=1))
    enumerate_all({})
    sql.execute("update syncbridge.sync_backlog set approved = true")

    enumerate_all({}, hold_deletes=True)

    (claimed,) = claim(backlog, definition).subjects
    assert claimed.approved


def test_a_waiting_delete_is_due_again_when_its_item_is_back_unchanged(backlog, definition, enumerate_all, agree, sql):
    agree(entry(1, item_id=1), entry(2, item_id=2))
    enumerate_all({}, hold_deletes=True)

    result, _ = enumerate_all({1: '"e,1"'}, hold_deletes=True)

    assert (result.changed, result.gone) == (0, 1)
    assert due(backlog, definition).keys() == {row(1)}
    assert backlog_row(sql, 2)["state"] == "AWAITING_APPROVAL"


@pytest.mark.parametrize("item_first", [True, False])
def test_a_delete_that_waits_is_due_when_the_other_side_is_gone_as_well(
    backlog, definition, enumerate_all, agree, scans, item_first, sql
):
    agree(entry(1, item_id=1, stamp=1))
    source = list_spec(definition)
    source.mapping_fingerprint = b"fingerprint"
    captures = [
        lambda: enumerate_all({}, hold_deletes=True),
        lambda: scan_whole(scans, source, RunId(uuid4()), Reading(sql, []), hold_deletes=True),
    ]
    for capture in captures if item_first else reversed(captures):
        capture()

    assert due(backlog, definition) == {row(1): ({Reason.ROW_GONE, Reason.ITEM_GONE}, None)}


def test_a_position_is_where_the_last_page_ended(enumerations, spec, run, backlog):
    assert enumerations.position(run) is None
    position = ListPosition(cursor=TOKEN, since=backlog.next_number())
    enumerations.start(spec, run, position)
    assert enumerations.position(run) == position
    position = replace(position, next_page="https://graph/next")
    enumerations.load(run, seen({1: '"e,1"', 2: '"e,1"'}), position)
    assert enumerations.position(run) == position
    position = replace(position, next_page=None, complete=True)
    enumerations.load(run, seen({2: '"e,2"', 3: '"e,1"'}), position)
    assert enumerations.position(run) == position


def test_an_item_that_repeats_counts_once_with_its_last_etag(
    backlog, enumerations, definition, spec, run, begin, agree
):
    agree(entry(1, item_id=1))
    position = begin(run, {1: '"e,0"'})
    enumerations.load(run, seen({1: '"e,1"'}), position)

    assert enumerations.compare(spec, run, position) == EnumerationResult(
        listed=1, known=1, new=0, foreign=0, changed=0, gone=0, claimed=0
    )


def test_an_enumeration_that_lost_its_items_marks_nothing_as_gone_and_begins_anew(
    backlog, enumerations, definition, spec, run, begin, agree, sql
):
    agree(entry(1, item_id=1))
    position = begin(run, {1: '"e,1"'})
    sql.execute(f"truncate syncbridge.listed_{run.hex}")  # what a server's crash does to an unlogged table

    with pytest.raises(MetastoreUnavailable, match="reads the list again"):
        enumerations.compare(spec, run, position)

    assert enumerations.position(run) is None
    assert backlog.counts(definition).due == 0


def test_a_comparison_that_lost_its_findings_stores_no_token(enumerations, cursors, definition, spec, run, begin, sql):
    enumerations.compare(spec, run, begin(run, dict.fromkeys(range(1, 21), '"e,1"')))
    marking = enumerations.mark(
        spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=CursorMove(expected=None, new=TOKEN)
    )
    next(marking)
    sql.execute(f"truncate syncbridge.list_differing_{run.hex}")

    with pytest.raises(MetastoreUnavailable, match="reads the list again"):
        list(marking)

    assert cursors.get_delta(definition, LIST) is None


def test_marking_without_a_comparison_is_refused(enumerations, spec, run, begin):
    begin(run, {})

    with pytest.raises(MetastoreUnavailable):
        list(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=None))


def test_marking_that_was_cut_off_is_compared_and_marked_again(backlog, enumerations, definition, spec, run, begin):
    position = begin(run, dict.fromkeys(range(1, 21), '"e,1"'))
    enumerations.compare(spec, run, position)
    next(enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=None))

    enumerations.compare(spec, run, position)
    assert sum(c.marked for c in enumerations.mark(spec, run, lane=Lane.PEOPLE, hold_deletes=False, move=None)) == 20
    assert backlog.counts(definition).due == 20


def test_a_reading_that_begins_anew_forgets_the_pages_of_the_first(enumerations, spec, run, begin):
    begin(run, {1: '"e,1"', 2: '"e,1"'})

    assert enumerations.compare(spec, run, begin(run, {3: '"e,1"'})).listed == 1


def test_a_run_may_read_both_sides(enumerations, scans, spec, run, begin, definition, sql):
    source = list_spec(definition)
    source.mapping_fingerprint = b"fingerprint"
    position = begin(run, {1: '"e,1"'})

    scan_whole(scans, source, run, Reading(sql, [(identity(1), 1)]))

    assert enumerations.compare(spec, run, position).listed == 1


def test_tables_of_ended_runs_go_with_the_next_enumeration_and_those_of_others_stay(spec, definition, begin, sql):
    ended, running = keep_run(sql, definition, "INGRESS", "FAILED"), keep_run(sql, definition, "DRIFT")
    next_one = RunId(uuid4())
    for run_id in (running, ended, next_one):
        begin(run_id, {})

    left = {name for (name,) in sql.execute("select tablename from pg_tables where tablename like 'listed\\_%'")}
    assert left == {f"listed_{run_id.hex}" for run_id in (running, next_one)}


def test_dropping_a_run_twice_is_fine(enumerations, spec, run, begin, sql):
    enumerations.compare(spec, run, begin(run, {1: '"e,1"'}))

    enumerations.drop(run)
    enumerations.drop(run)

    assert tables(sql) == 0
    assert sql.execute("select count(*) from syncbridge.run_tables").fetchone() == (0,)
