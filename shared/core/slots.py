"""Replication slots: what we know of ours, what the server says of it, and whether the one goes on from the other.

A slot can vanish, be lost, be made anew under its old name, or belong to another server after a failover, mostly without
an error: then changes are missing. So the stream stops and says so whenever it cannot be shown that nothing is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.core.changes import SlotIdentity
from shared.core.ids import DefinitionId, InstanceId
from shared.core.replication import Lsn, lsn_text
from shared.core.source import TableRef

DEFAULT_SLOT: Final = "arcore_slot"
PUBLICATION: Final = "arcore_publication"
"""Publications belong to one database, slots to the whole server: a second database's slot needs another name."""
PLUGIN: Final = "pgoutput"
FAILOVER_SINCE: Final = 17
"""From this version on a slot can be made to live on at the standby that is promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """Which server answers, and how far its log is."""

    system: str
    timeline: int
    wal_end: Lsn
    version: int
    """Major version."""
    standby: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """A slot as pg_replication_slots shows it."""

    name: str
    plugin: str | None
    database: str | None
    confirmed: Lsn
    """Where a reader that says nothing else begins."""
    retained: int
    """Bytes of the log that the server keeps for it."""
    behind: int
    """Bytes of the log behind `confirmed`."""
    active_pid: int | None
    lost: bool
    """What it needs was removed, or something else made it unusable for ever."""
    failover: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A table in the publication."""

    whole: bool
    """False: a row filter or a column list leaves something out."""
    since: str
    """Changes when the table left and came back, when the publication was made anew or altered, and when a partition was
    attached, detached or truncated: the stream did not tell of everything, and no error says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the publication publishes. `whole`: all operations, under the partitions' root."""

    whole: bool
    tables: Mapping[TableRef, Membership]


class Phase(StrEnum):
    WANTED = "WANTED"
    """To be made, with a new beginning: what is missing before it a scan finds."""
    STREAMING = "STREAMING"
    BROKEN = "BROKEN"
    """It cannot be shown that nothing is missing. A person looks first."""
    DROPPED = "DROPPED"
    """By a person; it is not made again by itself."""


class BudgetAction(StrEnum):
    """What becomes of it when a server keeps more log for a slot than the slot's budget allows."""

    ALERT = "ALERT"
    PAUSE_OTHERS = "PAUSE_OTHERS"
    """No other scheduled run starts, until the stream has caught up."""
    DROP = "DROP"
    """The slot is dropped and made anew; a scan makes up for what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """A slot as we keep it. Times are the metastore's."""

    instance: InstanceId
    name: str
    phase: Phase
    identity: SlotIdentity | None
    queued: Lsn
    """Our own mark: every change before it is in the queue."""
    epoch: int
    holder: str | None
    alive: bool
    """Somebody's lease on it has not run out."""
    heartbeat_at: datetime | None
    silent: timedelta | None
    """Since the last heartbeat."""
    streaming: bool | None
    paused_reason: str | None
    most_per_second: int | None
    making: bool
    """A slot of this name that we do not know is ours all the same: its maker died."""
    budget: int
    action: BudgetAction
    retained: int | None
    behind: int | None
    measured_at: datetime | None
    over_budget: bool
    lag: timedelta | None
    """Since everything that the server had was in the queue; None: it never was."""
    problem_code: str | None
    problem_text: str | None
    changes: int
    keys: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A definition that streams, and since when its stream has every change."""

    definition: DefinitionId
    instance: InstanceId
    version: int
    membership: str | None
    """None: it is not watched yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a reader has put into the queue since it said so last."""

    queued: Lsn
    changes: int = 0
    keys: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    retained: int
    behind: int
    caught_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedMessage:
    id: UUID
    queue: str
    body: str = field(repr=False)
    code: str
    reason: str
    parked_at: datetime
    state: str


class BreakKind(StrEnum):
    SLOT_MISSING = "slot_missing"
    SLOT_LOST = "slot_lost"
    SLOT_RECREATED = "slot_recreated"
    SLOT_FOREIGN = "slot_foreign"
    OTHER_SERVER = "other_server"
    OTHER_TIMELINE = "other_timeline"
    SERVER_REWOUND = "server_rewound"
    PUBLICATION_MISSING = "publication_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Why it cannot be shown that nothing is missing."""

    kind: BreakKind
    explanation: str


def continuity(
    known: SlotIdentity, queued: Lsn, server: ServerState, slot: SlotState | None, *, database: str
) -> Break | None:
    """None: the slot goes on from `queued`, our own mark of what the queue has.

    A slot that starts before it (a server that crashed forgets what was confirmed last) repeats changes, which is
    harmless. One that starts behind it was made anew, or moved by somebody: what lies between is missing."""
    if server.system != known.system:
        return Break(
            kind=BreakKind.OTHER_SERVER,
            explanation=f"Another database server answers (system {server.system}, it was {known.system}): positions in "
            "the log mean nothing there.",
        )
    if server.timeline != known.timeline:
        return Break(
            kind=BreakKind.OTHER_TIMELINE,
            explanation=f"The server was promoted or restored (timeline {server.timeline}, it was {known.timeline}): it may "
            "lack the last transactions before that, and the slot may lack changes.",
        )
    if server.wal_end < queued:
        return Break(
            kind=BreakKind.SERVER_REWOUND,
            explanation=f"The server's log ends at {lsn_text(server.wal_end)}, and changes up to {lsn_text(queued)} were "
            "read from it: it was set back to an earlier state.",
        )
    if slot is None:
        return Break(
            kind=BreakKind.SLOT_MISSING,
            explanation=f"The replication slot {known.name} is gone: it was dropped, or did not survive a failover.",
        )
    if slot.plugin != PLUGIN or slot.database != database:
        return Break(
            kind=BreakKind.SLOT_FOREIGN,
            explanation=f"The replication slot {known.name} is not ours: it belongs to another database or plugin.",
        )
    if slot.lost:
        return Break(
            kind=BreakKind.SLOT_LOST,
            explanation=f"The replication slot {known.name} is lost: the server removed log that it needed "
            "(max_slot_wal_keep_size), or invalidated it.",
        )
    if slot.confirmed > queued:
        return Break(
            kind=BreakKind.SLOT_RECREATED,
            explanation=f"The replication slot {known.name} begins at {lsn_text(slot.confirmed)}, and only changes before "
            f"{lsn_text(queued)} were read: it was made anew, or moved on by somebody else.",
        )
    return None
