"""What survives a SIGKILL: one SQLite file in the data folder.

Write-ahead log without fsync: a killed process loses nothing, since the pages are the operating system's by then; a
power failure may. Items are rows keyed `list number << 32 | item id`, everything else is a JSON document.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

LIVE, RECYCLED, PURGED = 0, 1, 2

_SCHEMA = """
create table if not exists docs (kind text, id text, doc blob not null, primary key (kind, id)) without rowid;
create table if not exists items (
    key integer primary key, list integer not null, version integer not null, created integer not null, modified integer not null,
    author integer not null, editor integer not null, author_app text, editor_app text, change integer not null,
    changed_at integer not null, state integer not null, body blob);
create index if not exists items_by_change on items (list, change);
create table if not exists indexed (
    list integer, slot text, value, item integer, primary key (list, slot, value, item)) without rowid;
create table if not exists versions (
    key integer, version integer, modified integer not null, editor integer not null, editor_app text, body blob not null,
    primary key (key, version)) without rowid;
"""


class Store:
    """The only module that speaks SQL is this one and `rows`; transactions span one HTTP request."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "simulator.db", isolation_level=None, timeout=1.0)
        self.db.execute("pragma locking_mode = exclusive")
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = off")
        self.db.execute("pragma cache_size = -131072")
        self.db.execute("pragma temp_store = memory")
        self.db.executescript(_SCHEMA)

    def begin(self) -> None:
        if not self.db.in_transaction:
            self.db.execute("begin")

    def commit(self) -> None:
        if self.db.in_transaction:
            self.db.execute("commit")

    def rollback(self) -> None:
        if self.db.in_transaction:
            self.db.execute("rollback")

    def put(self, kind: str, key: str, doc: Any) -> None:
        self.begin()
        self.db.execute("insert or replace into docs values (?, ?, ?)", (kind, key, orjson.dumps(doc)))

    def drop(self, kind: str, key: str) -> None:
        self.begin()
        self.db.execute("delete from docs where kind = ? and id = ?", (kind, key))

    def get(self, kind: str, key: str) -> Any:
        """The document, or None."""
        row = self.db.execute("select doc from docs where kind = ? and id = ?", (kind, key)).fetchone()
        return orjson.loads(row[0]) if row else None

    def all(self, kind: str) -> Iterator[Any]:
        for row in self.db.execute("select doc from docs where kind = ? order by id", (kind,)).fetchall():
            yield orjson.loads(row[0])

    def wipe(self) -> None:
        """Forget everything, within the transaction at hand; the file stays."""
        self.begin()
        for table in ("docs", "items", "indexed", "versions"):
            self.db.execute(f"delete from {table}")  # noqa: S608 - the names stand in the line above

    def close(self) -> None:
        self.commit()
        self.db.close()
