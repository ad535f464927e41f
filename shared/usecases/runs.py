"""A run's beginning and end, as decisions over what is known."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from shared.core.backlog import Lane
from shared.core.errors import Conflicting
from shared.core.lifecycle import RUNNABLE
from shared.core.record import DefinitionRecord, scope_fingerprint_of, terms_of_record
from shared.core.runs import RunRecord, RunStatus, RunType
from shared.core.terms import changes
from shared.ports import HoldRequest

MANUAL, SCHEDULED, NOTICED, POLLED = "MANUAL", "SCHEDULE", "NOTICE", "POLL"
"""What started a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    status: RunStatus
    code: str | None = None
    message: str | None = None


def why_not(record: DefinitionRecord) -> Conflicting | None:
    """Why this definition does not run now; None: it does."""
    if record.state not in RUNNABLE:
        return Conflicting(
            f"definition {record.name!r} is {record.state}: runs start when it is ACTIVE", code="not_active"
        )
    if not record.target.provisioned:
        return Conflicting(
            f"definition {record.name!r} has fields that its list has no column for yet: provision it again",
            code="not_provisioned",
        )
    return None


def scope_hold(record: DefinitionRecord) -> HoldRequest | None:
    """The hold for a scope that nobody has agreed to. Its details say which scope the person agrees to who releases it."""
    now = scope_fingerprint_of(record)
    if record.agreed_scope == now:
        return None
    return HoldRequest(
        kind="SCOPE_CHANGED",
        explanation="The filter or the key of this definition changed since a person last agreed to it: items of rows "
        "that are out of scope now would be deleted or left behind. Look at a plan, then release this hold.",
        details={"scope": now.hex()},
    )


def terms_hold(record: DefinitionRecord) -> HoldRequest | None:
    """The hold for what nobody has agreed that the definition may write. Its details say what is agreed to."""
    now = terms_of_record(record)
    if record.agreed_terms == now:
        return None
    return HoldRequest(
        kind="POLICY_CHANGED",
        explanation="What this definition may write is not what a person last agreed to: "
        f"{'; '.join(changes(record.agreed_terms, now))}. "
        "The next run would write rows and items that differ under the new terms. Fields that did not flow both ways before "
        "may have no agreed value to compare with: two different values in one are a conflict then, and the conflict policy "
        "decides. Nothing was written. Make a plan, which counts all of it, then release this hold.",
        details={"terms": json.dumps(asdict(now), sort_keys=True)},
    )


def unagreed(record: DefinitionRecord) -> tuple[HoldRequest, ...]:
    """The holds that a person has to release before anything is read or written under this version."""
    return tuple(hold for hold in (scope_hold(record), terms_hold(record)) if hold is not None)


def ending(
    record: DefinitionRecord,
    blocking: Sequence[HoldRequest],
    *,
    held: bool,
    error: tuple[str, str] | None,
    failed_items: bool,
) -> Ending:
    """How a run ends whose steps are over."""
    if held or blocking:
        if not blocking:
            return Ending(status=RunStatus.HELD, code="held", message="A guard stopped it.")
        first = blocking[0]
        return Ending(status=RunStatus.HELD, code=first.kind.lower(), message=first.explanation)
    if error is not None:
        return Ending(status=RunStatus.FAILED, code=error[0], message=error[1])
    stopped = why_not(record)
    if stopped is not None:
        return Ending(status=RunStatus.CANCELLED, code=stopped.code, message=stopped.message)
    return Ending(status=RunStatus.COMPLETED_WITH_ERRORS if failed_items else RunStatus.COMPLETED)


def lane_of(run: RunRecord) -> Lane:
    """Whom a run's requests stand behind in the budget: a person who started it waits for it, and so do people who edit."""
    return Lane.PEOPLE if run.trigger == MANUAL or run.type is RunType.INGRESS else Lane.PUSH


def lanes_of(run: RunRecord) -> tuple[Lane, ...]:
    """What a run settles. An ingress leaves rows to their push: they would go before everybody's edits in its lane."""
    return (Lane.PEOPLE,) if run.type is RunType.INGRESS else tuple(Lane)
