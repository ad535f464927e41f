"""What change data capture needs is named right by right, with the SQL that gives it: running that SQL is the proof."""

import re
from collections.abc import Iterator

import pytest

from infra.local.postgres import start
from shared.adapters.postgres.rights import check_source
from shared.adapters.postgres.slots import SlotAdmin
from shared.core.needs import Needs
from shared.core.problems import Problem, Severity
from shared.core.slots import DEFAULT_SLOT, PUBLICATION
from shared.core.source import KeyStrategy
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.streams import Slot

STREAM = Needs(stream=True)


def problems(source: Source, spec, severity: Severity = Severity.ERROR) -> dict[str, Problem]:
    return {p.code: p for p in check_source(source.database, spec, STREAM) if p.severity is severity}


def mend(source: Source, problem: Problem) -> None:
    for statement in re.split(r"(?<=;) ", problem.remedy or ""):
        source.run(statement)


@pytest.fixture
def plain(source: Source, open_source) -> Iterator[Source]:
    """A role that may read the tables and nothing else."""
    role = f"plain_{source.database.address.dbname}"
    source.run(f"create role {role} login password 'pw'", f"alter default privileges grant select on tables to {role}")
    opened = open_source(user=role, password="pw")
    yield opened
    opened.database.close()
    source.run(f"drop owned by {role}", f"drop role {role}")


def test_each_missing_right_is_named_and_its_remedy_gives_it(source, plain):
    source.run('create table "T" (id int primary key, note text)')
    spec = source.spec("T")
    found = problems(plain, spec)
    assert set(found) == {"replication_missing", "publication_missing"}
    for problem in found.values():
        mend(source, problem)
    assert problems(plain, spec) == {}
    slot = Slot(source, spec)
    source.run("""insert into "T" values (1)""")
    with slot.feed(address=plain.database.address) as feed:
        assert list(slot.keys(feed)) == ['["1"]']


def test_an_owner_of_the_table_who_may_make_publications_needs_no_help(source, plain):
    role, database = plain.database.address.user, plain.database.address.dbname
    source.run(
        "create table t (id int primary key)",
        f"alter table t owner to {role}",
        f"grant create on database {database} to {role}",
        f"alter role {role} replication",
    )
    spec = source.spec("t")
    assert problems(plain, spec) == {}
    SlotAdmin(plain.database).publish([(spec.table, spec.relation)])
    assert problems(plain, spec) == {}


def test_a_table_that_is_published_in_part_is_not_enough(source):
    source.run(
        "create table t (id int primary key, note text)", f"create publication {PUBLICATION} with (publish = 'insert')"
    )
    spec = source.spec("t")
    narrow = problems(source, spec)
    assert set(narrow) == {"publication_narrow"}
    mend(source, narrow["publication_narrow"])
    if source.admin.info.server_version >= 150_000:
        source.run(f"alter publication {PUBLICATION} add table t (id)")
        filtered = problems(source, spec)
        assert set(filtered) == {"publication_filtered"}
        mend(source, filtered["publication_filtered"])
    assert problems(source, spec) == {}


@pytest.mark.parametrize(
    ("statements", "remedy"),
    [
        (["create table t (id int not null)"], "replica identity full"),
        (["create table t (id int not null unique, n int)"], 'replica identity using index "t_id_key"'),
        (
            ["create table t (id int not null, n int primary key)", "create unique index u on t (id, n)"],
            'using index "u"',
        ),
        (["create table t (id int not null, n int)", "create unique index u on t (id, n)"], "replica identity full"),
        (["create table t (id int primary key)", "alter table t replica identity nothing"], 'using index "t_pkey"'),
        (["create table t (id int not null unique deferrable)"], "replica identity full"),
        (["create table t (id int not null)", "create unique index u on t (id) where id > 0"], "replica identity full"),
    ],
)
def test_a_replica_identity_that_lacks_the_key_is_mended_as_cheaply_as_can_be(source, statements, remedy):
    source.run(*statements)
    spec = source.spec("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    found = problems(source, spec)
    assert set(found) == {"replica_identity"}
    assert remedy in (found["replica_identity"].remedy or "")
    mend(source, found["replica_identity"])
    assert problems(source, spec) == {}


def test_every_partition_has_to_hold_the_key(source):
    source.run(
        "create table p (id int not null, n int not null, primary key (id, n)) partition by list (n)",
        "create table p1 partition of p for values in (1)",
        "create table p2 partition of p for values in (2)",
    )
    spec = source.spec("p", key=["id", "n"])
    assert problems(source, spec) == {}
    source.run("alter table p2 replica identity nothing")
    found = problems(source, spec)
    assert "of public.p2 does not" in found["replica_identity"].message
    mend(source, found["replica_identity"])
    assert problems(source, spec) == {}


def test_what_is_not_in_the_log_cannot_be_streamed(source):
    source.run(
        "create unlogged table u (id int primary key)",
        "create view v as select * from u",
        "create table g (a int, id int generated always as (a * 2) stored primary key)",
    )
    assert "unlogged" in problems(source, source.spec("u"))
    assert set(problems(source, source.spec("v"))) == {"not_streamed"}
    assert set(problems(source, source.spec("g"))) == {"key_generated"}


def test_row_level_security_is_named(source, plain):
    source.run("create table t (id int primary key)", "alter table t enable row level security")
    found = problems(plain, source.spec("t"))
    assert "rows_hidden" in found
    mend(source, found["rows_hidden"])
    assert "rows_hidden" not in problems(plain, source.spec("t"))


def test_what_a_server_should_allow_beside_rights_is_warned_of(source):
    source.run("create table t (id int primary key)")
    warned = problems(source, source.spec("t"), Severity.WARNING)
    expected = {"slot_unbounded"} | ({"slot_failover"} if source.admin.info.server_version < 170_000 else set())
    assert set(warned) == expected


def test_a_server_that_is_not_set_up_for_streams_is_told_how_to_be(open_source):
    # What its command line says outranks what the remedies write, so that only their syntax is tried here.
    server = start(settings={"wal_level": "replica", "max_replication_slots": "0", "max_wal_senders": "0"})
    try:
        bare = open_source(server.dsn())
        bare.run("create table t (id int primary key)")
        spec = bare.spec("t")
        found = problems(bare, spec) | problems(bare, spec, Severity.WARNING)
        assert {"wal_level", "slots_used_up", "no_senders"} <= set(found)
        for code in ("wal_level", "slots_used_up", "no_senders"):
            bare.run((found[code].remedy or "").split(";")[0])
        bare.database.close()
    finally:
        server.remove()


def test_a_server_whose_only_slot_is_ours_and_that_has_no_replication_connections_is_read_all_the_same(open_source):
    server = start(settings={"max_replication_slots": "1", "max_wal_senders": "0"})
    try:
        source = open_source(server.dsn())
        source.run("create table t (id int primary key)")
        slot = Slot(source, source.spec("t"), name="somebody_elses")
        assert "slots_used_up" in problems(source, source.spec("t"))
        slot.admin.drop("somebody_elses")
        ours = Slot(source, source.spec("t"), name=DEFAULT_SLOT)
        assert problems(source, source.spec("t")) == {}
        source.run("insert into t values (1)")
        with ours.feed() as feed:
            assert not feed.streaming
            assert list(ours.keys(feed)) == ['["1"]']
        source.database.close()
    finally:
        server.remove()
