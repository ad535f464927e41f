"""The host's one state file: keys, timer schedules, and everything durable, in SQLite.

Write-ahead log with ``synchronous=normal``: a commit survives the death of the process at any point (kill -9); the last
commits before a power cut may be lost, which a stand-in can live with.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.local.host.errors import HostError

_SCHEMA_VERSION = 1
_SCHEMA = """
create table meta (name text primary key, value text not null);
create table timers (name text primary key, last text, next text not null, updated text not null);
create table instances (
    id text primary key, execution text not null, name text not null, status text not null,
    input text, output text, custom text, created text not null, updated text not null, parent text, version text);
create table history (instance text, seq integer, event text not null, primary key (instance, seq));
create table messages (
    n integer primary key autoincrement, instance text not null, execution text, visible text not null,
    event text not null);
create index messages_due on messages (visible, instance);
create index messages_of on messages (instance);
create table tasks (
    n integer primary key autoincrement, instance text not null, execution text not null, task_id integer not null,
    name text not null, input text);
"""


class StateFile:
    """One connection, used from the host's own thread only."""

    def __init__(self, path: Path | None) -> None:
        """``None`` keeps the state in memory. HostError when the file belongs to a running host or is no state file."""
        self._lock = self._take(path) if path is not None else None
        try:
            self.connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
            self.connection.row_factory = sqlite3.Row
            self.connection.executescript("pragma journal_mode = wal; pragma synchronous = normal;")
            version = self.connection.execute("pragma user_version").fetchone()[0]
            if version == 0:
                self.connection.executescript(f"{_SCHEMA} pragma user_version = {_SCHEMA_VERSION};")
            elif version != _SCHEMA_VERSION:
                raise HostError(
                    f"{path} was written by another version of this host: delete it or choose another --state."
                )
        except sqlite3.Error as error:
            raise HostError(f"{path} cannot be used as the state file: {error}.") from None

    @staticmethod
    def _take(path: Path) -> sqlite3.Connection:
        """Holds a lock that the operating system gives back when the process dies, on every platform."""
        try:
            lock = sqlite3.connect(f"{path}-lock", isolation_level=None, timeout=0)
            lock.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise HostError(
                    f"{path} is in use by another running host: stop that one or choose another --state."
                ) from None
            raise HostError(f"{path} cannot be used as the state file: {error}.") from None
        return lock

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        self.connection.execute("begin immediate")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.execute(sql, values)

    def get(self, name: str) -> str | None:
        row = self.execute("select value from meta where name = ?", name).fetchone()
        return None if row is None else str(row["value"])

    def put(self, name: str, value: str) -> None:
        self.execute("insert or replace into meta values (?, ?)", name, value)

    def secret(self, name: str) -> str:
        """A random key that stays the same for the life of the file."""
        value = self.get(f"key:{name}")
        if value is None:
            value = secrets.token_urlsafe(32)
            self.put(f"key:{name}", value)
        return value

    def clock_offset(self) -> timedelta:
        return timedelta(seconds=float(self.get("clock:offset") or 0))

    def close(self) -> None:
        self.connection.close()
        if self._lock is not None:
            self._lock.close()
