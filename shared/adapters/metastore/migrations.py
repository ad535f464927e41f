"""Numbered, forward-only SQL files and the runner that applies them.

Files are named `NNNN_words_in_lower_case.sql`, without gaps. Each is applied in one transaction together with its line
in `syncbridge.schema_migrations`; a file that changed after it was applied stops everything. The runner needs a direct
connection (an advisory lock belongs to a session, which a transaction pooler would hand on) and runs at deployment,
never at cold start: the app only asks `check`.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import LiteralString

import psycopg

from shared.adapters.metastore.failures import translated
from shared.core.errors import ConfigurationError

_FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<words>[a-z0-9]+(?:_[a-z0-9]+)*)\.sql")
OLDEST_SERVER = 140000
"""hash_record_extended and the multirange-free SQL used here exist from PostgreSQL 14."""
_LOCK = 0x73796E63
"""Two deployments at once wait for each other."""
_HISTORY: LiteralString = """
create schema if not exists syncbridge;
create table if not exists syncbridge.schema_migrations (
    number integer primary key,
    name text not null,
    checksum bytea not null,
    applied_at timestamptz not null default now(),
    release text not null
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    number: int
    name: str
    text: LiteralString

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


class Standing(StrEnum):
    CURRENT = "CURRENT"
    BEHIND = "BEHIND"
    """Migrations of this release are not applied yet."""
    AHEAD = "AHEAD"
    """A newer release has migrated the metastore: fine while both are being deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaCheck:
    standing: Standing
    applied: int
    """Number of the newest applied migration; 0: an empty database."""
    wanted: int

    def require(self) -> None:
        """Raises ConfigurationError when this release cannot work on the schema."""
        if self.standing is Standing.BEHIND:
            raise ConfigurationError(
                f"the metastore's schema is at migration {self.applied}, this release needs {self.wanted}: "
                "run python -m shared.adapters.metastore.migrate",
                code="schema_behind",
            )


def read_migrations(folder: Path = _FOLDER) -> tuple[Migration, ...]:
    """The migrations of a folder in order. Raises ConfigurationError for a bad name, a gap or a number used twice."""
    migrations = []
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ConfigurationError(f"migration {path.name}: the name has to look like 0002_what_it_does.sql")
        migrations.append(Migration(number=int(match["number"]), name=match["words"], text=path.read_text("utf-8")))
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            raise ConfigurationError(
                f"migration {migration.number:04}_{migration.name}: number {expected:04} was expected"
            )
    return tuple(migrations)


def migrate(dsn: str, *, release: str = "unreleased", migrations: Sequence[Migration] | None = None) -> tuple[int, ...]:
    """Apply what is missing and answer the numbers that were applied.

    Raises ConfigurationError when the server is too old or the history does not match the files, MetastoreUnavailable
    when the server cannot be reached."""
    wanted = read_migrations() if migrations is None else tuple(migrations)
    with translated(), psycopg.connect(dsn, autocommit=True, application_name="syncbridge-migrate") as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise ConfigurationError(
                f"the metastore's server is PostgreSQL {connection.info.server_version // 10000}; 14 or newer is needed"
            )
        connection.execute("select pg_advisory_lock(%s)", [_LOCK])
        try:
            connection.execute(_HISTORY)
            missing = _missing(_applied(connection), wanted)
            for migration in missing:
                _apply(connection, migration, release)
        finally:
            # A lock of a lost connection is gone by itself, and unlocking it would hide the real error.
            if not connection.closed:
                connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
    return tuple(migration.number for migration in missing)


def check(dsn: str, *, password: str | None = None) -> SchemaCheck:
    """Where the schema stands against this release's files. Raises ConfigurationError for a changed file.

    `password`: instead of the one in the DSN."""
    wanted = read_migrations()
    with (
        translated(),
        psycopg.connect(dsn, password=password, autocommit=True, application_name="syncbridge-migrate") as connection,
    ):
        exists = connection.execute("select to_regclass('syncbridge.schema_migrations') is not null").fetchone()
        applied = _applied(connection) if exists == (True,) else {}
    missing = _missing(applied, wanted)
    newest = max(applied, default=0)
    standing = Standing.BEHIND if missing else Standing.AHEAD if newest > len(wanted) else Standing.CURRENT
    return SchemaCheck(standing=standing, applied=newest, wanted=len(wanted))


def _applied(connection: psycopg.Connection) -> dict[int, bytes]:
    rows = connection.execute("select number, checksum from syncbridge.schema_migrations order by number").fetchall()
    return {number: bytes(checksum) for number, checksum in rows}


def _missing(applied: dict[int, bytes], wanted: Sequence[Migration]) -> tuple[Migration, ...]:
    for migration in wanted:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise ConfigurationError(
                f"migration {migration.number:04}_{migration.name} was changed after it had been applied: "
                "restore the file, and put the change into a new one",
                code="migration_changed",
            )
    missing = tuple(migration for migration in wanted if migration.number not in applied)
    if missing and applied and missing[0].number < max(applied):
        raise ConfigurationError(
            f"migration {missing[0].number:04}_{missing[0].name} is older than the newest one that is applied",
            code="migration_changed",
        )
    return missing


def _apply(connection: psycopg.Connection, migration: Migration, release: str) -> None:
    with connection.transaction():
        connection.execute(migration.text)
        connection.execute(
            "insert into syncbridge.schema_migrations (number, name, checksum, release) values (%s, %s, %s, %s)",
            [migration.number, migration.name, migration.checksum, release],
        )
