"""Errors as problem+json (RFC 9457): the same codes as in runs, parked subjects and logs."""

from typing import Any

from shared.core.errors import (
    ConfigurationError,
    Conflicting,
    NotFound,
    PermissionMissing,
    SafetyStop,
    SyncError,
    Throttled,
    Transient,
)

MEDIA_TYPE = "application/problem+json"


def status_of(error: SyncError) -> int:
    match error:
        case NotFound():
            return 404
        case Conflicting():
            return 409
        case PermissionMissing():
            return 422
        case ConfigurationError():
            return 422 if error.code != "invalid_request" else 400
        case Throttled():
            return 429
        case Transient():
            return 503
        case SafetyStop():
            return 409
        case _:
            return 500


def problem(error: SyncError) -> tuple[int, dict[str, Any]]:
    """Status and body. `problems` lists everything that was found, so that a person can mend it in one go."""
    status = status_of(error)
    body: dict[str, Any] = {
        "type": f"urn:syncbridge:problem:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        "code": error.code,
        "detail": error.message if status < 500 or isinstance(error, Transient) else "an internal error; see the log",
    }
    if isinstance(error, ConfigurationError) and len(error.problems) > 1:
        body["problems"] = list(error.problems)
    if isinstance(error, PermissionMissing) and error.remedy:
        body["remedy"] = error.remedy
    if isinstance(error, Transient) and error.retry_after is not None:
        body["retry_after"] = error.retry_after
    return status, body
