"""What only a server with ICU and PostgreSQL's own extensions can show: collations and citext, which call different texts
equal, and tables whose rows are on another server."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.rights import check_source
from shared.core.definition import SourceSpec, SyncMode
from shared.core.draft import DraftDefinition, DraftField
from shared.core.errors import ConfigurationError
from shared.core.ids import identity_of
from shared.core.needs import Needs
from shared.core.problems import Severity
from shared.core.runs import WatermarkCursor
from shared.core.source import KeyStrategy, Moved, TableRef
from shared.core.untold import OVERLAP
from shared.core.validation import validate
from tests.fixtures.postgres import Databases
from tests.integration.postgres.conftest import Opening, Source
from tests.integration.postgres.stamps import scan

FOLDED = ["text collate folded", "varchar(9) collate folded", "folded_text", "citext", "mail", "inner_mail"]
"""Types to which Ab and AB are one value; the last ones are domains."""


@pytest.fixture
def pg_dsn(extended_databases: Databases) -> Iterator[str]:
    dsn = extended_databases.create()
    yield dsn
    extended_databases.drop(dsn)


# ---------------------------------------------------------------- equality that is not the text's


@pytest.fixture
def folding(source: Source) -> Source:
    source.run(
        "create extension citext",
        "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "create domain folded_text as text collate folded",
        "create domain mail as citext",
        "create domain inner_mail as mail",
    )
    return source


def test_a_change_that_the_database_calls_none_is_seen_by_the_stamp_and_carried(folding: Source):
    for number, type_ in enumerate(FOLDED):
        table, former = f"t{number}", f"former{number}"
        folding.run(f"create table {table} (id int primary key, c {type_})", f"insert into {table} values (1, 'Ab')")
        spec = folding.spec(table)
        before = scan(folding.tables, spec)
        folding.run(f"create table {former} as table {table}", f"update {table} set c = 'AB'")
        blind = folding.admin.execute(
            "select f.c = t.c, hash_record_extended(row(f.c), 0) = hash_record_extended(row(t.c), 0)"
            f" from {former} f, {table} t"
        ).fetchone()
        assert blind == (True, True), f"else the stamp of {type_} could go by the type's own hash"
        after = scan(folding.tables, spec)
        assert (list(after), after == before) == (['["1"]'], False), type_
        row = folding.tables.read_rows(spec, ['["1"]'])['["1"]']
        assert (row.values["c"], row.stamp) == ("AB", after['["1"]'])


def test_a_collation_goes_along_when_its_column_becomes_text(folding: Source):
    """So a cast is not enough, and the stamp names a collation."""
    folding.run("create table t (c text collate folded)", "insert into t values ('Ab'), ('AB')")
    hashes = folding.admin.execute("select distinct hash_record_extended(row(c::text), 0) from t").fetchall()
    assert len(hashes) == 1


def test_a_key_that_calls_different_texts_equal_is_refused(folding: Source):
    draft = DraftDefinition(
        name="t",
        key_strategy=KeyStrategy.PRIMARY_KEY,
        mode=SyncMode.ONE_WAY_PUSH,
        fields=(DraftField(source_column_name="c"),),
    )
    for number, type_ in enumerate(FOLDED):
        folding.run(f"create table t{number} (id {type_} primary key, c text)")
        snapshot = introspect(folding.database, TableRef(schema="public", name=f"t{number}"))
        assert [(problem.code, problem.where) for problem in validate(draft, snapshot)] == [("key_type", "key")], type_


def test_a_row_is_found_and_compared_by_its_bytes(folding: Source, desk: Opening):
    """Should a definition have such a key all the same."""
    for number, type_ in enumerate(FOLDED):
        folding.run(f"create table t{number} (id {type_} primary key, c {type_})")
        folding.run(f"insert into t{number} values ('Ab', 'Ab')")
        here = desk(f"t{number}")
        assert here.row("AB") is None, type_
        stale = here.update("Ab", c="mine")
        folding.run(f"update t{number} set c = 'AB'")
        assert here.apply(stale) == [Moved()], type_
        (wrote,) = here.write(here.update("Ab", c="ab"))
        assert (wrote.row.identity, wrote.row.values["c"]) == (identity_of(["Ab"]), "ab")


# ---------------------------------------------------------------- rows of another server

COLUMNS = "id int not null, region text, a text, changed timestamptz"
FOREIGN = {
    "table": f"create foreign table t ({COLUMNS}) server elsewhere options (table_name 'far')",
    "partition": f"create table t ({COLUMNS}) partition by list (region);"
    " create table near partition of t for values in ('near') partition by list (id);"
    " create foreign table beyond partition of near for values in (1, 2) server elsewhere options (table_name 'far');"
    " create table here partition of t for values in ('here')",
}


@pytest.fixture
def elsewhere(source: Source, databases: Databases) -> Iterator[psycopg.Connection]:
    """A user's connection to another server with a row, which the test's own reaches as a foreign one."""
    dsn = databases.create()
    where = urlsplit(dsn)
    with psycopg.connect(dsn, autocommit=True) as there:
        there.execute("create table far (id int primary key, region text, a text, changed timestamptz default now())")
        there.execute("insert into far values (1, 'near', 'old')")
        source.run(
            "create extension postgres_fdw",
            "create server elsewhere foreign data wrapper postgres_fdw"
            f" options (host '{where.hostname}', port '{where.port}', dbname '{where.path[1:]}')",
            f"create user mapping for current_user server elsewhere options (user 'postgres', password '{where.password}')",
        )
        yield there
        source.run("drop extension postgres_fdw cascade")  # with its connections
    databases.drop(dsn)


@pytest.fixture(params=FOREIGN)
def foreign(request: pytest.FixtureRequest, source: Source, elsewhere: psycopg.Connection) -> Source:
    source.run(FOREIGN[request.param])
    return source


def test_rows_of_another_server_are_read_and_never_written_for_they_have_no_version(
    foreign: Source, elsewhere: psycopg.Connection, desk: Opening
):
    here = desk("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    before, stale = scan(foreign.tables, here.spec), here.update("1", a="mine")
    elsewhere.execute("update far set a = 'theirs'")
    assert foreign.admin.execute("select xmin::text, a from t").fetchall() == [("0", "theirs")]
    assert scan(foreign.tables, here.spec) != before
    with pytest.raises(ConfigurationError) as refused:
        here.write(stale)
    assert refused.value.code == "not_writable"
    assert elsewhere.execute("select a from far").fetchone() == ("theirs",)


def test_what_would_write_or_stream_rows_of_another_server_is_refused_at_set_up(foreign: Source):
    spec = foreign.spec("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    assert check_source(foreign.database, spec) == ()
    for needs, code in ((Needs(update=("a",)), "not_writable"), (Needs(stream=True), "not_streamed")):
        assert [problem.code for problem in check_source(foreign.database, spec, needs)] == [code]


def test_a_partition_of_another_server_that_comes_later_stops_the_writes(
    source: Source, elsewhere: psycopg.Connection, desk: Opening
):
    source.run(
        f"create table t ({COLUMNS}) partition by list (region)",
        "create table here partition of t for values in ('here')",
        "insert into t values (2, 'here', 'old')",
    )
    here = desk("t", strategy=KeyStrategy.COMPOSITE_COLUMNS)
    here.write(here.update("2", a="new"))
    source.run(
        "create foreign table beyond partition of t for values in ('near') server elsewhere options (table_name 'far')"
    )
    with pytest.raises(ConfigurationError) as refused:
        here.begin()
    assert "public.beyond" in refused.value.message
    assert elsewhere.execute("select a from far").fetchone() == ("old",)


def test_a_watermark_over_rows_of_another_server_reads_a_time_again_for_nobody_here_sees_its_transactions(
    foreign: Source, elsewhere: psycopg.Connection
):
    spec = foreign.spec("t", strategy=KeyStrategy.COMPOSITE_COLUMNS, cursor="changed")
    found = {problem.code: problem.severity for problem in check_source(foreign.database, spec)}
    assert found["cursor_elsewhere"] is Severity.WARNING
    with psycopg.connect(elsewhere.info.dsn, password=elsewhere.info.password) as late:
        # As if it had begun a minute ago, and the other one half a minute later.
        late.execute("update far set a = 'late', changed = now() - interval '60 seconds'")
        elsewhere.execute("insert into far values (2, 'near', 'new', now() - interval '30 seconds')")
        _, position = read(foreign, spec, None)
        late.commit()
    assert '["1"]' in read(foreign, spec, position)[0], "passed over"
    assert foreign.tables.watermark_bound(spec).reason.startswith("rows of another server")


def test_transaction_ids_of_another_server_are_no_cursor(foreign: Source):
    foreign.run("alter table t add x xid8")
    spec = foreign.spec("t", strategy=KeyStrategy.COMPOSITE_COLUMNS, cursor="x")
    found = {problem.code: problem.severity for problem in check_source(foreign.database, spec)}
    assert found["cursor_elsewhere"] is Severity.ERROR
    with pytest.raises(ConfigurationError) as refused:
        foreign.tables.watermark_bound(spec)
    assert refused.value.code == "cursor_elsewhere"


def read(source: Source, spec: SourceSpec, after: WatermarkCursor | None) -> tuple[list[str], WatermarkCursor | None]:
    bound = source.tables.watermark_bound(spec)
    page = source.tables.watermark_page(spec, after, limit=10, bound=bound, overlap=OVERLAP)
    return [identity for identity, _ in page.identities], page.safe
