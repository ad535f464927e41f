"""Items as rows: read, write, index, version, recycle. The SQL of items stands here and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from infra.simulator.columns import Column
from infra.simulator.lists import SharePointList
from infra.simulator.store import LIVE, PURGED, RECYCLED, Store

_COLUMNS = "key, version, created, modified, author, editor, author_app, editor_app, change, changed_at, state, body"


@dataclass(slots=True)
class Row:
    """One item. `values` is column slot -> stored value; times are epoch seconds; `change` numbers the list's changes."""

    key: int
    version: int
    created: int
    modified: int
    author: int
    editor: int
    author_app: str | None
    editor_app: str | None
    change: int
    changed_at: int
    state: int
    values: dict[str, Any]

    @property
    def id(self) -> int:
        return self.key & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Version:
    version: int
    modified: int
    editor: int
    editor_app: str | None
    values: dict[str, Any]


def key_of(lst: SharePointList, item: int) -> int:
    return (lst.number << 32) | item


def _row(raw: tuple[Any, ...]) -> Row:
    key, version, created, modified, author, editor, author_app, editor_app, change, changed_at, state, body = raw
    values = orjson.loads(body) if body else {}
    return Row(
        key, version, created, modified, author, editor, author_app, editor_app, change, changed_at, state, values
    )


