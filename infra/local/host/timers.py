"""Timer triggers: one run at a time, a schedule monitor that survives restarts, past-due runs.

Behaviour of TimerListener and ScheduleMonitor in github.com/Azure/azure-webjobs-sdk-extensions: the monitor is kept for
schedules of a minute or more only, so second-level timers are never caught up.
"""

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.functions import meta

from infra.local.host.clock import Clock, iso, parse_iso
from infra.local.host.cron import Schedule, parse_schedule, shortest_gap
from infra.local.host.dispatch import Dispatcher
from infra.local.host.errors import HostError
from infra.local.host.indexing import Function
from infra.local.host.invocation import InvocationFailed
from infra.local.host.logs import say
from infra.local.host.state import StateFile

log = logging.getLogger("localhost.timers")
_LONGEST_SLEEP = 60.0  # so that a suspended machine notices the time within a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The monitor's row: the last run (None before the first), the next one, when this was written."""

    last: datetime | None
    next: datetime
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timer:
    function: Function
    schedule: Schedule
    monitored: bool
    on_startup: bool


def past_due(status: Status | None, schedule: Schedule, now: datetime) -> bool:
    """Whether a run was missed: judged by the schedule of today, not by the one that wrote the row."""
    return status is not None and schedule.next(status.last or status.updated) <= now


class Timers:
    def __init__(self, functions: list[Function], dispatcher: Dispatcher, state: StateFile, clock: Clock) -> None:
        self._dispatcher, self._state, self._clock = dispatcher, state, clock
        self._timers = {
            function.name: self._timer(function)
            for function in functions
            if function.trigger.type == "timerTrigger" and not function.disabled
        }

    def _timer(self, function: Function) -> _Timer:
        raw = function.trigger.raw
        try:
            schedule = parse_schedule(str(raw.get("schedule", "")))
            long_enough = shortest_gap(schedule, self._clock.now()) >= timedelta(minutes=1)
        except ValueError as error:
            raise HostError(f"{function.name}: the schedule is wrong: {error}.") from None
        return _Timer(
            function=function,
            schedule=schedule,
            monitored=long_enough and raw.get("useMonitor") is not False,
            on_startup=raw.get("runOnStartup") is True,
        )

    async def run(self) -> None:
        """Runs every timer until cancelled."""
        async with asyncio.TaskGroup() as group:
            for timer in self._timers.values():
                group.create_task(self._loop(timer))
            await asyncio.Event().wait()  # an app without timers has a listener that waits

    async def fire(self, function: Function) -> None:
        """One run by hand, outside the schedule. InvocationFailed when it fails."""
        timer = self._timers.get(function.name) or self._timer(function)
        now = self._clock.now()
        await self._invoke(timer, Status(last=now, next=timer.schedule.next(now), updated=now), late=False)

    async def _loop(self, timer: _Timer) -> None:
        now = self._clock.now()
        known = self._read(timer)
        late = past_due(known, timer.schedule, now)
        status = Status(last=known.last if known else None, next=timer.schedule.next(now), updated=now)
        self._write(timer, status)
        if late or timer.on_startup:
            status = await self._safely(timer, status, now, late=late)
        while True:
            while (wait := (status.next - self._clock.now()).total_seconds()) > 0:
                await asyncio.sleep(min(wait, _LONGEST_SLEEP))
            status = await self._safely(timer, status, status.next, late=False)

    async def _safely(self, timer: _Timer, status: Status, ran_at: datetime, *, late: bool) -> Status:
        try:
            await self._invoke(timer, status, late=late)
        except InvocationFailed as error:
            say(log, logging.ERROR, "timer.failed", function=timer.function.name, error=error.kind, at=error.at)
        except Exception as error:  # an output binding failed; the timer goes on
            say(log, logging.ERROR, "timer.output_failed", function=timer.function.name, error=type(error).__name__)
        now = self._clock.now()
        following = Status(last=ran_at, next=timer.schedule.next(max(ran_at, now)), updated=now)
        self._write(timer, following)
        return following

    async def _invoke(self, timer: _Timer, status: Status, *, late: bool) -> None:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {
                "Last": (status.last or datetime.min).isoformat(),  # noqa: DTZ901  .NET's default DateTime, as the host sends it
                "Next": status.next.isoformat(),
                "LastUpdated": status.updated.isoformat(),
            },
            "IsPastDue": late,
        }
        await self._dispatcher.run(timer.function, meta.Datum(json.dumps(info), "json"))

    def _read(self, timer: _Timer) -> Status | None:
        if not timer.monitored:
            return None
        row = self._state.execute("select * from timers where name = ?", timer.function.name).fetchone()
        if row is None:
            return None
        last = None if row["last"] is None else parse_iso(row["last"])
        return Status(last=last, next=parse_iso(row["next"]), updated=parse_iso(row["updated"]))

    def _write(self, timer: _Timer, status: Status) -> None:
        if timer.monitored:
            last = None if status.last is None else iso(status.last)
            self._state.execute(
                "insert or replace into timers values (?, ?, ?, ?)",
                timer.function.name,
                last,
                iso(status.next),
                iso(status.updated),
            )
