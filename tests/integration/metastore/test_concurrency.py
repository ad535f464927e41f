"""Several workers on one metastore, as real threads on real connections."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from shared.core.backlog import Reason
from shared.core.errors import MetastoreUnavailable
from shared.ports import Confirmation
from tests.integration.metastore.support import claim, entry, identity, interrupted, mark, row

EXPIRED = timedelta(seconds=-1)


def together(*works):
    """Runs the works at the same time and answers what they returned; raises what one of them raised."""
    start = threading.Barrier(len(works))

    def run(work):
        start.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, work) for work in works]]


def confirm(ledger, definition, page, *, stamps=None):
    confirmations = [
        Confirmation(
            claimed=claimed,
            entry=entry(number(claimed), item_id=number(claimed) + 1, stamp=(stamps or {}).get(number(claimed), 1)),
        )
        for claimed in page.subjects
    ]
    return ledger.confirm(definition, page.token, confirmations, run=None)


def number(claimed):
    return int(claimed.subject.identity[2:-2])


def test_no_subject_is_handed_to_two_workers(backlog, definition):
    backlog.mark(definition, [mark(n) for n in range(600)])

    def work():
        mine = []
        while page := claim(backlog, definition, limit=17).subjects:
            mine += page
        return mine

    claimed = Counter(found.subject for mine in together(*[work] * 6) for found in mine)

    assert len(claimed) == 600
    assert set(claimed.values()) == {1}


def test_large_markings_in_opposite_order_with_settling_in_between_all_arrive(backlog, ledger, definition):
    numbers = list(range(400))

    def work():
        for _ in range(8):
            confirm(ledger, definition, claim(backlog, definition, limit=60))

    together(
        lambda: backlog.mark(definition, [mark(n, Reason.STREAM) for n in numbers]),
        lambda: backlog.mark(definition, [mark(n, Reason.STREAM) for n in reversed(numbers)]),
        lambda: backlog.mark(definition, [mark(n, Reason.SCAN) for n in reversed(numbers)]),
        work,
        work,
    )
    left = set()
    while page := claim(backlog, definition).subjects:
        left |= {number(found) for found in page}

    settled = ledger.entries(definition, [identity(n) for n in numbers])
    assert all(n in left or identity(n) in settled for n in numbers)
    assert backlog.counts(definition).due == 0


def test_many_marks_are_claimed_while_others_are_still_being_made(backlog, definition):
    backlog.next_number()  # a connection is open
    claimed = []

    with interrupted(lambda: claimed.extend(claim(backlog, definition).subjects), before=2):
        backlog.mark(definition, [mark(n) for n in range(120)])

    assert len(claimed) == 100  # of chunks of 50


def test_marks_are_made_in_the_order_of_their_hash(backlog, definition, sql, metastore):
    """Whoever marks holds nothing that somebody behind it may need: two of them cannot wait for one another."""
    first, last = sorted(range(2), key=lambda n: row(n).key)
    backlog.mark(definition, [mark(first), mark(last)])
    with psycopg.connect(metastore) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select from syncbridge.sync_backlog where subject_hash = %s for update", [row(last).key])
        marking = pool.submit(backlog.mark, definition, [mark(last, Reason.STREAM), mark(first, Reason.STREAM)])
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'insert into%'"
        while sql.execute(waiting).fetchone() == (0,):
            pass
        free = "select subject_hash from syncbridge.sync_backlog for update skip locked"
        assert sql.execute(free).fetchall() == []
        other.rollback()
        assert marking.result(timeout=60) == 2


def test_what_is_confirmed_at_any_moment_of_a_claim_is_seen_by_it(backlog, ledger, definition):
    """The number of a mark and the agreement before it belong together: a worker that has the one and not the other takes
    what was agreed on just now for somebody's edit."""
    seen = []
    for moment in range(3):
        backlog.mark(definition, [mark(moment, Reason.STREAM)])
        former = claim(backlog, definition)
        backlog.mark(definition, [mark(moment, Reason.STREAM)])

        with interrupted(lambda former=former: confirm(ledger, definition, former), before=moment) as acted:
            page = claim(backlog, definition)
            entries = ledger.entries(definition, [found.subject.identity for found in page.subjects])

        assert acted()
        assert set(entries) == {found.subject.identity for found in page.subjects}
        seen += entries
        confirm(ledger, definition, page)
        confirm(ledger, definition, claim(backlog, definition))
    assert seen


