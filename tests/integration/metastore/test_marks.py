from datetime import timedelta

import pytest

from shared.core.backlog import Lane, Mark, Reason, SubjectState
from shared.ports import Confirmation, Parking
from tests.integration.metastore.support import backlog_row, claim, claim_one, definition_id, item, mark, row

EVIDENCE = sorted(set(Reason) - {Reason.SCAN, Reason.ROW_GONE})


def confirm(ledger, definition, claimed, **conclusion):
    done = ledger.confirm(definition, claimed.token, [Confirmation(claimed=claimed, **conclusion)], run=None)
    assert done == {claimed.subject.key}


def park(backlog, ledger, definition, n, *reasons, stamp=None, retry_in=timedelta(hours=1)):
    claimed = claim_one(backlog, definition, n, *reasons)
    confirm(ledger, definition, claimed, park=Parking(code="c", message="m", retry_in=retry_in, stamp=stamp))


def wait_for_approval(backlog, ledger, definition, n, *reasons):
    claimed = claim_one(backlog, definition, n, *(reasons or [Reason.ROW_GONE]))
    confirm(ledger, definition, claimed, await_approval=True, await_reason="too many")


def scan_marks(sql, definition, n, stamp):
    """A scan's mark of one row with the stamp it saw, through the scan's own statement."""
    from shared.adapters.metastore.backlog import SQL

    return sql.execute(
        "insert into syncbridge.sync_backlog as b"
        " (sync_def_id, subject_hash, subject_kind, source_identity, reasons, lane, seen_stamp)"
        " values (%(d)s, %(h)s, 'ROW', %(i)s, array[%(r)s], 2, %(s)s) " + SQL["policy"],
        {
            "d": definition,
            "h": row(n).key,
            "i": row(n).identity,
            "r": "ROW_GONE" if stamp is None else "SCAN",
            "s": stamp,
        },
    ).rowcount


def test_marks_of_one_subject_become_one_entry_with_all_reasons_and_the_most_urgent_lane(backlog, definition, sql):
    marks = [mark(1, Reason.SCAN), mark(1, Reason.ITEM, lane=Lane.PEOPLE, news='"x"'), mark(1, Reason.DRIFT)]

    assert backlog.mark(definition, marks) == 1

    stored = backlog_row(sql, 1)
    assert (stored["reasons"], stored["lane"], stored["news"]) == (["DRIFT", "ITEM", "SCAN"], 0, '"x"')


def test_marks_go_in_by_chunks_and_all_arrive(backlog, definition):
    assert backlog.mark(definition, (mark(n) for n in range(501))) == 501
    assert backlog.counts(definition).due == 501


def test_a_repeated_scan_mark_is_not_even_written(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.SCAN)])
    before = sql.execute("select xmin, ctid, number from syncbridge.sync_backlog").fetchone()

    assert backlog.mark(definition, [mark(1, Reason.SCAN)]) == 0

    assert sql.execute("select xmin, ctid, number from syncbridge.sync_backlog").fetchone() == before


def test_a_scan_mark_with_a_new_reason_or_a_more_urgent_lane_is_written(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.SCAN)])

    assert backlog.mark(definition, [mark(1, Reason.ROW_GONE)]) == 1
    assert backlog.mark(definition, [mark(1, Reason.SCAN, lane=Lane.PEOPLE)]) == 1

    assert backlog_row(sql, 1)["reasons"] == ["ROW_GONE", "SCAN"]
    assert backlog_row(sql, 1)["lane"] == Lane.PEOPLE


@pytest.mark.parametrize("reason", EVIDENCE)
def test_every_mark_that_is_not_a_scans_takes_a_new_number(backlog, definition, sql, reason):
    backlog.mark(definition, [mark(1, reason)])
    first = backlog_row(sql, 1)["number"]

    assert backlog.mark(definition, [mark(1, reason)]) == 1

    assert backlog_row(sql, 1)["number"] > first


def test_a_scan_mark_renumbers_a_claimed_subject_because_its_worker_may_have_read_before(backlog, definition, sql):
    claimed = claim_one(backlog, definition, 1, Reason.SCAN)

    assert backlog.mark(definition, [mark(1, Reason.SCAN)]) == 1

    assert backlog_row(sql, 1)["number"] > claimed.number
    assert backlog_row(sql, 1)["claim"] == claimed.token


def test_two_different_etags_leave_none_so_that_settle_looks(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.ITEM, news='"a"')])
    backlog.mark(definition, [mark(1, Reason.ITEM, news='"a"')])
    assert backlog_row(sql, 1)["news"] == '"a"'

    backlog.mark(definition, [mark(1, Reason.ITEM, news='"b"')])
    assert backlog_row(sql, 1)["news"] is None

    backlog.mark(definition, [mark(1, Reason.ITEM, news='"b"')])
    assert backlog_row(sql, 1)["news"] is None


def test_two_different_etags_in_one_call_leave_none_too(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.ITEM, news='"a"'), mark(1, Reason.ITEM, news='"b"')])

    assert backlog_row(sql, 1)["news"] is None


