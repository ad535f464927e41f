"""Sample app: timers, queue triggers and queue outputs. What ran is written as lines of a file."""

import json
import os
import threading
import time
from pathlib import Path
from typing import List  # noqa: UP035

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_lock = threading.Lock()


def note(**what: object) -> None:
    with _lock, Path(os.environ["NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps(what | {"at": time.time()}) + "\n")


@app.timer_trigger(schedule="*/1 * * * * *", arg_name="timer")
def every_second(timer: func.TimerRequest) -> None:
    note(function="every_second", late=timer.past_due)


@app.timer_trigger(schedule="%HOURLY%", arg_name="timer", run_on_startup=False)
def hourly(timer: func.TimerRequest) -> None:
    note(function="hourly", late=timer.past_due, status=timer.schedule_status)


@app.timer_trigger(schedule="23:00:00", arg_name="timer", run_on_startup=True)
async def at_start(timer: func.TimerRequest) -> None:
    note(function="at_start", late=timer.past_due)


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
def failing_timer(timer: func.TimerRequest) -> None:
    raise ValueError("no")


@app.route(route="send", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="%INBOX%", connection="AzureWebJobsStorage")
def send(req: func.HttpRequest, out: func.Out[List[str]]) -> str:  # noqa: UP006  the worker knows typing.List only
    out.set(req.get_json())
    return "sent"


@app.queue_trigger(arg_name="message", queue_name="%INBOX%", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="out", queue_name="%OUTBOX%", connection="AzureWebJobsStorage")
def take(message: func.QueueMessage, out: func.Out[str]) -> None:
    text = message.get_body().decode()
    note(function="take", text=text, dequeues=message.dequeue_count, inserted=message.insertion_time.timestamp())
    if text.startswith("bad"):
        raise ValueError("cannot take this")
    if text.startswith("slow"):
        time.sleep(float(text.removeprefix("slow")))
    out.set(text.upper())
