"""Every statement that reads a customer's table, and what `write_statements` shares of it. No third module composes identifiers.

Pure functions from a SourceSpec to `psycopg.sql.Composed`; values travel as parameters. All of them expect the pinned
settings of `connection.PINNED`. Output columns are positional: each function says them.

A percent sign in a name is doubled, because psycopg looks for placeholders in names too. It does so only where
parameters are given: execute every statement with a list of them, be it empty.
"""

import re
import typing
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from shared.core.checksums import BUCKETS
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError
from shared.core.scope import And, Between, Compare, IsNull, Like, Literal, Not, OneOf, Or, Scope
from shared.core.source import RelationKind, SourceColumn, SourceType

Statement = sql.Composed | sql.SQL
Start = typing.Literal["beginning", "at", "after"]
Privilege = typing.Literal["select", "insert", "update", "delete"]
Attribute = typing.Literal["bypassrls", "replication"]

_TABLE_ALIAS: Final = sql.Identifier("t")
_MAX_IDENTIFIER_BYTES: Final = 63
"""NAMEDATALEN - 1. PostgreSQL cuts a longer name, in silence, and may then mean another column."""

_TYPED_STAMP: Final = frozenset(
    {"int2", "int4", "int8", "bool", "uuid", "date", "time", "timestamp", "timestamptz", "bytea", "text", "varchar"}
)
"""Types whose hash tells any two text forms, and null, apart. Not among them, each shown by a test:
float4 and float8 (0, -0 and null hash alike), timetz (midnight UTC and null), enums (a renamed label keeps its hash),
numeric, jsonb, interval, arrays, char(n), citext and whatever has no hash at all."""

_PLAIN_TEXT: Final = frozenset(
    {"int2", "int4", "int8", "oid", "numeric", "bool", "uuid", "date", "time", "timestamp", "timestamptz"}
)
"""Types whose text never holds a quote, a backslash or a control character."""

_TYPED_KEY: Final = frozenset(
    {
        *("int2", "int4", "int8", "numeric", "bool", "uuid", "date", "time", "timestamp", "timestamptz"),
        *("bytea", "text", "varchar", "bpchar", "oid", "inet", "cidr", "macaddr", "macaddr8"),
    }
)
"""Key types whose text can be cast back, so that an index on the column serves the look-up."""

FAULT_LIMIT: Final = 1000
"""A set-up check counts no further."""

CURSOR_TYPES: Final = frozenset({"timestamptz", "timestamp", "date", "int2", "int4", "int8", "xid8"})


def identifier(name: str) -> sql.Identifier:
    """A quoted identifier. Raises ConfigurationError for names that PostgreSQL cannot have."""
    if not name or "\0" in name or len(name.encode(errors="surrogatepass")) > _MAX_IDENTIFIER_BYTES:
        raise ConfigurationError(
            "a name of a schema, table or column has 1 to 63 bytes and no NUL character: PostgreSQL would cut a"
            " longer one and could mean something else",
            code="identifier",
        )
    return sql.Identifier(name.replace("%", "%%"))


def table_name(spec: SourceSpec) -> sql.Composed:
    return sql.SQL("{}.{}").format(identifier(spec.table.schema), identifier(spec.table.name))


def column(name: str) -> sql.Composed:
    return sql.SQL("{}.{}").format(_TABLE_ALIAS, identifier(name))


def from_table(spec: SourceSpec) -> sql.Composed:
    """An ordinary table without its inheritance children, whose rows have keys of their own; all others whole."""
    only = sql.SQL("only ") if spec.relation is RelationKind.TABLE else sql.SQL("")
    return sql.SQL("{}{} as {}").format(only, table_name(spec), _TABLE_ALIAS)


# ---------------------------------------------------------------- expressions


def text_form(column_: SourceColumn) -> sql.Composed:
    """A column as PostgreSQL prints it."""
    return sql.SQL("{}::pg_catalog.text").format(column(column_.name))


