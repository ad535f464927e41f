"""A definition as somebody wants it: names and choices, before it is checked against a table and a list."""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.core.definition import (
    ChangeDetection,
    ConflictPolicy,
    DeletePolicy,
    Direction,
    FieldKind,
    ForeignPolicy,
    GuardSettings,
    LeftScope,
    SyncMode,
)
from shared.core.ids import FieldNo
from shared.core.source import KeyStrategy


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftField:
    source_column_name: str
    target_column_name: str | None = None
    """Internal name of an existing list column, a system column or "Title"; None: a new column is made."""
    target_display_name: str | None = None
    kind: FieldKind | None = None
    """None: the existing list column's, else the type's default."""
    direction: Direction | None = None
    """None: what the sync mode suggests."""
    transform_rule: str | None = None
    group: str | None = None
    choices: tuple[str, ...] = ()
    """Empty for an enum: its labels."""
    required: bool = False
    indexed: bool = False
    no: FieldNo | None = None
    """Of a field that exists; None: a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftDefinition:
    name: str
    key_strategy: KeyStrategy
    key_columns: tuple[str, ...] = ()
    """Empty with PRIMARY_KEY: the table's."""
    fields: tuple[DraftField, ...]
    mode: SyncMode = SyncMode.ONE_WAY_PUSH
    conflict_policy: ConflictPolicy = ConflictPolicy.SOURCE_WINS
    change_detection: ChangeDetection = ChangeDetection.AUTO
    cursor_column: str | None = None
    row_filter: str | None = None
    """Text of shared.core.scope."""
    left_scope: LeftScope = LeftScope.DELETE
    soft_delete_column: str | None = None
    row_deleted: DeletePolicy | None = None
    item_deleted: DeletePolicy | None = None
    foreign_items: ForeignPolicy | None = None
    """None, in these three: what the mode suggests; see shared.core.policies."""
    guards: GuardSettings = field(default_factory=GuardSettings)
    schedule: str = "PT5M"
    schedule_zone: str = "UTC"
    site_zone: str = "UTC"
    settle_concurrency: int = 2
    debounce: timedelta = timedelta(0)
    poll_interval: timedelta = timedelta(seconds=60)
    """How often the list's changes are read when no notice comes."""
