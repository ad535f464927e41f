"""The connection test: is the database there, who answers, how fast, and if not, why in one sentence."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psycopg

from shared.adapters.postgres.address import Address, Admit, Limits, connection_arguments
from shared.adapters.postgres.refusals import explain_refusal
from shared.adapters.postgres.translation import translated
from shared.core.errors import ConfigurationError

OLDEST: Final = 14
"""hash_record_extended(), which stamps rest on, came with PostgreSQL 14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    version: str
    """As the server says it: "16.4 (Debian …)"."""
    major: int
    standby: bool
    encrypted: bool
    """Of the connection from here: what lies behind a pooler is not seen."""
    latency: float
    """Seconds of the fastest of three empty round trips, connecting not included."""
    server_encoding: str
    wal_level: str


def check_health(
    address: Address,
    *,
    admit: Admit,
    limits: Limits | None = None,
    root_certificates: str | None = None,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> Health:
    """Connects once, outside any pool. Raises ConfigurationError or SourceUnavailable, each one sentence."""
    arguments = connection_arguments(address, admit=admit, limits=limits, root_certificates=root_certificates)
    try:
        connection = psycopg.connect("", **arguments, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise explain_refusal(error, address) from None
    with translated(f"the database {address.dbname} at {address.host}:{address.port}"), connection:
        major = connection.info.server_version // 10_000
        if major < OLDEST:
            raise ConfigurationError(
                f"{address.host}:{address.port} runs PostgreSQL {major}, and {OLDEST} is the oldest that can compute"
                " row stamps: upgrade the server",
                code="server_too_old",
            )
        laps = []
        for _ in range(3):
            started = stopwatch()
            connection.execute("select")
            laps.append(stopwatch() - started)
        standby = connection.execute("select pg_catalog.pg_is_in_recovery()").fetchone() == (True,)
        wal_level = connection.execute("select pg_catalog.current_setting('wal_level')").fetchone()
        parameters = connection.info
        return Health(
            version=parameters.parameter_status("server_version") or "",
            major=major,
            standby=standby,
            encrypted=connection.pgconn.ssl_in_use,
            latency=min(laps),
            server_encoding=parameters.parameter_status("server_encoding") or "",
            wal_level=str(wal_level[0]) if wal_level else "",
        )
