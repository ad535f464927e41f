"""What users do to a table and people to a list."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from tests.scenarios.setting import Setting
from tests.scenarios.sight import Sight


class Users(Setting):
    """Of the table."""

    def user_inserts(self, key: int | str, **values: Any) -> None:
        self._tells(f"a user inserts row {key}")
        names = ["id", *values]
        self.stage.rows.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier("public", self.table),
                sql.SQL(", ").join(map(identifier, names)),
                sql.SQL(", ").join(sql.Placeholder() * len(names)),
            ),
            [key, *values.values()],
        )

    def user_updates(self, key: int | str, **values: Any) -> None:
        self._tells(f"a user updates row {key}: {', '.join(values)}")
        self.stage.rows.execute(
            sql.SQL("update {} set {} where id = %s").format(
                sql.Identifier("public", self.table),
                sql.SQL(", ").join(sql.SQL("{} = %s").format(identifier(name)) for name in values),
            ),
            [*values.values(), key],
        )

    def user_renames(self, key: int, new: int, **values: Any) -> None:
        """One UPDATE of the key, and of what else is given."""
        self._tells(f"a user gives row {key} the key {new}" + "".join(f", {name}" for name in values))
        self.stage.rows.execute(
            sql.SQL("update {} set {} where id = %s").format(
                sql.Identifier("public", self.table),
                sql.SQL(", ").join(sql.SQL("{} = %s").format(identifier(name)) for name in ("id", *values)),
            ),
            [new, *values.values(), key],
        )

    def user_deletes(self, *keys: int | str) -> None:
        self._tells(f"a user deletes row {', '.join(map(str, keys))}")
        for key in keys:
            self.stage.rows.execute(
                sql.SQL("delete from {} where id = %s").format(sql.Identifier("public", self.table)), [key]
            )

    def owner(self, statement: str) -> None:
        """What the owner of the table does to it."""
        self._tells(f"the table's owner: {' '.join(statement.split())}")
        self.sql(statement)


class People(Sight):
    """At the list."""

    def owner_of_list(self, method: str, name: str, body: Any = None, action: str = "") -> None:
        """What the list's owner does to the column of a source column."""
        did = action or {"DELETE": "removes", "PATCH": "changes"}.get(method, method)
        self._tells(f"the list's owner {did} the column of {name}: {', '.join(body or ())}")
        self.people(method, f"/columns/{self.column(name)}" + (f"/{action}" if action else ""), body)

    def person_edits(self, who: int | str, **values: Any) -> None:
        """`who`, here and below: a row's key, or an item's id."""
        item = self._item_id(who)
        self._tells(f"a person edits item {item}: {', '.join(values)}")
        self.people("PATCH", f"/items/{item}", {"fields": self._fields(values)})

    def person_adds(self, **values: Any) -> int:
        item = int(self.people("POST", "/items", {"fields": self._fields(values)})["id"])
        self._tells(f"a person adds item {item}: {', '.join(values)}")
        return item

    def person_deletes(self, *who: int | str) -> None:
        items = [self._item_id(one) for one in who]
        self._tells(f"a person deletes item {', '.join(map(str, items))}")
        for item in items:
            self.people("DELETE", f"/items/{item}")

    def person_restores(self, item: int) -> None:
        self._tells(f"a person restores item {item}")
        self.people("POST", f"/recycle-bin/{item}/restore")

    def person_copies(self, who: int | str) -> int:
        item = self._item_id(who)
        copy = int(self.people("POST", f"/items/{item}/copy", {"list": self.list_id})["id"])
        self._tells(f"a person copies item {item}: item {copy}")
        return copy

    def _fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        known = {m.source.name: m.target_column_name for m in self.record.fields}
        return {known.get(name, name): value for name, value in values.items()}

    def _item_id(self, who: int | str) -> int:
        return who if isinstance(who, int) else self.item(who).id


def identifier(name: str) -> sql.Identifier:
    """In a statement with parameters a percent sign is doubled, in names too."""
    return sql.Identifier(name.replace("%", "%%"))
