from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.core.backlog import Lane, Mark, Reason
from shared.core.digests import content_hash, digest
from shared.core.errors import InvariantViolated
from shared.core.ids import FieldNo, ItemId, ItemSubject, ListId, identity_hash
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry
from shared.core.runs import ConflictRecord, RunCounts
from shared.ports import Binding, Confirmation, IntentUpdate, Parking
from tests.integration.metastore.support import (
    INSTANCE,
    LIST,
    SOON,
    backlog_row,
    claim,
    claim_one,
    entry,
    identity,
    item,
    keep_definition,
    keep_run,
    mark,
    patch_intent,
    row,
    token,
)

EXPIRED = timedelta(seconds=-1)


def confirm(ledger, definition, *confirmations, run=None):
    by = confirmations[0].claimed.token
    return ledger.confirm(definition, by, confirmations, run=run)


def settle(backlog, ledger, definition, *entries):
    """Marks, claims and confirms the rows of the entries."""
    for one in entries:
        backlog.mark(definition, [Mark(subject=row_of(one), reasons=frozenset({Reason.COMMAND}), lane=Lane.PUSH)])
        (claimed,) = claim(backlog, definition).subjects
        assert confirm(ledger, definition, Confirmation(claimed=claimed, entry=one))


def row_of(one: LedgerEntry):
    from shared.core.ids import RowSubject

    return RowSubject(identity=one.identity)


def conflict(op, n=1, field=2):
    return ConflictRecord(
        op=op,
        identity=identity(n),
        field_no=FieldNo(field),
        column="qty",
        winner="ROW",
        policy="SOURCE_WINS",
        losing_value='"5"',
        winning_digest=digest("w"),
        base_digest=None,
        list_id=LIST,
        item_id=ItemId(1),
        item_modified=SOON,
        item_editor="7",
        row_version="812",
    )


@pytest.fixture
def run(sql, definition):
    """A run of a stored definition with the test's id."""
    keep_definition(sql, definition)
    return keep_run(sql, definition)


# ---------------------------------------------------------------- entries


def test_an_entry_comes_back_as_it_was_given(backlog, ledger, definition):
    given = replace(
        entry('ä,"1"', intents=(patch_intent(), replace(patch_intent(), landed=True, transaction="7/1/99"))),
        last_source_ts=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        generation=3,
        stamp=-(2**63),
    )
    settle(backlog, ledger, definition, given)

    found = ledger.entries(definition, [given.identity, identity("unknown")])

    stored = found[given.identity]
    assert list(found) == [given.identity]
    assert stored.confirmed is not None
    assert stored.last_sync_ts is not None
    assert replace(stored, confirmed=None, last_sync_ts=None) == replace(given, content_hash=content_hash(given.base))
    assert ledger.by_hashes(definition, [identity_hash(given.identity)]) == {identity_hash(given.identity): stored}


def test_entries_without_item_base_or_stamp_come_back_too(backlog, ledger, definition):
    given = LedgerEntry(
        identity=identity(1),
        state=EntryState.CREATING,
        source_instance_id=INSTANCE,
        intents=(Intent(op=uuid4(), kind=IntentKind.CREATE_ITEM, guard=None, expires_at=SOON),),
    )
    settle(backlog, ledger, definition, given)

    stored = ledger.entries(definition, [identity(1)])[identity(1)]

    assert replace(stored, confirmed=None, last_sync_ts=None) == given


def test_an_empty_base_is_not_the_same_as_none(backlog, ledger, definition):
    settle(backlog, ledger, definition, replace(entry(1), base={}, content_hash=None))

    assert ledger.entries(definition, [identity(1)])[identity(1)].base == {}


def test_entries_are_found_by_item_unless_they_are_tombstones(backlog, ledger, definition):
    settle(
        backlog,
        ledger,
        definition,
        entry(1, item_id=10),
        entry(2, item_id=20),
        entry(3, EntryState.TOMBSTONE, item_id=30, stamp=None),
    )

    found = ledger.by_items(definition, LIST, [ItemId(10), ItemId(30), ItemId(40)])

    assert {number: one.identity for number, one in found.items()} == {10: identity(1)}
    assert ledger.by_items(definition, ListId("another"), [ItemId(10)]) == {}


def test_live_entries_are_those_with_a_row(backlog, ledger, definition):
    settle(
        backlog,
        ledger,
        definition,
        entry(1, item_id=1),
        entry(2, EntryState.TOMBSTONE, stamp=None),
        entry(3, EntryState.TOMBSTONE, item_id=None, stamp=4),
    )

    assert ledger.live_count(definition) == 2


