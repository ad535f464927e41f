"""Every statement that writes a customer's table. With `statements`, the only module that composes identifiers.

They run under the settings of the role, not the pinned ones: what a trigger or a default does may depend on them. So
everything is named with its schema, operators included, and texts mean the same under all settings. Execute each with
its parameters: arrays of texts, one for each place in a statement's own list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from psycopg import sql

from shared.adapters.postgres import statements
from shared.adapters.postgres.statements import identifier, key_columns, shown, table_name
from shared.core.definition import SourceSpec
from shared.core.source import RelationKind

Lock = Literal["no key update", "update"]
_ALIAS: Final = sql.Identifier("t")
_VALUES: Final = sql.Identifier("v")
_EQUALS: Final = sql.SQL("operator(pg_catalog.=)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeName:
    """A type as the catalog has it; `modifiers` as in "(12,2)", or empty."""

    schema: str
    name: str
    modifiers: str = ""


Types = Mapping[str, TypeName]
"""Column name -> the type that a text is cast to before it is assigned to the column."""


def lock_rows(spec: SourceSpec, lock: Lock) -> sql.Composed:
    """(identity, version) of the rows that could be locked at once. Parameters: one array of texts per key column.

    Expects the pinned settings. A row that somebody else holds is left out, and so is one that is not there."""
    return sql.SQL("select {}, {}.xmin::pg_catalog.text from {} for {} of {} skip locked").format(
        statements.identity(spec), _ALIAS, statements.asked_rows(spec), sql.SQL(_LOCKS[lock]), _ALIAS
    )


_LOCKS: Final[Mapping[Lock, str]] = {"no key update": "no key update", "update": "update"}


def rows_there(spec: SourceSpec) -> sql.Composed:
    """(identity) of the rows that exist, whoever holds them. Parameters and settings as for lock_rows."""
    return sql.SQL("select {} from {}").format(statements.identity(spec), statements.asked_rows(spec))


def update_rows(spec: SourceSpec, columns: Sequence[str], types: Types) -> sql.Composed:
    """Writes these columns of rows that have the version; returns the numbers of those that were written.

    Parameters: arrays of numbers, versions, each key column's texts, each written column's texts."""
    values = [_place(f"c{number}") for number in range(len(columns))]
    assigned = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(identifier(name), _cast(value, types[name]))
        for name, value in zip(columns, values, strict=True)
    )
    return sql.SQL("update {} set {} from {} where {} returning {}").format(
        _target(spec), assigned, _arrays(spec, len(columns)), _matched(spec), _place("n")
    )


def delete_rows(spec: SourceSpec) -> sql.Composed:
    """Deletes rows that have the version; returns the numbers of those that were deleted.

    Parameters: arrays of numbers, versions, each key column's texts."""
    return sql.SQL("delete from {} using {} where {} returning {}").format(
        _target(spec), _arrays(spec, 0), _matched(spec), _place("n")
    )


def insert_rows(spec: SourceSpec, columns: Sequence[str], types: Types, *, arbiter: bool) -> sql.Composed:
    """Inserts rows whose key no row has. Parameters: one array of texts per key column, one per further column.

    `arbiter`: an immediate unique index stands on the key, so that ON CONFLICT sees rows of transactions under way,
    too. Only conflicts of the key are passed over: those of other columns are errors."""
    keys = key_columns(spec)
    names = [*(key.name for key in keys), *columns]
    places = [_place(f"k{number}") for number in range(len(keys))]
    places += [_place(f"c{number}") for number in range(len(columns))]
    # Keys of GENERATED ALWAYS AS IDENTITY are given by us: reserved, or those of a row that comes back.
    overriding = sql.SQL(" overriding system value" if any(key.identity for key in keys) else "")
    if arbiter:
        unless = sql.SQL("on conflict ({}) do nothing").format(sql.SQL(", ").join(identifier(key.name) for key in keys))
    else:
        unless = sql.SQL("where not exists (select from {} where {})").format(
            statements.from_table(spec), _same_key(spec)
        )
    return sql.SQL("insert into {} as {} ({}){} select {} from {} {}").format(
        table_name(spec),
        _ALIAS,
        sql.SQL(", ").join(map(identifier, names)),
        overriding,
        sql.SQL(", ").join(_cast(place, types[name]) for place, name in zip(places, names, strict=True)),
        _unnested([f"k{number}" for number in range(len(keys))] + [f"c{number}" for number in range(len(columns))]),
        unless,
    )


