"""Both sides of a two-way seed: what users do to the table and people to the list, and what can be seen of both."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg

from shared.core.ids import identity_hash, sync_key
from tests.simulation.ground import Ground, identity
from tests.simulation.stage import Stage
from tests.simulation.twoway.history import History
from tests.simulation.twoway.oracles import Agreement, Item, View
from tests.simulation.twoway.setup import APPLICATION, COLUMNS, GROUP, KEY, NOTE, NUMBER, PEOPLE, REFUSED, WAYS
from tests.simulation.twoway.terms import Mode, Side, Terms, Value, canonical
from tests.simulation.twoway.witness import SURVIVES

MARKED = {"gone": "gone = true", "gone_at": "gone_at = (select t from simtime.clock)"}
VISIBLE = "open and not gone and gone_at is null"
"""Rows that are there for the definition."""


class Sides(Ground):
    """The table and the list, with everybody at them but the engine."""

    terms: Terms
    table: str
    system: str

    def __init__(self, stage: Stage, seed: int) -> None:
        super().__init__(stage, seed)
        self.model = History()
        self.agreed_on: dict[str, Agreement] = {}
        """Row key -> what the engine last confirmed."""
        self.notable: Counter[str] = Counter()
        self.unique_values = 0
        self.slow: tuple[str, dict[str, Value], dict[str, Value]] | None = None
        """Whose row is held by an open transaction, and what it makes of it."""
        self.restored: set[int] = set()
        """Items that a person brought back from the recycle bin."""
        self.heard: set[int] = set()
        self._keys: dict[str, str] = {}

    # ---- users of the table

    def row(self, key: str) -> dict[str, Value] | None:
        return self.all_rows().get(key)

    def all_rows(self) -> dict[str, dict[str, Value]]:
        found = self.stage.rows.execute(
            f"select id, {', '.join(WAYS)} from public.{self.table} where {VISIBLE} order by id"
        ).fetchall()
        return {str(key): dict(zip(WAYS, map(canonical, values), strict=True)) for key, *values in found}

    def user_puts(self, key: str | None, values: Mapping[str, Value], fresh: set[str]) -> str | None:
        """Inserts or changes a row; its key, or None when somebody else is at it: people wait a moment then."""
        connection = self.stage.rows
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '10ms'")
                before = None if key is None else self._locked(key)
                if before is None:
                    names = [*values, *([] if key is None else ["id"])]
                    statement = (
                        f"insert into public.{self.table} ({', '.join(names)}) values ({', '.join(['%s'] * len(names))})"
                        " returning id"
                    )
                    numbers = [] if key is None else [int(key)]
                    key = str(connection.execute(statement, [*values.values(), *numbers]).fetchall()[0][0])
                else:
                    sets = ", ".join(f"{name} = %s" for name in values)
                    connection.execute(
                        f"update public.{self.table} set {sets} where id = %s", [*values.values(), int(str(key))]
                    )
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
            return None
        after = {**(before or dict.fromkeys(WAYS)), **{name: canonical(value) for name, value in values.items()}}
        self.model.put(str(key), before, after, fresh, GROUP)
        return key

    def user_removes(self, key: str) -> bool:
        return self._user_ends(key, f"delete from public.{self.table} where id = %s")

    def user_takes_out(self, key: str, *, left: bool) -> bool:
        """A user marks a row as deleted, or (`left`) changes it so that the filter leaves it out."""
        mark = "open = false" if left else MARKED[self.terms.marker]
        return self._user_ends(key, f"update public.{self.table} set {mark} where id = %s and {VISIBLE}", left=left)

    def _user_ends(self, key: str, statement: str, *, left: bool = False) -> bool:
        connection = self.stage.rows
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '10ms'")
                before = self._locked(key)
                agreed = before is not None and self.agreed(key, before)
                connection.execute(statement, [int(key)])
        except psycopg.errors.LockNotAvailable:
            return False
        if before is not None:
            self.model.removed(key, before, agreed=agreed, left=left)
        return before is not None

    def left_out(self, *, marked: bool = False) -> list[str]:
        """Keys of rows that are in the table and not there for the definition. `marked`: those that are marked as deleted
        too; they can be taken for an item."""
        which = f"not ({VISIBLE})" if marked else "not open"
        found = self.stage.rows.execute(f"select id from public.{self.table} where {which} order by id").fetchall()
        return [str(key) for (key,) in found]

    def user_brings_back(self, key: str) -> bool:
        connection = self.stage.rows
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '10ms'")
                done = connection.execute(
                    f"update public.{self.table} set open = true, gone = false, gone_at = null"
                    f" where id = %s and not ({VISIBLE})",
                    [int(key)],
                )
                after = self._locked(key)
        except psycopg.errors.LockNotAvailable:
            return False
        if done.rowcount and after is not None:
            self.model.put(key, None, after, (), GROUP)
        return bool(done.rowcount)

    def user_renames(self, key: str, new: str, values: Mapping[str, Value]) -> bool:
        """Gives a row another key, and some values, at once."""
        connection = self.stage.rows
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '10ms'")
                before = self._locked(key)
                sets = ", ".join(["id = %s", *(f"{name} = %s" for name in values)])
                connection.execute(
                    f"update public.{self.table} set {sets} where id = %s and {VISIBLE}",
                    [int(new), *values.values(), int(key)],
                )
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
            return False
        if before is not None:
            self.model.renamed(key, new, before, {**before, **values}, set(values), GROUP)
        return before is not None

    def slow_user_begins(self, key: str, values: Mapping[str, Value]) -> bool:
        """Changes a row in a transaction that stays open: until it ends, nobody else may write the row."""
        connection = self.stage.slow_rows
        try:
            connection.execute("begin")
            before = self._locked(key, connection)
        except psycopg.errors.LockNotAvailable:
            connection.rollback()
            return False
        if before is None:
            connection.rollback()
            return False
        sets = ", ".join(f"{name} = %s" for name in values)
        connection.execute(f"update public.{self.table} set {sets} where id = %s", [*values.values(), int(key)])
        self.slow = (key, before, {**before, **values})
        return True

    def slow_user_ends(self, *, commits: bool) -> None:
        assert self.slow is not None
        key, before, after = self.slow
        self.slow = None
        if commits:
            self.stage.slow_rows.commit()
            fresh = {name for name in after if after[name] != before[name]}
            self.model.put(key, before, after, fresh, GROUP)
        else:
            self.stage.slow_rows.rollback()

    def _locked(self, key: str, connection: psycopg.Connection | None = None) -> dict[str, Value] | None:
        found = (
            (connection or self.stage.rows)
            .execute(
                f"select {', '.join(WAYS)} from public.{self.table} where id = %s and {VISIBLE} for update nowait",
                [int(key)],
            )
            .fetchall()
        )
        return dict(zip(WAYS, map(canonical, found[0]), strict=True)) if found else None

    # ---- people at the list

    def items(self) -> list[Item]:
        found = [
            self._seen(item) for item in self.stage.ask("GET", f"people/lists/{self.list_id}/items?top=1000")["items"]
        ]
        for item in found:
            self.model.seen(item.id, item.key)
        return sorted(found, key=lambda item: item.id)

    def recycled(self) -> list[Item]:
        found = self.stage.ask("GET", f"people/lists/{self.list_id}/recycle-bin")["items"]
        return sorted((self._seen(item) for item in found), key=lambda item: item.id)

    def person_types(self, item: Item, values: Mapping[str, Value], fresh: set[str], who: str) -> None:
        fields = {COLUMNS[name]: value for name, value in values.items()}
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{item.id}?person={who}", {"fields": fields})
        self.model.typed(item.id, item.key, item.values, {**item.values, **values}, fresh, GROUP)

    def person_renumbers(self, item: Item, number: int | None) -> None:
        """Types another key into an item."""
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{item.id}", {"fields": {NUMBER: number}})
        typed = None if number is None else str(number)
        self.model.typed(item.id, item.key, {NUMBER: item.typed_key}, {NUMBER: typed}, (), ())

    def person_remarks(self, item: Item, text: str) -> None:
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{item.id}", {"fields": {NOTE: text}})
        self.model.remarks[item.id] = text

    def person_deletes(self, item: Item, everything: list[Item]) -> None:
        agreed = self._agreed_item(item, everything)
        self.stage.ask("DELETE", f"people/lists/{self.list_id}/items/{item.id}")
        self.model.deleted_item(item.id, item.key, item.values, agreed=agreed)

    def person_restores(self, item: Item) -> bool:
        done = self.stage.tried("POST", f"people/lists/{self.list_id}/recycle-bin/{item.id}/restore")
        if done is not None:
            self.restored.add(item.id)
            self.model.restored(item.id, item.key, item.values, GROUP)
        return done is not None

    def person_adds(self, values: Mapping[str, Value], number: int | None, fresh: set[str], who: str) -> int:
        fields: dict[str, Value] = {COLUMNS[name]: value for name, value in values.items()}
        if number is not None:
            fields[NUMBER] = number
        made = self.stage.ask("POST", f"people/lists/{self.list_id}/items?person={who}", {"fields": fields})
        item = int(made["id"])
        self.model.added_item(item, {**dict.fromkeys(WAYS), **values}, fresh, GROUP)
        return item

    def person_copies(self, item: Item) -> int:
        made = self.stage.ask("POST", f"people/lists/{self.list_id}/items/{item.id}/copy", {"list": self.list_id})
        copy = self._seen(made)
        self.model.added_item(copy.id, copy.values, (), GROUP)
        return copy.id

    def _seen(self, item: dict[str, Any]) -> Item:
        fields = item["fields"]
        number = canonical(fields.get(NUMBER))
        return Item(
            id=int(item["id"]),
            key=self._row_of(fields.get(KEY)),
            values={name: canonical(fields.get(column)) for name, column in COLUMNS.items()},
            remark=fields.get(NOTE),
            etag=str(item["etag"]),
            typed_key=None if number is None else str(number),
            modified=str(item["modified"]),
            editor=str(item["editor"]),
        )

    def _row_of(self, hexadecimal: str | None) -> str | None:
        """The row key behind a sync key."""
        if not hexadecimal:
            return None
        if hexadecimal not in self._keys:
            for number in range(len(self._keys), len(self._keys) + 200):
                self._keys.setdefault(sync_key(identity_hash(identity(str(number)))), str(number))
        return self._keys.get(hexadecimal, "?")

    # ---- what can be seen

    def view(self) -> View:
        rows, seen = self.all_rows(), self.items()
        items = self.standing(seen)
        left_out = self.left_out()
        aside = frozenset(item.id for item in items if self._stands_aside(item, items, left_out)) | self.rivals(seen)
        aside |= self.kept_under_another_key(items)
        return View(rows=rows, items=items, log=self.logged(), aside=aside)

    def standing(self, items: list[Item]) -> list[Item]:
        """Items with the keys of their rows. Where nothing is written to the list no item shows it, and only the ledger
        knows."""
        if self.terms.mode is not Mode.PULL:
            return items
        found = self.stage.sql.execute(
            "select sp_item_id, source_identity from syncbridge.sync_ledger"
            " where sp_item_id is not null and state not in ('BOUND', 'TOMBSTONE')"
        ).fetchall()
        rows = {item: str(json.loads(who)[0]) for item, who in found}
        return [replace(item, key=rows.get(item.id)) for item in items]

    def kept_under_another_key(self, items: list[Item]) -> frozenset[int]:
        """Items that stay without their rows and show a key that those had before: a new row of that key waits, and says so."""
        found = self.stage.sql.execute(
            "select sp_item_id, source_identity from syncbridge.sync_ledger where state = 'SETTLED' and stamp is null"
        ).fetchall()
        rows = {item: str(json.loads(who)[0]) for item, who in found}
        return frozenset(item.id for item in items if item.key is not None and rows.get(item.id, item.key) != item.key)

    def rivals(self, items: list[Item]) -> frozenset[int]:
        """A person's new item has taken the place of one that was deleted, and then the old one was brought back: both
        name the row, one of them holds its key, and only people can tell which it shall be."""
        found = self.stage.sql.execute(
            "select source_identity, sp_item_id from syncbridge.sync_ledger where state <> 'TOMBSTONE'"
        ).fetchall()
        standing = {json.loads(who)[0]: item for who, item in found}
        live = {item.id for item in items}
        contested = [
            (item.id, standing[item.key])
            for item in items
            if item.id in self.restored and item.key in standing and standing[item.key] in live - {item.id}
        ]
        return frozenset(one for pair in contested for one in pair)

    def _names_one_of(self, item: Item, left_out: Collection[str]) -> bool:
        """Whether it says that it is the item of a row that cannot have one now, and the engine has not left it at that."""
        standing = self.stage.sql.execute(
            "select source_identity, state from syncbridge.sync_ledger where sp_item_id = %s and state <> 'TOMBSTONE'",
            [item.id],
        ).fetchall()
        if standing:
            return all(state == "BOUND" and json.loads(who)[0] in left_out for who, state in standing)
        return (item.typed_key if item.key is None and not self.terms.reserved else item.key) in left_out

    def _stands_aside(self, item: Item, items: list[Item], left_out: Collection[str]) -> bool:
        """It cannot become a row, or has a value that no row takes."""
        if self.terms.mode is Mode.PUSH:
            return False
        if self.terms.foreign_insert and self._names_one_of(item, left_out):
            return True
        count = item.values["n"]
        if isinstance(count, int) and count <= REFUSED:
            return True
        if item.key is not None or self.terms.reserved:
            return False
        number = item.typed_key
        return number is None or any(other.key == number for other in items)

    def agreed(self, key: str, row: Mapping[str, Value]) -> bool:
        """Whether both sides of a row are equal and the engine has said so: nothing is under way."""
        items = self.standing(self.items())
        mine = [item for item in items if item.key == key]
        return len(mine) == 1 and self.terms.equal(row, mine[0].values) and self._confirmed(mine[0], items)

    def _agreed_item(self, item: Item, everything: list[Item]) -> bool:
        items = self.standing(everything)
        mine = next(one for one in items if one.id == item.id)
        row = None if mine.key is None else self.row(mine.key)
        return row is not None and self.terms.equal(row, mine.values) and self._confirmed(mine, items)

    def _confirmed(self, item: Item, items: list[Item]) -> bool:
        found = self.stage.sql.execute(
            "select state, sp_item_id, sp_etag, intents = '[]' from syncbridge.sync_ledger where source_identity = %s",
            [identity(str(item.key))],
        ).fetchall()
        rivals = [other for other in items if other.id != item.id and other.typed_key == item.key]
        agreement = self.agreed_on.get(str(item.key))
        read = -1 if agreement is None else agreement.read.get(Side.ROW, -1)
        touched = self.model.touched(f"row {item.key}", self.terms.ways, Side.ROW)
        return found == [("SETTLED", item.id, item.etag, True)] and not rivals and touched < read

    def system_values(self) -> dict[str, object]:
        """What rows hold of what the list notes by itself."""
        found = self.stage.rows.execute(f"select id, {self.system} from public.{self.table} where {VISIBLE}").fetchall()
        return {str(key): value for key, value in found}

    def system_value(self, item: Item) -> object:
        if self.system == "modified":
            return datetime.fromisoformat(item.modified)
        return PEOPLE.get(item.editor, APPLICATION)

    def bound_to(self, items: Collection[int]) -> set[str]:
        """The rows for which these items stand, as the ledger says."""
        found = self.stage.sql.execute(
            "select source_identity from syncbridge.sync_ledger where sp_item_id = any(%s)", [list(items)]
        ).fetchall()
        return {who for (who,) in found}

    def logged(self, state: str = "FINAL") -> frozenset[tuple[str, str, Value]]:
        found = self.stage.sql.execute(
            "select source_identity, source_column_name, losing_value from syncbridge.conflicts"
            " where state = %s and conflict_policy <> %s",
            [state, SURVIVES],
        ).fetchall()
        return frozenset(
            (json.loads(who)[0], column, canonical(None if value is None else json.loads(value)))
            for who, column, value in found
            if column in WAYS
        )

    def heard_writes(self) -> list[tuple[str, str, dict[str, Any] | None, dict[str, Any] | None]]:
        """Committed writes to the table since the last call: who, what, before, after. One whose COMMIT was late has a
        lower number than others that are known already."""
        found = self.stage.rows.execute(
            "select number, who, op, old, new from audit.writes where number <> all(%s) order by number",
            [list(self.heard)],
        ).fetchall()
        self.heard.update(number for number, *_ in found)
        return [("engine" if who == "syncbridge" else "user", op, old, new) for _, who, op, old, new in found]

    def row_time(self, key: str, version: str | None) -> int | None:
        """When a row's version was written, in whole seconds, as its own column says."""
        found = self.stage.rows.execute(
            "select (new ->> 'changed_at')::timestamptz from audit.writes"
            " where new ->> 'id' = %s and version = %s order by number desc limit 1",
            [key, version],
        ).fetchall()
        return int(found[0][0].timestamp()) if found else None

    def fresh(self, side: str, name: str) -> Value:
        """A value that nobody has used before."""
        self.unique_values += 1
        return self.unique_values if name == "n" else f"{side}{self.unique_values}"