def test_a_tombstone_with_a_base_is_refused(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1)
    wrong = replace(entry(1), state=EntryState.TOMBSTONE)

    with pytest.raises(InvariantViolated, match="sync_ledger_check"):
        confirm(ledger, definition, Confirmation(claimed=claimed, entry=wrong))

    assert backlog_row_claim(backlog, definition, claimed)


def backlog_row_claim(backlog, definition, claimed):
    return backlog.still_held(definition, claimed.token, [claimed]) == {claimed.subject.key}


def test_the_time_of_a_deletion_is_kept_until_the_identity_comes_back(backlog, ledger, definition, sql):
    gone = entry(1, EntryState.TOMBSTONE, stamp=None)
    settle(backlog, ledger, definition, gone)
    sql.execute("update syncbridge.sync_ledger set tombstoned_at = '2026-01-01'")
    settle(backlog, ledger, definition, gone)
    assert sql.execute("select tombstoned_at::date::text from syncbridge.sync_ledger").fetchone() == ("2026-01-01",)

    settle(backlog, ledger, definition, entry(1))

    assert sql.execute("select tombstoned_at from syncbridge.sync_ledger").fetchone() == (None,)


# ---------------------------------------------------------------- intents


def test_intents_are_on_record_before_the_write_and_confirm_nothing(backlog, ledger, definition, sql, run):
    settle(backlog, ledger, definition, entry(1))
    before = ledger.entries(definition, [identity(1)])[identity(1)]
    claimed = claim_one(backlog, definition, 1)
    intent = patch_intent()

    held = ledger.intend(
        definition,
        claimed.token,
        [IntentUpdate(claimed=claimed, entry=replace(before, intents=(intent,)), conflicts=(conflict(intent.op),))],
    )

    assert held == {claimed.subject.key}
    assert ledger.entries(definition, [identity(1)])[identity(1)] == replace(before, intents=(intent,))
    assert sql.execute("select state, op, losing_value, field_no, winner from syncbridge.conflicts").fetchall() == [
        ("PENDING", intent.op, '"5"', 2, "ROW")
    ]


def test_without_the_claim_no_intent_is_recorded(backlog, ledger, definition, sql, run):
    lost = claim_one(backlog, definition, 1, lease=EXPIRED)
    (current,) = claim(backlog, definition).subjects
    assert current.takeover
    update = IntentUpdate(claimed=lost, entry=entry(1), conflicts=(conflict(uuid4()),))

    assert ledger.intend(definition, lost.token, [update]) == frozenset()

    assert ledger.entries(definition, [identity(1)]) == {}
    assert sql.execute("select count(*) from syncbridge.conflicts").fetchone() == (0,)


def test_a_lease_that_ran_out_is_enough_for_an_intent_while_nobody_took_over(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1, lease=EXPIRED)

    held = ledger.intend(definition, claimed.token, [IntentUpdate(claimed=claimed, entry=entry(1))])

    assert held == {claimed.subject.key}


def test_an_intent_on_an_item_that_stands_for_another_row_parks_its_subject_only(backlog, ledger, definition, sql):
    settle(backlog, ledger, definition, entry(1, item_id=5))
    backlog.mark(definition, [mark(2), mark(3)])
    page = claim(backlog, definition)
    two, three = sorted(page.subjects, key=lambda claimed: claimed.subject.identity)

    held = ledger.intend(
        definition,
        page.token,
        [
            IntentUpdate(claimed=two, entry=entry(2, item_id=5)),
            IntentUpdate(claimed=three, entry=entry(3, item_id=6)),
        ],
    )

    assert held == {three.subject.key}
    assert backlog_row(sql, 2)["reason_code"] == "item_taken"
    assert ledger.by_items(definition, LIST, [ItemId(5)])[ItemId(5)].identity == identity(1)


# ---------------------------------------------------------------- confirmations


def test_a_settled_subject_leaves_the_backlog_with_its_agreement(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1)

    assert confirm(ledger, definition, Confirmation(claimed=claimed, entry=entry(1))) == {claimed.subject.key}

    assert backlog_row(sql, 1) is None
    stored = ledger.entries(definition, [identity(1)])[identity(1)]
    assert claimed.number < stored.confirmed < backlog.next_number()


def test_a_mark_made_while_a_subject_was_claimed_survives_its_confirmation(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1)
    backlog.mark(definition, [mark(1, Reason.SCAN)])

    assert confirm(ledger, definition, Confirmation(claimed=claimed, entry=entry(1))) == {claimed.subject.key}

    assert identity(1) in ledger.entries(definition, [identity(1)])
    (again,) = claim(backlog, definition).subjects
    assert (again.subject, again.takeover) == (claimed.subject, False)


