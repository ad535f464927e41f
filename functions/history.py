"""What the host remembers of orchestrations that have ended: a poll a minute for each list would fill its storage in weeks.

Runs, with their counts, notes and failures, are in the metastore; the host's history tells each step, which is of use while
somebody looks into what has just happened, and for longer where something failed.
"""

from datetime import UTC, datetime, timedelta

import azure.durable_functions as df

_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
"""The client asks for a beginning (github.com/Azure/azure-functions-durable-python/issues/560)."""
_DONE = (df.OrchestrationRuntimeStatus.Completed,)
_UNDONE = (
    df.OrchestrationRuntimeStatus.Failed,
    df.OrchestrationRuntimeStatus.Terminated,
    df.OrchestrationRuntimeStatus.Canceled,
)


async def purge(
    client: df.DurableOrchestrationClient, now: datetime, *, done: timedelta, undone: timedelta
) -> dict[str, int]:
    """Removes orchestrations that were started longer ago than `done` and completed, or than `undone` and did not; never one
    that has not ended. `now` is in UTC. How many of each. Raises what the client raises when the host does not answer."""
    gone = {}
    for kind, age, statuses in (("done", done, _DONE), ("undone", undone, _UNDONE)):
        found = await client.purge_instance_history_by(
            created_time_from=_BEGINNING, created_time_to=now - age, runtime_status=list(statuses)
        )
        gone[kind] = int(found.instances_deleted)
    return gone