def print_identities(spec: SourceSpec, types: Types) -> sql.Composed:
    """(number, identity) of key texts as the key's columns would store and print them. Parameter: a JSON array of
    objects, column name -> text.

    json_to_record() reads a text with the type's own input function and modifiers, as storing it would: a text that is
    too long for varchar(3) is refused, where a cast would cut it."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(identifier(key.name), _type(types[key.name])) for key in key_columns(spec)
    )
    return sql.SQL(
        "select e.n, {} from pg_catalog.json_array_elements({}::pg_catalog.json) with ordinality as e (v, n)"
        " cross join lateral pg_catalog.json_to_record(e.v) as {} ({})"
    ).format(statements.identity(spec), sql.Placeholder(), _ALIAS, columns)


# ---------------------------------------------------------------- parts


def _target(spec: SourceSpec) -> sql.Composed:
    """As statements.from_table: an ordinary table without its inheritance children, whose rows have their own keys."""
    only = sql.SQL("only ") if spec.relation is RelationKind.TABLE else sql.SQL("")
    return sql.SQL("{}{} as {}").format(only, table_name(spec), _ALIAS)


def _place(name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(_VALUES, sql.Identifier(name))


def _arrays(spec: SourceSpec, columns: int) -> sql.Composed:
    names = ["n", "x", *(f"k{number}" for number in range(len(key_columns(spec))))]
    return _unnested(names + [f"c{number}" for number in range(columns)])


def _unnested(names: Sequence[str]) -> sql.Composed:
    arrays = sql.SQL(", ").join(
        sql.SQL("pg_catalog.unnest({}::pg_catalog.text[])").format(sql.Placeholder()) for _ in names
    )
    return sql.SQL("rows from ({}) as {} ({})").format(arrays, _VALUES, sql.SQL(", ").join(map(sql.Identifier, names)))


def _same_key(spec: SourceSpec) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("{} {} {}").format(statements.comparable(key), _EQUALS, statements.castable(key, _place(f"k{number}")))
        for number, key in enumerate(key_columns(spec))
    )


def _matched(spec: SourceSpec) -> sql.Composed:
    return sql.SQL("{} and {}.xmin::pg_catalog.text {} {}").format(_same_key(spec), _ALIAS, _EQUALS, _place("x"))


def _cast(value: sql.Composable, type_: TypeName) -> sql.Composed:
    """Without modifiers: an explicit cast to varchar(3) would cut a text, where the assignment that follows refuses it."""
    return sql.SQL("{}::{}.{}").format(value, identifier(type_.schema), identifier(type_.name))


def _type(type_: TypeName) -> sql.Composed:
    modifiers = [sql.Literal(int(part)) for part in type_.modifiers.strip("()").split(",") if part]
    bracketed = sql.SQL("({})").format(sql.SQL(", ").join(modifiers)) if modifiers else sql.SQL("")
    return sql.SQL("{}.{}{}").format(identifier(type_.schema), identifier(type_.name), bracketed)


# ---------------------------------------------------------------- remedies: SQL that a person runs


def grant_on_sequence(schema: str, name: str, role: str) -> str:
    sequence = sql.SQL("{}.{}").format(identifier(schema), identifier(name))
    return shown(sql.SQL("grant usage on sequence {} to {}").format(sequence, identifier(role)))


def grant_on_function(name: str, arguments: Sequence[str], role: str) -> str:
    """A function of pg_catalog, whose arguments are of types of pg_catalog."""
    types = sql.SQL(", ").join(sql.Identifier(argument) for argument in arguments)
    return shown(
        sql.SQL("grant execute on function pg_catalog.{}({}) to {}").format(
            sql.Identifier(name), types, identifier(role)
        )
    )


def create_key_index(spec: SourceSpec) -> str:
    """The index that keeps two rows from having one key."""
    columns = sql.SQL(", ").join(identifier(key.name) for key in key_columns(spec))
    return shown(sql.SQL("create unique index on {} ({})").format(table_name(spec), columns))


def lift_sequence(schema: str, name: str, spec: SourceSpec, column: str) -> str:
    """Puts a sequence behind the greatest key that a row has."""
    sequence = sql.SQL("{}.{}").format(identifier(schema), identifier(name)).as_string(None)
    return shown(
        sql.SQL("select setval({}, (select max({}) from {}))").format(
            sql.Literal(sequence), identifier(column), table_name(spec)
        )
    )
