"""A source database as the product opens it, and specs taken from its catalog."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from uuid import UUID

import psycopg
import pytest

from shared.adapters.postgres.address import Address, Limits, TlsMode
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.secrets import Secret
from shared.core.definition import SourceSpec
from shared.core.ids import InstanceId
from shared.core.scope_text import parse
from shared.core.source import KeyStrategy, SourceKey, TableRef


def admit_all(host: str, port: int) -> None:
    """Admits every address and pins none."""


def address_of(dsn: str, *, user: str | None = None, password: str | None = None) -> Address:
    parts = urlsplit(dsn)
    secret = Secret(password or unquote(parts.password or ""))
    return Address(
        host=parts.hostname or "",
        port=parts.port or 5432,
        dbname=parts.path.removeprefix("/"),
        user=user or unquote(parts.username or ""),
        tls=TlsMode.DISABLE,
        password=lambda: secret,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A database under test: the superuser's own connection beside the adapter."""

    dsn: str
    admin: psycopg.Connection
    database: SourceDatabase
    tables: PostgresSource

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.admin.execute(statement)

    def spec(
        self,
        table: str,
        *,
        key: Sequence[str] = ("id",),
        columns: Sequence[str] | None = None,
        schema: str = "public",
        scope: str | None = None,
        soft_delete: str | None = None,
        cursor: str | None = None,
        strategy: KeyStrategy = KeyStrategy.PRIMARY_KEY,
    ) -> SourceSpec:
        snapshot = introspect(self.database, TableRef(schema=schema, name=table))
        by_name = {column.name: column for column in snapshot.columns}
        return SourceSpec(
            instance_id=InstanceId(UUID(int=1)),
            table=snapshot.table,
            relation=snapshot.kind,
            key=SourceKey(strategy=strategy, columns=tuple(by_name[name] for name in key)),
            columns=snapshot.columns if columns is None else tuple(by_name[name] for name in columns),
            scope=None if scope is None else parse(scope),
            soft_delete_column=None if soft_delete is None else by_name[soft_delete],
            cursor_column=None if cursor is None else by_name[cursor],
        )


Opener = Callable[..., Source]


@pytest.fixture
def open_source(pg_dsn: str) -> Iterator[Opener]:
    """A function that opens the test's database, as the superuser or as a role, with the product's own pool."""
    with ExitStack() as stack:

        def create(
            dsn: str | None = None,
            *,
            user: str | None = None,
            password: str | None = None,
            limits: Limits | None = None,
        ) -> Source:
            where = dsn or pg_dsn
            admin = stack.enter_context(psycopg.connect(where, autocommit=True))
            database = stack.enter_context(
                SourceDatabase(address_of(where, user=user, password=password), admit=admit_all, limits=limits)
            )
            return Source(dsn=where, admin=admin, database=database, tables=PostgresSource(database))

        yield create


@pytest.fixture
def source(open_source: Opener) -> Source:
    """The test's database, opened as the superuser."""
    return open_source()
