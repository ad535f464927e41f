"""One run's orchestration: begin, capture, settle laps, finish; waits are timers, failures are bounded."""

import pytest

from functions import names
from functions.messages import RunEnd, RunOrder, StepAnswer
from shared.core.errors import Disposition
from tests.unit.functions.orchestration import DEFINITION, DONE, GO, RUN, failed, play

BEGIN, CAPTURE, SETTLE, FINISH = names.BEGIN_RUN, names.CAPTURE_SOURCE, names.SETTLE_BACKLOG, names.FINISH_RUN
READ = names.CAPTURE_LIST
RETRY = failed(Disposition.RETRY)
FINAL = [Disposition.PARK, Disposition.HOLD, Disposition.ALARM]


def ended(context):
    (end,) = context.of(FINISH)
    return RunEnd.model_validate(end)


def test_a_run_begins_captures_settles_and_finishes():
    context = play({})
    assert context.steps == [BEGIN, CAPTURE, SETTLE, FINISH]
    assert ended(context) == RunEnd(definition=DEFINITION, run=RUN, patient=True)


def test_a_run_that_must_not_begin_does_nothing_more():
    assert play({BEGIN: [StepAnswer(proceed=False)]}).steps == [BEGIN]


def test_it_settles_on_while_there_is_more_to_do():
    more = StepAnswer(more=True)
    assert play({SETTLE: [more, more, DONE]}).steps == [BEGIN, CAPTURE, SETTLE, SETTLE, SETTLE, FINISH]


def test_several_workers_settle_side_by_side_and_know_their_numbers():
    context = play({BEGIN: [StepAnswer(workers=3)], SETTLE: [StepAnswer(more=True)] * 3 + [DONE]})
    assert [order["worker"] for order in context.of(SETTLE)] == [0, 1, 2, 0, 1, 2]
    assert context.of(FINISH)


def test_one_worker_that_has_more_keeps_all_of_them_going():
    context = play({BEGIN: [StepAnswer(workers=2)], SETTLE: [DONE, StepAnswer(more=True), DONE, DONE]})
    assert context.steps.count(SETTLE) == 4


@pytest.mark.parametrize(("asked", "waited"), [(30.0, 30.0), (5_000.0, names.LONGEST_WAIT)])
def test_a_wait_is_a_durable_timer_of_bounded_length(asked, waited):
    context = play({SETTLE: [StepAnswer(wait=asked), DONE]})
    assert context.steps == [BEGIN, CAPTURE, SETTLE, "wait", SETTLE, FINISH]
    assert context.waits == [waited]


def test_the_longest_wait_of_the_workers_counts():
    answers = [StepAnswer(wait=5, more=True), StepAnswer(wait=40), DONE, DONE]
    assert play({BEGIN: [StepAnswer(workers=2)], SETTLE: answers}).waits == [40]


@pytest.mark.parametrize("step", [BEGIN, CAPTURE, SETTLE, FINISH])
def test_a_failure_that_time_may_mend_is_tried_again_after_growing_waits(step):
    good = GO if step == BEGIN else DONE
    context = play({step: [RETRY, RETRY, good]})
    assert context.waits == [2.0, 4.0]
    assert context.steps.count(step) == 3
    assert context.steps[-1] == FINISH


def test_a_step_waits_as_long_as_it_is_told():
    assert play({CAPTURE: [failed(Disposition.RETRY, retry_after=77), DONE]}).waits == [77]


@pytest.mark.parametrize("step", [BEGIN, CAPTURE, SETTLE])
def test_a_failure_that_lasts_ends_the_run_after_a_bounded_number_of_tries(step):
    context = play({step: [RETRY]})
    assert context.steps.count(step) == names.RETRIES + 1
    assert max(context.waits) <= 300
    assert ended(context).failure == RETRY.failure


@pytest.mark.parametrize("step", [BEGIN, CAPTURE, SETTLE, FINISH])
def test_an_activity_that_the_host_ended_is_tried_again(step):
    """As when it ran over functionTimeout, or its process ran out of memory."""
    good = GO if step == BEGIN else DONE
    context = play({step: [TimeoutError("Timeout value of 00:10:00 exceeded"), good]})
    assert context.waits == [2.0]
    assert context.steps.count(step) == 2
    assert RunEnd.model_validate(context.of(FINISH)[-1]).failure is None


