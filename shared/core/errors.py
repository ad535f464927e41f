"""What can go wrong, grouped by what the caller can do next.

SyncError
├── Transient            the same call may work later: Throttled, SourceUnavailable, MetastoreUnavailable, GraphUnavailable,
│                        QueueUnavailable
├── Doubt                no answer to a write: it may have landed, may land later, or never
├── Superseded           somebody else holds the claim: stop quietly
├── PreconditionFailed   an eTag or a row version moved: look again and decide again
├── RowRejected          this subject cannot be written: park it, go on
├── ConfigurationError   terminal until a person edits something
├── SafetyStop           a guard tripped: hold, explain, wait for a person
└── InvariantViolated    a bug: alarm

Messages name the definition, the column, its type and the accepted shape. They never hold a row's values or a secret.
"""

from enum import StrEnum
from typing import Any


class Disposition(StrEnum):
    RETRY = "RETRY"
    """The same work, later."""
    YIELD = "YIELD"
    """Stop quietly: somebody else is at it, or an answer has to be waited for."""
    REPLAN = "REPLAN"
    """Look again and decide again, now."""
    PARK = "PARK"
    """Set this subject aside with its reason."""
    HOLD = "HOLD"
    """Stop the definition until a person has looked."""
    ALARM = "ALARM"
    """A bug: stop the definition and say so loudly."""


class SyncError(Exception):
    """Base of everything the engine raises on purpose. `code` is stable and appears in API answers, runs and logs."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.context = context

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.code, self.context, self._extra()))

    def _extra(self) -> dict[str, Any]:
        return {}


def _rebuild(
    kind: type[SyncError], message: str, code: str, context: dict[str, Any], extra: dict[str, Any]
) -> SyncError:
    return kind(message, code=code, **extra, **context)


class Transient(SyncError):
    """`retry_after`: seconds to wait at least, or None when the other side did not say."""

    code = "transient"

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str | None = None, **context: Any
    ) -> None:
        super().__init__(message, code=code, **context)
        self.retry_after = retry_after

    def _extra(self) -> dict[str, Any]:
        return {"retry_after": self.retry_after}


class Throttled(Transient):
    """The RU budget is used up, or Graph said 429 or 503."""

    code = "throttled"


class SourceUnavailable(Transient):
    code = "source_unavailable"


class MetastoreUnavailable(Transient):
    code = "metastore_unavailable"


class GraphUnavailable(Transient):
    code = "graph_unavailable"


class QueueUnavailable(Transient):
    code = "queue_unavailable"


class Doubt(SyncError):
    code = "doubt"


class Superseded(SyncError):
    code = "superseded"


class PreconditionFailed(SyncError):
    code = "precondition_failed"


class DeltaExpired(PreconditionFailed):
    """The delta token is gone (410, resync codes), or its page cannot be trusted: enumerate the list, then start anew.

    `code`: delta_expired or delta_poisoned."""

    code = "delta_expired"


class RowRejected(SyncError):
    """`field`: the mapping's source column, when one field is to blame."""

    code = "row_rejected"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None, **context: Any) -> None:
        super().__init__(message, code=code, **context)
        self.field = field

    def _extra(self) -> dict[str, Any]:
        return {"field": self.field}


class Unrepresentable(RowRejected):
    """A value that the other side would cut, round or refuse."""

    code = "unrepresentable"


class ConfigurationError(SyncError):
    """`problems`: every problem found, each a sentence, so that a person can mend all of them at once."""

    code = "configuration"

    def __init__(
        self, message: str, *, problems: tuple[str, ...] = (), code: str | None = None, **context: Any
    ) -> None:
        super().__init__(message, code=code, **context)
        self.problems = problems or (message,)

    def _extra(self) -> dict[str, Any]:
        return {"problems": self.problems}


class NotFound(ConfigurationError):
    code = "not_found"


class Conflicting(ConfigurationError):
    """What is asked for stands against what is there: a name that is taken, a version that has moved, a run that runs."""

    code = "conflict"


class MessageRejected(ConfigurationError):
    """A queue's message that cannot be read. It is kept with its reason until a person has decided about it."""

    code = "message_rejected"


class PermissionMissing(ConfigurationError):
    """`remedy`: the SQL or the grant that gives the right."""

    code = "permission_missing"

    def __init__(self, message: str, *, remedy: str = "", code: str | None = None, **context: Any) -> None:
        super().__init__(message, code=code, **context)
        self.remedy = remedy

    def _extra(self) -> dict[str, Any]:
        return {"remedy": self.remedy}


class SafetyStop(SyncError):
    code = "safety_stop"


class ListGone(SafetyStop):
    """The list or the site cannot be seen any more: deleted, moved, locked, or the grant was revoked."""

    code = "list_gone"


class RowsHidden(SafetyStop):
    """Row-level security would hide rows from this role: absence would look like deletion."""

    code = "rows_hidden"


class StreamBroken(SafetyStop):
    """It cannot be shown that a change stream misses nothing. `code`: one of shared.core.slots.BreakKind."""

    code = "stream_broken"


class InvariantViolated(SyncError):
    code = "invariant_violated"


class StreamMalformed(InvariantViolated):
    """What a source's change stream sent is not what its protocol says. Nothing of it is believed."""

    code = "stream_malformed"


def disposition(error: BaseException) -> Disposition:
    """What to do about an error. Unknown errors are never retried for ever: they hold the definition."""
    match error:
        case Transient():
            return Disposition.RETRY
        case Doubt() | Superseded():
            return Disposition.YIELD
        case PreconditionFailed():
            return Disposition.REPLAN
        case RowRejected():
            return Disposition.PARK
        case ConfigurationError() | SafetyStop():
            return Disposition.HOLD
        case InvariantViolated():
            return Disposition.ALARM
        case _:
            return Disposition.HOLD
