"""The schedule tick: starts what is due, one orchestration per run, ends runs whose orchestration is gone, and looks after
the subscriptions to lists. Once an hour the host forgets what ended long ago."""

import asyncio
import logging
from collections.abc import Awaitable

import azure.durable_functions as df
import azure.functions as func

from functions import names
from functions.container import engine
from functions.history import purge
from functions.starting import Standing, instance_id, standing, start_run
from shared.core.runs import ActiveRun
from shared.engine import Engine
from shared.faults import describe

blueprint = df.Blueprint()
log = logging.getLogger("syncbridge.timers")
_HOURLY = "0 47 * * * *"
"""Often, so that each time there is little: the durable client gives up after four minutes, and others' calls with it."""


@blueprint.timer_trigger(arg_name="timer", schedule="%SYNCBRIDGE_TICK_SCHEDULE%", use_monitor=False)
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.SCHEDULE_TICK)
async def schedule_tick(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    del timer  # a late tick does what an early one would have done
    bridge = await asyncio.to_thread(engine)
    for run in await asyncio.to_thread(bridge.unfinished_runs):
        await _carefully(_look_after(bridge, client, run))
    for due in (bridge.start_due_runs, bridge.start_due_readings):
        for run in await asyncio.to_thread(due):
            await _carefully(start_run(client, run))
    for run in await asyncio.to_thread(bridge.look_after_streams):
        await _carefully(start_run(client, run))
    # Last, for Graph may take its time; a list whose subscription was made is read at once.
    await _carefully(asyncio.to_thread(bridge.look_after_subscriptions))
    for run in await asyncio.to_thread(bridge.start_due_readings):
        await _carefully(start_run(client, run))
    await asyncio.to_thread(bridge.housekeeping)
    log.debug("ticked", extra={"action": "ticked"})


@blueprint.timer_trigger(arg_name="timer", schedule=_HOURLY, use_monitor=False)
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.PURGE_HISTORY)
async def purge_history(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """An hour that is missed is made up for by the next."""
    del timer
    bridge = await asyncio.to_thread(engine)
    settings = bridge.settings
    gone = await purge(client, bridge.clock.now(), done=settings.retain_history, undone=settings.retain_runs)
    log.info("the history of old orchestrations was removed", extra={"action": "history_purged", **gone})


async def _look_after(bridge: Engine, client: df.DurableOrchestrationClient, run: ActiveRun) -> None:
    """A run whose orchestration is not there is started if it is still queued; else, or if it has ended, given up."""
    status = await standing(client, instance_id(run))
    if status is Standing.ALIVE:
        return
    if status is Standing.UNKNOWN and run.queued:
        await start_run(client, run)
    else:
        await asyncio.to_thread(bridge.abandon_run, run.definition, run.id)


async def _carefully(work: Awaitable[object]) -> None:
    """One run's trouble, or Graph's, does not keep the others from being started."""
    try:
        await work
    except Exception as error:
        log.error("something could not be looked after: %s", describe(error), extra={"action": "tick_failed"})  # noqa: TRY400  a traceback ends in the message
