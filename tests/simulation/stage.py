"""What a simulation runs on, once per process: a real PostgreSQL server, a real simulator process, one clock for all.

Time is the stage's. The simulator has a virtual clock of its own that is moved along; in the metastore a schema before
pg_catalog in the search path has functions `now()` and `clock_timestamp()` that read a table, so that leases, waits and
expiries of the unchanged production SQL follow it, column defaults included.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import httpx
import psycopg

from infra.local.postgres import PostgresServer
from infra.local.postgres import start as start_postgres
from infra.local.simulator import start as start_simulator
from shared.adapters.graph.auth import ClientSecret, TokenSource, token_source
from shared.adapters.graph.client import Timing, open_http
from shared.adapters.graph.clouds import custom_endpoints
from shared.adapters.metastore.migrations import migrate
from shared.adapters.metastore.pool import Metastore
from shared.adapters.postgres.address import Address, Limits, TlsMode
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.secrets import Secret
from shared.core.ids import SiteId
from shared.core.source import SourceColumn, TableRef
from tests.fixtures.postgres import Databases

TENANT = "c0ffee00-0000-4000-8000-00000000c0de"
APP = ("5afe0000-0000-4000-8000-000000000001", "simulator-secret")
SITE = "/sites/hr"
INSTANCE = UUID(int=1)

_TIME = """
create schema simtime;
create table simtime.clock (t timestamptz not null);
insert into simtime.clock values (%s);
create function simtime.now() returns timestamptz language sql stable as 'select t from simtime.clock';
create function simtime.clock_timestamp() returns timestamptz language sql stable as 'select t from simtime.clock';
"""
_TABLE = """
create table public.people_rows (id integer primary key, a text, b text, n bigint);
"""
_TWO_WAY = Path(__file__).with_name("twoway") / "tables.sql"


BEGAN = datetime(2026, 6, 15, 9, 30, tzinfo=UTC)
"""Always the same: a seed means the same at midnight, and at the end of a month."""


class VirtualClock:
    """The product's clock; moves only when it is told to."""

    def __init__(self, began: datetime = BEGAN) -> None:
        self.began = began
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Stage:
    """Open for a whole process; every seed clears what it finds."""

    def __init__(self, *, source: str, metastore: str, simulator: str, new: bool = True) -> None:
        """`new` False: another process has prepared all this, and its time is the time."""
        self.addresses = {"source": source, "metastore": metastore, "simulator": simulator}
        self._open = ExitStack()
        # The pool tells of each session that a simulated worker's death, or the server, has ended.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        self.clock = VirtualClock()
        if new:
            self._prepare_time(metastore)
            migrate(metastore)
        self.sql = self._open.enter_context(psycopg.connect(metastore, autocommit=True))
        self.metastore = self._open.enter_context(Metastore(metastore, max_size=4))
        self.rows = self._open.enter_context(psycopg.connect(source, autocommit=True))
        self.slow_rows = self._open.enter_context(psycopg.connect(source, autocommit=True))
        if new:
            for table in ("sync_backlog", "sync_ledger", "conflicts"):
                # What vacuum frees decides where rows go, and so the order of equals.
                self.sql.execute(f"alter table syncbridge.{table} set (autovacuum_enabled = false)")
            self.rows.execute(_TABLE)
            self.rows.execute(_TWO_WAY.read_text("utf-8"))
            self.rows.execute("insert into simtime.clock values (%s)", [self.clock.now()])
        else:
            self.clock = VirtualClock(self.sql.execute("select t from simtime.clock").fetchall()[0][0])
        self.database = self._open.enter_context(SourceDatabase(_address(source), admit=lambda host, port: None))
        self.source = PostgresSource(self.database)
        # Workers, and COMMITs that are late, each hold a connection.
        self.writing = self._open.enter_context(
            SourceDatabase(_address(source), admit=lambda host, port: None, limits=Limits(connections=24))
        )
        self.columns = self.columns_of("people_rows")
        self.timing = Timing()
        self.http = self._open.enter_context(open_http(self.timing))
        self.control = self._open.enter_context(httpx.Client(base_url=simulator, timeout=30, trust_env=False))
        if new:
            self.ask("POST", "clock", {"mode": "virtual", "set": self.clock.now().isoformat()})
        sites = self.ask("GET", "tenants")["tenants"][0]["sites"]
        self.site = SiteId(next(site["id"] for site in sites if site["path"] == SITE))
        self.endpoints = custom_endpoints(simulator, simulator, allowed_hosts=frozenset({"127.0.0.1"}))
        self.tokens = self._tokens()

    def _tokens(self) -> TokenSource:
        return token_source(
            self.endpoints,
            tenant=TENANT,
            client_id=APP[0],
            credential=ClientSecret(secret=APP[1]),
            http=self.http,
            clock=self.clock,
        )

    def close(self) -> None:
        self._open.close()

    def clear(self) -> None:
        """As before the first seed, but for the time."""
        # Nothing of another seed's lists: their numbers decide about identifiers, and so about orders.
        self.ask("POST", "reset")
        self.tokens = self._tokens()
        self.ask("POST", "clock", {"mode": "virtual", "set": self.clock.now().isoformat()})
        self.ask("PUT", "knobs", {"throttling": False})
        left = self.sql.execute(
            "select tablename from pg_tables where schemaname = 'syncbridge' and tablename ~ '_[0-9a-f]{32}$'"
        ).fetchall()
        for (name,) in left:
            self.sql.execute(f'drop table syncbridge."{name}"')
        self.sql.execute(
            "truncate syncbridge.sync_backlog, syncbridge.sync_renames, syncbridge.sync_ledger, syncbridge.conflicts, syncbridge.run_tables,"
            " syncbridge.sync_definitions cascade"
        )
        self.rows.execute(
            "truncate public.people_rows, public.typed_rows, public.numbered_rows, audit.writes restart identity"
        )

    def columns_of(self, table: str) -> dict[str, SourceColumn]:
        found = introspect(self.database, TableRef(schema="public", name=table)).columns
        return {column.name: column for column in found}

    def advance(self, seconds: float) -> None:
        """Time passes everywhere; what was late lands on its way."""
        self.clock.seconds += seconds
        now = self.clock.now()
        self.sql.execute("update simtime.clock set t = %s", [now])
        self.rows.execute("update simtime.clock set t = %s", [now])
        self.ask("POST", "clock", {"advance": seconds})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The simulator's control surface. Raises AssertionError for a refusal."""
        answer = self.control.request(method, f"/_sim/{path}", json=body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def tried(self, method: str, path: str, body: Any = None) -> Any | None:
        """The same for what people may be refused: None then."""
        answer = self.control.request(method, f"/_sim/{path}", json=body)
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
        return (answer.json() if answer.content else {}) if answer.status_code < 300 else None

    def _prepare_time(self, dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
            connection.execute(_TIME, [self.clock.now()])
            name = connection.info.dbname
            connection.execute(f'alter database "{name}" set search_path = simtime, pg_catalog, public')


@contextmanager
def own_stage(folder: Path) -> Iterator[Stage]:
    """A stage with servers of its own, for programs outside pytest."""
    server: PostgresServer = start_postgres()
    try:
        simulator = start_simulator(folder)
        try:
            with psycopg.connect(server.dsn(), autocommit=True) as admin:
                for name in ("source", "metastore"):
                    admin.execute(f"create database {name}")
            stage = Stage(source=server.dsn("source"), metastore=server.dsn("metastore"), simulator=simulator.url)
            try:
                yield stage
            finally:
                stage.close()
        finally:
            simulator.stop()
    finally:
        server.remove()


@contextmanager
def borrowed_stage(databases: Databases, folder: Path) -> Iterator[Stage]:
    """A stage in the test session's server, with a simulator of its own."""
    source, metastore = databases.create(), databases.create()
    simulator = start_simulator(folder)
    stage = Stage(source=source, metastore=metastore, simulator=simulator.url)
    try:
        yield stage
    finally:
        stage.close()
        simulator.stop()
        databases.drop(source)
        databases.drop(metastore)


def _address(dsn: str) -> Address:
    parts = urlsplit(dsn)
    secret = Secret(unquote(parts.password or ""))
    return Address(
        host=parts.hostname or "",
        port=parts.port or 5432,
        dbname=parts.path.removeprefix("/"),
        user=unquote(parts.username or ""),
        tls=TlsMode.DISABLE,
        password=lambda: secret,
    )