def test_a_mark_without_news_keeps_the_etag_that_was_seen(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.ITEM, news='"a"')])
    backlog.mark(definition, [mark(1, Reason.WATERMARK)])

    assert backlog_row(sql, 1)["news"] == '"a"'


def test_a_number_never_comes_back_when_a_mark_is_removed_and_made_again(backlog, ledger, definition):
    first = claim_one(backlog, definition, 1)
    confirm(ledger, definition, first)

    second = claim_one(backlog, definition, 1)

    assert second.number > first.number


@pytest.mark.parametrize("reason", EVIDENCE)
def test_any_mark_but_a_scans_makes_a_parked_subject_due_and_keeps_its_attempts(
    backlog, ledger, definition, sql, reason
):
    park(backlog, ledger, definition, 1, stamp=5)

    backlog.mark(definition, [mark(1, reason)])

    (claimed,) = claim(backlog, definition).subjects
    assert claimed.attempts == 1


def test_a_scan_that_sees_the_content_that_was_parked_leaves_it_parked(backlog, ledger, definition, sql):
    park(backlog, ledger, definition, 1, Reason.WATERMARK, stamp=5)

    assert [scan_marks(sql, definition, 1, 5) for _ in range(3)] == [0, 0, 0]

    assert backlog_row(sql, 1)["state"] == SubjectState.PARKED


def test_a_scan_that_sees_other_content_makes_a_parked_subject_due_once(backlog, ledger, definition, sql):
    park(backlog, ledger, definition, 1, stamp=5)

    assert [scan_marks(sql, definition, 1, 6) for _ in range(2)] == [1, 0]

    (claimed,) = claim(backlog, definition).subjects
    assert claimed.attempts == 1


def test_a_scan_tells_a_parked_subject_once_that_its_row_is_gone(backlog, ledger, definition, sql):
    park(backlog, ledger, definition, 1, stamp=5)
    assert scan_marks(sql, definition, 1, None) == 1
    (claimed,) = claim(backlog, definition).subjects
    confirm(ledger, definition, claimed, park=Parking(code="c", message="m", retry_in=None))

    assert scan_marks(sql, definition, 1, None) == 0

    assert backlog_row(sql, 1)["state"] == SubjectState.PARKED


def test_a_more_urgent_scan_does_not_wake_a_parked_subject(backlog, ledger, definition, sql):
    park(backlog, ledger, definition, 1, stamp=5)
    sql.execute("update syncbridge.sync_backlog set lane = 4")

    assert scan_marks(sql, definition, 1, 5) == 0


def test_a_parked_subject_is_claimed_again_when_its_retry_time_has_come(backlog, ledger, definition, sql):
    park(backlog, ledger, definition, 1, retry_in=timedelta(hours=1))
    assert claim(backlog, definition).subjects == ()

    sql.execute("update syncbridge.sync_backlog set due_at = due_at - interval '1 hour'")

    assert [claimed.attempts for claimed in claim(backlog, definition).subjects] == [1]


def test_a_delete_that_waits_for_approval_keeps_waiting_while_scans_say_that_the_row_is_gone(
    backlog, ledger, definition, sql
):
    wait_for_approval(backlog, ledger, definition, 1)

    backlog.mark(definition, [mark(1, Reason.ROW_GONE)])
    backlog.mark(definition, [mark(1, Reason.MAPPING)])

    assert backlog_row(sql, 1)["state"] == SubjectState.AWAITING_APPROVAL
    assert claim(backlog, definition).subjects == ()


@pytest.mark.parametrize("reason", [Reason.SCAN, Reason.WATERMARK, Reason.STREAM, Reason.ITEM, Reason.COMMAND])
def test_a_delete_that_waits_for_approval_is_due_when_a_mark_says_that_the_row_is_there(
    backlog, ledger, definition, reason
):
    wait_for_approval(backlog, ledger, definition, 1)

    backlog.mark(definition, [mark(1, reason)])

    assert len(claim(backlog, definition).subjects) == 1


@pytest.mark.parametrize("reason", [Reason.ITEM_GONE, Reason.MAPPING, Reason.BACKFILL, Reason.DRIFT, Reason.SAMPLE])
def test_a_delete_of_a_row_keeps_waiting_while_marks_say_that_the_item_is_gone(
    backlog, ledger, definition, sql, reason
):
    wait_for_approval(backlog, ledger, definition, 1, Reason.ITEM_GONE)

    assert backlog.mark(definition, [mark(1, reason)]) == 1

    assert backlog_row(sql, 1)["state"] == SubjectState.AWAITING_APPROVAL
    assert claim(backlog, definition).subjects == ()


@pytest.mark.parametrize(
    "reason",
    [Reason.SCAN, Reason.WATERMARK, Reason.STREAM, Reason.ITEM, Reason.COMMAND, Reason.ROW_GONE, Reason.RETRY],
)
def test_a_delete_of_a_row_that_waits_is_due_when_a_mark_tells_news_of_either_side(backlog, ledger, definition, reason):
    wait_for_approval(backlog, ledger, definition, 1, Reason.ITEM_GONE)

    backlog.mark(definition, [mark(1, reason)])

    assert len(claim(backlog, definition).subjects) == 1


