"""Durable orchestrations end to end: the SDK's own code on one side, a real host process on the other."""

import json
import time
import uuid
from pathlib import Path

import pytest

from tests.host.conftest import HostMaker
from tests.host.running import RunningHost, until

pytestmark = pytest.mark.slow

TIMER_CREATED, TIMER_FIRED, TASK_SCHEDULED, TASK_COMPLETED = 10, 11, 4, 5


def test_a_chain_hands_results_on_and_sets_its_custom_status(flows: RunningHost):
    status = flows.run("chain", {"n": 3})
    assert status["output"] == {"result": 24}
    assert status["customStatus"] == {"stage": "second", "value": 12}


def test_a_fan_out_of_two_hundred_collects_every_result(flows: RunningHost):
    assert flows.run("fan", {"n": 200})["output"] == sum(2 * i for i in range(200))


def test_a_fan_out_runs_side_by_side(flows: RunningHost):
    assert flows.run("fan_meeting")["output"] == [0, 1, 2, 3]  # each of the four waits for the other three


def test_a_failing_activity_is_retried_until_it_succeeds(flows: RunningHost):
    assert flows.run("retrying", {"key": uuid.uuid4().hex, "fail": 2})["output"] == "ok after 3"


def test_an_activity_that_keeps_failing_fails_with_the_real_hosts_words(flows: RunningHost):
    output = flows.run("retrying", {"key": uuid.uuid4().hex, "fail": 9})["output"]
    assert output == "caught: Activity function 'flaky' failed:  ValueError: boom 3"


def test_every_failed_attempt_is_followed_by_a_timer_the_last_one_too(flows: RunningHost):
    instance = flows.begin("retrying", {"key": uuid.uuid4().hex, "fail": 9, "max": 2})
    flows.ended(instance)
    assert [e["EventType"] for e in flows.history(instance)].count(TIMER_CREATED) == 2


def test_parallel_retries_do_not_disturb_one_another(flows: RunningHost):
    assert flows.run("retry_fan", {"key": uuid.uuid4().hex})["output"] == [0, 1, 2, 42]


def test_a_timer_does_not_fire_before_its_time(flows: RunningHost):
    began = time.monotonic()
    assert flows.run("napping", {"s": 1})["output"] == "woke"
    assert time.monotonic() - began > 0.95


def test_sub_orchestrations_answer_fail_and_are_retried(flows: RunningHost):
    output = flows.run("parent", {})["output"]
    assert output["kids"] == [0, 8, 16]
    assert output["bad"] == "Orchestrator function 'failing' failed: no luck: kid"
    assert output["again"] == 2


def test_an_orchestrator_that_raises_is_failed_with_its_message(flows: RunningHost):
    status = flows.run("failing", {"why": "x"})
    assert status["runtimeStatus"] == "Failed"
    assert status["output"] == "Orchestrator function 'failing' failed: no luck: x"


def test_continue_as_new_starts_each_lap_with_an_empty_history(flows: RunningHost):
    instance = flows.begin("eternal", {"i": 0, "stop": 20})
    assert flows.ended(instance)["output"] == {"done": 20}
    assert not [e for e in flows.history(instance) if e["EventType"] == TASK_SCHEDULED]


def test_an_event_raised_over_http_arrives_as_the_object_that_was_sent(flows: RunningHost):
    instance = flows.begin("approval", {"timeout": 60})
    flows.waits_for(instance, TIMER_CREATED)
    assert flows.post(instance, "raiseEvent/Approve", json={"by": "me"}).status_code == 202
    assert flows.ended(instance)["output"] == {"approved": {"by": "me"}, "type": "dict", "r": 8}


def test_an_event_raised_by_the_python_client_arrives_encoded_twice(flows: RunningHost):
    # github.com/Azure/azure-functions-durable-python/issues/295: json.dumps in the client, then json= of aiohttp.
    instance = flows.begin("approval", {"timeout": 60})
    flows.waits_for(instance, TIMER_CREATED)
    assert flows.client.post(f"/api/raise/{instance}/Approve", json={"by": "me"}).status_code == 202
    output = flows.ended(instance)["output"]
    assert (output["type"], output["approved"]) == ("str", '{"by": "me"}')


def test_a_wait_with_a_timeout_takes_the_timeout_when_no_event_comes(flows: RunningHost):
    assert flows.run("approval", {"timeout": 0.2})["output"] == "too late"


def test_a_timer_that_was_not_cancelled_keeps_the_instance_running(flows: RunningHost):
    instance = flows.begin("approval", {"timeout": 600, "leak_timer": True})
    flows.waits_for(instance, TIMER_CREATED)
    flows.post(instance, "raiseEvent/Approve", json=1)
    flows.waits_for(instance, TASK_COMPLETED)
    assert flows.instance(instance).json()["runtimeStatus"] == "Running"
    flows.advance("00:10:00")
    assert flows.ended(instance)["runtimeStatus"] == "Completed"


