"""The schedule tick: starts what is due, one orchestration per run, and ends runs whose orchestration is gone."""

import asyncio
import logging

import azure.durable_functions as df
import azure.functions as func

from functions import names
from functions.container import engine
from functions.starting import is_alive, start_run

blueprint = df.Blueprint()
log = logging.getLogger("syncbridge.timers")


@blueprint.timer_trigger(arg_name="timer", schedule="%SYNCBRIDGE_TICK_SCHEDULE%", use_monitor=False)
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.SCHEDULE_TICK)
async def schedule_tick(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    del timer  # a late tick does what an early one would have done
    bridge = await asyncio.to_thread(engine)
    for run in await asyncio.to_thread(bridge.unfinished_runs):
        if run.queued or run.orchestration_id is None:
            await start_run(client, run)
        elif not await is_alive(client, run.orchestration_id):
            await asyncio.to_thread(bridge.abandon_run, run.definition, run.id)
    for run in await asyncio.to_thread(bridge.start_due_runs):
        await start_run(client, run)
    await asyncio.to_thread(bridge.housekeeping)
    log.debug("ticked", extra={"action": "ticked"})
