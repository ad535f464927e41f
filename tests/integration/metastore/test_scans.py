import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest

from shared.adapters.metastore.scans import ScanStore
from shared.core.backlog import Lane, Reason
from shared.core.errors import InvariantViolated, MetastoreUnavailable
from shared.core.ids import RunId
from shared.core.ledger import EntryState
from shared.ports import Confirmation, ScanResult
from tests.integration.metastore.support import (
    Reading,
    backlog_row,
    claim,
    entry,
    identity,
    keep_definition,
    keep_run,
    mark,
    row,
    scan_whole,
)


@pytest.fixture
def spec(definition):
    """Scans need a definition's id only."""
    return SimpleNamespace(id=definition, mapping_fingerprint=b"fingerprint")


@pytest.fixture
def run():
    return RunId(uuid4())


@pytest.fixture
def agree(backlog, ledger, definition):
    """A function that puts entries into the ledger."""

    def put(*entries):
        backlog.mark(definition, [mark(n, Reason.COMMAND) for n, _ in enumerate(entries)])
        page = claim(backlog, definition, limit=1000)
        confirmations = [
            Confirmation(claimed=claimed, entry=one) for claimed, one in zip(page.subjects, entries, strict=True)
        ]
        assert ledger.confirm(definition, page.token, confirmations, run=None)

    return put


@pytest.fixture
def reading(sql):
    """A function that makes a source's reading of these rows, as (n, stamp)."""
    return lambda pairs: Reading(sql, [(identity(n), stamp) for n, stamp in pairs])


@pytest.fixture
def scan(scans, spec, reading):
    """A function that scans these rows and marks what differs: the comparison, and how many marks there are."""

    def whole(rows, run, *, spec=spec, **marking):
        return scan_whole(scans, spec, run, reading(rows.items()), **marking)

    return whole


def tables(sql):
    return sql.execute(
        "select count(*) from pg_tables where tablename ~ '^(scan|differing|checksums)_[0-9a-f]{32}$'"
    ).fetchone()[0]


def test_a_scan_finds_new_changed_and_gone_rows_and_nothing_else(backlog, definition, run, agree, scan):
    agree(entry(1, item_id=1, stamp=1), entry(2, item_id=2, stamp=2), entry(3, item_id=3, stamp=3))

    result, made = scan({1: 1, 2: 20, 4: 4}, run)

    assert result == ScanResult(scanned=3, ledger=3, new=1, changed=1, gone=1)
    assert made == 3
    marked = {claimed.subject: claimed.reasons for claimed in claim(backlog, definition).subjects}
    assert marked == {row(2): {Reason.SCAN}, row(3): {Reason.ROW_GONE}, row(4): {Reason.SCAN}}


def test_rows_that_were_agreed_under_other_fields_are_counted_apart(definition, run, agree, scan):
    agree(entry(1, item_id=1, stamp=1), entry(2, item_id=2, stamp=2))
    other = SimpleNamespace(id=definition, mapping_fingerprint=b"other fields")

    result, made = scan({1: 1, 2: 20}, run, spec=other)

    assert (result.changed, result.remapped, made) == (1, 1, 1)


def test_the_second_scan_of_a_settled_table_marks_nothing(backlog, definition, run, agree, scan):
    agree(*(entry(n, item_id=n + 1, stamp=n) for n in range(30)))

    result, made = scan({n: n for n in range(30)}, run)

    assert (result, made) == (ScanResult(scanned=30, ledger=30, new=0, changed=0, gone=0), 0)
    assert backlog.counts(definition).due == 0


def test_marks_are_made_in_chunks_until_all_are_made(backlog, definition, scans, spec, run, reading):
    loaded = scans.load(spec, run, reading((n, n) for n in range(20)))
    scans.compare(spec, run, loaded)

    assert list(scans.mark(spec, run, lane=Lane.BACKFILL, hold_deletes=False)) == [7, 7, 6]
    assert {claimed.lane for claimed in claim(backlog, definition).subjects} == {Lane.BACKFILL}


def test_marking_that_was_cut_off_starts_over_without_harm(backlog, definition, scans, spec, run, reading):
    loaded = scans.load(spec, run, reading((n, n) for n in range(20)))
    scans.compare(spec, run, loaded)
    next(scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False))

    assert sum(scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False)) == 13
    assert backlog.counts(definition).due == 20


def test_tombstones_do_not_count_and_a_row_that_comes_back_is_new(backlog, definition, run, agree, scan):
    agree(entry(1, EntryState.TOMBSTONE, stamp=None), entry(2, EntryState.TOMBSTONE, stamp=None))

    result, made = scan({1: 5}, run)

    assert (result, made) == (ScanResult(scanned=1, ledger=0, new=1, changed=0, gone=0), 1)


def test_a_row_that_lives_without_an_item_by_decision_is_marked_only_when_it_changes(agree, scan):
    agree(entry(1, EntryState.TOMBSTONE, item_id=None, stamp=5))

    assert scan({1: 5}, RunId(uuid4()))[1] == 0
    assert scan({1: 6}, RunId(uuid4()))[1] == 1