class Rows:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db
        self.change = self._db.execute("select coalesce(max(change), 0) from items").fetchone()[0]

    def reload(self) -> None:
        self.change = self._db.execute("select coalesce(max(change), 0) from items").fetchone()[0]

    def next_id(self, lst: SharePointList) -> int:
        low, high = key_of(lst, 0), key_of(lst, 0xFFFFFFFF)
        top = self._db.execute("select max(key) from items where key between ? and ?", (low, high)).fetchone()[0]
        return (top & 0xFFFFFFFF) + 1 if top else 1

    def get(self, lst: SharePointList, item: int, state: int = LIVE) -> Row | None:
        if not 0 <= item < 2**31:
            return None
        text = f"select {_COLUMNS} from items where key = ? and state = ?"  # noqa: S608 - constant text
        raw = self._db.execute(text, (key_of(lst, item), state)).fetchone()
        return _row(raw) if raw else None

    def put(self, lst: SharePointList, row: Row, before: dict[str, Any] | None) -> None:
        """Write the row as the list's latest change. `before`: the values the index knows, None for a new or returning item."""
        self._store.begin()
        self.change += 1
        row.change = self.change
        self._db.execute(
            "insert or replace into items values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.key,
                lst.number,
                row.version,
                row.created,
                row.modified,
                row.author,
                row.editor,
                row.author_app,
                row.editor_app,
                row.change,
                row.changed_at,
                row.state,
                orjson.dumps(row.values),
            ),
        )
        after = row.values if row.state == LIVE else {}
        for column in lst.indexed():
            old, new = (before or {}).get(column.slot), after.get(column.slot)
            if old != new or type(old) is not type(new):
                if old is not None:
                    self._db.execute(
                        "delete from indexed where list = ? and slot = ? and value = ? and item = ?",
                        (lst.number, column.slot, indexed_value(old), row.id),
                    )
                if new is not None:
                    self._db.execute(
                        "insert or ignore into indexed values (?, ?, ?, ?)",
                        (lst.number, column.slot, indexed_value(new), row.id),
                    )

    def set_change(self, row: Row, change: int) -> None:
        self._store.begin()
        self._db.execute("update items set change = ? where key = ?", (change, row.key))

    def purge(self, lst: SharePointList, item: int) -> None:
        """Empty a recycled item for good; its tombstone stays so that its id is never given again."""
        self._store.begin()
        self._db.execute("update items set state = ?, body = null where key = ?", (PURGED, key_of(lst, item)))
        self._db.execute("delete from versions where key = ?", (key_of(lst, item),))

    def erase(self, lst: SharePointList, item: int) -> None:
        self._store.begin()
        self._db.execute("delete from items where key = ?", (key_of(lst, item),))

    def forget(self, lst: SharePointList, row: Row) -> None:
        """As if the item had never been: no tombstone, no versions, no index."""
        self.erase(lst, row.id)
        self.drop_versions(row.key, from_version=0)
        self._db.execute("delete from indexed where list = ? and item = ?", (lst.number, row.id))

    def drop_versions(self, key: int, *, from_version: int) -> None:
        self._store.begin()
        self._db.execute("delete from versions where key = ? and version >= ?", (key, from_version))

    def drop_list(self, lst: SharePointList) -> None:
        self._store.begin()
        low, high = key_of(lst, 0), key_of(lst, 0xFFFFFFFF)
        self._db.execute("delete from items where key between ? and ?", (low, high))
        self._db.execute("delete from versions where key between ? and ?", (low, high))
        self._db.execute("delete from indexed where list = ?", (lst.number,))

    def page(self, lst: SharePointList, after: int, limit: int, state: int = LIVE) -> list[Row]:
        """Up to `limit` items in the order of their ids, after id `after`."""
        raw = self._db.execute(
            f"select {_COLUMNS} from items where key > ? and key <= ? and state = ? order by key limit ?",  # noqa: S608 - constant text
            (key_of(lst, after), key_of(lst, 0xFFFFFFFF), state, limit),
        )
        return [_row(entry) for entry in raw]

    def every(self, lst: SharePointList, state: int | None = None) -> Iterator[Row]:
        """All items of a list, tombstones too unless a state is named."""
        after = 0
        while True:
            raw = self._db.execute(
                f"select {_COLUMNS} from items where key > ? and key <= ? order by key limit 1000",  # noqa: S608 - constant text
                (key_of(lst, after), key_of(lst, 0xFFFFFFFF)),
            ).fetchall()
            for entry in raw:
                row = _row(entry)
                if state is None or row.state == state:
                    yield row
            if len(raw) < 1000:
                return
            after = raw[-1][0] & 0xFFFFFFFF

    def more_than(self, lst: SharePointList, count: int) -> bool:
        low, high = key_of(lst, 0), key_of(lst, 0xFFFFFFFF)
        text = "select count(*) from (select 1 from items where key between ? and ? and state = 0 limit ?)"
        return bool(self._db.execute(text, (low, high, count + 1)).fetchone()[0] > count)

    def count(self, lst: SharePointList) -> int:
        low, high = key_of(lst, 0), key_of(lst, 0xFFFFFFFF)
        return int(
            self._db.execute(
                "select count(*) from items where key between ? and ? and state = 0", (low, high)
            ).fetchone()[0]
        )

    def changes(self, lst: SharePointList, after: int, limit: int, until: int | None = None) -> list[Row]:
        """Changed items (present or gone) in the order of their latest change; `until`: only changes at or before that second."""
        raw = self._db.execute(
            f"select {_COLUMNS} from items where list = ? and change > ? and changed_at <= ? order by change limit ?",  # noqa: S608 - constant text
            (lst.number, after, until if until is not None else 2**62, limit),
        )
        return [_row(entry) for entry in raw]

    def matching(
        self, lst: SharePointList, column: Column, tests: list[tuple[str, Any]], after: int, limit: int
    ) -> list[int]:
        """Ids after `after` whose indexed value passes all tests (operator, stored value), in the order of ids."""
        where = "".join(f" and value {operator} ?" for operator, _ in tests)
        text = f"select item from indexed where list = ? and slot = ?{where} and item > ? order by item limit ?"  # noqa: S608 - operators come from filters' own table
        parameters = (lst.number, column.slot, *(value for _, value in tests), after, limit)
        return [entry[0] for entry in self._db.execute(text, parameters)]

    def holder(self, lst: SharePointList, column: Column, value: Any, other_than: int) -> int | None:
        """An item other than `other_than` that has `value` in an indexed column."""
        text = "select item from indexed where list = ? and slot = ? and value = ? and item <> ? limit 1"
        found = self._db.execute(text, (lst.number, column.slot, indexed_value(value), other_than)).fetchone()
        return found[0] if found else None

    def doubles(self, lst: SharePointList, column: Column) -> bool:
        seen: set[Any] = set()
        for row in self.every(lst, LIVE):
            value = row.values.get(column.slot)
            if value is not None and indexed_value(value) in seen:
                return True
            if value is not None:
                seen.add(indexed_value(value))
        return False

    def build_index(self, lst: SharePointList, column: Column) -> None:
        self.drop_index(lst, column)
        for row in self.every(lst, LIVE):
            value = row.values.get(column.slot)
            if value is not None:
                self._db.execute(
                    "insert or ignore into indexed values (?, ?, ?, ?)",
                    (lst.number, column.slot, indexed_value(value), row.id),
                )

    def drop_index(self, lst: SharePointList, column: Column) -> None:
        self._store.begin()
        self._db.execute("delete from indexed where list = ? and slot = ?", (lst.number, column.slot))

    def keep_version(self, row: Row) -> None:
        self.put_version(row.key, Version(row.version, row.modified, row.editor, row.editor_app, row.values))

    def put_version(self, key: int, old: Version) -> None:
        self._store.begin()
        values = (key, old.version, old.modified, old.editor, old.editor_app, orjson.dumps(old.values))
        self._db.execute("insert or replace into versions values (?, ?, ?, ?, ?, ?)", values)

    def versions(self, row: Row) -> list[Version]:
        """Earlier versions, newest first; the current one is the row itself."""
        text = (
            "select version, modified, editor, editor_app, body from versions"
            " where key = ? and version < ? order by version desc"
        )
        found = self._db.execute(text, (row.key, row.version))
        return [
            Version(version, modified, editor, app, orjson.loads(body))
            for version, modified, editor, app, body in found
        ]

    def recycled(self, lst: SharePointList, limit: int) -> list[Row]:
        return self.page(lst, 0, limit, RECYCLED)


def indexed_value(value: Any) -> Any:
    """What the index compares: text without case, as SharePoint's collation does; the rest as it is."""
    if isinstance(value, str):
        return value.casefold()
    return value
