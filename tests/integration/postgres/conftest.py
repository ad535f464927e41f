"""A source database as the product opens it, and specs taken from its catalog."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.postgres.address import Address, Limits, TlsMode
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.session import WriteLimits
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.postgres.writing import PostgresRowTransaction, PostgresWriter
from shared.adapters.secrets import Secret
from shared.core.definition import SourceSpec
from shared.core.ids import Identity, InstanceId, identity_of
from shared.core.scope_text import parse
from shared.core.source import (
    DeleteRow,
    InsertRow,
    KeyStrategy,
    Row,
    RowChange,
    RowOutcome,
    SourceKey,
    TableRef,
    UpdateRow,
)


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


# ---------------------------------------------------------------- writing


@dataclass
class ManualClock:
    time: float = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time


class Ids:
    def uuid(self) -> UUID:
        return uuid4()


@dataclass(kw_only=True)
class Desk:
    """A writer of one table, and the table's source."""

    source: Source
    writer: PostgresWriter
    spec: SourceSpec
    clock: ManualClock = field(default_factory=ManualClock)

    def row(self, *key: str) -> Row | None:
        identity = identity_of(key)
        return self.source.tables.read_rows(self.spec, [identity]).get(identity)

    def insert(self, *key: str, **values: str | None) -> InsertRow:
        return InsertRow(op=uuid4(), identity=identity_of(key), values=values)

    def update(self, *key: str, **values: str | None) -> UpdateRow:
        row = self.row(*key)
        assert row is not None
        return UpdateRow(op=uuid4(), identity=row.identity, version=row.version, values=values)

    def delete(self, *key: str) -> DeleteRow:
        row = self.row(*key)
        assert row is not None
        return DeleteRow(op=uuid4(), identity=row.identity, version=row.version)

    def begin(self) -> PostgresRowTransaction:
        return self.writer.begin(self.spec)

    def apply(self, *changes: RowChange) -> list[RowOutcome]:
        """Outcomes in order; nothing is committed."""
        transaction = self.begin()
        try:
            outcomes = transaction.apply(changes)
        finally:
            transaction.close()
        return [outcomes[change.op] for change in changes]

    def write(self, *changes: RowChange) -> list[RowOutcome]:
        transaction = self.begin()
        outcomes = transaction.apply(changes)
        transaction.commit()
        return [outcomes[change.op] for change in changes]

    def identities(self) -> set[Identity]:
        return set(self.source.tables.select_identities(self.spec, 1000, None))


Opening = Callable[..., Desk]


@pytest.fixture
def desk(source: Source) -> Iterator[Opening]:
    """A function that opens a writer of a table, as the superuser or as the role of another source."""
    with ExitStack() as stack:

        def opened(
            table: str,
            *,
            of: Source | None = None,
            spec: SourceSpec | None = None,
            limits: WriteLimits | None = None,
            **choices: object,
        ) -> Desk:
            used = of or source
            clock = ManualClock()
            flusher = stack.enter_context(
                SourceDatabase(used.database.address, admit=admit_all, limits=Limits(connections=1))
            )
            writer = PostgresWriter(used.database, flusher=flusher, clock=clock, ids=Ids(), limits=limits)
            return Desk(source=used, writer=writer, spec=spec or source.spec(table, **choices), clock=clock)

        yield opened