def test_after_a_takeover_the_former_holder_writes_nothing_and_the_subject_is_in_doubt(
    backlog, ledger, definition, sql, run
):
    lost = claim_one(backlog, definition, 1, lease=EXPIRED)
    (current,) = claim(backlog, definition).subjects
    conclusions = [
        Confirmation(
            claimed=lost,
            entry=entry(1),
            marks=(mark(2),),
            final_conflicts=(uuid4(),),
            park=Parking(code="c", message="m", retry_in=None),
        )
    ]

    assert confirm(ledger, definition, *conclusions, run=run) == frozenset()

    assert ledger.entries(definition, [identity(1)]) == {}
    stored = backlog_row(sql, 1)
    assert (stored["claim"], stored["reasons"], stored["state"]) == (current.token, ["DOUBT", "SCAN"], "DUE")
    assert stored["number"] > current.number
    assert backlog_row(sql, 2) is None
    assert sql.execute("select count(*) from syncbridge.sync_run_failures").fetchone() == (0,)


def test_a_confirmation_whose_mark_is_gone_leaves_a_mark_in_doubt(backlog, ledger, definition, sql):
    lost = claim_one(backlog, definition, 1, lease=EXPIRED)
    (current,) = claim(backlog, definition).subjects
    confirm(ledger, definition, Confirmation(claimed=current))

    assert confirm(ledger, definition, Confirmation(claimed=lost, entry=entry(1))) == frozenset()

    assert backlog_row(sql, 1)["reasons"] == ["DOUBT"]


def test_confirming_twice_changes_nothing_but_a_mark_in_doubt(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1)
    confirmation = Confirmation(claimed=claimed, entry=entry(1))
    confirm(ledger, definition, confirmation)
    first = ledger.entries(definition, [identity(1)])

    assert confirm(ledger, definition, confirmation) == frozenset()

    assert ledger.entries(definition, [identity(1)]) == first


def test_a_parked_subject_has_a_reason_a_retry_time_and_one_more_attempt(backlog, ledger, definition, sql, run):
    claimed = claim_one(backlog, definition, 1)
    park = Parking(code="too_long", message="name: 300 characters, 255 fit", retry_in=timedelta(hours=2), stamp=9)

    confirm(ledger, definition, Confirmation(claimed=claimed, park=park), run=run)

    stored = backlog_row(sql, 1)
    assert (stored["state"], stored["attempts"], stored["reason_code"], stored["seen_stamp"]) == (
        "PARKED",
        1,
        "too_long",
        9,
    )
    assert stored["reason_text"] == "name: 300 characters, 255 fit"
    assert stored["claim"] is None
    (in_hours,) = sql.execute(
        "select round(extract(epoch from due_at - now()) / 3600) from syncbridge.sync_backlog"
    ).fetchone()
    assert in_hours == 2
    failures = sql.execute("select run_id, source_identity, reason_code from syncbridge.sync_run_failures").fetchall()
    assert failures == [(run, identity(1), "too_long")]


def test_a_subject_parked_without_a_retry_time_waits_for_ever(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1)

    confirm(ledger, definition, Confirmation(claimed=claimed, park=Parking(code="c", message="m", retry_in=None)))

    assert sql.execute("select due_at = 'infinity' from syncbridge.sync_backlog").fetchone() == (True,)
    assert backlog.counts(definition).parked == 1


def test_a_subject_marked_while_it_failed_is_tried_once_more_before_it_is_set_aside(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1)
    backlog.mark(definition, [mark(1, Reason.STREAM)])

    confirm(ledger, definition, Confirmation(claimed=claimed, park=Parking(code="c", message="m", retry_in=None)))

    (again,) = claim(backlog, definition).subjects
    assert again.attempts == 1


def test_success_forgets_earlier_failures(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1)
    confirm(ledger, definition, Confirmation(claimed=claimed, park=Parking(code="c", message="m", retry_in=None)))
    claimed = claim_one(backlog, definition, 1, Reason.STREAM)
    backlog.mark(definition, [mark(1, Reason.STREAM)])

    confirm(ledger, definition, Confirmation(claimed=claimed, entry=entry(1)))

    stored = backlog_row(sql, 1)
    assert (stored["attempts"], stored["reason_code"], stored["reason_text"]) == (0, None, None)


