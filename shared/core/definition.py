"""A sync definition: one source table kept equal to one list. Frozen; what the engine works from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, ListId, SiteId
from shared.core.paused import Pause, agreed_under
from shared.core.scope import Scope
from shared.core.source import RelationKind, SourceColumn, SourceKey, TableRef


class SyncMode(StrEnum):
    ONE_WAY_PUSH = "ONE_WAY_PUSH"
    ONE_WAY_PULL = "ONE_WAY_PULL"
    TWO_WAY = "TWO_WAY"


class ConflictPolicy(StrEnum):
    SOURCE_WINS = "SOURCE_WINS"
    DESTINATION_WINS = "DESTINATION_WINS"
    LATEST_WINS = "LATEST_WINS"


class Direction(StrEnum):
    BIDIRECTIONAL = "BIDIRECTIONAL"
    PUSH_ONLY = "PUSH_ONLY"
    PULL_ONLY = "PULL_ONLY"


class ChangeDetection(StrEnum):
    AUTO = "AUTO"
    SCAN = "SCAN"
    WATERMARK = "WATERMARK"
    STREAM = "STREAM"
    """The source's log, at once; scheduled runs scan, as the net below it."""


class LeftScope(StrEnum):
    """What becomes of an item whose row left the definition's filter."""

    DELETE = "DELETE"
    KEEP = "KEEP"
    ASK = "ASK"


class DeletePolicy(StrEnum):
    """What becomes of the one side when the other side's unit was deleted."""

    PROPAGATE = "PROPAGATE"
    RECREATE = "RECREATE"
    KEEP = "KEEP"
    APPROVE = "APPROVE"


class ForeignPolicy(StrEnum):
    """What becomes of an item that no row stands for."""

    INSERT = "INSERT"
    IGNORE = "IGNORE"


class DefinitionState(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DEACTIVATED = "DEACTIVATED"
    DELETED = "DELETED"


class FieldKind(StrEnum):
    """What a list column is, as far as values go."""

    TEXT = "TEXT"
    """Single line, 255 UTF-16 units."""
    NOTE = "NOTE"
    """Multiple lines, plain, 63,999 UTF-16 units."""
    NUMBER = "NUMBER"
    CURRENCY = "CURRENCY"
    BOOLEAN = "BOOLEAN"
    DATETIME = "DATETIME"
    DATE = "DATE"
    CHOICE = "CHOICE"
    MULTICHOICE = "MULTICHOICE"
    LOOKUP = "LOOKUP"
    PERSON = "PERSON"
    COUNTER = "COUNTER"
    """The item's ID."""
    UNKNOWN = "UNKNOWN"
    """Graph shows no facet (hyperlink, managed metadata, …): never mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """One column <-> one list column."""

    no: FieldNo
    source: SourceColumn
    target_column_name: str
    """The list column's real internal name."""
    target_display_name: str
    kind: FieldKind
    direction: Direction = Direction.PUSH_ONLY
    is_system_field: bool = False
    transform_rule: str | None = None
    group: str | None = None
    """Fields of one group are merged as one value."""
    choices: tuple[str, ...] = ()
    required: bool = False
    indexed: bool = False
    target_column_id: str | None = None
    """Which list column of that name: one with another id was made anew, and is empty in every item. None: not seen yet."""
    paused: Pause | None = None
    """It takes no part: its column is not the one that was agreed on."""

    @property
    def pushes(self) -> bool:
        return self.direction is not Direction.PULL_ONLY and not self.is_system_field

    @property
    def pulls(self) -> bool:
        return self.direction is not Direction.PUSH_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """Limits per run and rolling day; a limit that is passed holds, it never writes."""

    max_delete_share: float = 0.5
    max_deletes: int = 500
    min_rows_share: float = 0.5
    """A scan that sees fewer rows than this share of the ledger holds the definition; so does a list with fewer items."""
    max_change_share: float = 0.9
    """More than this share of rows changed at once, of at least `change_floor` rows, holds the definition."""
    change_floor: int = 1000
    max_writes_per_row: int = 30
    """The loop breaker: writes to one row within `loop_window` before it is parked. More than a row that changes before
    every run of the shortest schedule needs."""
    loop_window: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """What the source adapter needs to scan, read and watch one definition's table."""

    instance_id: InstanceId
    table: TableRef
    relation: RelationKind
    key: SourceKey
    columns: tuple[SourceColumn, ...]
    """The columns of the fields that take part in the mode, in mapping order; the stamp covers all of them."""
    scope: Scope | None = None
    soft_delete_column: SourceColumn | None = None
    cursor_column: SourceColumn | None = None

    @property
    def read(self) -> tuple[SourceColumn, ...]:
        """What a row is read with: the columns of the fields, and the cursor column, which tells the row's own time."""
        cursor = self.cursor_column
        if cursor is None or any(column.name == cursor.name for column in self.columns):
            return self.columns
        return (*self.columns, cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetList:
    """Where the items live."""

    connection_id: ConnectionId
    site_id: SiteId
    list_id: ListId
    key_column: str
    """Internal name of the hidden, indexed, unique column that holds the sync key."""
    keeps_versions: bool = True
    site_zone: str = "UTC"
    """IANA zone of the site, for date-only columns."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDefinition:
    id: DefinitionId
    name: str
    version: int
    state: DefinitionState
    mode: SyncMode
    conflict_policy: ConflictPolicy
    source: SourceSpec
    target: TargetList
    fields: tuple[FieldMapping, ...]
    mapping_fingerprint: bytes
    """Over everything that decides what an item must look like, see shared.core.mapping; and which fields are paused."""
    scope_fingerprint: bytes
    """Over filter and key: a change asks a person."""
    change_detection: ChangeDetection = ChangeDetection.AUTO
    left_scope: LeftScope = LeftScope.DELETE
    row_deleted: DeletePolicy = DeletePolicy.PROPAGATE
    item_deleted: DeletePolicy = DeletePolicy.RECREATE
    """In push-only definitions an item that a person deleted comes back by default: the database is the record."""
    foreign_items: ForeignPolicy = ForeignPolicy.IGNORE
    guards: GuardSettings = field(default_factory=GuardSettings)
    schedule: str = "PT5M"
    """ISO 8601 duration, or a five-field cron expression."""
    schedule_zone: str = "UTC"
    settle_concurrency: int = 2
    debounce: timedelta = timedelta(0)

    @property
    def paused(self) -> frozenset[FieldNo]:
        """The fields that take no part for now; what was agreed about them stays."""
        return frozenset(mapping.no for mapping in self.fields if mapping.paused is not None)

    @property
    def watermark_fingerprint(self) -> bytes:
        """Of what a position in the cursor column's order is about: another scope or another column begins anew. So does a
        field that is paused or goes on: rows may have changed in it that were passed over."""
        column = self.source.cursor_column
        named = self.scope_fingerprint if column is None else self.scope_fingerprint + f"/{column.name}".encode()
        return agreed_under(named, self.paused)

    @property
    def takes_foreign_items(self) -> bool:
        """Whether an item that no row stands for makes a row."""
        return self.mode is not SyncMode.ONE_WAY_PUSH and self.foreign_items is ForeignPolicy.INSERT

    def by_no(self) -> Mapping[FieldNo, FieldMapping]:
        return {mapping.no: mapping for mapping in self.fields}
