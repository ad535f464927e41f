"""Marks and the backlog: one durable, coalesced, numbered entry per subject that may differ."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from shared.core.ids import ClaimToken, ETag, MarkNumber, Subject
from shared.core.items import Item


class Lane(IntEnum):
    """Priority: lower goes first."""

    PEOPLE = 0
    """Answers to people's edits, manual runs, releases."""
    CDC = 1
    PUSH = 2
    BACKFILL = 3
    DRIFT = 4


class Reason(StrEnum):
    """Why a subject may differ. Reasons add up until the subject is settled."""

    SCAN = "SCAN"
    """The stamp differs, or one side of the comparison is missing."""
    ROW_GONE = "ROW_GONE"
    """A scan or a command saw no row."""
    WATERMARK = "WATERMARK"
    STREAM = "STREAM"
    ITEM = "ITEM"
    """The list's delta or enumeration saw a version that the ledger does not have."""
    ITEM_GONE = "ITEM_GONE"
    """The list says the item was deleted, or an enumeration did not see it: always look."""
    DOUBT = "DOUBT"
    """A write got no answer, or a confirmation came too late."""
    RETRY = "RETRY"
    AGAIN = "AGAIN"
    """An unknown item that is gone was waited for once."""
    COMMAND = "COMMAND"
    BACKFILL = "BACKFILL"
    MAPPING = "MAPPING"
    REVERSE = "REVERSE"
    """A person wants a value back from the conflict log."""
    DRIFT = "DRIFT"
    SAMPLE = "SAMPLE"
    """Read the item back and compare what SharePoint made of our write."""


SCAN_LIKE = frozenset({Reason.SCAN, Reason.ROW_GONE})
"""Only these may be coalesced into an existing mark without a new number."""


class SubjectState(StrEnum):
    DUE = "DUE"
    PARKED = "PARKED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    HELD = "HELD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    subject: Subject
    reasons: frozenset[Reason]
    lane: Lane
    news: ETag | None = None
    """The eTag a capture saw, when it saw one: an eTag the ledger already has is an echo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """News that the ledger has already: a mark only where something is under way that may not have seen it.

    That is: the subject is claimed, or is marked because its item was gone (a restored item may keep its eTag), or its
    entry was confirmed anew since it was read."""

    mark: Mark
    confirmed: MarkNumber | None
    """The entry's, as it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A subject that this worker holds until `until` by the metastore's clock."""

    subject: Subject
    number: MarkNumber
    reasons: frozenset[Reason]
    lane: Lane
    token: ClaimToken
    takeover: bool
    """The claim was taken over from a worker whose lease ran out: settle from full readings of both sides."""
    attempts: int
    news: ETag | None = None
    approved: bool = False
    """A person approved the delete that this subject waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """An item that a capture had in hand when it made a mark: it saves settle a reading, and is never stored.

    It may be used only if the subject's mark is still `number` and its ledger entry was confirmed before `since`, the
    number that was taken before the page was requested; each alone is not enough."""

    item: Item
    number: MarkNumber
    since: MarkNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claimed page. `now` is the metastore's clock at the claim."""

    token: ClaimToken
    subjects: tuple[Claimed, ...]
    now: datetime
    until: datetime
    due_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogCounts:
    due: int
    """Due now and not claimed."""
    later: int
    """Due at a later time, or claimed by somebody."""
    parked: int
    awaiting_approval: int
    held: int
    next_due_at: datetime | None
    oldest_marked_at: datetime | None
