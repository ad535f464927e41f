"""Hints into the queue of notices: somebody is to look now whether a run is wanted. What is to be done is on record already,
so that a hint that is lost costs the time until the next schedule tick."""

import logging

from functions import names
from functions.messages import ListEvent, ListNotice, packed
from shared.core.errors import SyncError
from shared.core.ids import DefinitionId
from shared.engine import Engine

log = logging.getLogger("syncbridge.hints")


def hint(bridge: Engine, definition: DefinitionId, *, push: bool = False) -> bool:
    """Whether it is in the queue. `push`: the scheduled run is due as well."""
    events = (ListEvent.DUE, ListEvent.AGAIN) if push else (ListEvent.AGAIN,)
    try:
        for text in packed([ListNotice(definition=definition, event=event) for event in events]):
            bridge.queue.put(names.GRAPH_NOTIFICATIONS, text)
    except SyncError as error:
        log.warning("no hint was sent: %s", error.code, extra={"action": "hint_failed", "code": error.code})
        return False
    return True
