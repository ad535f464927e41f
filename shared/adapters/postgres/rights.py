"""What a definition needs of its source before it may run: rights, and keys that the data keeps.

Each finding names what is missing and the SQL that mends it. Nothing here writes.
"""

from collections.abc import Iterator
from typing import Any, Final

from shared.adapters.postgres import statements
from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.foreign import has_foreign_rows
from shared.adapters.postgres.introspection import relation_oid, snapshot_of
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.role import RIGHTS, Role, role_of
from shared.adapters.postgres.stream_rights import stream_problems
from shared.adapters.postgres.write_rights import writing_problems
from shared.core.definition import SourceSpec
from shared.core.errors import InvariantViolated
from shared.core.needs import Needs
from shared.core.problems import Problem, Severity
from shared.core.scope import columns_of
from shared.core.snapshot import TableSnapshot
from shared.core.source import KeyStrategy, RelationKind

_WRITABLE: Final = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED})
_TIME_CURSORS: Final = frozenset({"timestamptz", "timestamp", "date"})


def check_source(database: SourceDatabase, spec: SourceSpec, needs: Needs | None = None) -> tuple[Problem, ...]:
    """Everything that is missing, all at once: first rights, then, if it can be read, what the data says.

    Raises NotFound when the table does not exist, SourceUnavailable when the check itself could not be done.
    """
    needs = needs or Needs()
    with database.transaction(spec.table) as connection:
        role = role_of(connection)
        snapshot = snapshot_of(connection, spec.table)
        problems = [
            *_reading(connection, spec, role),
            *_policies(snapshot, role),
            *_watching(connection, spec, snapshot, role),
            *writing_problems(connection, spec, role, needs),
            *(stream_problems(connection, spec, snapshot, role) if needs.stream else ()),
        ]
        if not any(problem.severity is Severity.ERROR for problem in problems):
            problems += _data(connection, spec)
    return tuple(problems)


def _reading(connection: Connection, spec: SourceSpec, role: Role) -> Iterator[Problem]:
    oid = relation_oid(connection, spec.table)
    usage, select, *_ = _only(connection.execute(queries(RIGHTS)["table_rights"], [oid]).fetchone())
    if not usage:
        yield Problem(
            code="schema_usage_missing",
            message=f"the role {role.name} may not use the schema {spec.table.schema}",
            where="source",
            remedy=statements.grant_usage(spec, role.name),
        )
    if select:
        return
    wanted = _columns_read(spec)
    rows = connection.execute(queries(RIGHTS)["column_rights"], [oid, wanted]).fetchall()
    missing = [name for name, may_select, *_ in rows if not may_select]
    if len(missing) == len(wanted):
        yield Problem(
            code="select_missing",
            message=f"the role {role.name} may not read {spec.table}",
            where="source",
            remedy=statements.grant_on_table(spec, "select", role.name),
        )
    elif missing:
        yield Problem(
            code="select_missing",
            message=f"the role {role.name} may not read the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
            f" of {spec.table}; xmin is the row's version, which conditional writes compare",
            where="source",
            remedy=statements.grant_on_table(spec, "select", role.name, missing),
        )


def _columns_read(spec: SourceSpec) -> list[str]:
    names = [column.name for column in (*spec.key.columns, *spec.columns)]
    names += [column.name for column in (spec.soft_delete_column, spec.cursor_column) if column is not None]
    if spec.scope is not None:
        names += columns_of(spec.scope)
    if spec.relation in _WRITABLE:
        names.append("xmin")
    return list(dict.fromkeys(names))


def _policies(snapshot: TableSnapshot, role: Role) -> Iterator[Problem]:
    if snapshot.row_security.applies and not role.bypasses_policies:
        yield Problem(
            code="rows_hidden",
            message=f"row-level security of {snapshot.table} applies to the role {role.name}: rows that a policy hides"
            " would look deleted, so nothing is read; let the role bypass it, or sync a view of the table's owner",
            where="source",
            remedy=statements.allow(role.name, "bypassrls"),
        )


def _watching(connection: Connection, spec: SourceSpec, snapshot: TableSnapshot, role: Role) -> Iterator[Problem]:
    cursor = spec.cursor_column
    if cursor is None:
        return
    if has_foreign_rows(connection, spec):
        times = cursor.type.name in _TIME_CURSORS
        yield Problem(
            code="cursor_elsewhere",
            message=f"{spec.table} has rows of another server, whose transactions this one does not show: "
            + (
                "a time before the watermark is read again at every run, and rows of longer transactions are found by the"
                " scheduled scan only"
                if times
                else f"what {cursor.name} says cannot be compared with them; choose a time as the cursor column, or let"
                " changes be found by scan"
            ),
            where="cursor_column",
            severity=Severity.WARNING if times else Severity.ERROR,
        )
    if spec.relation is RelationKind.MATERIALIZED_VIEW:
        yield Problem(
            code="cursor_refreshed",
            message=f"the materialized view {spec.table} shows a change when it is refreshed: what was written long before"
            " and committed only after the last refresh is found by the scheduled scan only",
            where="cursor_column",
            severity=Severity.WARNING,
        )
    if cursor.type.name in _TIME_CURSORS and not role.sees_statistics:
        yield Problem(
            code="statistics_missing",
            message=f"the role {role.name} cannot see when other transactions began: a time before the watermark is"
            " read again at every run, and rows of longer transactions are found by the scheduled scan only",
            where="cursor_column",
            severity=Severity.WARNING,
            remedy=statements.grant_statistics(role.name),
        )
    if snapshot.kind in _WRITABLE and snapshot.index_leading_with([cursor.name]) is None:
        yield Problem(
            code="cursor_index_missing",
            message=f"no index of {spec.table} begins with the cursor column {cursor.name}: every page reads the whole"
            " table",
            where="cursor_column",
            severity=Severity.WARNING,
            remedy=statements.create_cursor_index(spec),
        )


def _data(connection: Connection, spec: SourceSpec) -> Iterator[Problem]:
    """What only the data knows. Reads the whole table where no constraint vouches for the key."""
    key = ", ".join(column.name for column in spec.key.columns)
    if spec.key.strategy is not KeyStrategy.PRIMARY_KEY:
        nulls, doubles = _only(connection.execute(statements.key_faults(spec), []).fetchone())
        if nulls:
            yield Problem(
                code="key_nulls",
                message=f"{spec.table} has {_count(nulls)} without a value in the key ({key}): fill them, choose another key,"
                " or sync a view that leaves them out",
                where="key",
            )
        if doubles:
            yield Problem(
                code="key_duplicates",
                message=f"{spec.table} has {_count(doubles, 'keys')} in ({key}) that more than one row has: add columns"
                " until the key is unique, or remove the doubles",
                where="key",
            )
    if spec.cursor_column is not None:
        (nulls,) = _only(connection.execute(statements.cursor_nulls(spec), []).fetchone())
        if nulls:
            yield Problem(
                code="cursor_nulls",
                message=f"{spec.table} has {_count(nulls)} without a value in the cursor column {spec.cursor_column.name}:"
                " their changes are found by the scheduled scan only",
                where="cursor_column",
                severity=Severity.WARNING,
            )


def _count(number: int, what: str = "rows") -> str:
    if number >= statements.FAULT_LIMIT:
        return f"{statements.FAULT_LIMIT} or more {what}"
    return f"{number} {what if number != 1 else what[:-1]}"


def _only(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise InvariantViolated("the table vanished while it was looked at")
    return row
