"""Which hold an error asks for."""

from shared.core.errors import (
    ConfigurationError,
    InvariantViolated,
    ListGone,
    PermissionMissing,
    RowsHidden,
    SyncError,
)
from shared.ports import HoldRequest


def hold_for(error: SyncError) -> HoldRequest:
    match error:
        case ListGone():
            kind = "LIST_GONE"
        case RowsHidden():
            kind = "ROWS_HIDDEN"
        case PermissionMissing():
            kind = "PERMISSION"
        case ConfigurationError():
            kind = "CONFIGURATION"
        case InvariantViolated():
            kind = "ALARM"
        case _:
            kind = "SAFETY"
    return HoldRequest(kind=kind, explanation=error.message, details={})
