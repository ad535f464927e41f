"""Starting orchestrations: one instance id per run, so that a repeated start is refused by the host, not by luck."""

from enum import Enum

import azure.durable_functions as df

from functions import names
from functions.messages import RunOrder
from shared.core.runs import ActiveRun, RunType

_ALIVE = {
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
}


def instance_id(run: ActiveRun) -> str:
    return f"run-{run.id.hex}"


async def start_run(client: df.DurableOrchestrationClient, run: ActiveRun) -> str:
    """Starts the run's orchestration unless it is there already; returns its instance id."""
    instance = instance_id(run)
    known = await client.get_status(instance)
    if known is None or known.runtime_status is None:
        order = RunOrder(definition=run.definition, run=run.id, ingress=run.type is RunType.INGRESS)
        await client.start_new(names.SYNC_RUN, instance, order.to_json())
    return instance


class Standing(Enum):
    UNKNOWN = "UNKNOWN"
    ALIVE = "ALIVE"
    ENDED = "ENDED"


async def standing(client: df.DurableOrchestrationClient, instance: str) -> Standing:
    status = await client.get_status(instance)
    if status is None or status.runtime_status is None:
        return Standing.UNKNOWN
    return Standing.ALIVE if status.runtime_status in _ALIVE else Standing.ENDED