def test_one_worker_that_the_host_ended_has_all_of_them_settle_again():
    answers = [DONE, TimeoutError("ended"), DONE, DONE, DONE, DONE]
    context = play({BEGIN: [StepAnswer(workers=3)], SETTLE: answers})
    assert context.steps.count(SETTLE) == 6
    assert ended(context).failure is None


@pytest.mark.parametrize("step", [BEGIN, CAPTURE, SETTLE])
def test_an_activity_that_the_host_ends_again_and_again_ends_the_run_with_its_reason(step):
    context = play({step: [MemoryError("again")]})
    assert context.steps.count(step) == names.LOST_RETRIES + 1
    failure = ended(context).failure
    assert failure is not None
    assert failure.code == "activity_lost"
    assert "functionTimeout" in failure.message


@pytest.mark.parametrize(("failure", "retries"), [(RETRY, names.RETRIES), (MemoryError("again"), names.LOST_RETRIES)])
def test_a_finish_that_fails_for_good_ends_too(failure, retries):
    context = play({FINISH: [failure]})
    assert context.steps.count(FINISH) == retries + 1


def test_failures_of_settle_count_only_while_nothing_else_happens():
    def flaky(count):
        return RETRY if count % 2 == 0 else StepAnswer(more=True)

    context = play({SETTLE: flaky})
    assert context.steps[-1] == "again"
    assert FINISH not in context.steps


@pytest.mark.parametrize("disposition", FINAL)
@pytest.mark.parametrize("step", [BEGIN, CAPTURE, SETTLE])
def test_a_failure_that_time_does_not_mend_ends_the_run_at_once_with_its_reason(step, disposition):
    context = play({step: [failed(disposition, code="bad")]})
    assert context.waits == []
    assert context.steps.count(step) == 1
    assert (ended(context).failure.code, ended(context).held) == ("bad", False)


@pytest.mark.parametrize("disposition", [Disposition.YIELD, Disposition.REPLAN])
def test_a_worker_that_gave_way_looks_again(disposition):
    context = play({SETTLE: [failed(disposition), DONE]})
    assert context.steps == [BEGIN, CAPTURE, SETTLE, "wait", SETTLE, FINISH]


@pytest.mark.parametrize("step", [CAPTURE, SETTLE])
def test_a_hold_ends_the_run(step):
    context = play({step: [StepAnswer(held=True, more=True)]})
    assert context.steps.count(SETTLE) == (step == SETTLE)
    assert (ended(context).held, ended(context).failure) == (True, None)


def test_one_worker_s_hold_ends_the_run_of_all():
    context = play({BEGIN: [StepAnswer(workers=2)], SETTLE: [StepAnswer(more=True), StepAnswer(held=True)]})
    assert context.steps == [BEGIN, CAPTURE, SETTLE, SETTLE, FINISH]
    assert ended(context).held


def test_a_run_waits_for_what_somebody_else_holds_and_settles_again():
    context = play({FINISH: [StepAnswer(wait=1.5), DONE]})
    assert context.steps == [BEGIN, CAPTURE, SETTLE, FINISH, "wait", SETTLE, FINISH]
    assert context.waits == [1.5]


def test_it_looks_again_long_before_a_lease_is_over_for_whoever_has_it_may_be_done_at_once():
    context = play({FINISH: [*[StepAnswer(wait=300.5)] * 7, DONE]})
    assert context.waits == [2, 4, 8, 16, 32, 32, 32]
    lease = 300
    assert sum(context.waits[:5]) + 32 * (names.PATIENT_LAPS - 7) > lease


def test_its_patience_ends():
    context = play({FINISH: [StepAnswer(wait=1), DONE]}, lap=names.PATIENT_LAPS - 2)
    assert [end["patient"] for end in context.of(FINISH)] == [True, False]


def test_a_history_ends_after_25_laps_and_goes_on_in_a_new_one():
    context = play({BEGIN: [StepAnswer(workers=2)], SETTLE: [StepAnswer(more=True)]})
    assert names.CONTINUE_AS_NEW_LAPS == 25
    assert context.steps == [BEGIN, CAPTURE, *[SETTLE, SETTLE] * 25, "again"]
    (order,) = context.of("again")
    assert RunOrder.model_validate(order) == RunOrder(definition=DEFINITION, run=RUN, lap=25, worker=2)


