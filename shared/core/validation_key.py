"""Whether a draft's key tells rows apart, the same way as text as in the database."""

from collections.abc import Iterator, Sequence

from shared.core.draft import DraftDefinition
from shared.core.families import Family, family_of
from shared.core.problems import Problem, Severity
from shared.core.snapshot import TableSnapshot
from shared.core.source import KeyStrategy, RelationKind, SourceColumn
from shared.core.validation_fields import unknown_column

_WHERE = "key"
_USABLE = frozenset(
    {
        Family.INTEGER,
        Family.DECIMAL,
        Family.TEXT,
        Family.UUID,
        Family.DATE,
        Family.TIME,
        Family.TIMESTAMP,
        Family.TIMESTAMPTZ,
        Family.ENUM,
        Family.BOOLEAN,
    }
)


def key_problems(draft: DraftDefinition, snapshot: TableSnapshot) -> Iterator[Problem]:
    """A row is known by its key's text: the key has to exist, be unique, never be null, and have one text per value."""
    names = draft.key_columns
    if draft.key_strategy is KeyStrategy.PRIMARY_KEY:
        if not snapshot.primary_key:
            yield _keyless(snapshot)
            return
        if names and set(names) != set(snapshot.primary_key):
            yield Problem(
                code="key_not_primary",
                message=f"the primary key of {snapshot.table} is ({', '.join(snapshot.primary_key)}): leave key_columns empty, "
                "or choose UNIQUE or COMPOSITE_COLUMNS",
                where=_WHERE,
            )
        names = names or snapshot.primary_key
    if not names:
        yield Problem(code="key_empty", message=f"{draft.key_strategy} needs key_columns: name them", where=_WHERE)
        return
    if len(set(names)) < len(names):
        yield Problem(code="key_repeated", message="every key column stands once in key_columns", where=_WHERE)
    columns = []
    for name in dict.fromkeys(names):
        column = snapshot.column(name)
        if column is None:
            yield unknown_column(name, snapshot, _WHERE)
        else:
            columns.append(column)
            yield from _column_problems(column, snapshot)
    if len(columns) == len(set(names)) and not snapshot.is_unique(names):
        yield _not_unique(draft.key_strategy, names, snapshot)


def _keyless(snapshot: TableSnapshot) -> Problem:
    unique = [columns for columns in snapshot.unique_sets() if _never_null(columns, snapshot)]
    if unique:
        other = f"choose UNIQUE with ({', '.join(unique[0])})"
    else:
        other = "add one, or choose COMPOSITE_COLUMNS with columns that together tell its rows apart"
    return Problem(
        code="keyless",
        message=f"{snapshot.table} has no primary key, and without a key a row's item cannot be found again: {other}",
        where=_WHERE,
    )


def _never_null(columns: Sequence[str], snapshot: TableSnapshot) -> bool:
    found = [snapshot.column(name) for name in columns]
    return all(column is not None and not column.nullable for column in found)


def _column_problems(column: SourceColumn, snapshot: TableSnapshot) -> Iterator[Problem]:
    coarse = _coarse(column)
    if coarse is not None:
        yield Problem(
            code="key_type",
            message=f"the key column {column.name} ({column.type.declared}) cannot tell rows apart by its text: {coarse}; "
            "accepted are whole numbers, numeric, text with a deterministic collation, uuid, dates and times, enums, boolean",
            where=_WHERE,
        )
    elif family_of(column.type) is Family.DECIMAL:
        yield Problem(
            code="key_numeric",
            message=f"the key column {column.name} is numeric: trailing zeros are no part of a row's identity (1.0 is 1.00)",
            where=_WHERE,
            severity=Severity.WARNING,
        )
    # Columns of views are never NOT NULL by the catalog: there the data has to be looked at.
    if column.nullable and snapshot.kind in {RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.FOREIGN_TABLE}:
        yield Problem(
            code="key_nullable",
            message=f"the key column {column.name} may be null, and null is no key: make it NOT NULL or choose another key",
            where=_WHERE,
            remedy=f'alter table "{snapshot.table.schema}"."{snapshot.table.name}" alter column "{column.name}" set not null',
        )


def _coarse(column: SourceColumn) -> str | None:
    """Why equal keys may have different texts; None: they have one."""
    family = family_of(column.type)
    if column.type.name == "citext":
        return "citext calls Ab and AB equal"
    if family is Family.TEXT and not column.type.deterministic_collation:
        return "its collation is nondeterministic and calls different texts equal"
    match family:
        case Family.CHAR:
            return "trailing blanks count for nothing"
        case Family.FLOAT:
            return "0 and -0 are equal, and what looks equal often is not"
        case Family.INTERVAL:
            return "30 days and 1 month are equal"
        case Family.JSON | Family.JSONB:
            return "documents are equal whatever the order or spelling of their parts"
        case _:
            return None if family in _USABLE else "its type is known by its text alone"


def _not_unique(strategy: KeyStrategy, names: Sequence[str], snapshot: TableSnapshot) -> Problem:
    together = ", ".join(names)
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    table = f'"{snapshot.table.schema}"."{snapshot.table.name}"'
    if strategy is KeyStrategy.UNIQUE:
        return Problem(
            code="key_not_unique",
            message=f"nothing keeps ({together}) unique in {snapshot.table}: add a unique index over all rows, or choose "
            "COMPOSITE_COLUMNS, which looks at the data",
            where=_WHERE,
            remedy=f"create unique index on {table} ({quoted})",
        )
    return Problem(
        code="key_unchecked",
        message=f"nothing keeps ({together}) unique in {snapshot.table}: the data is checked at set-up, and rows that become "
        "equal later are parked",
        where=_WHERE,
        severity=Severity.WARNING,
        # Shown to a person, never sent to a database.
        remedy=f"select {quoted}, count(*) from {table} group by {quoted} having count(*) > 1",  # noqa: S608
    )
