"""The two source tables that have to behave alike: the one in memory, and a PostgreSQL table read by the adapter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.source import PostgresSource
from shared.core.definition import SourceSpec
from shared.core.ids import Identity, InstanceId, identity_of
from shared.core.scope_text import parse
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, SourceType, TableRef
from shared.ports import SourceTables
from tests.fakes.source import FakeSource
from tests.integration.postgres.conftest import address_of, admit_all

TEXT = SourceType(name="text", declared="text")
BOOLEAN = SourceType(name="bool", declared="boolean")
KEY, A, B = (SourceColumn(name=name, type=TEXT) for name in ("id", "a", "b"))
SPEC = SourceSpec(
    instance_id=InstanceId(UUID(int=1)),
    table=TableRef(schema="public", name="t"),
    relation=RelationKind.TABLE,
    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(KEY,)),
    columns=(KEY, A, B),
    scope=parse("kept = true"),
    soft_delete_column=SourceColumn(name="gone", type=BOOLEAN),
)


@dataclass
class Bench:
    """A source table with a text key, and what its users do to it."""

    tables: SourceTables
    put: Callable[..., Identity]
    """put(key, a=…, b=…)"""
    delete: Callable[[str], Identity]
    leave_scope: Callable[[str], None]
    soft_delete: Callable[[str], None]
    spec: SourceSpec = SPEC


def _fake() -> Bench:
    source = FakeSource()

    def soft_delete(key: str) -> None:
        source.soft_deleted.add(key)
        source.out_of_scope.add(key)

    return Bench(
        tables=source,
        put=source.put,
        delete=source.delete,
        leave_scope=source.out_of_scope.add,
        soft_delete=soft_delete,
    )


def _real(dsn: str) -> Iterator[Bench]:
    with (
        psycopg.connect(dsn, autocommit=True) as people,
        SourceDatabase(address_of(dsn), admit=admit_all) as database,
    ):
        people.execute(
            'create table t (id text collate "C" primary key, a text, b text, kept boolean default true, gone boolean)'
        )

        def put(key: str, **values: str | None) -> Identity:
            people.execute("insert into t (id) values (%s) on conflict do nothing", [key])
            for name, value in values.items():
                statement = sql.SQL("update t set {} = %s where id = %s").format(sql.Identifier(name))
                people.execute(statement, [value, key])
            return identity_of([key])

        def delete(key: str) -> Identity:
            people.execute("delete from t where id = %s", [key])
            return identity_of([key])

        def leave_scope(key: str) -> None:
            people.execute("update t set kept = false where id = %s", [key])

        def soft_delete(key: str) -> None:
            people.execute("update t set gone = true where id = %s", [key])

        yield Bench(
            tables=PostgresSource(database), put=put, delete=delete, leave_scope=leave_scope, soft_delete=soft_delete
        )


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=[pytest.mark.server, pytest.mark.postgres])])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        yield _fake()
    else:
        yield from _real(request.getfixturevalue("pg_dsn"))
