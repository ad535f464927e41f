"""Queue triggers: hints that a list changed. A hint that comes twice, late or never costs time only."""

import asyncio
import hashlib
import logging

import azure.durable_functions as df
import azure.functions as func

from functions import names
from functions.container import engine
from functions.messages import ListEvent, ListNotice, ListNotices
from functions.starting import start_run
from shared.core.catalog import AuditEntry
from shared.core.errors import SyncError
from shared.core.ids import DefinitionId
from shared.core.runs import ActiveRun
from shared.faults import describe

blueprint = df.Blueprint()
log = logging.getLogger("syncbridge.queues")


@blueprint.queue_trigger(arg_name="message", queue_name=names.GRAPH_NOTIFICATIONS, connection=names.QUEUE_CONNECTION)
@blueprint.durable_client_input(client_name="client")
@blueprint.function_name(names.LIST_NOTICED)
async def list_noticed(message: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
    """Puts each notice on record and starts the run that answers it, unless one is under way: that one sees to it at its end.

    One that fails holds up none that came with it; the message then comes again with all of them, which costs readings only."""
    failed: Exception | None = None
    for notice in ListNotices.model_validate_json(message.get_body()).notices:
        try:
            run = await asyncio.to_thread(_take, notice)
            if run is not None:
                await start_run(client, run)
        except Exception as error:  # whatever it is, the others have their turn
            log.warning(
                "a notice failed: %s",
                describe(error),
                extra={"action": "notice_failed", "definition": str(notice.definition)},
            )
            failed = failed or error
    if failed is not None:
        raise failed


def _take(notice: ListNotice) -> ActiveRun | None:
    bridge, definition = engine(), DefinitionId(notice.definition)
    match notice.event:
        case ListEvent.CHANGED:
            return bridge.notice(definition)
        case ListEvent.AGAIN:
            return bridge.answer_notices(definition)
        case ListEvent.DUE:
            return bridge.start_due_run(definition)
        case ListEvent.RENEW | ListEvent.REMOVED:
            if notice.subscription is not None:
                bridge.subscription_event(
                    definition, str(notice.subscription), removed=notice.event is ListEvent.REMOVED
                )
            return bridge.answer_notices(definition)


@blueprint.queue_trigger(
    arg_name="message", queue_name=f"{names.GRAPH_NOTIFICATIONS}-poison", connection=names.QUEUE_CONNECTION
)
@blueprint.function_name(names.NOTICE_POISONED)
def notice_poisoned(message: func.QueueMessage) -> None:
    """A hint that could not be taken again and again: the next poll finds what it was about. It goes, but not silently."""
    digest = hashlib.sha256(message.get_body()).hexdigest()
    log.error("a notice was dropped: message %s", digest, extra={"action": "notice_dropped", "message_hash": digest})
    entry = AuditEntry(
        actor="queue trigger",
        action="notice dropped",
        subject_kind="queue",
        subject_id=names.GRAPH_NOTIFICATIONS,
        after={"message_sha256": digest},
    )
    try:
        engine().stores.audit.record(entry)
    except SyncError as error:  # the log has it
        log.warning("the audit did not take it: %s", error.code, extra={"action": "audit_failed", "code": error.code})
