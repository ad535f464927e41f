"""The source side's nouns: columns, their types, keys, and a row as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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
