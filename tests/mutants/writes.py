"""The rules of writing to a customer's table taken out: names that outlive a crash, whole pages, locks, time, triggers."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg import sql

from shared.adapters.postgres import applying, session, target, translation, write_statements
from shared.adapters.postgres.session import WriteSession
from shared.adapters.postgres.writing import PostgresRowTransaction, PostgresWriter
from shared.core.errors import RowRejected
from shared.core.source import Moved, RelationKind, UpdateRow, Wrote
from shared.settle import write_rows
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import both, in_source, put

TIMELINE = "('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer"
OLD_TIMELINE = "(select timeline_id from pg_catalog.pg_control_checkpoint())"


# ---- what the server is told


def _without(*names: str) -> Apply:
    """A transaction that writes leaves these settings as the role has them."""

    def apply(stack: ExitStack) -> None:
        real = session.set_locally

        def set_locally(connection: Any, settings: Mapping[str, str]) -> None:
            real(connection, {name: value for name, value in settings.items() if name not in names})

        stack.enter_context(patch.object(session, "set_locally", set_locally))

    return apply


def _unsaid(statement: str) -> Apply:
    """One statement is never sent."""

    def apply(stack: ExitStack) -> None:
        real = psycopg.Connection.execute

        def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            return real(self, "select" if query == statement else query, *arguments, **options)

        stack.enter_context(patch.object(psycopg.Connection, "execute", execute))

    return apply


def _statement_has_all_its_time(stack: ExitStack) -> None:
    real = WriteSession._set

    def set_all(self: Any, settings: Mapping[str, str]) -> None:
        with patch.object(WriteSession, "require_time", lambda self: self._limits.statement):
            real(self, settings)

    stack.enter_context(patch.object(WriteSession, "_set", set_all))


def _committed_at_once(stack: ExitStack) -> None:
    real = PostgresRowTransaction.apply

    def apply(self: Any, changes: Any) -> Any:
        outcomes = real(self, changes)
        self._session.connection.execute("commit")
        self._session.connection.execute("begin")
        return outcomes

    stack.enter_context(patch.object(PostgresRowTransaction, "apply", apply))


# ---- whole pages


def _missed_is_forgiven(stack: ExitStack) -> None:
    real = PostgresRowTransaction.commit

    def commit(self: Any) -> None:
        self._missed = False
        real(self)

    stack.enter_context(patch.object(PostgresRowTransaction, "commit", commit))


def _refused_is_passed_over(stack: ExitStack) -> None:
    def apply(self: Any, changes: Any) -> Any:
        self._applied = True
        page = applying.Page(session=self._session, spec=self._spec, target=self._target, name=self._name)
        outcomes: dict[Any, Any] = {}
        for change in changes:
            self._session.connection.execute("savepoint one")
            try:
                with translation.translated(str(self._spec.table), writing=True):
                    outcomes |= page.apply([change])
            except RowRejected:
                self._session.connection.execute("rollback to savepoint one")
        return outcomes

    stack.enter_context(patch.object(PostgresRowTransaction, "apply", apply))


# ---- locks


def _locked(ending: str) -> Apply:
    """Rows are read with another clause than `for … skip locked`."""
    clause = sql.SQL(ending)

    def apply(stack: ExitStack) -> None:
        def lock_rows(spec: Any, lock: Any) -> Any:
            rows = write_statements.statements
            return sql.SQL("select {}, {}.xmin::pg_catalog.text from {} {}").format(
                rows.identity(spec), sql.Identifier("t"), rows.asked_rows(spec), clause
            )

        stack.enter_context(patch.object(write_statements, "lock_rows", lock_rows))

    return apply


# ---- triggers


def _swallowed_is_written(stack: ExitStack) -> None:
    real = applying._outcome

    def outcome(change: Any, rows: Any, written: Any) -> Any:
        found = real(change, rows, written)
        return Wrote(row=rows[change.identity]) if found == Moved() and change.identity in rows else found

    stack.enter_context(patch.object(applying, "_outcome", outcome))


def _swallowed_is_tried_for_ever(stack: ExitStack) -> None:
    real = write_rows._moved

    def moved(page: Any, act: Any, half: Any) -> None:
        act.work.missed = None
        real(page, act, half)

    stack.enter_context(patch.object(write_rows, "_moved", moved))


def _as_returning_says(stack: ExitStack) -> None:
    """What was sent, over what the row was before: RETURNING does not see what AFTER triggers make of it."""
    real_update, real_read = applying.Page._update, applying.Page._read
    before: dict[Any, Any] = {}

    def update(self: Any, updates: Any, keys: Any) -> Any:
        before.update(real_read(self, updates, keys))
        self.session.write()
        return real_update(self, updates, keys)

    def read(self: Any, changes: Any, keys: Any) -> Any:
        rows = dict(real_read(self, changes, keys))
        for change in changes:
            if isinstance(change, UpdateRow) and change.identity in before:
                former = before[change.identity].values
                rows[change.identity] = replace(rows[change.identity], values={**former, **change.values})
        return rows

    stack.enter_context(patch.object(applying.Page, "_update", update))
    stack.enter_context(patch.object(applying.Page, "_read", read))


# ---- whose rows


def _written(kind: RelationKind) -> Apply:
    """Relations of this kind are as good as tables."""
    return put(target, "_WRITABLE", target._WRITABLE | {kind})


def _target_with_children(spec: Any) -> Any:
    return sql.SQL("{} as {}").format(write_statements.table_name(spec), sql.Identifier("t"))


CRASH = "tests/integration/postgres/test_write_durability.py::"
NAMED = CRASH + "test_the_name_of_a_transaction_outlives_a_crash_and_is_not_given_again[logical log]"
PROMOTED = CRASH + "test_a_standby_takes_no_writes_and_tells_no_fates_and_a_new_primary_knows_no_old_names"
CONTRACT = "tests/contract/rows/test_row_writer.py::"
LOCKS = "tests/integration/postgres/test_write_locks.py::"
WRITES = "tests/integration/postgres/test_writes.py::"
ELSEWHERE = (
    "tests/integration/postgres/test_extensions.py::"
    "test_rows_of_another_server_are_read_and_never_written_for_they_have_no_version"
)

WRITES_TO_ROWS = (
    Mutant(
        "name_not_flushed",
        "A transaction is named although its id stands in memory only",
        both(
            put(PostgresWriter, "_flush", lambda self: None),
            in_source("writing.sql", "is_flushed", ("select pg", "select true or pg")),
        ),
        directed=NAMED,
    ),
    Mutant(
        "name_flushed_elsewhere",
        "A flush on another server counts",
        in_source("writing.sql", "is_flushed", ("select pg", "select true or pg")),
        directed=CRASH + "test_a_name_whose_log_was_flushed_on_another_server_is_not_told",
    ),
    Mutant(
        "commit_not_durable",
        "COMMIT is answered when the role says so, before it would survive a crash",
        _without("synchronous_commit"),
        directed=CRASH + "test_what_was_committed_outlives_a_crash_even_if_the_role_commits_without_waiting",
    ),
    Mutant(
        "timeline_of_checkpoint",
        "The timeline is that of the last checkpoint, which a promotion has not changed yet",
        both(
            in_source("writing.sql", "names", (TIMELINE, OLD_TIMELINE)),
            in_source("writing.sql", "fate", (TIMELINE, OLD_TIMELINE)),
        ),
        directed=PROMOTED,
    ),
    Mutant(
        "views_written",
        "Views are written to, whose rows have no version",
        _written(RelationKind.VIEW),
        directed=WRITES + "test_what_is_no_ordinary_table_is_not_written_to_even_if_it_was_one",
    ),
    Mutant(
        "foreign_tables_written",
        "Foreign tables are written to, whose rows all have the version 0",
        _written(RelationKind.FOREIGN_TABLE),
        directed=ELSEWHERE + "[table]",
    ),
    Mutant(
        "foreign_partitions_written",
        "A table is written to although some of its partitions are foreign tables",
        put(target, "foreign_partition", lambda *_: None),
        directed=ELSEWHERE + "[partition]",
    ),
    Mutant(
        "missed_row_forgiven",
        "A transaction commits although one of its rows was missed",
        _missed_is_forgiven,
        directed=CONTRACT + "test_a_page_with_a_row_that_was_missed_cannot_be_committed[postgresql]",
    ),
    Mutant(
        "refused_row_passed_over",
        "A row that is refused is taken back to a savepoint, and the others are committed",
        _refused_is_passed_over,
        directed=CONTRACT
        + "test_a_row_that_a_rule_of_the_table_refuses_is_rejected_and_the_transaction_is_over[postgresql]",
    ),
    Mutant(
        "locks_awaited",
        "A row that a user works on is waited for",
        _locked("for no key update of t"),
        directed=LOCKS
        + "test_a_row_that_a_user_works_on_is_left_alone_and_the_user_notices_nothing[select from t where id = 1 for update]",
    ),
    Mutant(
        "locks_too_strong",
        "A row is locked against those who only refer to it",
        put(write_statements, "_LOCKS", {"no key update": "update", "update": "update"}),
        directed=LOCKS + "test_who_only_refers_to_a_row_does_not_keep_it_from_being_updated",
    ),
    Mutant(
        "locks_not_taken",
        "Rows are written without having been locked first",
        _locked(""),
        directed=LOCKS + "test_a_user_and_a_page_that_want_the_same_rows_in_opposite_order_do_not_deadlock",
    ),
    Mutant(
        "deadlock_hits_users",
        "We wait for a lock longer than the server waits before it ends somebody",
        in_source(
            "writing.sql",
            "opening",
            (
                "pg_catalog.current_setting('deadlock_timeout')::pg_catalog.interval",
                "'1 hour'::pg_catalog.interval",
            ),
        ),
        directed=LOCKS + "test_we_wait_for_no_lock_as_long_as_the_server_waits_before_it_looks_for_a_deadlock",
    ),
    Mutant(
        "swallowed_is_written",
        "A write that a trigger swallows counts as done",
        _swallowed_is_written,
        directed=CONTRACT + "test_a_row_that_a_trigger_silently_leaves_unwritten_has_moved[postgresql]",
    ),
    Mutant(
        "swallowed_for_ever",
        "A write that a trigger swallows is tried again for ever",
        _swallowed_is_tried_for_ever,
        directed="tests/scenarios/test_poison.py::"
        "test_what_a_trigger_swallows_without_a_word_is_set_aside_and_holds_up_nobody",
    ),
    Mutant(
        "after_triggers_unseen",
        "A row is believed to be as RETURNING says",
        _as_returning_says,
        directed=WRITES + "test_what_after_triggers_and_deferred_ones_make_of_a_row_is_read_back",
    ),
    Mutant(
        "deferred_triggers_unseen",
        "Triggers that are put off run after the row was read back",
        _unsaid("set constraints all immediate"),
        directed=WRITES + "test_what_after_triggers_and_deferred_ones_make_of_a_row_is_read_back",
    ),
    Mutant(
        "commit_with_the_writes",
        "COMMIT goes with the writes in one message, which the server carries out for a dead worker too",
        _committed_at_once,
        directed=CONTRACT + "test_nothing_is_seen_by_others_before_the_commit[postgresql]",
    ),
    Mutant(
        "statements_outlive_fence",
        "A statement may take longer than what is left of its transaction's time",
        _statement_has_all_its_time,
        directed=LOCKS + "test_what_is_left_of_the_whole_transaction_s_time_bounds_each_statement[left1]",
    ),
    Mutant(
        "commit_outlives_fence",
        "COMMIT is sent after the transaction's time",
        put(WriteSession, "require_time", lambda self: self._limits.whole),
        directed=LOCKS + "test_nothing_is_committed_after_the_transaction_s_time",
    ),
    Mutant(
        "idle_for_ever",
        "A worker that stands still keeps its rows locked",
        _without("idle_in_transaction_session_timeout"),
        directed=LOCKS + "test_a_worker_that_stands_still_loses_its_transaction_and_the_users_get_their_rows",
    ),
    Mutant(
        "lost_race_holds",
        "A transaction that lost against another one stops the definition instead of being tried again",
        lambda stack: stack.enter_context(patch.dict(translation.CLASSES, {"40": translation.Kind.SETUP})),
        directed="tests/scenarios/test_partitions.py::"
        "test_a_row_that_a_user_moves_to_another_partition_just_before_it_is_locked[and back]",
    ),
    Mutant(
        "children_written",
        "An inheritance parent's children, whose keys are their own, are written with it",
        put(write_statements, "_target", _target_with_children),
        directed=WRITES + "test_a_parent_s_children_by_inheritance_keep_their_rows",
    ),
)
