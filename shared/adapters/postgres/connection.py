"""Connections to a source database: where to, who as, how many, and which settings every transaction runs under.

Nothing is kept in a session: every transaction sets what it depends on, for itself (`set_config(…, true)`), so a pooler
that hands each transaction to another server session (PgBouncer in transaction mode) changes nothing.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Self

import certifi
import psycopg
import psycopg_pool
from psycopg import pq, sql
from psycopg.rows import TupleRow

from shared.adapters.postgres.translation import translate, translated
from shared.adapters.secrets import Secret
from shared.core.errors import ConfigurationError, InvariantViolated, SourceUnavailable, SyncError
from shared.core.source import TableRef

Connection = psycopg.Connection[TupleRow]

PINNED: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    # An empty path would let pg_temp go first. With this one no function or operator that somebody put into a schema
    # can be taken for a built-in; functions behind views have to name their schemas, or set search_path themselves.
    "search_path": "pg_catalog, pg_temp",
    # Where a policy would hide rows, raise instead: hidden rows look like deleted ones.
    "row_security": "off",
}
"""What the text forms of values, and the meaning of our statements, depend on."""


class TlsMode(StrEnum):
    """libpq's sslmode, without those that fall back to plain text on their own."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


Admit = Callable[[str, int], str | None]
"""Decides whether a host and port may be connected to: raises ConfigurationError, or answers an IP address that the
connection is then pinned to, or None (libpq resolves the name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a database is and who reads it. Only these parts reach libpq: there is no free connection string."""

    host: str
    dbname: str
    user: str
    port: int = 5432
    tls: TlsMode = TlsMode.VERIFY_FULL
    password: Callable[[], Secret | None] = field(repr=False, default=lambda: None)
    """Asked at each new connection, so that a rotated password or an access token is taken up."""

    def __post_init__(self) -> None:
        problems = tuple(_problems(self))
        if problems:
            raise ConfigurationError("; ".join(problems), problems=problems, code="database_address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take and how many connections one process holds."""

    connections: int = 4
    connect: timedelta = timedelta(seconds=10)
    wait: timedelta = timedelta(seconds=30)
    """For a free connection of the pool."""
    statement: timedelta = timedelta(seconds=60)
    scan: timedelta = timedelta(minutes=8)
    """For one COPY of a whole table: below the time an activity of a Functions host may take."""
    lock: timedelta = timedelta(seconds=5)
    idle_in_transaction: timedelta = timedelta(seconds=60)
    """A scan waits for nobody here: its connection is never idle while the COPY is under way."""


def connection_arguments(
    address: Address,
    *,
    admit: Admit,
    limits: Limits | None = None,
    root_certificates: str | None = None,
    application_name: str = "syncbridge",
) -> dict[str, Any]:
    """psycopg's keyword arguments for an address: a fixed set of keys, whatever the address says.

    `root_certificates`: path of the deployment's own bundle; certifi's by default. Raises what `admit` raises.
    """
    pinned = admit(address.host, address.port)
    arguments: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "dbname": address.dbname,
        "user": address.user,
        "sslmode": address.tls.value,
        "connect_timeout": max(2, round((limits or Limits()).connect.total_seconds())),
        "application_name": application_name,
        "client_encoding": "UTF8",
        "options": "",
        "gssencmode": "disable",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    if pinned is not None:
        arguments["hostaddr"] = pinned
    if address.tls in {TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL}:
        arguments["sslrootcert"] = root_certificates or certifi.where()
    password = address.password()
    if password is not None:
        arguments["password"] = password.reveal()
    return arguments


class SourceDatabase:
    """One source database behind a pool. Open it explicitly, close it explicitly."""

    def __init__(
        self,
        address: Address,
        *,
        admit: Admit,
        limits: Limits | None = None,
        root_certificates: str | None = None,
        application_name: str = "syncbridge",
        name: str | None = None,
    ) -> None:
        require_fast_driver()
        self.address = address
        self.limits = limits or Limits()
        self._admit = admit
        self._root_certificates = root_certificates
        self._application_name = application_name
        self._pool: psycopg_pool.ConnectionPool[Connection] = psycopg_pool.ConnectionPool(
            "",
            kwargs=self._arguments,
            # autocommit: transactions are explicit, and a lone statement is one of its own.
            # prepare_threshold: a prepared statement belongs to a session, which a pooler does not keep.
            min_size=0,
            max_size=self.limits.connections,
            open=False,
            check=psycopg_pool.ConnectionPool.check_connection,
            name=name or f"source {address.host}/{address.dbname}",
            timeout=self.limits.wait.total_seconds(),
            reconnect_timeout=self.limits.wait.total_seconds(),
            max_lifetime=1800,
        )

    def _arguments(self) -> dict[str, Any]:
        return connection_arguments(
            self.address,
            admit=self._admit,
            limits=self.limits,
            root_certificates=self._root_certificates,
            application_name=self._application_name,
        ) | {"autocommit": True, "prepare_threshold": None}

    def open(self) -> None:
        """Starts the pool; the first connection is made when it is needed."""
        self._pool.open()

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def connection(self, subject: TableRef | str) -> Iterator[Connection]:
        """A connection in autocommit mode, with nothing set. Errors come out as the engine's, naming `subject`."""
        with translated(str(subject)):
            try:
                connection = self._pool.getconn()
            except psycopg_pool.PoolTimeout as timeout:
                raise self._why_no_connection(timeout, str(subject)) from None
            try:
                yield connection
            finally:
                self._pool.putconn(connection)

    @contextmanager
    def transaction(
        self, subject: TableRef | str, *, statement_timeout: timedelta | None = None, one_snapshot: bool = False
    ) -> Iterator[Connection]:
        """A read-only transaction under the pinned settings, which end with it.

        `one_snapshot`: all its statements see the same state of the database.
        """
        with self.connection(subject) as connection, connection.transaction():
            if one_snapshot:
                connection.execute("set transaction isolation level repeatable read")
            self.pin(connection, statement_timeout)
            yield connection

    def pin(self, connection: Connection, statement_timeout: timedelta | None = None) -> None:
        """Sets what the transaction under way depends on, until its end: the pinned settings, read only, time-outs."""
        connection.execute(_pinning(self.limits, statement_timeout or self.limits.statement))

    def _why_no_connection(self, timeout: psycopg_pool.PoolTimeout, subject: str) -> SyncError:
        """A pool only says that it waited. One attempt of our own tells a wrong password from a busy server."""
        try:
            psycopg.connect("", **self._arguments()).close()
        except psycopg.Error as error:
            return explain_refusal(error, self.address)
        return translate(timeout, subject)


def _pinning(limits: Limits, statement_timeout: timedelta) -> sql.Composed:
    settings = {
        **PINNED,
        "transaction_read_only": "on",
        "statement_timeout": _milliseconds(statement_timeout),
        "lock_timeout": _milliseconds(limits.lock),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle_in_transaction),
    }
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings.items()
    ]
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