@pytest.mark.parametrize("state", [EntryState.BOUND, EntryState.CREATING])
def test_an_entry_on_the_way_to_an_agreement_is_marked_whatever_its_stamp(run, agree, state, scan):
    agree(entry(1, state, stamp=5), entry(2, state, item_id=2, stamp=None))

    result, made = scan({1: 5, 2: 6}, run)

    assert made == 2
    assert (result.new, result.changed, result.gone) == (0, 2, 0)


def test_held_deletes_wait_for_approval_and_all_else_is_due(backlog, definition, run, agree, sql, scan):
    agree(entry(1, item_id=1, stamp=1), entry(2, item_id=2, stamp=2))

    scan({2: 3}, run, hold_deletes=True)

    assert backlog_row(sql, 1)["state"] == "AWAITING_APPROVAL"
    assert [claimed.subject for claimed in claim(backlog, definition).subjects] == [row(2)]


def test_deletes_that_were_due_wait_when_a_later_scan_holds_them(backlog, definition, agree, sql, scan):
    agree(entry(1, item_id=1, stamp=1))
    scan({}, RunId(uuid4()))

    scan({}, RunId(uuid4()), hold_deletes=True)

    assert backlog_row(sql, 1)["state"] == "AWAITING_APPROVAL"


def test_an_approved_delete_is_not_held_again(backlog, definition, agree, sql, scan):
    agree(entry(1, item_id=1, stamp=1))
    scan({}, RunId(uuid4()))
    sql.execute("update syncbridge.sync_backlog set approved = true")

    scan({}, RunId(uuid4()), hold_deletes=True)

    (claimed,) = claim(backlog, definition).subjects
    assert claimed.approved


def test_a_waiting_delete_is_due_again_when_its_row_is_back_unchanged(backlog, definition, agree, sql, scan):
    agree(entry(1, item_id=1, stamp=1), entry(2, item_id=2, stamp=2))
    scan({}, RunId(uuid4()), hold_deletes=True)

    result, _ = scan({1: 1}, RunId(uuid4()), hold_deletes=True)

    assert (result.changed, result.gone) == (0, 1)
    assert [claimed.subject for claimed in claim(backlog, definition).subjects] == [row(1)]
    assert backlog_row(sql, 2)["state"] == "AWAITING_APPROVAL"


def test_a_scan_that_lost_its_rows_marks_nothing_as_gone(backlog, definition, scans, spec, run, agree, sql, reading):
    agree(entry(1, item_id=1, stamp=1))
    loaded = scans.load(spec, run, reading([(1, 2)]))
    sql.execute(f"truncate syncbridge.scan_{run.hex}")  # what a server's crash does to an unlogged table

    with pytest.raises(MetastoreUnavailable, match="scans again"):
        scans.compare(spec, run, loaded)

    assert backlog.counts(definition).due == 0


def test_a_comparison_that_lost_its_findings_says_so(backlog, definition, scans, spec, run, sql, reading):
    loaded = scans.load(spec, run, reading((n, n) for n in range(20)))
    scans.compare(spec, run, loaded)
    marking = scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False)
    next(marking)
    sql.execute(f"truncate syncbridge.differing_{run.hex}")

    with pytest.raises(MetastoreUnavailable, match="scans again"):
        list(marking)


def test_marking_without_a_comparison_is_refused(scans, spec, run, reading):
    scans.load(spec, run, reading([]))

    with pytest.raises(MetastoreUnavailable):
        list(scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False))


def test_an_empty_source_says_that_everything_is_gone(run, agree, scan):
    agree(*(entry(n, item_id=n + 1, stamp=n) for n in range(5)))

    assert scan({}, run)[0] == ScanResult(scanned=0, ledger=5, new=0, changed=0, gone=5)


@pytest.mark.parametrize("where", ["rows", "checksums"])
def test_a_source_that_breaks_off_leaves_nothing_behind(store, spec, run, sql, reading, where, monkeypatch):
    scans, broken = ScanStore(store, checksums_from=0), reading([(1, 1)])
    whole = getattr(broken, where)

    def cut(*arguments):
        yield from list(whole(*arguments))[:2]
        raise ConnectionResetError("gone")

    monkeypatch.setattr(broken, where, cut)
    with pytest.raises(ConnectionResetError):
        scans.load(spec, run, broken)

    assert tables(sql) == 0


def test_a_row_that_the_source_shows_twice_stops_the_scan(scans, spec, run, reading):
    loaded = scans.load(spec, run, reading([(1, 1), (1, 1)]))

    with pytest.raises(InvariantViolated):
        scans.compare(spec, run, loaded)


