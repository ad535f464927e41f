"""Names that cross the durable boundary: functions, queues. Called by string, so that both durable lines run them."""

SYNC_RUN = "sync_run"
BEGIN_RUN = "begin_run"
CAPTURE_SOURCE = "capture_source"
CAPTURE_LIST = "capture_list"
SETTLE_BACKLOG = "settle_backlog"
FINISH_RUN = "finish_run"
SCHEDULE_TICK = "schedule_tick"
PURGE_HISTORY = "purge_history"
MANUAL_RUN = "manual_run"
MANUAL_INGRESS = "manual_ingress"
LIST_NOTIFICATIONS = "list_notifications"
LIST_LIFECYCLE = "list_lifecycle"
LIST_NOTICED = "list_noticed"
NOTICE_POISONED = "notice_poisoned"
CONTROL_API = "control_api"
HEALTH = "health"
API_DOCS = "api_docs"
API_DOCUMENT = "api_document"
CHANGES_ARRIVED = "changes_arrived"
CHANGES_POISONED = "changes_poisoned"

CDC_CHANGES = "cdc-changes"
"""The queue of changed keys."""
GRAPH_NOTIFICATIONS = "graph-notifications"
"""The queue of hints that a list changed."""
QUEUE_CONNECTION = "SYNCBRIDGE_QUEUE_CONNECTION"
"""The setting, or the family of settings, that the queue triggers connect by."""

CONTINUE_AS_NEW_LAPS = 25
"""Settle laps in one orchestration history; its length stays bounded, whatever the backlog."""
LONGEST_WAIT = 900.0
"""Seconds of one durable timer; what has to wait longer looks again meanwhile."""
PATIENT_LAPS = 40
"""Laps after which a run does not wait any longer for writes whose answer was lost; the next run settles them."""
RETRIES = 12
"""Consecutive failures of one step that may be worth another try, before the run gives up."""
LOST_RETRIES = 3
"""The same for a step that the host ended before it could answer: each may have cost ten minutes."""
