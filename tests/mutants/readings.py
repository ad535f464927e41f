"""The rules of reading a customer's table taken out: settings, policies, inheritance, and how far a watermark may go."""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from psycopg import sql

from shared.adapters.postgres import connection, source, statements, watermark
from shared.adapters.postgres.connection import PINNED
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import in_source, put


def _unpinned(name: str) -> Apply:
    """A setting is whatever the role or the database says."""

    def apply(stack: ExitStack) -> None:
        kept = {other: value for other, value in PINNED.items() if other != name}
        stack.enter_context(patch.dict(PINNED, kept, clear=True))

    return apply


def _in_its_own_encoding(stack: ExitStack) -> None:
    real = connection.connection_arguments

    def connection_arguments(*arguments: Any, **options: Any) -> Any:
        return {name: value for name, value in real(*arguments, **options).items() if name != "client_encoding"}

    stack.enter_context(patch.object(connection, "connection_arguments", connection_arguments))
    _unpinned("client_encoding")(stack)


def _for_the_session(stack: ExitStack) -> None:
    def set_locally(opened: Any, settings: Any) -> None:
        calls = [
            sql.SQL("pg_catalog.set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        ]
        opened.execute(sql.SQL("select {}").format(sql.SQL(", ").join(calls)))

    stack.enter_context(patch.object(connection, "set_locally", set_locally))


def _with_children(stack: ExitStack) -> None:
    def from_table(spec: Any) -> sql.Composed:
        return sql.SQL("{} as {}").format(statements.table_name(spec), sql.Identifier("t"))

    stack.enter_context(patch.object(statements, "from_table", from_table))


def _many_moments(stack: ExitStack) -> None:
    real = source.SourceDatabase.transaction

    def transaction(self: Any, subject: Any, *, one_snapshot: bool = False, **options: Any) -> Any:
        return real(self, subject, **options)

    stack.enter_context(patch.object(source.SourceDatabase, "transaction", transaction))


POSTGRES = "tests/integration/postgres/"
WATERMARK = POSTGRES + "test_watermark.py::"

READINGS = (
    Mutant(
        "hidden_rows_read",
        "Rows that a policy hides are not there",
        lambda stack: stack.enter_context(patch.dict(PINNED, {"row_security": "on"})),
        directed=POSTGRES + "test_relations.py::test_rows_that_a_policy_would_hide_stop_every_kind_of_reading",
    ),
    Mutant(
        "hidden_rows_written",
        "Rows that a policy hides are written around",
        lambda stack: stack.enter_context(patch.dict(PINNED, {"row_security": "on"})),
        directed=POSTGRES + "test_write_refusals.py::test_rows_that_a_policy_would_hide_are_not_written_around",
    ),
    Mutant(
        "children_read",
        "An inheritance parent's children, whose keys are their own, are read with it",
        _with_children,
        directed=POSTGRES + "test_relations.py::test_an_inheritance_parent_is_read_without_its_children_s_rows",
    ),
    Mutant(
        "encoding_of_database",
        "Texts come in the database's own encoding",
        _in_its_own_encoding,
        directed=POSTGRES + "test_encodings.py::test_a_latin1_database_gives_utf_8_everywhere",
    ),
    Mutant(
        "zone_of_session",
        "Times, and keys that are times, are printed in the role's zone",
        _unpinned("TimeZone"),
        directed=POSTGRES + "test_stamps.py::test_a_row_that_is_not_touched_keeps_its_stamp_whatever_the_session_says",
    ),
    Mutant(
        "settings_stay",
        "Settings stay in the session, which a pooler hands to somebody else",
        _for_the_session,
        directed=POSTGRES + "test_connection.py::test_nothing_stays_in_a_session_behind_a_pooler",
    ),
    Mutant(
        "scan_of_many_moments",
        "A scan's passes each see another moment",
        _many_moments,
        directed=POSTGRES + "test_scan.py::test_a_scan_s_rows_are_of_one_moment",
    ),
    Mutant(
        "timeline_of_last_checkpoint",
        "The server's place in its history is that of the last checkpoint",
        in_source(
            "watermark.sql",
            "server_identity",
            (
                "('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer",
                "(select timeline_id from pg_catalog.pg_control_checkpoint())",
            ),
        ),
        directed=POSTGRES + "test_standby.py::test_a_standby_is_read_and_knows_its_place_until_it_is_promoted",
    ),
    Mutant(
        "prepared_passed_over",
        "The watermark passes rows of prepared transactions, whose beginning nobody knows",
        in_source(
            "watermark.sql",
            "bound_of_time",
            ("where database = pg_catalog.current_database()) as prepared", "where false) as prepared"),
        ),
        directed=WATERMARK + "test_while_a_prepared_transaction_exists_the_watermark_does_not_move",
    ),
    Mutant(
        "elsewhere_passed_over",
        "A watermark over rows of another server goes by the transactions of this one",
        put(watermark, "_is_foreign", lambda *_: False),
        directed=POSTGRES + "test_extensions.py::"
        "test_a_watermark_over_rows_of_another_server_reads_a_time_again_for_nobody_here_sees_its_transactions[table]",
    ),
    Mutant(
        "idle_passed_over",
        "The watermark passes transactions that have written nothing yet",
        in_source(
            "watermark.sql",
            "bound_of_time",
            (
                "and pid <> pg_catalog.pg_backend_pid()",
                "and pid <> pg_catalog.pg_backend_pid() and backend_xid is not null",
            ),
        ),
        directed=WATERMARK + "test_the_bound_lies_below_a_transaction_that_has_written_nothing_yet",
    ),
)