def _milliseconds(span: timedelta) -> str:
    return f"{round(span.total_seconds() * 1000)}ms"


def require_fast_driver() -> None:
    """psycopg without its compiled part reads ten times slower; that is a broken installation, said at once."""
    if pq.__impl__ == "python":
        raise InvariantViolated(
            "psycopg runs without its compiled implementation: install psycopg[binary], as requirements.txt says"
        )


# FATAL messages while connecting carry no SQLSTATE in libpq, so their words decide; a server that speaks another
# language gets the last, general sentence.
_REFUSALS: Final = (
    (
        re.compile(r"password authentication failed|no password supplied|authentication failed", re.IGNORECASE),
        "login_refused",
        "the user {user} was refused at {host}:{port}: the password or the token is wrong",
    ),
    (
        re.compile(r'role ".*" does not exist', re.IGNORECASE),
        "login_refused",
        "there is no user {user} at {host}:{port}: create it, or correct the name",
    ),
    (
        re.compile(r"no pg_hba\.conf entry.*(no encryption|SSL off)|SSL connection is required", re.IGNORECASE),
        "tls_required",
        "{host}:{port} accepts encrypted connections only: set the TLS mode to verify-full",
    ),
    (
        re.compile(r"no pg_hba\.conf entry", re.IGNORECASE),
        "login_refused",
        "{host}:{port} has no rule that lets {user} into {dbname} from here: add one to pg_hba.conf or the firewall",
    ),
    (
        re.compile(r"server does not support SSL", re.IGNORECASE),
        "tls_unsupported",
        "{host}:{port} offers no encryption: switch TLS on there (or, on a trusted network only, set the mode disable)",
    ),
    (
        re.compile(r"certificate verify failed|does not match host name|root certificate", re.IGNORECASE),
        "tls_untrusted",
        "the certificate of {host}:{port} was not accepted: its name or its issuer is not the expected one",
    ),
    (
        re.compile(r'database ".*" does not exist', re.IGNORECASE | re.DOTALL),
        "no_database",
        "there is no database {dbname} at {host}:{port}: create it, or correct the name",
    ),
    (
        re.compile(r"permission denied for database", re.IGNORECASE),
        "connect_denied",
        "the user {user} may not connect to {dbname}: grant connect on the database",
    ),
)
_OUTAGES: Final = (
    (
        re.compile(r"failed to resolve host|could not translate host name|Name or service not known", re.IGNORECASE),
        "unknown_host",
        "the host {host} is not known here: correct the name, or let this network resolve it",
    ),
    (
        re.compile(r"Connection refused", re.IGNORECASE),
        "connection_refused",
        "nothing accepts connections at {host}:{port}: start the server there, or correct the port",
    ),
    (
        re.compile(r"too many clients|remaining connection slots|too many connections", re.IGNORECASE),
        "too_many_connections",
        "{host}:{port} has no free connection: raise its limit, or use fewer",
    ),
    (
        re.compile(r"starting up|shutting down|in recovery mode|not yet accepting", re.IGNORECASE),
        "starting_up",
        "the server at {host}:{port} is starting, stopping or recovering: try again in a minute",
    ),
    (
        re.compile(r"timeout expired|timed out", re.IGNORECASE),
        "connect_timeout",
        "{host}:{port} did not answer in time: check the firewall between here and there",
    ),
)