@pytest.mark.parametrize("reasons", [(Reason.ROW_GONE,), (Reason.SCAN,), (Reason.ROW_GONE, Reason.ITEM_GONE)])
def test_a_delete_of_an_item_that_waits_is_due_when_the_item_is_gone(backlog, ledger, definition, reasons):
    wait_for_approval(backlog, ledger, definition, 1, *reasons)

    backlog.mark(definition, [mark(1, Reason.ITEM_GONE)])

    assert len(claim(backlog, definition).subjects) == 1


def test_a_parked_row_whose_item_is_gone_is_tried_again(backlog, ledger, definition):
    park(backlog, ledger, definition, 1, stamp=5)

    backlog.mark(definition, [mark(1, Reason.ITEM_GONE)])

    assert len(claim(backlog, definition).subjects) == 1


@pytest.mark.parametrize(
    ("waited_for", "mark_of", "stands"),
    [
        (Reason.ROW_GONE, Reason.ROW_GONE, True),
        (Reason.ROW_GONE, Reason.ITEM_GONE, False),
        (Reason.ROW_GONE, Reason.ITEM, False),
        (Reason.ITEM_GONE, Reason.ITEM_GONE, True),
        (Reason.ITEM_GONE, Reason.ROW_GONE, False),
        (Reason.ITEM_GONE, Reason.ITEM, False),
        (Reason.ITEM_GONE, Reason.SCAN, False),
        (Reason.ITEM_GONE, Reason.DOUBT, True),
        (Reason.ITEM_GONE, Reason.DRIFT, True),
    ],
)
def test_an_approval_stands_as_long_as_nothing_else_is_heard(backlog, definition, sql, waited_for, mark_of, stands):
    claim_one(backlog, definition, 1, waited_for)
    sql.execute("update syncbridge.sync_backlog set approved = true")

    backlog.mark(definition, [mark(1, mark_of)])

    assert backlog_row(sql, 1)["approved"] is stands


def test_an_approval_is_void_when_the_row_shows_up_again(backlog, definition, sql):
    backlog.mark(definition, [mark(1, Reason.ROW_GONE), mark(2, Reason.ROW_GONE)])
    sql.execute("update syncbridge.sync_backlog set approved = true")

    backlog.mark(definition, [mark(1, Reason.STREAM), mark(2, Reason.DOUBT)])

    approved = {claimed.subject: claimed.approved for claimed in claim(backlog, definition).subjects}
    assert approved == {row(1): False, row(2): True}


def test_news_does_not_wait_for_a_delay(backlog, definition):
    claimed = claim_one(backlog, definition, 1, Reason.DOUBT)
    backlog.release(definition, claimed.token, [claimed], due_in=timedelta(hours=1))
    assert claim(backlog, definition).subjects == ()

    backlog.mark(definition, [mark(1, Reason.STREAM)])

    assert len(claim(backlog, definition).subjects) == 1


def test_a_subject_that_waits_for_somebody_elses_creation_waits_on(backlog, ledger, definition):
    backlog.mark(definition, [Mark(subject=item(9), reasons=frozenset({Reason.ITEM}), lane=Lane.PEOPLE)])
    (claimed,) = claim(backlog, definition).subjects
    confirm(
        ledger,
        definition,
        claimed,
        remove_mark=False,
        due_in=timedelta(minutes=10),
        add_reasons=frozenset({Reason.AGAIN}),
    )

    backlog.mark(definition, [Mark(subject=item(9), reasons=frozenset({Reason.ITEM_GONE}), lane=Lane.PEOPLE)])

    assert claim(backlog, definition).subjects == ()


def test_definitions_do_not_see_one_anothers_marks(backlog, definition):
    backlog.mark(definition, [mark(1)])
    other = definition_id()

    assert claim(backlog, other).subjects == ()
    assert backlog.counts(other).due == 0


def test_numbers_put_aside_order_pages_against_marks(backlog, definition):
    before = backlog.next_number()
    claimed = claim_one(backlog, definition, 1)

    assert before < claimed.number < backlog.next_number()


@pytest.mark.parametrize("gone", [Reason.ROW_GONE, Reason.ITEM_GONE])
def test_what_waits_for_approval_has_the_reasons_that_it_waits_for(backlog, ledger, definition, sql, gone):
    claimed = claim_one(backlog, definition, 1, Reason.SCAN, Reason.ITEM, Reason.ITEM_GONE, Reason.ROW_GONE)

    confirm(ledger, definition, claimed, await_approval=True, add_reasons=frozenset({gone}))

    assert (backlog_row(sql, 1)["state"], backlog_row(sql, 1)["reasons"]) == ("AWAITING_APPROVAL", [gone])


def test_what_was_marked_before_it_could_wait_keeps_every_reason(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1, Reason.SCAN)
    backlog.mark(definition, [mark(1, Reason.ITEM)])

    confirm(ledger, definition, claimed, await_approval=True, add_reasons=frozenset({Reason.ROW_GONE}))

    assert (backlog_row(sql, 1)["state"], backlog_row(sql, 1)["reasons"]) == ("DUE", ["ITEM", "ROW_GONE", "SCAN"])