def test_a_delayed_subject_keeps_its_reasons_and_gets_new_ones(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1)

    confirm(
        ledger,
        definition,
        Confirmation(
            claimed=claimed, remove_mark=False, due_in=timedelta(minutes=5), add_reasons=frozenset({Reason.DOUBT})
        ),
    )

    assert backlog_row(sql, 1)["reasons"] == ["DOUBT", "SCAN"]
    counts = backlog.counts(definition)
    assert (counts.due, counts.later) == (0, 1)


def test_a_delete_can_wait_for_approval(backlog, ledger, definition, sql):
    claimed = claim_one(backlog, definition, 1, Reason.ROW_GONE)

    confirm(ledger, definition, Confirmation(claimed=claimed, await_approval=True, await_reason="501 deletes at once"))

    stored = backlog_row(sql, 1)
    assert (stored["state"], stored["reason_code"], stored["reason_text"]) == (
        "AWAITING_APPROVAL",
        "awaiting_approval",
        "501 deletes at once",
    )


def test_what_a_conclusion_makes_due_is_marked_with_it(backlog, ledger, definition, sql):
    backlog.mark(definition, [Mark(subject=item(3), reasons=frozenset({Reason.ITEM}), lane=Lane.PEOPLE)])
    (claimed,) = claim(backlog, definition).subjects

    confirm(
        ledger,
        definition,
        Confirmation(claimed=claimed, entry=entry(1, EntryState.BOUND), marks=(mark(1, Reason.ITEM),)),
    )

    assert [one.subject for one in claim(backlog, definition).subjects] == [row(1)]


def test_a_conclusion_may_mark_its_own_subject_again(backlog, ledger, definition):
    claimed = claim_one(backlog, definition, 1)

    confirm(ledger, definition, Confirmation(claimed=claimed, entry=entry(1), marks=(mark(1, Reason.SAMPLE),)))

    (again,) = claim(backlog, definition).subjects
    assert Reason.SAMPLE in again.reasons


def test_conflicts_become_final_or_void_with_their_writes(backlog, ledger, definition, sql, run):
    landed, void, waiting = uuid4(), uuid4(), uuid4()
    claimed = claim_one(backlog, definition, 1)
    ledger.intend(
        definition,
        claimed.token,
        [IntentUpdate(claimed=claimed, entry=entry(1), conflicts=tuple(map(conflict, (landed, void, waiting))))],
    )

    confirm(
        ledger,
        definition,
        Confirmation(claimed=claimed, entry=entry(1), final_conflicts=(landed,), void_conflicts=(void,)),
        run=run,
    )

    states = dict(sql.execute("select op, state from syncbridge.conflicts").fetchall())
    assert states == {landed: "FINAL", void: "VOID", waiting: "PENDING"}


def test_an_intent_recorded_twice_logs_its_conflict_once(backlog, ledger, definition, sql, run):
    claimed = claim_one(backlog, definition, 1)
    update = IntentUpdate(claimed=claimed, entry=entry(1), conflicts=(conflict(uuid4()),))

    ledger.intend(definition, claimed.token, [update])
    ledger.intend(definition, claimed.token, [update])

    assert sql.execute("select count(*) from syncbridge.conflicts").fetchone() == (1,)


def test_a_run_counts_what_was_confirmed(backlog, ledger, definition, sql, run):
    for n in range(2):
        claimed = claim_one(backlog, definition, n)
        counts = RunCounts(items_processed=1, created=1, ru=2, requests=1)
        confirm(ledger, definition, Confirmation(claimed=claimed, entry=entry(n, item_id=n), counts=counts), run=run)

    lost = Confirmation(claimed=claimed, entry=entry(1, item_id=1), counts=RunCounts(items_processed=1, created=1))
    assert not confirm(ledger, definition, lost, run=run), "the claim is gone since the confirmation"

    figures = sql.execute("select items_processed, created, updated, ru, requests from syncbridge.sync_runs").fetchone()
    assert figures == (2, 2, 0, 4, 2)


def test_the_loop_breaker_counts_quarrels_within_its_window(backlog, ledger, definition, sql, run):
    def write(*, quarrel):
        claimed = claim_one(backlog, definition, 1, Reason.COMMAND)
        done = Confirmation(claimed=claimed, entry=entry(1), final_conflicts=(uuid4(),), quarrel=quarrel)
        confirm(ledger, definition, done)
        return ledger.entries(definition, [identity(1)])[identity(1)].recent_writes

    assert [write(quarrel=True), write(quarrel=False), write(quarrel=True)] == [1, 1, 2]

    sql.execute("update syncbridge.sync_ledger set writes_since = now() - interval '61 seconds'")
    assert ledger.entries(definition, [identity(1)])[identity(1)].recent_writes == 0
    assert write(quarrel=True) == 1


