"""What the catalog says about a table that rows are written to, as of the transaction that writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.adapters.postgres.connection import Connection
from shared.adapters.postgres.foreign import foreign_partition
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.write_statements import TypeName
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, NotFound
from shared.core.source import RelationKind

FILE: Final = "writing.sql"
_WRITABLE: Final = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A table's columns by name: the types behind their domains, their own types, and those that are computed."""

    oid: int
    types: Mapping[str, TypeName]
    own_types: Mapping[str, TypeName]
    generated: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIndex:
    """A unique index on exactly the key's columns."""

    name: str
    immediate: bool
    """False: a deferrable constraint's, which ON CONFLICT cannot use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    oid: int
    schema: str
    name: str
    of_identity: bool
    """GENERATED … AS IDENTITY: an insert draws from it without a right of its own."""
    usable: bool
    """This role may draw from it."""


def require_writable(spec: SourceSpec, kind: RelationKind | None = None) -> None:
    """Raises ConfigurationError for all but ordinary and partitioned tables."""
    if (kind or spec.relation) not in _WRITABLE:
        raise ConfigurationError(
            f"{spec.table} is a view or a foreign table, whose rows have no version to compare before a write:"
            " it can be pushed to a list, and not written to",
            code="not_writable",
        )


def require_own_rows(connection: Connection, spec: SourceSpec, oid: int) -> None:
    """Raises ConfigurationError for a table with a partition on another server: such rows all have the version 0, and a
    stale write would overwrite a user's."""
    found = foreign_partition(connection, oid) if spec.relation is RelationKind.PARTITIONED else None
    if found is not None:
        raise ConfigurationError(
            f"{spec.table} has the foreign table {found} as a partition, whose rows have no version to compare before a"
            " write: it can be pushed to a list, and not written to",
            code="not_writable",
        )


def target_of(connection: Connection, spec: SourceSpec) -> Target:
    """Within a transaction under pinned settings. Raises NotFound where table or key are not what the spec says, and
    ConfigurationError where its rows cannot be written."""
    found = connection.execute(queries(FILE)["kind"], [spec.table.schema, spec.table.name]).fetchone()
    if found is None:
        raise NotFound(f"there is no table {spec.table}, or this role may not see it", code="no_table")
    kind, oid = found
    if kind != spec.relation.value:
        if kind in set(RelationKind):
            require_writable(spec, RelationKind(kind))
        raise _drifted(f"{spec.table} is another kind of table than it was")
    require_own_rows(connection, spec, oid)
    columns = connection.execute(queries(FILE)["columns"], [oid, oid]).fetchall()
    target = Target(
        oid=oid,
        types={name: TypeName(schema=schema, name=base) for name, schema, base, *_ in columns},
        own_types={
            name: TypeName(schema=schema, name=own, modifiers=modifiers)
            for name, _, _, schema, own, modifiers, _ in columns
        },
        generated=frozenset(row[0] for row in columns if row[-1]),
    )
    for key in spec.key.columns:
        known = target.types.get(key.name)
        # The spec names an array by its element, and somebody's own lookalike of a built-in type with its schema.
        if known is None or (not key.type.is_array and known.name != key.type.name.split(".")[-1]):
            raise _drifted(f"the key column {key.name} of {spec.table} is not what it was")
    return target


def _drifted(what: str) -> NotFound:
    return NotFound(f"{what}: introspect the table again and adjust the definition", code="schema_drift")


def key_index(connection: Connection, spec: SourceSpec, target: Target) -> KeyIndex | None:
    """The unique index on the key, one that refuses at once before one that does so later."""
    names = [key.name for key in spec.key.columns]
    found = connection.execute(queries(FILE)["unique_indexes"], [target.oid, names, names]).fetchone()
    return None if found is None else KeyIndex(name=found[0], immediate=found[1])


def sequences(connection: Connection, oid: int) -> Mapping[str, Sequence]:
    """Column name -> the sequence that numbers it."""
    return {
        name: Sequence(oid=number, schema=schema, name=sequence, of_identity=identity, usable=usable)
        for name, number, schema, sequence, identity, usable in connection.execute(queries(FILE)["sequences"], [oid])
    }