def test_the_host_waits_for_the_siblings_of_a_failed_task(flows: RunningHost):
    began = time.monotonic()
    assert flows.run("fail_fast")["output"] == "gave up"
    assert time.monotonic() - began > 0.75


def test_events_of_one_name_before_anybody_listens_show_the_sdks_fault(flows: RunningHost, tmp_path: Path):
    # github.com/Azure/azure-functions-durable-python/issues/507: 1.7.0 keeps one deferred event per name, so in Azure the
    # last one is delivered each time. The host must not hide it: event names have to be unique.
    instance = flows.begin("counter", {"file": str(tmp_path / "go")})
    for i in range(3):
        assert flows.post(instance, "raiseEvent/Inc", json=i).status_code == 202
    (tmp_path / "go").touch()
    assert flows.ended(instance)["output"] == [2, 2, 2]


def test_events_that_nobody_awaited_survive_continue_as_new(flows: RunningHost):
    instance = flows.begin("mailbox")
    for i in (2, 1, 0):
        assert flows.post(instance, f"raiseEvent/E{i}", json=i).status_code == 202
    assert flows.ended(instance)["output"] == [0, 1, 2]


def test_a_timer_of_an_earlier_lap_ends_nothing_in_this_one(flows: RunningHost):
    instance = flows.begin("ticker")
    flows.waits_for(instance, TIMER_CREATED)
    flows.post(instance, "raiseEvent/Go", json=1)
    until(
        lambda: (
            '"lap": 2' in json.dumps(flows.history(instance)).replace("\\", "")
            and flows.waits_for(instance, TIMER_CREATED)
        )
    )
    flows.advance("00:02:30")  # past the first lap's timer
    flows.advance("00:01:00")  # past the second's
    assert flows.ended(instance)["output"]["waited"] >= 200