def test_the_ledger_knows_the_key_strategy_of_its_definition(backlog, ledger, definition, sql, run):
    settle(backlog, ledger, definition, entry(1))

    assert sql.execute("select source_key_strategy from syncbridge.sync_ledger").fetchone() == ("UNIQUE",)


def test_one_item_never_stands_for_two_rows(backlog, ledger, definition, sql):
    settle(backlog, ledger, definition, entry(1, item_id=5))
    backlog.mark(definition, [mark(n) for n in (2, 3, 4)])
    page = claim(backlog, definition)
    items = {row(2): 5, row(3): 6, row(4): 6}
    confirmations = [
        Confirmation(
            claimed=claimed, entry=replace(entry(0, item_id=items[claimed.subject]), identity=claimed.subject.identity)
        )
        for claimed in page.subjects
    ]

    done = ledger.confirm(definition, page.token, confirmations, run=None)

    assert done == {claimed.subject.key for claimed in page.subjects}
    assert backlog_row(sql, 2)["reason_code"] == "item_taken"
    assert [backlog_row(sql, n) is None for n in (3, 4)].count(True) == 1
    assert ledger.by_items(definition, LIST, [ItemId(5), ItemId(6)]).keys() == {5, 6}


def test_a_page_of_nothing_is_confirmed(ledger, definition):
    assert ledger.confirm(definition, token(), [], run=None) == frozenset()


def test_stamps_are_those_of_rows_the_ledger_believes_in(backlog, ledger, definition):
    settle(backlog, ledger, definition, entry(1, item_id=1, stamp=-5), entry(2, EntryState.TOMBSTONE, stamp=None))

    assert ledger.stamps(definition, [identity(n) for n in (1, 2, 3)]) == {identity(1): -5}


def test_an_item_is_bound_to_an_identity_that_has_no_entry_or_the_tombstone_that_was_read(
    backlog, ledger, definition, sql
):
    settle(backlog, ledger, definition, entry(2, EntryState.TOMBSTONE, stamp=None))
    settle(backlog, ledger, definition, entry(3, item_id=3))
    buried = ledger.entries(definition, [identity(2)])[identity(2)].confirmed
    items = [ItemSubject(list_id=LIST, item_id=ItemId(n)) for n in (11, 12, 13, 14)]
    backlog.mark(definition, [Mark(subject=item, reasons=frozenset({Reason.ITEM}), lane=Lane.PEOPLE) for item in items])
    page = {claimed.subject.item_id: claimed for claimed in claim(backlog, definition).subjects}
    bound = {
        11: Binding(entry=entry(1, EntryState.BOUND, item_id=11, stamp=None), expected=None),
        12: Binding(entry=entry(2, EntryState.BOUND, item_id=12, stamp=None), expected=buried),
        13: Binding(entry=entry(3, EntryState.BOUND, item_id=13, stamp=None), expected=None),
        14: Binding(entry=entry(2, EntryState.BOUND, item_id=14, stamp=None), expected=(buried or 0) - 1),
    }
    for number, binding in bound.items():
        confirm(ledger, definition, Confirmation(claimed=page[ItemId(number)], bind=binding))

    found = ledger.by_items(definition, LIST, [ItemId(n) for n in (3, 11, 12, 13, 14)])
    assert {n: found[n].identity for n in found} == {3: identity(3), 11: identity(1), 12: identity(2)}
    left = sql.execute(
        "select sp_item_id from syncbridge.sync_backlog where state = 'DUE' and claim is null and sp_item_id is not null"
    )
    assert {13, 14} == {number for (number,) in left}, "who comes too late stays due"


def test_no_item_is_bound_to_a_row_that_somebody_is_at_work_on(backlog, ledger, definition):
    backlog.mark(definition, [mark(1)])
    claim(backlog, definition)
    subject = ItemSubject(list_id=LIST, item_id=ItemId(11))
    backlog.mark(definition, [Mark(subject=subject, reasons=frozenset({Reason.ITEM}), lane=Lane.PEOPLE)])
    [claimed] = claim(backlog, definition).subjects
    binding = Binding(entry=entry(1, EntryState.BOUND, item_id=11, stamp=None), expected=None)
    confirm(ledger, definition, Confirmation(claimed=claimed, bind=binding))
    assert not ledger.by_items(definition, LIST, [ItemId(11)])