@pytest.mark.parametrize("reason", [Reason.STREAM, Reason.SCAN])
def test_no_change_is_lost_however_marks_and_confirmations_interleave(backlog, ledger, definition, reason):
    """A worker agrees on what it read after its claim; whoever changes a row marks it afterwards. Nothing else."""
    rows = dict.fromkeys(range(12), 0)
    done = threading.Event()

    def change(seed):
        dice = random.Random(seed)
        for _ in range(60):
            chosen = dice.sample(sorted(rows), 3)
            with lock:
                for n in chosen:
                    rows[n] += 1
            backlog.mark(definition, [mark(n, reason) for n in chosen])

    def settle_until_done():
        while not done.is_set() or backlog.counts(definition).due:
            page = claim(backlog, definition, limit=5)
            with lock:
                read = dict(rows)
            confirm(ledger, definition, page, stamps=read)

    def changes():
        try:
            together(lambda: change(1), lambda: change(2))
        finally:
            done.set()

    lock = threading.Lock()
    together(changes, settle_until_done, settle_until_done)

    assert {n: found.stamp for n, found in known(ledger, definition, rows).items()} == rows


def known(ledger, definition, numbers):
    found = ledger.entries(definition, [identity(n) for n in numbers])
    return {n: found[identity(n)] for n in numbers}


def test_a_takeover_and_the_former_holders_confirmation_exclude_each_other(backlog, ledger, definition):
    for n in range(25):
        backlog.mark(definition, [mark(n)])
        former = claim(backlog, definition, lease=EXPIRED)

        confirmed, taken = together(
            lambda former=former: confirm(ledger, definition, former),
            lambda: claim(backlog, definition).subjects,
        )

        assert len(confirmed) + len([found for found in taken if found.takeover]) == 1
        assert bool(confirmed) == (identity(n) in ledger.entries(definition, [identity(n)]))


def test_conclusions_that_mark_one_anothers_subjects_all_get_through(backlog, ledger, definition):
    backlog.mark(definition, [mark(n) for n in range(40)])
    pages = [claim(backlog, definition, limit=20) for _ in range(2)]

    def conclude(page, other):
        marks = tuple(mark(number(claimed), Reason.ITEM) for claimed in other.subjects)
        confirmations = [Confirmation(claimed=claimed, marks=marks) for claimed in page.subjects]
        return ledger.confirm(definition, page.token, confirmations, run=None)

    done = together(lambda: conclude(*pages), lambda: conclude(*reversed(pages)))

    assert [len(keys) for keys in done] == [20, 20]
    # Whoever concluded second found its subjects marked again; the first one's are marked anew.
    assert {found.subject for found in claim(backlog, definition).subjects} == {row(n) for n in range(40)}


def test_a_deadlocks_victim_starts_its_transaction_again(store, backlog, definition, sql):
    backlog.mark(definition, [mark(1), mark(2)])
    both_locked = threading.Barrier(2)
    attempts = Counter()

    def lock(first, second):
        def work(connection):
            attempts[first] += 1
            statement = "select from syncbridge.sync_backlog where source_identity = %s for update"
            connection.execute(statement, [identity(first)])
            if attempts[first] == 1:
                both_locked.wait(timeout=30)
            connection.execute(statement, [identity(second)])
            return first

        return lambda: store.transact(work)

    assert together(lock(1, 2), lock(2, 1)) == [1, 2]
    assert sum(attempts.values()) > 2  # the victim may lose the race once more before it gets through


def test_a_statement_that_waits_too_long_for_a_lock_is_given_up(metastore, definition, sql, backlog):
    from shared.adapters.metastore.backlog import BacklogStore
    from shared.adapters.metastore.pool import Metastore

    backlog.mark(definition, [mark(1)])
    with sql.transaction(), Metastore(metastore, lock_timeout=0.05) as impatient:
        sql.execute("select from syncbridge.sync_backlog for update")

        with pytest.raises(MetastoreUnavailable, match="55P03"):
            BacklogStore(impatient).mark(definition, [mark(1, Reason.STREAM)])
