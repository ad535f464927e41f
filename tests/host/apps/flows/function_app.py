"""Sample app: one orchestrator for each thing that the durable engine has to get right."""

import json
import os
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

from functions.history import purge
from shared.process import SystemClock

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
_attempts: Counter[str] = Counter()
_episodes: Counter[str] = Counter()
_meeting = threading.Barrier(4)


@app.route(route="start/{name}/{id?}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    given = req.get_json() if req.get_body() else None
    instance = await client.start_new(req.route_params["name"], req.route_params.get("id"), given)
    return client.create_check_status_response(req, instance)


@app.route(route="raise/{id}/{event}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def raise_event(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["id"], req.route_params["event"], req.get_json())
    return func.HttpResponse(status_code=202)


@app.route(route="client/{id}/{op}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input(client_name="client")
async def client_op(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = req.route_params["id"]
    match req.route_params["op"]:
        case "status":
            status = await client.get_status(instance, show_history=True, show_history_output=True, show_input=True)
            answer = status.to_json() | {"events": len(status.historyEvents)}
        case "all":
            answer = sorted(status.instance_id for status in await client.get_status_all())
        case "purge":
            answer = (await client.purge_instance_history(instance)).instances_deleted
        case "forget":  # as the product does, eight days from now
            now = SystemClock().now() + timedelta(days=8)
            answer = await purge(client, now, done=timedelta(days=7), undone=timedelta(days=90))
        case "terminate":
            answer = await client.terminate(instance, "enough, thanks")
        case "suspend":
            answer = await client.suspend(instance, "wait")
        case "resume":
            answer = await client.resume(instance, "go")
        case other:
            raise ValueError(other)
    return func.HttpResponse(json.dumps(answer), mimetype="application/json")


@app.route(route="hold", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def hold(req: func.HttpRequest) -> str:
    """Answers when a file exists."""
    while not Path(req.params["file"]).exists():
        time.sleep(0.01)
    return "done"


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    n = context.get_input()["n"]
    context.set_custom_status({"stage": "first"})
    one = yield context.call_activity("double", n)
    two = yield context.call_activity("double", one)
    context.set_custom_status({"stage": "second", "value": two})
    three = yield context.call_activity("double", two)
    return {"result": three}


@app.orchestration_trigger(context_name="context")
def fan(context: df.DurableOrchestrationContext):
    n = context.get_input()["n"]
    values = yield context.task_all([context.call_activity("double", i) for i in range(n)])
    return sum(values)


@app.orchestration_trigger(context_name="context")
def fan_held(context: df.DurableOrchestrationContext):
    given = context.get_input()
    values = yield context.task_all([context.call_activity("held", given["file"]) for _ in range(given["n"])])
    return len(values)


@app.orchestration_trigger(context_name="context")
def fan_meeting(context: df.DurableOrchestrationContext):
    values = yield context.task_all([context.call_activity("meet", i) for i in range(4)])
    return sorted(values)


@app.orchestration_trigger(context_name="context")
def retrying(context: df.DurableOrchestrationContext):
    given = context.get_input()
    options = df.RetryOptions(50, given.get("max", 3))
    try:
        return (yield context.call_activity_with_retry("flaky", options, given))
    except Exception as error:
        return f"caught: {str(error).split(' ' + chr(10))[0]}"


@app.orchestration_trigger(context_name="context")
def retry_fan(context: df.DurableOrchestrationContext):
    key, options = context.get_input()["key"], df.RetryOptions(50, 5)
    tasks = [
        context.call_activity_with_retry("flaky", options, {"key": f"{key}{i}", "fail": i, "answer": i})
        for i in range(3)
    ]
    tasks.append(context.call_activity("double", 21))
    return (yield context.task_all(tasks))


@app.orchestration_trigger(context_name="context")
def napping(context: df.DurableOrchestrationContext):
    seconds = context.get_input()["s"]
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    return "woke"


@app.orchestration_trigger(context_name="context")
def long_nap(context: df.DurableOrchestrationContext):
    began = context.current_utc_datetime
    yield context.create_timer(began + timedelta(days=8))
    return (context.current_utc_datetime - began) // timedelta(days=1)


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    kids = yield context.task_all([context.call_sub_orchestrator("chain", {"n": i}) for i in range(3)])
    try:
        yield context.call_sub_orchestrator("failing", {"why": "kid"})
        bad = None
    except Exception as error:
        bad = str(error).split(" \n")[0]
    again = yield context.call_sub_orchestrator_with_retry(
        "sometimes_failing", df.RetryOptions(10, 3), {"key": context.instance_id}
    )
    return {"kids": [kid["result"] for kid in kids], "bad": bad, "again": again}


@app.orchestration_trigger(context_name="context")
def failing(context: df.DurableOrchestrationContext):
    yield context.call_activity("double", 1)
    raise ValueError(f"no luck: {context.get_input()['why']}")


@app.orchestration_trigger(context_name="context")
def sometimes_failing(context: df.DurableOrchestrationContext):
    count = yield context.call_activity("count", context.get_input()["key"])
    if count < 2:
        raise ValueError("not yet")
    return count


@app.orchestration_trigger(context_name="context")
def eternal(context: df.DurableOrchestrationContext):
    given = context.get_input()
    if given["i"] >= given["stop"]:
        return {"done": given["i"]}
    value = yield context.call_activity("add_one", given["i"])
    context.continue_as_new({"i": value, "stop": given["stop"]})
    return None


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    given = context.get_input()
    event = context.wait_for_external_event("Approve")
    timeout = context.create_timer(context.current_utc_datetime + timedelta(seconds=given["timeout"]))
    winner = yield context.task_any([event, timeout])
    if winner != event:
        return "too late"
    if not given.get("leak_timer"):
        timeout.cancel()
    after = yield context.call_activity("double", 4)
    return {"approved": event.result, "type": type(event.result).__name__, "r": after}


@app.orchestration_trigger(context_name="context")
def counter(context: df.DurableOrchestrationContext):
    yield context.call_activity("held", context.get_input()["file"])
    values = []
    for _ in range(3):
        values.append((yield context.wait_for_external_event("Inc")))
    return values


@app.orchestration_trigger(context_name="context")
def mailbox(context: df.DurableOrchestrationContext):
    """Takes one event a lap; the rest has to survive continue_as_new."""
    seen = context.get_input() or []
    if isinstance(seen, str):
        seen = json.loads(seen)
    seen.append((yield context.wait_for_external_event(f"E{len(seen)}")))
    if len(seen) == 3:
        return seen
    context.continue_as_new(seen)
    return None


@app.orchestration_trigger(context_name="context")
def ticker(context: df.DurableOrchestrationContext):
    """A timer of lap 1 must not end the timer of lap 2, which has the same id."""
    given = context.get_input() or {"lap": 1}
    began = context.current_utc_datetime
    if given["lap"] == 1:
        timeout = context.create_timer(began + timedelta(seconds=100))
        event = context.wait_for_external_event("Go")
        yield context.task_any([timeout, event])
        timeout.cancel()
        context.continue_as_new({"lap": 2})
        return None
    yield context.create_timer(began + timedelta(seconds=200))
    return {"waited": (context.current_utc_datetime - began).total_seconds()}


@app.orchestration_trigger(context_name="context")
def fail_fast(context: df.DurableOrchestrationContext):
    try:
        yield context.task_all(
            [context.call_activity("flaky", {"key": "ff", "fail": 99}), context.call_activity("nap", 0.8)]
        )
    except Exception:
        yield context.call_activity("double", 1)
        return "gave up"
    return "all fine"


@app.orchestration_trigger(context_name="context")
def wobbly(context: df.DurableOrchestrationContext):
    """Breaks the rules on purpose: its code takes another way in the second episode."""
    _episodes[context.instance_id] += 1
    yield context.call_activity("double" if _episodes[context.instance_id] == 1 else "add_one", 1)
    return "unreachable"


@app.orchestration_trigger(context_name="context")
def uuids(context: df.DurableOrchestrationContext):
    first = context.new_guid()
    yield context.call_activity("double", 1)
    second = context.new_guid()
    return [str(first), str(second), first != second]


@app.orchestration_trigger(context_name="context")
def loud_status(context: df.DurableOrchestrationContext):
    context.set_custom_status("x" * 9000)
    yield context.call_activity("double", 1)
    return "unreachable"


@app.orchestration_trigger(context_name="context")
def calls_http(context: df.DurableOrchestrationContext):
    yield context.call_http("GET", "http://127.0.0.1:9/")
    return "unreachable"


@app.orchestration_trigger(context_name="context")
def calls_nobody(context: df.DurableOrchestrationContext):
    yield context.call_activity("nobody", 1)


@app.orchestration_trigger(context_name="context")
def steps(context: df.DurableOrchestrationContext):
    """Activities one after another, each of which leaves a line in a file, and ends when another one (`go`) exists."""
    given = context.get_input()
    total = 0
    for i in range(given["n"]):
        total += yield context.call_activity("leave_mark", {**given, "i": i})
    return total


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return 2 * number


@app.activity_trigger(input_name="number")
async def add_one(number: int) -> int:
    return number + 1


@app.activity_trigger(input_name="seconds")
def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@app.activity_trigger(input_name="file")
def held(file: str) -> str:
    """Ends when the file exists."""
    while not Path(file).exists():
        time.sleep(0.01)
    return file


@app.activity_trigger(input_name="number")
def meet(number: int) -> int:
    _meeting.wait(30)
    return number


@app.activity_trigger(input_name="given")
def flaky(given: dict) -> object:
    _attempts[given["key"]] += 1
    if _attempts[given["key"]] <= given["fail"]:
        raise ValueError(f"boom {_attempts[given['key']]}")
    return given.get("answer", f"ok after {_attempts[given['key']]}")


@app.activity_trigger(input_name="key")
def count(key: str) -> int:
    _attempts[key] += 1
    return _attempts[key]


@app.activity_trigger(input_name="given")
def leave_mark(given: dict) -> int:
    with Path(given["file"]).open("a", encoding="ascii") as marks:
        marks.write(f"{given['i']}\n")
        marks.flush()
        os.fsync(marks.fileno())
    time.sleep(0.15)
    while "go" in given and not Path(given["go"]).exists():
        time.sleep(0.01)
    return given["i"]
