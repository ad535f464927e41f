"""The source side's nouns: columns, their types, keys, and a row as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from shared.core.ids import Identity, RowVersion, Stamp


class KeyStrategy(StrEnum):
    PRIMARY_KEY = "PRIMARY_KEY"
    UNIQUE = "UNIQUE"
    COMPOSITE_COLUMNS = "COMPOSITE_COLUMNS"


class RelationKind(StrEnum):
    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN_TABLE = "f"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceType:
    """A column's type, with domains resolved to what they stand on.

    `name` is pg_type.typname of the base type ("int4", "numeric", "text", "timestamptz", "uuid", …), of the element for
    arrays; `declared` is format_type() as a person knows it ("numeric(12,2)", "app.email", "text[]").
    """

    name: str
    declared: str
    is_array: bool = False
    is_enum: bool = False
    enum_labels: tuple[str, ...] = ()
    domain: str | None = None
    length: int | None = None
    """varchar(n) and char(n): n characters."""
    precision: int | None = None
    scale: int | None = None
    deterministic_collation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    name: str
    type: SourceType
    nullable: bool = True
    generated: bool = False
    """GENERATED ALWAYS AS (expression): never written."""
    identity: bool = False
    """GENERATED … AS IDENTITY, or a default from a sequence."""
    has_default: bool = False
    position: int = 0
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    strategy: KeyStrategy
    columns: tuple[SourceColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as settle reads it: key, stamp and version in one statement; values are text forms under pinned settings."""

    identity: Identity
    stamp: Stamp
    version: RowVersion
    in_scope: bool
    """False: the row exists, but the definition's filter leaves it out, or its soft-delete column is set."""
    soft_deleted: bool = False
    values: Mapping[str, str | None] = field(repr=False)
    """Column name -> text form; never in a log or a repr."""


# ---------------------------------------------------------------- writes to rows


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertRow:
    op: UUID
    identity: Identity
    values: Mapping[str, str | None] = field(repr=False)
    """Column name -> text form, as PostgreSQL reads it in the column's type; the key's columns are added from `identity`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRow:
    op: UUID
    identity: Identity
    version: RowVersion
    """The xmin that was read: the row is written only while it has it."""
    values: Mapping[str, str | None] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRow:
    op: UUID
    identity: Identity
    version: RowVersion


RowChange = InsertRow | UpdateRow | DeleteRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """`row`: as it reads back in a new statement of the same transaction, before COMMIT, when every trigger has run;
    None: it is not there (a delete, or a trigger removed it)."""

    row: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Not written: the row has another version, is gone, or (an insert) is there already. Look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Not written: somebody else holds the row's lock. Users are never made to wait; the row stays due."""


RowOutcome = Wrote | Moved | Busy


class TransactionFate(StrEnum):
    """What became of a source transaction whose COMMIT got no answer (pg_xact_status)."""

    COMMITTED = "COMMITTED"
    ABORTED = "ABORTED"
    PENDING = "PENDING"
    """In progress."""
    UNKNOWN = "UNKNOWN"
    """Another server or timeline, or too old: only values can be compared."""