def explain_refusal(error: psycopg.Error, address: Address) -> SyncError:
    """Why no connection could be made, as a sentence: ConfigurationError, or SourceUnavailable where it may pass."""
    said = str(error)
    names = {"user": address.user, "host": address.host, "port": address.port, "dbname": address.dbname}
    for pattern, code, sentence in _REFUSALS:
        if pattern.search(said):
            return ConfigurationError(sentence.format(**names), code=code)
    for pattern, code, sentence in _OUTAGES:
        if pattern.search(said):
            return SourceUnavailable(sentence.format(**names), code=code)
    if getattr(error, "sqlstate", None):
        return translate(error, f"{address.host}:{address.port}/{address.dbname}")
    return SourceUnavailable(
        "no connection to {dbname} at {host}:{port} could be made".format(**names), code="no_connection"
    )


_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*", re.ASCII
)
_NUMBER_LIKE: Final = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)", re.ASCII)


def _problems(address: Address) -> Iterator[str]:
    if not _is_host(address.host):
        yield (
            "the host is one name such as db.example.org or one IP address: no list, no path, no port,"
            " and IPv4 only as four decimal numbers"
        )
    if not 1 <= address.port <= 65535:
        yield "the port is a number from 1 to 65535"
    for what, text in (("database name", address.dbname), ("user name", address.user)):
        if not text or len(text.encode(errors="replace")) > 63 or any(ord(c) < 32 or ord(c) == 127 for c in text):
            yield f"the {what} has 1 to 63 bytes and no control characters"
        elif any("\ud800" <= c <= "\udfff" for c in text):
            yield f"the {what} is not valid Unicode"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # 2130706433, 0x7f.1 and 017700000001 are addresses to a resolver and would pass an allow-list of names.
        return bool(_HOST_NAME.fullmatch(host)) and not _NUMBER_LIKE.fullmatch(host.rsplit(".", 1)[-1])
    return "%" not in host