def key_text(column_: SourceColumn) -> sql.Composed:
    """A key column as the identity holds it: numeric without trailing zeros, so that 1.0 and 1.00 are one key."""
    if _is_base(column_.type, "numeric"):
        trimmed = sql.SQL("pg_catalog.trim_scale({}::pg_catalog.numeric)").format(column(column_.name))
        return sql.SQL("{}::pg_catalog.text").format(trimmed)
    return text_form(column_)


def identity(spec: SourceSpec) -> sql.Composed:
    """The row's key as a JSON array of texts: byte-equal to shared.core.ids.identity_of.

    Where no text can need escaping it is put together by hand, which saves a scan a fifth of the server's time; a null,
    which a key should not have, still comes out as JSON's.
    """
    texts = [key_text(key) for key in key_columns(spec)]
    built = sql.SQL("pg_catalog.json_build_array({})::pg_catalog.text").format(sql.SQL(", ").join(texts))
    if not all(_is_base(key.type, *_PLAIN_TEXT) for key in key_columns(spec)):
        return built
    inner = sql.SQL(""" || '", "' || """).join(texts)
    return sql.SQL("""coalesce('["' || {} || '"]', {})""").format(inner, built)


def stamp(spec: SourceSpec) -> sql.Composed:
    """64 bits over the spec's columns and its soft-delete column, by the server itself (PostgreSQL 14 or newer)."""
    columns = list(spec.columns)
    if spec.soft_delete_column and spec.soft_delete_column.name not in {c.name for c in columns}:
        columns.append(spec.soft_delete_column)
    fields = sql.SQL(", ").join(stamped(c) for c in columns)
    return sql.SQL("pg_catalog.hash_record_extended(row({}), 0)").format(fields)


def stamped(column_: SourceColumn) -> sql.Composed:
    """A column as the stamp takes it: itself where its type's hash sees every change, else its bytes."""
    type_ = column_.type
    if not type_.is_array and not type_.is_enum and type_.name in _TYPED_STAMP and type_.deterministic_collation:
        return column(column_.name)
    if _is_base(type_, "float4", "float8"):
        # Their bits, as bytes: 0, -0 and null are three values, and no text has to be made of them.
        return sql.SQL("{}({})").format(sql.Identifier("pg_catalog", f"{type_.name}send"), column(column_.name))
    return sql.SQL('{}::pg_catalog.text collate "C"').format(column(column_.name))


def soft_deleted(spec: SourceSpec) -> Statement:
    """True where the soft-delete column says so: true, a number other than 0, or for other types any value at all."""
    marker = spec.soft_delete_column
    if marker is None:
        return sql.SQL("false")
    name = column(marker.name)
    if _is_base(marker.type, "bool"):
        return sql.SQL("coalesce({}, false)").format(name)
    if _is_base(marker.type, "int2", "int4", "int8", "numeric"):
        return sql.SQL("coalesce({} <> 0, false)").format(name)
    return sql.SQL("({} is not null)").format(name)


def in_scope(spec: SourceSpec) -> tuple[sql.Composed, list[Literal]]:
    """The row filter and "not soft-deleted", with the filter's values in order.

    For WHERE: it may be null, which leaves a row out, and an index may serve it.
    """
    if spec.scope is None:
        return sql.SQL("not {}").format(soft_deleted(spec)), []
    condition, values = render(spec.scope)
    return sql.SQL("{} and not {}").format(condition, soft_deleted(spec)), values