def test_identities_of_every_alphabet_meet_their_hash(backlog, ledger, definition, run, sql, scan):
    for text in ("é", "🙂", "a\\b", 'q"', "\x7f", "ｱ"):
        scan({text: 1}, RunId(uuid4()))
    backlog.mark(definition, [mark(text) for text in ("é", "🙂", "a\\b", 'q"', "\x7f", "ｱ")])

    assert sql.execute("select count(*) from syncbridge.sync_backlog").fetchone() == (6,)


def test_tables_of_ended_runs_go_with_the_next_scan_and_those_of_others_stay(scans, spec, definition, sql, reading):
    keep_definition(sql, definition)
    ended, running = keep_run(sql, definition, "PUSH", "FAILED"), keep_run(sql, definition, "DRIFT")
    unknown, next_one = RunId(uuid4()), RunId(uuid4())
    for run_id in (unknown, running, ended):
        scans.load(spec, run_id, reading([]))

    scans.load(spec, next_one, reading([]))

    left = {name for (name,) in sql.execute("select tablename from pg_tables where tablename like 'scan\\_%'")}
    assert left == {f"scan_{run_id.hex}" for run_id in (unknown, running, next_one)}


def test_a_run_that_scans_again_starts_over(scans, spec, run, reading):
    scans.compare(spec, run, scans.load(spec, run, reading([(1, 1)])))

    result = scans.compare(spec, run, scans.load(spec, run, reading([(2, 1), (3, 1)])))

    assert result.scanned == 2


def test_an_attempt_whose_tables_another_attempt_of_its_run_took_away_is_told_so(scans, spec, run, reading):
    """An activity that the host gave up may go on beside the one that does it again; it must not hold the definition."""
    loaded = scans.load(spec, run, reading([(1, 1)]))
    scans.drop(run)  # what the other attempt begins with
    with pytest.raises(MetastoreUnavailable) as lost:
        scans.compare(spec, run, loaded)
    assert lost.value.code == "run_tables_lost"

    scans.compare(spec, run, scans.load(spec, run, reading([(1, 1)])))
    marking = scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False)
    pages = iter(marking)
    scans.drop(run)
    with pytest.raises(MetastoreUnavailable) as lost:
        list(pages)
    assert lost.value.code == "run_tables_lost"


def test_two_attempts_of_one_run_that_load_at_once_do_not_mix(scans, spec, run, reading, sql):
    slow, at_it = threading.Event(), threading.Event()

    class Slow(Reading):
        def rows(self, *arguments):
            at_it.set()
            slow.wait()
            return super().rows(*arguments)

    with ThreadPoolExecutor(2) as threads:
        whole = reading([(1, 1), (2, 2)])
        first = threads.submit(scans.load, spec, run, Slow(whole.sql, whole.pairs))
        at_it.wait()
        second = threads.submit(scans.load, spec, run, reading([(1, 1), (2, 2)]))
        while sql.execute("select count(*) from pg_locks where not granted").fetchone() == (0,):
            assert not second.done()
        slow.set()
        answers = [future.exception() or future.result() for future in (first, second)]
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert [type(error) for error in refused] == [MetastoreUnavailable] * len(refused)
    assert len(refused) < 2


def test_two_attempts_of_one_run_that_compare_at_once_do_not_hold_the_definition(scans, spec, run, reading, sql):
    """Of two tables of one name that are made at once, the server refuses the second by an index of its catalog."""
    loaded = scans.load(spec, run, reading([(1, 1)]))
    with ThreadPoolExecutor(1) as threads:
        with sql.transaction():
            sql.execute(f"create table syncbridge.differing_{run.hex} ()")
            second = threads.submit(scans.compare, spec, run, loaded)
            while sql.execute("select count(*) from pg_locks where not granted").fetchone() == (0,):
                assert not second.done()
        error = second.exception()
    assert isinstance(error, MetastoreUnavailable)
    assert error.code == "run_tables_lost"
    scans.drop(run)


def test_dropping_a_run_twice_is_fine(scans, spec, run, sql, reading):
    scans.compare(spec, run, scans.load(spec, run, reading([])))

    scans.drop(run)
    scans.drop(run)

    assert tables(sql) == 0
    assert sql.execute("select count(*) from syncbridge.run_tables").fetchone() == (0,)


def test_differences_can_be_looked_at_in_pages_without_marking(backlog, definition, scans, spec, run, agree, reading):
    agree(entry(1, item_id=1, stamp=1), entry(2, item_id=2, stamp=2))
    scans.compare(spec, run, scans.load(spec, run, reading([(2, 3), (4, 4), (5, 5)])))

    seen, after = [], None
    while page := scans.differing(spec, run, after=after, limit=3):
        seen += page
        after = page[-1][0]

    assert {found: kind for _, found, kind in seen} == {
        identity(1): "GONE",
        identity(2): "CHANGED",
        identity(4): "NEW",
        identity(5): "NEW",
    }
    assert [key for key, _, _ in seen] == sorted(row(n).key for n in (1, 2, 4, 5))
    assert backlog.counts(definition).due == 0
