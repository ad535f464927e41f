"""What the control API takes and gives. Every document refuses unknown members; secrets go in and never come out."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from shared.core.definition import (
    ChangeDetection,
    ConflictPolicy,
    DefinitionState,
    DeletePolicy,
    Direction,
    FieldKind,
    ForeignPolicy,
    LeftScope,
    SyncMode,
)
from shared.core.slots import DEFAULT_SLOT, BudgetAction
from shared.core.source import KeyStrategy
from shared.core.watching import LONGEST_POLL, SHORTEST_POLL


def _kept(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text holds the character NUL, which no database keeps")
    return text


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("a name holds no control characters")
    return text


Kept = AfterValidator(_kept)
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
Identifier = Annotated[str, Field(min_length=1, max_length=63), Kept]
Text = Annotated[str, Field(max_length=4000), Kept]
_HEX = "[0-9A-Fa-f]"
_GUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
SiteText = Annotated[
    str, Field(pattern=rf"^[A-Za-z0-9.-]{{1,253}},{_GUID},{_GUID}$", description="As Graph names it: host,GUID,GUID.")
]
Count = Annotated[int, Field(ge=0, le=2_000_000_000)]


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretIn(Document):
    """Exactly one of: the secret itself (sealed at once), or where it is."""

    value: SecretStr | None = None
    reference: Annotated[str, Field(pattern=r"^(env|keyvault):[A-Za-z0-9_-]{1,127}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> "SecretIn":
        if (self.value is None) == (self.reference is None):
            raise ValueError("a secret is given either as value, or as reference (env:NAME or keyvault:NAME)")
        return self


class InstanceIn(Document):
    name: Name
    host: Annotated[str, Field(min_length=1, max_length=255), Kept]
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    db_name: Identifier
    db_user: Identifier
    secret: SecretIn | None = None
    auth_method: Literal["PASSWORD", "ENTRA"] = "PASSWORD"
    tls_mode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    role: Literal["PRIMARY", "REPLICA"] = "PRIMARY"
    priority: Annotated[int, Field(ge=0, le=10_000)] = 100


class InstanceOut(Document):
    id: UUID
    name: str
    host: str
    port: int
    db_name: str
    db_user: str
    secret: str | None = Field(description="Where the secret is: env:NAME, keyvault:NAME or sealed. Never the secret.")
    auth_method: str
    tls_mode: str
    role: str
    priority: int
    health: str
    health_details: dict[str, Any]
    health_checked_at: datetime | None


class ConnectionIn(Document):
    name: Name
    tenant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,100}$")]
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
    auth_method: Literal["SECRET", "CERTIFICATE", "MANAGED_IDENTITY", "FEDERATED"]
    secret: SecretIn | None = None
    cloud: Literal["GLOBAL", "USGOV", "USGOV_DOD", "CHINA", "CUSTOM"] = "GLOBAL"
    graph_url: Annotated[str, Field(max_length=300), Kept] | None = None
    login_url: Annotated[str, Field(max_length=300), Kept] | None = None
    licence_count: Count = 0
    ru_multiplier: Annotated[float, Field(gt=0, le=1000)] = 1.0
    ru_per_minute: Annotated[int, Field(gt=0, le=2_000_000_000)] | None = None
    ru_per_day: Annotated[int, Field(gt=0, le=2_000_000_000)] | None = None
    user_agent: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,198}[!-~])?$")] | None = None

    @model_validator(mode="after")
    def _custom(self) -> "ConnectionIn":
        if (self.cloud == "CUSTOM") != (self.graph_url is not None and self.login_url is not None):
            raise ValueError("graph_url and login_url go with cloud CUSTOM, both, and with no other cloud")
        return self


class ConnectionOut(Document):
    id: UUID
    name: str
    tenant_id: str
    client_id: str
    auth_method: str
    secret: str | None
    cloud: str
    graph_url: str | None
    login_url: str | None
    licence_count: int
    ru_multiplier: float
    ru_per_minute: int
    ru_per_day: int
    health: str
    health_details: dict[str, Any]
    health_checked_at: datetime | None


class FieldMappingIn(Document):
    source_column_name: Identifier
    target_display_name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)] | None = None
    target_column_name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")] | None = Field(
        default=None,
        description="Internal name that is asked for; the real one is read back when the list is provisioned.",
    )
    field_kind: FieldKind | None = Field(default=None, description="By default the one that suits the column's type.")
    sync_direction: Direction | None = Field(default=None, description="By default what the sync mode suggests.")
    transform_rule: Text | None = None
    group: Annotated[str, Field(max_length=63), Kept] | None = None
    choices: tuple[Annotated[str, Field(min_length=1, max_length=255), Kept], ...] = Field(
        default=(), description="Of a CHOICE or MULTICHOICE column; by default the labels of an enum."
    )
    required: bool = False
    indexed: bool = False


class GuardsIn(Document):
    max_delete_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_deletes: Count = 500
    min_rows_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_change_share: Annotated[float, Field(ge=0, le=1)] = 0.9
    change_floor: Count = 1000
    max_writes_per_row: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=30, description="The loop breaker: writes to one row within the window before it is parked."
    )
    loop_window: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=1))] = Field(
        default=timedelta(minutes=10), description="ISO 8601 duration."
    )


class DefinitionIn(Document):
    name: Name
    source_instance_id: UUID
    source_schema: Identifier
    source_table_name: Identifier
    sharepoint_connection_id: UUID
    site_id: SiteText
    list_name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
    key_strategy: KeyStrategy = KeyStrategy.PRIMARY_KEY
    key_columns: tuple[Identifier, ...] = Field(default=(), description="By default the primary key's.")
    field_mappings: tuple[FieldMappingIn, ...] = Field(
        default=(), description="By default every column that a list can hold."
    )
    sync_mode: SyncMode = SyncMode.ONE_WAY_PUSH
    conflict_policy: ConflictPolicy = ConflictPolicy.SOURCE_WINS
    change_detection: ChangeDetection = ChangeDetection.AUTO
    cursor_column: Identifier | None = None
    row_filter: Text | None = None
    left_scope: LeftScope = LeftScope.DELETE
    soft_delete_column: Identifier | None = None
    row_deleted: DeletePolicy | None = Field(default=None, description="By default what the sync mode suggests.")
    item_deleted: DeletePolicy | None = Field(default=None, description="By default what the sync mode suggests.")
    foreign_items: ForeignPolicy | None = Field(
        default=None,
        description="What becomes of items that no row stands for; by default what the sync mode suggests.",
    )
    guards: GuardsIn = Field(default_factory=GuardsIn)
    schedule: Annotated[str, Field(max_length=100), Kept] = "PT5M"
    schedule_zone: Annotated[str, Field(max_length=64), Kept] = "UTC"
    site_zone: Annotated[str, Field(max_length=64), Kept] = "UTC"
    settle_concurrency: Annotated[int, Field(ge=1, le=8)] = 2
    debounce: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=1))] = Field(
        default=timedelta(0),
        description="How long a person's edit has to rest before it moves, so that no half-typed item does. ISO 8601 duration.",
    )
    poll_interval: Annotated[timedelta, Field(ge=SHORTEST_POLL, le=LONGEST_POLL)] = Field(
        default=timedelta(seconds=60),
        description="How often the list's changes are read when no notice comes: 10 seconds to a day, 1 RU each. ISO 8601 "
        "duration.",
    )


class PauseOut(Document):
    reason: str
    since: datetime
    seen_by: str = Field(description="A run, or the stream.")


class FieldMappingOut(Document):
    id: UUID
    field_no: int
    source_column_name: str
    source_type: str
    target_column_name: str | None
    target_display_name: str
    field_kind: str
    sync_direction: str
    is_system_field: bool
    transform_rule: str | None
    group: str | None
    choices: tuple[str, ...]
    required: bool
    indexed: bool
    paused: PauseOut | None = Field(
        default=None, description="Its column is not what it was: the field is written on neither side."
    )


class PoliciesOut(Document):
    row_deleted: DeletePolicy
    item_deleted: DeletePolicy
    foreign_items: ForeignPolicy


class DefinitionOut(Document):
    id: UUID
    name: str
    version: int
    state: DefinitionState
    state_reason: str | None
    source_instance_id: UUID
    source_schema: str
    source_table_name: str
    sharepoint_connection_id: UUID
    site_id: str
    list_id: str | None
    list_name: str
    key_strategy: KeyStrategy
    key_columns: tuple[str, ...]
    field_mappings: tuple[FieldMappingOut, ...]
    sync_mode: SyncMode
    conflict_policy: ConflictPolicy
    change_detection: ChangeDetection
    cursor_column: str | None
    row_filter: str | None
    left_scope: LeftScope
    soft_delete_column: str | None
    row_deleted: DeletePolicy | None
    item_deleted: DeletePolicy | None
    foreign_items: ForeignPolicy | None
    in_force: PoliciesOut = Field(
        description="The policies with the sync mode's own where the definition leaves them open."
    )
    guards: GuardsIn
    schedule: str
    schedule_zone: str
    site_zone: str
    settle_concurrency: int
    debounce: timedelta
    poll_interval: timedelta
    health: tuple[str, ...] = Field(default=(), description="Sentences about what is limited or missing.")


class StateChange(Document):
    reason: Text | None = None


class Release(Document):
    reason: Annotated[str, Field(min_length=1, max_length=1000), Kept]


class SlotWanted(Release):
    """`slot`: another name, where the usual one is taken on that server."""

    slot: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,54}$")] = DEFAULT_SLOT


class SlotMove(Release):
    """`lsn`: a position such as 0/16B3748; without it, the end of the log."""

    lsn: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$")] | None = None


class SlotThrottle(Release):
    """`most_per_second`: changes; null: no limit."""

    most_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class SlotBudget(Release):
    """How much log the source may keep for the slot, and what becomes of it beyond that."""

    bytes: Annotated[int, Field(ge=1 << 20, le=1 << 50)]
    action: BudgetAction = BudgetAction.ALERT


class SubjectChoice(Document):
    """Which subjects: named by their keys, or all of them."""

    keys: tuple[Text, ...] = Field(default=(), description="As the listing shows them, in `key`.")
    all: bool = False

    @model_validator(mode="after")
    def _some(self) -> "SubjectChoice":
        if self.all == bool(self.keys):
            raise ValueError("name keys, as the listing shows them, or say all: true")
        return self


class BackfillIn(Document):
    keys: tuple[tuple[Text, ...], ...] = Field(
        default=(), description="Keys of rows, each as the texts of its columns."
    )
    row_filter: Text | None = Field(default=None, description="Rows that match; without keys and filter: all in scope.")


class RunOut(Document):
    id: UUID
    definition_id: UUID
    run_type: str
    status: str
    trigger: str
    requested_by: str
    capture: str | None
    queued_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    seconds: float | None = Field(description="From begin to end.")
    items_processed: int
    items_failed: int
    created: int = Field(description="Items.")
    updated: int = Field(description="Items.")
    deleted: int = Field(description="Items.")
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    unchanged: int
    adopted: int
    conflicts: int
    delayed: int
    awaiting_approval: int
    untold: int = Field(description="Rows that had changed without their cursor column.")
    ru: int
    requests: int
    captured: dict[str, Any]
    notes: tuple[str, ...] = Field(description="Why it did what it did, or nothing.")
    error_code: str | None
    error_message: str | None
    backlog: dict[str, Any] | None = None
    eta_seconds: float | None = Field(default=None, description="By backlog and budget; none when nothing is due.")
