"""Where a source database is and who reads it, checked before anything of it reaches libpq."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import certifi

from shared.adapters.secrets import Secret
from shared.core.errors import ConfigurationError


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
    """A transaction whose statements may take longer may also wait as long between them."""


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
        # Keepalives say nothing while something of ours waits to be acknowledged: a COMMIT into a dead network would
        # be waited for until the system gives up, a quarter of an hour later.
        "tcp_user_timeout": 60_000,
    }
    if pinned is not None:
        arguments["hostaddr"] = pinned
    if address.tls in {TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL}:
        arguments["sslrootcert"] = root_certificates or certifi.where()
    password = address.password()
    if password is not None:
        arguments["password"] = password.reveal()
    return arguments


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
