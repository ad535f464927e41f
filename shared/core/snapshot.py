"""What introspection saw of one table: columns, constraints, indexes, and what else decides how it can be synced."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.core.source import RelationKind, SourceColumn, TableRef


class ConstraintKind(StrEnum):
    """pg_constraint.contype."""

    PRIMARY_KEY = "p"
    UNIQUE = "u"
    FOREIGN_KEY = "f"
    CHECK = "c"
    EXCLUSION = "x"
    NOT_NULL = "n"
    """PostgreSQL 18 keeps NOT NULL as a constraint; columns say it too."""


class ReplicaIdentity(StrEnum):
    """pg_class.relreplident."""

    DEFAULT = "d"
    NOTHING = "n"
    FULL = "f"
    INDEX = "i"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    name: str
    kind: ConstraintKind
    columns: tuple[str, ...]
    """In the constraint's order; empty for a check over no column."""
    definition: str = ""
    """pg_get_constraintdef()."""
    references: TableRef | None = None
    referenced_columns: tuple[str, ...] = ()
    validated: bool = True
    deferrable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    name: str
    columns: tuple[str | None, ...]
    """Key columns in order, without INCLUDE columns; None stands for an expression."""
    unique: bool = False
    primary: bool = False
    valid: bool = True
    """indisvalid and indisready: an index whose concurrent build failed is neither used nor enforced."""
    partial: bool = False
    """Has a WHERE clause."""
    method: str = "btree"
    nulls_not_distinct: bool = False
    definition: str = ""
    """pg_get_indexdef()."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSecurity:
    """Row-level security as the reading role meets it."""

    enabled: bool = False
    forced: bool = False
    applies: bool = False
    """row_security_active(table) for the role that reads: rows could be hidden from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    table: TableRef
    kind: RelationKind
    columns: tuple[SourceColumn, ...]
    """In attribute order, without dropped and system columns."""
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    replica_identity: ReplicaIdentity = ReplicaIdentity.DEFAULT
    replica_identity_index: str | None = None
    estimated_rows: int | None = None
    """pg_class.reltuples, summed over partitions; None: never analysed."""
    row_security: RowSecurity = RowSecurity()
    comment: str | None = None

    def column(self, name: str) -> SourceColumn | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Column names of the primary key in its order; empty: there is none."""
        return next((c.columns for c in self.constraints if c.kind is ConstraintKind.PRIMARY_KEY), ())

    def unique_sets(self) -> tuple[tuple[str, ...], ...]:
        """Column sets that the database keeps unique, whatever enforces it: primary key first, then unique constraints,
        then plain unique indexes (valid, not partial, no expressions). Nullability is not looked at."""
        found: list[tuple[str, ...]] = [self.primary_key] if self.primary_key else []
        found += [c.columns for c in self.constraints if c.kind is ConstraintKind.UNIQUE]
        found += [
            tuple(name for name in index.columns if name is not None)
            for index in self.indexes
            if index.unique and index.valid and not index.partial and None not in index.columns
        ]
        return tuple(dict.fromkeys(found))

    def is_unique(self, columns: Sequence[str]) -> bool:
        """Whether some unique set lies within these columns."""
        wanted = set(columns)
        return any(set(found) <= wanted for found in self.unique_sets())

    def index_leading_with(self, columns: Sequence[str]) -> Index | None:
        """A valid, whole B-tree index whose first key columns are these, in this order."""
        wanted = tuple(columns)
        return next(
            (
                index
                for index in self.indexes
                if index.valid
                and not index.partial
                and index.method == "btree"
                and index.columns[: len(wanted)] == wanted
            ),
            None,
        )