def render(scope: Scope) -> tuple[sql.Composed, list[Literal]]:
    """A row filter as SQL with placeholders, and the values for them in order."""
    values: list[Literal] = []

    def placeholder(value: Literal) -> sql.Placeholder:
        values.append(value)
        return sql.Placeholder()

    def visit(node: Scope) -> sql.Composed:
        match node:
            case And():
                return sql.SQL("({})").format(sql.SQL(" and ").join(visit(part) for part in node.parts))
            case Or():
                return sql.SQL("({})").format(sql.SQL(" or ").join(visit(part) for part in node.parts))
            case Not():
                return sql.SQL("(not {})").format(visit(node.part))
            case Compare():
                operator = sql.SQL(_OPERATORS[node.operator.value])
                return sql.SQL("({} {} {})").format(column(node.column), operator, placeholder(node.value))
            case OneOf():
                alternatives = sql.SQL(", ").join(placeholder(value) for value in node.values)
                return sql.SQL("({} {} ({}))").format(column(node.column), _negated(node.negated, "in"), alternatives)
            case Between():
                return sql.SQL("({} {} {} and {})").format(
                    column(node.column),
                    _negated(node.negated, "between"),
                    placeholder(node.low),
                    placeholder(node.high),
                )
            case Like():
                word = _negated(node.negated, "ilike" if node.ignore_case else "like")
                return sql.SQL("({} {} {})").format(column(node.column), word, placeholder(node.pattern))
            case IsNull():
                return sql.SQL("({} is {})").format(column(node.column), _negated(node.negated, "null"))

    return visit(scope), values


