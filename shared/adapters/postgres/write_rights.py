"""What a definition needs of its source before it may write rows there, each with the SQL that gives it."""

from collections.abc import Iterator, Sequence

from shared.adapters.postgres import statements, write_statements
from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.role import RIGHTS, Role, role_of
from shared.adapters.postgres.target import FILE, Target, key_index, require_writable, sequences, target_of
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, InvariantViolated, SyncError
from shared.core.needs import Needs
from shared.core.problems import Problem
from shared.core.source import DeleteRow, InsertRow, RowChange, UpdateRow


def writing_problems(connection: Connection, spec: SourceSpec, role: Role, needs: Needs) -> Iterator[Problem]:
    """Within a transaction under pinned settings."""
    if not (needs.insert or needs.update or needs.delete or needs.reserve):
        return
    try:
        require_writable(spec)
        target = target_of(connection, spec)
    except ConfigurationError as error:
        if error.code != "not_writable":
            raise
        yield Problem(code=error.code, message=error.message, where="source")
        return
    yield from _rows(connection, spec, target, role, needs)
    yield from _functions(connection, role)
    if needs.insert or needs.reserve:
        yield from _inserts(connection, spec, target, role, needs)


def remedy_of(database: SourceDatabase, spec: SourceSpec, changes: Sequence[RowChange]) -> str:
    """The SQL that gives what these changes need and the role does not have; empty where the catalog shows nothing."""
    columns = {name for change in changes if isinstance(change, UpdateRow | InsertRow) for name in change.values}
    needs = Needs(
        insert=any(isinstance(change, InsertRow) for change in changes),
        update=tuple(sorted(columns)),
        delete=any(isinstance(change, DeleteRow) for change in changes),
    )
    try:
        with database.transaction(spec.table) as connection:
            role = role_of(connection)
            problems = [*writing_problems(connection, spec, role, needs)]
            problems = problems or [*_functions(connection, role)]
    except SyncError:
        # What is to be explained was refused already: that it cannot be looked into now is no reason to say less.
        return ""
    return " ".join(problem.remedy for problem in problems if problem.remedy)


def _rows(connection: Connection, spec: SourceSpec, target: Target, role: Role, needs: Needs) -> Iterator[Problem]:
    row = connection.execute(queries(RIGHTS)["table_rights"], [target.oid]).fetchone()
    if row is None:
        raise InvariantViolated("the table vanished while it was looked at")
    *_, insert, delete, updates_something = row
    keys = [key.name for key in spec.key.columns]
    wanted = list(dict.fromkeys([*keys, *needs.update]))
    rights = connection.execute(queries(RIGHTS)["column_rights"], [target.oid, wanted]).fetchall()
    if needs.insert and not insert:
        missing = [name for name, _, may_insert, _ in rights if not may_insert]
        if missing:
            yield Problem(
                code="insert_missing",
                message=f"the role {role.name} may not insert rows of {spec.table}",
                where="source",
                remedy=statements.grant_on_table(
                    spec, "insert", role.name, missing if len(missing) < len(rights) else ()
                ),
            )
    if needs.delete and not delete:
        yield Problem(
            code="delete_missing",
            message=f"the role {role.name} may not delete rows of {spec.table}",
            where="source",
            remedy=statements.grant_on_table(spec, "delete", role.name),
        )
    missing = [name for name, _, _, may_update in rights if not may_update and name in needs.update]
    if missing:
        yield Problem(
            code="update_missing",
            message=f"the role {role.name} may not update the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
            f" of {spec.table}",
            where="source",
            remedy=statements.grant_on_table(spec, "update", role.name, missing),
        )
    elif needs.delete and not updates_something:
        yield Problem(
            code="lock_missing",
            message=f"the role {role.name} may not lock rows of {spec.table}, which it does before it deletes them:"
            " PostgreSQL wants the right to update a column for it, whichever it is",
            where="source",
            remedy=statements.grant_on_table(spec, "update", role.name, keys[:1]),
        )


def _functions(connection: Connection, role: Role) -> Iterator[Problem]:
    """Everybody may call these, unless somebody has taken it away."""
    for name, arguments in connection.execute(queries(FILE)["functions"], []):
        yield Problem(
            code="function_missing",
            message=f"the role {role.name} may not call {name}(), without which a transaction whose answer is lost cannot"
            " be told from one that failed",
            where="source",
            remedy=write_statements.grant_on_function(name, arguments, role.name),
        )


def _inserts(connection: Connection, spec: SourceSpec, target: Target, role: Role, needs: Needs) -> Iterator[Problem]:
    if needs.insert and key_index(connection, spec, target) is None:
        yield Problem(
            code="key_not_unique",
            message=f"{spec.table} has no unique index on its key, and without one a row could be made twice",
            where="key",
            remedy=write_statements.create_key_index(spec),
        )
    keys = {key.name for key in spec.key.columns}
    for column, sequence in sequences(connection, target.oid).items():
        # Numbers of the key are drawn beforehand, or given. Of the other columns a default draws with the rights of
        # whoever inserts, and an identity with the table's own.
        drawn = needs.reserve if column in keys else needs.insert and not sequence.of_identity
        if sequence.usable or not drawn:
            continue
        yield Problem(
            code="sequence_missing",
            message=f"the role {role.name} may not draw from the sequence {sequence.schema}.{sequence.name}, which"
            f" numbers the column {column} of {spec.table}",
            where="source",
            remedy=write_statements.grant_on_sequence(sequence.schema, sequence.name, role.name),
        )