def test_a_new_history_captures_nothing_and_keeps_its_workers():
    context = play({}, lap=25, worker=2)
    assert context.steps == [SETTLE, SETTLE, FINISH]


def test_a_new_history_is_told_of_the_failures_of_the_old_one():
    context = play({SETTLE: lambda count: StepAnswer(more=True) if count < 23 else RETRY})
    (order,) = context.of("again")
    assert order["failures"] == 2


def test_failures_in_a_row_are_counted_across_histories():
    context = play({SETTLE: [RETRY]}, lap=25, worker=1, failures=names.RETRIES - 1)
    assert context.steps == [SETTLE, "wait", SETTLE, FINISH]
    assert ended(context).failure == RETRY.failure


def test_what_travels_is_identifiers_and_outcomes_only():
    context = play({BEGIN: [StepAnswer(workers=2)]})
    for name, payload in context.done:
        known = RunEnd if name == FINISH else RunOrder
        assert set(payload) == set(known.model_fields)


def test_a_message_of_another_schema_or_with_other_members_is_refused():
    order = RunOrder(definition=DEFINITION, run=RUN).to_json()
    for wrong in ({**order, "schema_version": 2}, {**order, "rows": []}):
        with pytest.raises(ValueError, match=r"schema_version|rows"):
            RunOrder.model_validate(wrong)


# ---------------------------------------------------------------- an ingress


def test_an_ingress_reads_the_list_in_place_of_the_source():
    context = play({}, ingress=True)
    assert context.steps == [BEGIN, READ, SETTLE, FINISH]
    assert CAPTURE not in context.steps


def test_it_reads_on_while_the_list_has_more_to_tell_and_then_settles():
    more = StepAnswer(more=True)
    context = play({READ: [more, more, DONE]}, ingress=True)
    assert context.steps == [BEGIN, READ, READ, READ, SETTLE, FINISH]


def test_it_settles_with_as_many_workers_as_what_it_read_asks_for_and_tells_the_reading_how_many_there_may_be():
    context = play({BEGIN: [StepAnswer(workers=4)], READ: [StepAnswer(workers=2)]}, ingress=True)
    assert context.of(READ)[0]["worker"] == 4
    assert context.steps == [BEGIN, READ, SETTLE, SETTLE, FINISH]


def test_a_reading_that_has_to_wait_goes_on_after_a_durable_timer():
    context = play({READ: [StepAnswer(more=True, wait=5_000), DONE]}, ingress=True)
    assert context.steps == [BEGIN, READ, "wait", READ, SETTLE, FINISH]
    assert context.waits == [names.LONGEST_WAIT]


def test_a_hold_of_the_reading_ends_the_run_and_settles_nothing():
    context = play({READ: [StepAnswer(held=True, more=True)]}, ingress=True)
    assert context.steps == [BEGIN, READ, FINISH]
    assert ended(context).held


def test_a_reading_that_fails_for_good_ends_the_run_with_its_reason():
    context = play({READ: [failed(Disposition.HOLD, code="list_gone")]}, ingress=True)
    assert context.steps == [BEGIN, READ, FINISH]
    assert ended(context).failure.code == "list_gone"


def test_a_long_reading_goes_on_in_a_new_history_and_begins_no_run_there():
    context = play({BEGIN: [StepAnswer(workers=3)], READ: [StepAnswer(more=True)]}, ingress=True)
    assert context.steps == [BEGIN, *[READ] * names.CONTINUE_AS_NEW_LAPS, "again"]
    (order,) = context.of("again")
    assert RunOrder.model_validate(order) == RunOrder(
        definition=DEFINITION, run=RUN, ingress=True, listing=names.CONTINUE_AS_NEW_LAPS, worker=3
    )
    assert play({}, **{name: order[name] for name in ("ingress", "listing", "worker")}).steps == [READ, SETTLE, FINISH]


def test_settling_what_was_read_goes_on_in_a_new_history_without_reading_again():
    context = play({}, ingress=True, lap=25, worker=1)
    assert context.steps == [SETTLE, FINISH]
