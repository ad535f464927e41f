from datetime import timedelta

from shared.core.backlog import Lane, Mark, Reason
from shared.core.ids import ETag
from tests.integration.metastore.support import LEASE, backlog_row, claim, item, mark, row, token

EXPIRED = timedelta(seconds=-1)


def test_a_claim_says_what_was_marked_and_until_when_it_is_held(backlog, definition):
    backlog.mark(
        definition,
        [Mark(subject=item(4), reasons=frozenset({Reason.ITEM, Reason.DRIFT}), lane=Lane.DRIFT, news=ETag('"e"'))],
    )
    ours = token()

    page = claim(backlog, definition, by=ours)

    (claimed,) = page.subjects
    assert (claimed.subject, claimed.reasons, claimed.lane) == (item(4), {Reason.ITEM, Reason.DRIFT}, Lane.DRIFT)
    assert (claimed.token, claimed.news, claimed.attempts, claimed.takeover) == (ours, '"e"', 0, False)
    assert page.until - page.now == LEASE
    assert page.now.utcoffset() == timedelta(0)


def test_claimed_subjects_are_nobody_elses_until_the_lease_runs_out(backlog, definition):
    backlog.mark(definition, [mark(1)])
    claim(backlog, definition)

    page = claim(backlog, definition)

    assert (page.subjects, page.due_left) == ((), 0)


def test_a_claim_whose_lease_ran_out_is_taken_over_and_says_so(backlog, definition):
    backlog.mark(definition, [mark(1)])
    claim(backlog, definition, lease=EXPIRED)

    (claimed,) = claim(backlog, definition).subjects

    assert claimed.takeover


def test_lanes_are_served_in_the_order_they_are_asked_for(backlog, definition):
    backlog.mark(definition, [mark("drift", lane=Lane.DRIFT), mark("push"), mark("people", lane=Lane.PEOPLE)])

    first = claim(backlog, definition, limit=2)
    rest = claim(backlog, definition, limit=2)

    assert {claimed.subject for claimed in first.subjects} == {row("people"), row("push")}
    assert [claimed.subject for claimed in rest.subjects] == [row("drift")]


def test_a_lane_that_was_not_asked_for_stays(backlog, definition):
    backlog.mark(definition, [mark(1, lane=Lane.BACKFILL)])

    page = claim(backlog, definition, lanes=[Lane.PEOPLE, Lane.CDC])

    assert (page.subjects, page.due_left) == ((), 0)


def test_within_a_lane_the_longest_due_goes_first(backlog, definition, sql):
    for n in range(5):
        backlog.mark(definition, [mark(n)])
    sql.execute(
        "update syncbridge.sync_backlog set due_at = now() - interval '1 day' where source_identity = '[\"3\"]'"
    )

    assert [claimed.subject for claimed in claim(backlog, definition, limit=1).subjects] == [row(3)]


def test_none_claimed_is_not_the_same_as_none_due(backlog, definition, sql):
    backlog.mark(definition, [mark(1), mark(2)])
    with sql.transaction():
        sql.execute("select from syncbridge.sync_backlog for update")

        page = claim(backlog, definition)

    assert (page.subjects, page.due_left) == ((), 2)
    assert page.until - page.now == LEASE


def test_a_full_page_does_not_count_what_is_left(backlog, definition):
    backlog.mark(definition, [mark(n) for n in range(3)])

    assert claim(backlog, definition, limit=3).due_left is None


def test_a_claim_is_held_until_its_lease_runs_out_or_it_is_taken_over(backlog, definition):
    backlog.mark(definition, [mark(1), mark(2)])
    page = claim(backlog, definition)
    keys = {claimed.subject.key for claimed in page.subjects}
    assert backlog.still_held(definition, page.token, page.subjects) == keys
    assert backlog.still_held(definition, token(), page.subjects) == frozenset()


def test_a_lease_that_ran_out_is_not_held_even_when_nobody_took_over(backlog, definition):
    backlog.mark(definition, [mark(1)])
    page = claim(backlog, definition, lease=EXPIRED)

    assert backlog.still_held(definition, page.token, page.subjects) == frozenset()


def test_a_released_subject_is_due_at_once_or_later_and_is_no_takeover(backlog, definition):
    backlog.mark(definition, [mark(1), mark(2)])
    page = claim(backlog, definition)
    now, later = page.subjects

    backlog.release(definition, page.token, [now])
    backlog.release(definition, page.token, [later], due_in=timedelta(hours=1))

    (again,) = claim(backlog, definition).subjects
    assert (again.subject, again.takeover) == (now.subject, False)


def test_a_claim_that_was_lost_cannot_be_released(backlog, definition, sql):
    backlog.mark(definition, [mark(1)])
    lost = claim(backlog, definition, lease=EXPIRED)
    new = claim(backlog, definition)

    backlog.release(definition, lost.token, lost.subjects)

    assert backlog_row(sql, 1)["claim"] == new.token


def test_the_backlog_in_figures(backlog, definition, sql):
    backlog.mark(definition, [mark(n) for n in range(8)])
    sql.execute(
        "update syncbridge.sync_backlog set state = s, due_at = now() + d, claim = c, claimed_until = now() + u"
        " from (values ('[\"0\"]', 'PARKED', interval '1 h', null, null),"
        " ('[\"1\"]', 'PARKED', interval '-1 s', null, null),"
        " ('[\"2\"]', 'AWAITING_APPROVAL', interval '0', null, null),"
        " ('[\"3\"]', 'HELD', interval '0', null, null),"
        " ('[\"4\"]', 'DUE', interval '3 h', null, null),"
        " ('[\"5\"]', 'DUE', interval '-1 h', gen_random_uuid(), interval '2 h'),"
        " ('[\"6\"]', 'DUE', interval '-1 h', gen_random_uuid(), interval '-2 h')) as v(i, s, d, c, u)"
        " where source_identity = i"
    )

    counts = backlog.counts(definition)

    assert (counts.due, counts.later, counts.parked) == (3, 2, 1)
    assert (counts.awaiting_approval, counts.held) == (1, 1)
    (claimed_until,) = sql.execute(
        "select min(claimed_until) from syncbridge.sync_backlog where due_at < now() and claimed_until > now()"
    ).fetchone()
    assert counts.next_due_at == claimed_until
    assert (
        counts.oldest_marked_at
        == sql.execute("select min(first_marked_at) from syncbridge.sync_backlog where state = 'DUE'").fetchone()[0]
    )


def test_an_empty_backlog_has_no_times(backlog, definition):
    counts = backlog.counts(definition)

    assert (counts.due, counts.next_due_at, counts.oldest_marked_at) == (0, None, None)
