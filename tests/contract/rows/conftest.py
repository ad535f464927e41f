"""The row writers that have to behave alike: the one in memory, and PostgreSQL behind a wire that loses answers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.postgres.writing import PostgresWriter
from shared.core.definition import SourceSpec
from shared.core.ids import Identity, InstanceId, identity_of
from shared.core.source import KeyStrategy, RelationKind, Row, SourceColumn, SourceKey, SourceType, TableRef
from shared.ports import RowWriter, SourceTables
from tests.fakes.source import FakeSource
from tests.fakes.writer import CommitFault, FakeWriter
from tests.fixtures.wire import Wire
from tests.integration.postgres.conftest import address_of, admit_all
from tests.settle.world import ManualClock, RandomIds

TEXT = SourceType(name="text", declared="text")
KEY = SourceColumn(name="id", type=SourceType(name="int8", declared="bigint"), nullable=False, identity=True)
A, B = (SourceColumn(name=name, type=TEXT) for name in ("a", "b"))
SPEC = SourceSpec(
    instance_id=InstanceId(UUID(int=1)),
    table=TableRef(schema="public", name="t"),
    relation=RelationKind.TABLE,
    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(KEY,)),
    columns=(KEY, A, B),
)


@dataclass(kw_only=True)
class Bench:
    """A table with a key of whole numbers and the texts a and b, its writer, and what others do meanwhile."""

    writer: RowWriter
    tables: SourceTables
    put: Callable[..., Identity]
    """put(key, a=…, b=…): a user's write, which waits for nobody here."""
    delete: Callable[[str], Identity]
    hold: Callable[[str], None]
    """Somebody locks the row and keeps it."""
    refuse: Callable[[str], None]
    """Writing this row breaks a rule of the table."""
    shout: Callable[[], None]
    """From now on a trigger writes a in capitals into b."""
    swallow: Callable[[str], None]
    """From now on a trigger keeps this row from being inserted or updated, and says nothing."""
    next_commit: Callable[[CommitFault], None]
    land_late: Callable[[], None]
    spec: SourceSpec = SPEC

    def row(self, key: str) -> Row | None:
        return self.tables.read_rows(self.spec, [identity_of([key])]).get(identity_of([key]))


def whole_number(text: str) -> str | None:
    try:
        return str(int(text))
    except ValueError:
        return None


def _fake() -> Bench:
    source = FakeSource()
    writer = FakeWriter(source, key_of=whole_number)

    def shout() -> None:
        writer.trigger = lambda _, values: {**values, "b": (values["a"] or "").upper() or None}

    def swallow(key: str) -> None:
        writer.trigger = lambda written, values: None if written == key else values

    def refuse(key: str) -> None:
        writer.refuse[key] = ("row_refused", "the table refuses it")

    return Bench(
        writer=writer,
        tables=source,
        put=source.put,
        delete=source.delete,
        hold=writer.locked.add,
        refuse=refuse,
        shout=shout,
        swallow=swallow,
        next_commit=writer.script.append,
        land_late=writer.land_late,
    )


REFUSED_AT_COMMIT = """
create function put_off() returns trigger language plpgsql as $$
begin
    -- The deferred triggers run before COMMIT; this puts one off until then.
    set constraints all deferred;
    insert into late default values;
    return null;
end $$;
create function fail() returns trigger language plpgsql as $$
begin raise exception using errcode = {code}; end $$;
create table late (n int);
create constraint trigger fail after insert on late deferrable initially deferred for each row execute function fail();
create constraint trigger put_off after update on t deferrable initially deferred for each row execute function put_off();
"""
SHOUT = """
create function shout() returns trigger language plpgsql as $$ begin new.b := upper(new.a); return new; end $$;
create trigger shout before insert or update on t for each row execute function shout();
"""
SWALLOW = """
create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger swallow before insert or update on t for each row when (new.id = {key}) execute function swallow();
"""
_AT_COMMIT = {"refused": "P0001", "serialization": "40001"}
_LOSSES = {"lost_before": "before", "lost_after": "after", "late": "late"}


def _real(dsn: str) -> Iterator[Bench]:
    address = address_of(dsn)
    with ExitStack() as stack:
        people = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        wire = stack.enter_context(Wire(server=(address.host, address.port)))
        database = stack.enter_context(SourceDatabase(replace(address, port=wire.port), admit=admit_all))
        flusher = stack.enter_context(SourceDatabase(address, admit=admit_all))
        people.execute("create table t (id bigint generated by default as identity primary key, a text, b text)")

        def put(key: str, **values: str | None) -> Identity:
            people.execute("insert into t (id) values (%s) on conflict do nothing", [key])
            for name, value in values.items():
                statement = sql.SQL("update t set {} = %s where id = %s").format(sql.Identifier(name))
                people.execute(statement, [value, key])
            return identity_of([key])

        def delete(key: str) -> Identity:
            people.execute("delete from t where id = %s", [key])
            return identity_of([key])

        def hold(key: str) -> None:
            other = stack.enter_context(psycopg.connect(dsn))
            other.execute("select from t where id = %s for update", [key])

        def refuse(key: str) -> None:
            people.execute(sql.SQL("alter table t add check (id <> {}) not valid").format(sql.Literal(int(key))))

        def next_commit(fault: CommitFault) -> None:
            if fault in _AT_COMMIT:
                people.execute(sql.SQL(REFUSED_AT_COMMIT).format(code=sql.Literal(_AT_COMMIT[fault])))
            else:
                wire.losses.append(_LOSSES[fault])

        yield Bench(
            writer=PostgresWriter(database, flusher=flusher, clock=ManualClock(), ids=RandomIds()),
            tables=PostgresSource(database),
            put=put,
            delete=delete,
            hold=hold,
            refuse=refuse,
            shout=lambda: people.execute(SHOUT),
            swallow=lambda key: people.execute(sql.SQL(SWALLOW).format(key=sql.Literal(int(key)))),
            next_commit=next_commit,
            land_late=wire.land,
        )


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=[pytest.mark.server, pytest.mark.postgres])])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        yield _fake()
    else:
        yield from _real(request.getfixturevalue("pg_dsn"))
