"""Retention takes what is old and decided, and leaves what somebody may still need."""

from datetime import timedelta

import psycopg
import pytest

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.renames import RenameStore
from shared.adapters.metastore.retention import BATCH, Retention
from shared.core.ids import DefinitionId, identity_of
from shared.core.renames import KeyChange
from tests.integration.metastore.support import definition_id, keep_definition, mark

pytestmark = pytest.mark.slow
DAYS_90 = timedelta(days=90)

_TOMBSTONES = """
insert into syncbridge.sync_ledger
    (sync_def_id, source_identity_hash, source_identity, source_instance_id, state, stamp, intents, tombstoned_at)
select %s, sha256(name::bytea), name, gen_random_uuid(), 'TOMBSTONE', stamp, intents::jsonb, now() - age
  from (values ('old', null::bigint, '[]', interval '91 days'),
               ('young', null, '[]', interval '89 days'),
               ('its row lives', 7, '[]', interval '91 days'),
               ('in doubt', null, '[{}]', interval '91 days')) as v (name, stamp, intents, age)
"""
_CONFLICTS = """
insert into syncbridge.conflicts
    (sync_def_id, op, source_identity_hash, source_identity, field_no, source_column_name, state, winner, conflict_policy,
     winning_digest, finalized_at)
select %s, gen_random_uuid(), sha256(name::bytea), name, 1, 'a', state, 'ROW', 'ONE_WAY', '', now() - age
  from (values ('old', 'FINAL', interval '91 days'), ('void', 'VOID', interval '91 days'),
               ('young', 'FINAL', interval '89 days'), ('undecided', 'PENDING', null)) as v (name, state, age)
"""


def left(sql: psycopg.Connection, table: str) -> set[str]:
    return {name for (name,) in sql.execute(f"select source_identity from syncbridge.{table}".encode())}


def test_tombstones_go_when_they_are_old_and_neither_in_doubt_nor_for_a_row_that_lives(
    store: Metastore, sql: psycopg.Connection, definition: DefinitionId
):
    sql.execute(_TOMBSTONES, [definition])
    gone = Retention(store).sweep(runs=DAYS_90, conflicts=DAYS_90, tombstones=DAYS_90)
    assert gone["tombstones"] == 1
    assert left(sql, "sync_ledger") == {"young", "its row lives", "in doubt"}


def test_conflicts_go_when_they_are_old_and_decided(
    store: Metastore, sql: psycopg.Connection, definition: DefinitionId
):
    keep_definition(sql, definition)
    sql.execute(_CONFLICTS, [definition])
    gone = Retention(store).sweep(runs=DAYS_90, conflicts=DAYS_90, tombstones=DAYS_90)
    assert gone["conflicts"] == 2
    assert left(sql, "conflicts") == {"young", "undecided"}


def test_each_kind_has_an_age_of_its_own(store: Metastore, sql: psycopg.Connection, definition: DefinitionId):
    keep_definition(sql, definition)
    sql.execute(_CONFLICTS, [definition])
    sql.execute(_TOMBSTONES, [definition])
    gone = Retention(store).sweep(runs=DAYS_90, conflicts=DAYS_90 * 2, tombstones=timedelta(days=1))
    assert (gone["conflicts"], gone["tombstones"]) == (0, 2)


def test_one_sweep_takes_a_bounded_number(store: Metastore, sql: psycopg.Connection, definition: DefinitionId):
    sql.execute(
        "insert into syncbridge.sync_ledger"
        " (sync_def_id, source_identity_hash, source_identity, source_instance_id, state, tombstoned_at)"
        " select %s, sha256(n::text::bytea), n::text, gen_random_uuid(), 'TOMBSTONE', now() - interval '91 days'"
        " from generate_series(1, %s) n",
        [definition, BATCH + 1],
    )
    retention = Retention(store)
    counts = [retention.sweep(runs=DAYS_90, conflicts=DAYS_90, tombstones=DAYS_90)["tombstones"] for _ in range(2)]
    assert counts == [BATCH, 1]


def test_safety_polls_that_found_nothing_go_after_a_day_and_the_others_stay(
    store: Metastore, sql: psycopg.Connection, definition: DefinitionId
):
    keep_definition(sql, definition)
    sql.execute(
        """
        insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by, items_processed, end_time)
        select gen_random_uuid(), %s, 'INGRESS', status, trigger, name, processed, now() - age
          from (values ('quiet', 'COMPLETED', 'POLL', 0, interval '25 hours'),
                       ('young', 'COMPLETED', 'POLL', 0, interval '23 hours'),
                       ('busy', 'COMPLETED', 'POLL', 1, interval '25 hours'),
                       ('failed', 'FAILED', 'POLL', 0, interval '25 hours'),
                       ('noticed', 'COMPLETED', 'NOTICE', 0, interval '25 hours')) as v (name, status, trigger, processed, age)
        """,
        [definition],
    )
    Retention(store).sweep(runs=DAYS_90, conflicts=DAYS_90, tombstones=DAYS_90)
    assert {name for (name,) in sql.execute("select requested_by from syncbridge.sync_runs")} == {
        "young",
        "busy",
        "failed",
        "noticed",
    }


def test_what_a_deleted_definition_has_marked_goes_with_the_key_changes_it_was_told(
    store: Metastore, backlog: BacklogStore, definition: DefinitionId
):
    pair = KeyChange(former=identity_of(["1"]), new=identity_of(["2"]))
    other = definition_id()
    for one in (definition, other):
        backlog.mark(one, [mark(1), mark(2)], [pair])
    assert Retention(store).forget(definition, ledger=False, runs=False)["backlog"] == 2
    renames = RenameStore(store)
    assert list(renames.touching(definition, [pair.new])) == []
    assert [one.new for one in renames.touching(other, [pair.former])] == [pair.new]