def test_a_terminated_instance_stays_terminated(flows: RunningHost):
    instance = flows.begin("napping", {"s": 60})
    flows.waits_for(instance, TIMER_CREATED)
    assert flows.post(instance, "terminate?reason=enough").status_code == 202
    status = flows.ended(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert flows.post(instance, "terminate?reason=x").status_code == 410
    assert flows.post(instance, "raiseEvent/E", json=1).status_code == 410


def test_a_suspended_instance_does_nothing_until_it_is_resumed(flows: RunningHost):
    instance = flows.begin("napping", {"s": 600})
    flows.waits_for(instance, TIMER_CREATED)
    flows.post(instance, "suspend?reason=x")
    until(lambda: flows.instance(instance).json()["runtimeStatus"] == "Suspended")
    flows.advance("00:10:00")
    flows.waits_for(instance, TIMER_FIRED)
    assert flows.instance(instance).json()["runtimeStatus"] == "Suspended"
    flows.post(instance, "resume?reason=y")
    assert flows.ended(instance)["output"] == "woke"


def test_a_second_start_of_a_running_id_is_refused_and_of_an_ended_one_is_not(flows: RunningHost):
    instance = "single-" + uuid.uuid4().hex
    path = f"/runtime/webhooks/durabletask/orchestrators/napping/{instance}"
    assert flows.client.post(path, json={"s": 600}).status_code == 202
    assert flows.client.post(path, json={"s": 0}).status_code == 409
    assert flows.client.post(f"/api/start/napping/{instance}", json={"s": 0}).status_code == 500  # the client raises
    flows.waits_for(instance, TIMER_CREATED)
    flows.advance("00:10:00")
    flows.ended(instance)
    assert flows.client.post(path, json={"s": 0}).status_code == 202
    assert flows.ended(instance)["output"] == "woke"


def test_an_unknown_orchestrator_is_refused_with_its_name(flows: RunningHost):
    answer = flows.client.post("/runtime/webhooks/durabletask/orchestrators/nosuch", json={})
    assert answer.status_code == 400
    assert "'nosuch'" in answer.json()["Message"]


def test_illegal_instance_ids_are_refused(flows: RunningHost):
    for bad in ("@entity", "a%23b", "a%3Fb", "a%5Cb", "x" * 101):
        assert (
            flows.client.post(f"/runtime/webhooks/durabletask/orchestrators/chain/{bad}", json={}).status_code == 400
        ), bad


def test_code_that_changes_its_way_between_episodes_fails_as_non_deterministic(flows: RunningHost):
    status = flows.run("wobbly")
    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith("Non-Deterministic workflow detected")
    assert "sequence ID 0 and name 'double'" in status["output"]


def test_an_ended_instance_can_be_restarted_found_and_purged(flows: RunningHost):
    instance = "rp-" + uuid.uuid4().hex
    flows.begin("chain", {"n": 1}, instance)
    flows.ended(instance)
    again = flows.post(instance, "restart?restartWithNewInstanceId=true")
    assert again.status_code == 202
    assert flows.ended(again.json()["id"])["output"] == {"result": 8}
    query = {"instanceIdPrefix": instance, "runtimeStatus": "Completed", "showInput": "true"}
    found = flows.client.get("/runtime/webhooks/durabletask/instances", params=query).json()
    assert [(one["instanceId"], json.loads(one["input"])) for one in found] == [(instance, {"n": 1})]
    path = f"/runtime/webhooks/durabletask/instances/{instance}"
    assert flows.client.delete(path).json() == {"instancesDeleted": 1}
    assert flows.client.get(path).status_code == 404


def test_a_running_instance_cannot_be_purged(flows: RunningHost):
    instance = flows.begin("napping", {"s": 60})
    assert flows.client.delete(f"/runtime/webhooks/durabletask/instances/{instance}").status_code == 412
    flows.post(instance, "terminate?reason=done")
    flows.ended(instance)


def test_guids_are_the_same_in_every_replay(flows: RunningHost):
    assert flows.run("uuids")["output"][2] is True


def test_a_custom_status_over_16_kib_fails_the_instance(flows: RunningHost):
    status = flows.run("loud_status")
    assert status["runtimeStatus"] == "Failed"
    assert "16384" in status["output"]


def test_what_the_host_cannot_do_fails_the_instance_in_words(flows: RunningHost):
    assert "not supported by the local host" in flows.run("calls_http")["output"]
    assert "'nobody' doesn't exist" in flows.run("calls_nobody")["output"]


def test_the_python_client_reads_suspends_resumes_terminates_and_purges(flows: RunningHost):
    def op(name: str):
        answer = flows.client.post(f"/api/client/{instance}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    instance = flows.begin("napping", {"s": 60})
    flows.waits_for(instance, TIMER_CREATED)
    assert instance in op("all")
    op("suspend")
    until(lambda: op("status")["runtimeStatus"] == "Suspended")
    op("resume")
    until(lambda: op("status")["runtimeStatus"] == "Running")
    op("terminate")
    status = until(lambda: op("status") if flows.ended(instance) else None)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough, thanks")
    assert status["events"] > 0
    assert op("purge") == 1


def test_completed_instances_are_forgotten_after_a_week_and_what_runs_or_failed_is_not(flows: RunningHost):
    done, failed, running = (uuid.uuid4().hex for _ in range(3))
    flows.begin("chain", {"n": 1}, done)
    flows.ended(done)
    flows.begin("loud_status", None, failed)
    flows.ended(failed)
    flows.begin("napping", {"s": 60}, running)
    flows.waits_for(running, TIMER_CREATED)
    gone = flows.client.post("/api/client/all/forget").json()
    assert gone["done"] >= 1
    assert gone["undone"] == 0
    assert [flows.instance(one).status_code for one in (done, failed, running)] == [404, 200, 202]
    assert flows.client.post("/api/client/all/forget").json() == {"done": 0, "undone": 0}
    flows.post(running, "terminate?reason=done")
    flows.ended(running)


def test_the_shown_history_folds_scheduling_into_completions(flows: RunningHost):
    instance = flows.begin("chain", {"n": 1})
    flows.ended(instance)
    shown = flows.instance(instance, showHistory="true", showHistoryOutput="true").json()["historyEvents"]
    kinds = [event["EventType"] for event in shown]
    assert kinds == ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"]
    assert [event.get("FunctionName") for event in shown[1:4]] == ["double"] * 3
    assert [event["Result"] for event in shown[1:4]] == ["2", "4", "8"]
    hidden = flows.instance(instance, showHistory="true").json()["historyEvents"]
    assert all("Result" not in event for event in hidden)


def test_skipped_time_turns_eight_days_into_a_moment(new_host: HostMaker):
    host = new_host("flows", "--skip-time")
    instance = host.begin("long_nap")
    assert host.ended(instance)["output"] == 8
    # Azure Storage takes no timer over six days, so the SDK asks for one of three days, then for the rest.
    assert [e["EventType"] for e in host.history(instance)].count(TIMER_CREATED) == 2


def test_the_clock_can_be_moved_by_hand_and_stays_moved_after_a_restart(new_host: HostMaker):
    host = new_host("flows")
    instance = host.begin("napping", {"s": 7200})
    host.waits_for(instance, TIMER_CREATED)
    assert host.client.post("/admin/local/clock", json={"advance": "soon"}).status_code == 400
    before = host.client.post("/admin/local/clock", json={"advance": "01:00:00"}).json()["durableTime"]
    host.stop()
    host.start()
    assert host.client.get("/admin/host/status").json()["durableTime"] > before
    assert host.instance(instance).json()["runtimeStatus"] == "Running"
    host.client.post("/admin/local/clock", json={"advance": "01:00:00"})
    assert host.ended(instance)["output"] == "woke"
