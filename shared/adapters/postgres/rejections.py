"""Why the database refused a row, as one sentence: with the column, the constraint or the function, never a value.

SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re
from typing import Final

import psycopg

from shared.core.errors import RowRejected

_REASONS: Final = {
    "22001": "a text is longer than its column takes",
    "22003": "a number is greater than its column takes",
    "22007": "a text is no date or time",
    "22008": "a date or time lies outside what its column takes",
    "22021": "a text holds a character that the database's encoding has not",
    "22026": "a bit string has not the length of its column",
    "22P02": "a text is no value of its column's type",
    "22P03": "a value is none of its column's type",
    "22P05": "a text holds a character that the database's encoding has not",
    "23001": "another row still refers to it",
    "23502": "a column that must have a value has none",
    "23503": "it refers to a row that is not there, or another row still refers to it",
    "23505": "another row has the same value where values are unique",
    "23514": "a check does not hold",
    "23P01": "it collides with another row",
    "27000": "a trigger writes the same row while it is written",
    "428C9": "a column that the database computes itself cannot be written",
    "44000": "a check does not hold",
    "54000": "a value is too large, for an index for example",
    "P0001": "a trigger's function raised an exception",
}
_REASON_OF_CLASS: Final = {
    "09": "a trigger's function failed",
    "22": "a value is none of its column's type, or an expression cannot cope with it",
    "23": "a constraint does not hold",
    "38": "a trigger's function failed",
    "39": "a trigger's function failed",
    "P0": "a trigger's function failed",
}
_FUNCTION: Final = re.compile(r"^PL/pgSQL function ([^(\n]{1,130})\(", re.MULTILINE)
"""In an error's context: the rest of a context may quote statements with their values."""


def rejected(error: BaseException, sqlstate: str, subject: str) -> RowRejected:
    """The engine's exception for a row that was refused. `subject`: the table that was written."""
    diag = error.diag if isinstance(error, psycopg.Error) else None
    column = diag.column_name if diag else None
    constraint = diag.constraint_name if diag else None
    function = _FUNCTION.search(diag.context or "") if diag else None
    where = [
        f"constraint {constraint}" if constraint else "",
        f"column {column}" if column else "",
        f"table {diag.schema_name}.{diag.table_name}" if diag and diag.table_name and _elsewhere(diag, subject) else "",
        f"function {function[1]}" if function else "",
    ]
    named = ", ".join(part for part in where if part)
    reason = _REASONS.get(sqlstate) or _REASON_OF_CLASS.get(sqlstate[:2]) or "a rule of the database"
    return RowRejected(
        f"{subject}: the database refused the row: {reason} ({named + '; ' if named else ''}SQLSTATE {sqlstate})",
        field=column,
        code="row_refused",
        sqlstate=sqlstate,
    )


def _elsewhere(diag: psycopg.errors.Diagnostic, subject: str) -> bool:
    return f"{diag.schema_name}.{diag.table_name}" != subject