_OPERATORS: Final = {"=": "=", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS: Final = {"in": "in", "between": "between", "like": "like", "ilike": "ilike", "null": "null"}


def _negated(negated: bool, word: str) -> sql.SQL:
    return sql.SQL("not " + _WORDS[word]) if negated else sql.SQL(_WORDS[word])


# ---------------------------------------------------------------- statements


def scan(spec: SourceSpec, buckets: bytes | None = None) -> tuple[sql.Composed, list[Literal | bytes]]:
    """COPY (identity text, stamp bigint) of every row in scope, binary; with `buckets`, of those in these buckets.

    COPY knows no parameters: psycopg puts the values in as quoted literals, and only looks for places if it has one.
    So it always has.
    """
    where, values = in_scope(spec)
    first: Literal | bytes = True
    chosen = sql.SQL("{}").format(sql.Placeholder())
    if buckets is not None:
        first = buckets
        bucket = _bucket(sql.SQL('({}) collate "C"').format(identity(spec)))
        chosen = sql.SQL("pg_catalog.get_bit({}, {}) = 1").format(sql.Placeholder(), bucket)
    return (
        sql.SQL("copy (select {}, {} from {} where {} and {}) to stdout (format binary)").format(
            identity(spec), stamp(spec), from_table(spec), chosen, where
        ),
        [first, *values],
    )


def checksums(spec: SourceSpec) -> tuple[sql.Composed, list[Literal | bytes]]:
    """COPY (bucket integer, rows bigint, checksum bigint) over the rows in scope, binary.

    LIMIT ALL limits nothing. It keeps the inner query apart, so that identity and stamp are computed once, and hides
    the key's statistics, by which the planner expects as many buckets as rows and sorts them all; other than OFFSET 0
    it leaves parallel plans possible.
    """
    where, values = in_scope(spec)
    return (
        sql.SQL(
            "copy (select {}, count(*), pg_catalog.bit_xor(pg_catalog.hashtextextended(i, s))"
            ' from (select ({}) collate "C" as i, {} as s from {} where {} and {} limit all) as x group by 1)'
            " to stdout (format binary)"
        ).format(_bucket(sql.SQL("i")), identity(spec), stamp(spec), from_table(spec), sql.Placeholder(), where),
        [True, *values],
    )


def _bucket(printed: sql.Composable) -> sql.Composed:
    """The bucket of an identity that is compared by its bytes."""
    return sql.SQL("(pg_catalog.hashtextextended({}, 0) & {})::pg_catalog.int4").format(
        printed, sql.Literal(BUCKETS - 1)
    )


def read_rows(spec: SourceSpec) -> tuple[sql.Composed, list[Literal]]:
    """Rows by key: (identity, stamp, version, in scope, soft-deleted, each column's text form).

    Parameters: the scope's values, then one array of key texts for each key column. A row is found by its columns'
    own equality; whether it prints the identity that was asked for is the caller's to compare.
    """
    selected, values = _row(spec)
    return sql.SQL("select {} from {}").format(selected, asked_rows(spec)), values


def asked_rows(spec: SourceSpec) -> sql.Composed:
    """For FROM: the table's rows by key. Parameters: one array of key texts for each key column."""
    keys = key_columns(spec)
    names = [sql.Identifier(f"k{number}") for number in range(len(keys))]
    arrays = sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text[]").format(sql.Placeholder()) for _ in keys)
    # Two asked texts may be one key to the column (1 and 1.0): the row comes once.
    asked = sql.SQL("(select distinct {} from unnest({}) as a ({}))").format(
        sql.SQL(", ").join(
            sql.SQL("{} as {}").format(castable(key, name), name) for key, name in zip(keys, names, strict=True)
        ),
        arrays,
        sql.SQL(", ").join(names),
    )
    joined = sql.SQL(" and ").join(
        sql.SQL("{} = {}.{}").format(comparable(key), sql.Identifier("a"), name)
        for key, name in zip(keys, names, strict=True)
    )
    return sql.SQL("{} as a join {} on {}").format(asked, from_table(spec), joined)


def castable_keys(spec: SourceSpec) -> sql.Composed:
    """Nothing but the casts of key texts that read_rows makes. Parameters: one text for each key column."""
    casts = sql.SQL(", ").join(castable(key, sql.Placeholder()) for key in key_columns(spec))
    return sql.SQL("select {}").format(casts)


def watermark_page(spec: SourceSpec, *, start: Start) -> sql.Composed:
    """(identity, stamp, cursor text) of the next rows in the order (cursor column, key).

    Parameters: for `start` "at" the cursor's text (rows at it are read again), for "after" that and each key text, for
    "beginning" nothing; then the limit. Rows out of scope are among them: a row that left the scope is a change.
    Written as a row comparison, which an index serves; the same condition with OR reads the index from its beginning.
    """
    cursor, keys = cursor_column(spec), key_columns(spec)
    order = sql.SQL(", ").join([column(cursor.name), *(comparable(key) for key in keys)])
    match start:
        case "after":
            row = sql.SQL(", ").join([_position(spec), *(castable(key, sql.Placeholder()) for key in keys)])
            where = sql.SQL("({}) > ({})").format(order, row)
        case "at":
            where = sql.SQL("{} >= {}").format(column(cursor.name), _position(spec))
        case "beginning":
            where = sql.SQL("{} is not null").format(column(cursor.name))
    return sql.SQL("select {}, {}, {} from {} where {} order by {} limit {}").format(
        identity(spec), stamp(spec), text_form(cursor), from_table(spec), where, order, sql.Placeholder()
    )


def safe_position(spec: SourceSpec) -> sql.Composed:
    """Which of two positions may be stored: (is it the last row's, is it the bound's); neither if it would go back.

    Parameters: texts of the last row's position, the bound and the floor; bound and floor may be null.
    """
    return sql.SQL(
        "select last < bound and (floor is null or last >= floor), last >= bound and (floor is null or bound >= floor)"
        " from (select {position} as last, {position} as bound, {position} as floor) as p"
    ).format(position=_position(spec))


def earlier_position(spec: SourceSpec) -> sql.Composed:
    """A position moved back, as text. Parameters: its text, and an interval (times) or a number (integers)."""
    name = sql.Identifier(cursor_column(spec).type.name)
    if cursor_column(spec).type.name in _SMALLEST:
        return sql.SQL("select greatest({}::pg_catalog.numeric - {}::pg_catalog.numeric, {})::pg_catalog.text").format(
            sql.Placeholder(), sql.Placeholder(), sql.SQL(_SMALLEST[cursor_column(spec).type.name])
        )
    return sql.SQL("select ({} - {}::pg_catalog.interval)::pg_catalog.{}::pg_catalog.text").format(
        _position(spec), sql.Placeholder(), name
    )


_SMALLEST: Final = {"int2": "-32768", "int4": "-2147483648", "int8": "-9223372036854775808"}


def greatest_position(spec: SourceSpec) -> sql.Composed:
    """The greatest value of the cursor column, as text; null in an empty table."""
    return sql.SQL("select max({})::pg_catalog.text from {}").format(column(cursor_column(spec).name), from_table(spec))


def select_identities(spec: SourceSpec, *, after: bool) -> tuple[sql.Composed, list[Literal]]:
    """Identities in scope in the byte order of their text. Parameters: scope, with `after` an identity, the limit."""
    where, values = in_scope(spec)
    printed = sql.SQL('({}) collate "C"').format(identity(spec))
    further = sql.SQL(" and {} > {}").format(printed, sql.Placeholder()) if after else sql.SQL("")
    return (
        sql.SQL("select {} as i from {} where {}{} order by i limit {}").format(
            printed, from_table(spec), where, further, sql.Placeholder()
        ),
        values,
    )


def plan_of_scan(spec: SourceSpec) -> sql.Composed:
    """The planner's estimate, as JSON: statistics scaled to today's size, partitions summed, views planned."""
    return sql.SQL("explain (format json) select from {}").format(from_table(spec))


def key_faults(spec: SourceSpec) -> sql.Composed:
    """(rows with a null in the key, keys that more than one row has): both at most FAULT_LIMIT, for the set-up check."""
    any_null = sql.SQL(" or ").join(sql.SQL("{} is null").format(column(key.name)) for key in key_columns(spec))
    nulls = sql.SQL("(select count(*) from (select from {} where {} limit {}) as n)").format(
        from_table(spec), any_null, sql.Literal(FAULT_LIMIT)
    )
    doubles = sql.SQL(
        "(select count(*) from (select from {} where not ({}) group by {} having count(*) > 1 limit {}) as d)"
    ).format(from_table(spec), any_null, identity(spec), sql.Literal(FAULT_LIMIT))
    return sql.SQL("select {}, {}").format(nulls, doubles)


def cursor_nulls(spec: SourceSpec) -> sql.Composed:
    """(rows without a value in the cursor column): at most FAULT_LIMIT."""
    return sql.SQL("select count(*) from (select from {} where {} is null limit {}) as n").format(
        from_table(spec), column(cursor_column(spec).name), sql.Literal(FAULT_LIMIT)
    )


# ---------------------------------------------------------------- parts


def _row(spec: SourceSpec) -> tuple[sql.Composed, list[Literal]]:
    where, values = in_scope(spec)
    scope = sql.SQL("({}) is true").format(where)
    has_version = spec.relation in {RelationKind.TABLE, RelationKind.PARTITIONED}
    version = sql.SQL("{}.xmin::pg_catalog.text").format(_TABLE_ALIAS) if has_version else sql.SQL("''")
    parts = [identity(spec), stamp(spec), version, scope, soft_deleted(spec), *map(text_form, spec.read)]
    return sql.SQL(", ").join(parts), values


def key_columns(spec: SourceSpec) -> Sequence[SourceColumn]:
    if not spec.key.columns:
        raise ConfigurationError(
            f"{spec.table} has no key, so its rows cannot be told apart: choose columns that are unique together",
            code="no_key",
        )
    return spec.key.columns


def _position(spec: SourceSpec) -> sql.Composed:
    """A cursor text in the column's own type, or it would be compared as something else than what the index holds."""
    return sql.SQL("{}::pg_catalog.{}").format(sql.Placeholder(), sql.Identifier(cursor_column(spec).type.name))


def cursor_column(spec: SourceSpec) -> SourceColumn:
    """The spec's cursor column. Raises ConfigurationError if there is none, or its type cannot be one."""
    cursor = spec.cursor_column
    if cursor is None:
        raise ConfigurationError(
            f"{spec.table} has no cursor column: choose one, or let changes be found by scan", code="no_cursor"
        )
    if cursor.type.is_array or cursor.type.name not in CURSOR_TYPES:
        raise ConfigurationError(
            f"the column {cursor.name} of {spec.table} is of type {cursor.type.declared} and cannot be the cursor:"
            " a cursor column is timestamptz, timestamp, date, smallint, integer, bigint or xid8",
            code="cursor_type",
        )
    return cursor


def _is_base(type_: SourceType, *names: str) -> bool:
    return not type_.is_array and not type_.is_enum and type_.name in names


def _has_typed_key(key: SourceColumn) -> bool:
    return _is_base(key.type, *_TYPED_KEY) and key.type.deterministic_collation


def comparable(key: SourceColumn) -> sql.Composed:
    """The key column as it is compared with a key text: itself where its index can serve, else its bytes as text."""
    if _has_typed_key(key) or enum_type(key) is not None:
        return column(key.name)
    return sql.SQL('{}::pg_catalog.text collate "C"').format(column(key.name))


def castable(key: SourceColumn, text: sql.Composable) -> sql.Composed:
    """A key text, as `comparable` wants it. Fails where the text is none of the type's."""
    enum = enum_type(key)
    if enum is not None:
        return sql.SQL("{}::{}").format(text, enum)
    if _has_typed_key(key):
        return sql.SQL("{}::pg_catalog.{}").format(text, sql.Identifier(key.type.name))
    return sql.SQL('{}::pg_catalog.text collate "C"').format(text)


_QUALIFIED: Final = re.compile(
    r'(?P<schema>[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")\.(?P<name>[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")', re.ASCII
)


def enum_type(key: SourceColumn) -> sql.Composed | None:
    """An enum's type, read back from format_type()'s print and quoted anew; None for all other columns."""
    if not key.type.is_enum or key.type.is_array:
        return None
    found = _QUALIFIED.fullmatch(key.type.declared)
    if found is None:
        return None
    return sql.SQL("{}.{}").format(*(identifier(_unquoted(found[part])) for part in ("schema", "name")))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


# ---------------------------------------------------------------- remedies: SQL that a person runs


def shown(statement: sql.Composed) -> str:
    """A statement without parameters, as a person copies it."""
    return statement.as_string(None).replace("%%", "%") + ";"


def grant_usage(spec: SourceSpec, role: str) -> str:
    return shown(sql.SQL("grant usage on schema {} to {}").format(identifier(spec.table.schema), identifier(role)))


def grant_on_table(spec: SourceSpec, privilege: Privilege, role: str, columns: Sequence[str] = ()) -> str:
    """A grant on the whole table, or on some of its columns."""
    listed = sql.SQL(" ({})").format(sql.SQL(", ").join(map(identifier, columns))) if columns else sql.SQL("")
    return shown(
        sql.SQL("grant {}{} on {} to {}").format(sql.SQL(privilege), listed, table_name(spec), identifier(role))
    )


def grant_statistics(role: str) -> str:
    return shown(sql.SQL("grant pg_read_all_stats to {}").format(identifier(role)))


def allow(role: str, attribute: Attribute) -> str:
    return shown(sql.SQL("alter role {} {}").format(identifier(role), sql.SQL(attribute)))


def create_cursor_index(spec: SourceSpec) -> str:
    """The index that serves a watermark's pages."""
    columns = [identifier(cursor_column(spec).name), *(identifier(key.name) for key in key_columns(spec))]
    return shown(sql.SQL("create index concurrently on {} ({})").format(table_name(spec), sql.SQL(", ").join(columns)))
