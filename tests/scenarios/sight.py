"""What can be seen of a case: both sides, and what the engine keeps and says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from shared.core.ids import identity_hash, identity_of, key_texts, sync_key
from shared.core.ledger import LedgerEntry
from shared.usecases.health import health_of
from tests.scenarios.setting import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A live item as people see it. `key`: of the row it stands for, by its hidden column; None: it has none."""

    id: int
    key: str | None
    values: Mapping[str, Any]
    """By source column."""
    shown_key: Any
    """What its key column shows, where the list has one."""
    editor: str


class Sight(Setting):
    def rows(self) -> dict[str, dict[str, Any]]:
        """By key, the columns that are mapped and not paused, key columns left out."""
        names = self._names()
        found = self.stage.rows.execute(
            sql.SQL("select id, {} from {} order by id").format(
                sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier("public", self.table)
            )
        ).fetchall()
        return {str(key): dict(zip(names, map(plain, values), strict=True)) for key, *values in found}

    def items(self) -> list[Item]:
        found = self.people("GET", "/items?top=5000")["items"]
        keys = self._keys()
        shown_key = next((m.target_column_name for m in self.record.fields if m.source.name == "id"), None)
        return [
            Item(
                id=int(one["id"]),
                key=keys.get(one["fields"].get(self.definition.target.key_column)),
                values={name: plain(one["fields"].get(self.column(name))) for name in self._names()},
                shown_key=plain(one["fields"].get(shown_key)),
                editor=one["editor"],
            )
            for one in found
        ]

    def item(self, key: str) -> Item:
        [found] = [item for item in self.items() if item.key == key]
        return found

    def agreed(self) -> dict[str, dict[str, Any]]:
        """Both sides, which have to be equal: each row has one item, each item that carries a key has its row."""
        rows, items = self.rows(), self.items()
        keyed = [item for item in items if item.key is not None]
        assert len({item.key for item in keyed}) == len(keyed), "two items stand for one row"
        assert {item.key: dict(item.values) for item in keyed} == rows
        return rows

    def conflicts(self) -> list[tuple[str, str, Any, str]]:
        """(row key, column, losing value, winner) of what was finally lost."""
        found = self.stage.sql.execute(
            "select source_identity, source_column_name, losing_value, winner from syncbridge.conflicts"
            " where state = 'FINAL' order by detected_at, field_no"
        ).fetchall()
        return [(key_texts(identity)[0], column, value, winner) for identity, column, value, winner in found]

    def undecided(self) -> int:
        [(count,)] = self.stage.sql.execute(
            "select count(*) from syncbridge.conflicts where state = 'PENDING'"
        ).fetchall()
        return int(count)

    def holds(self) -> dict[str, str]:
        """Kind -> explanation of the open holds."""
        found = self.stage.sql.execute(
            "select kind, explanation from syncbridge.holds where released_at is null"
        ).fetchall()
        return dict(found)

    def entry(self, key: str) -> LedgerEntry | None:
        identity = identity_of([key])
        return self.engine.stores.ledger.entries(self.id, [identity]).get(identity)

    def generation(self, key: str) -> int:
        """How often the row has been made."""
        [(found,)] = self.stage.sql.execute(
            "select generation from syncbridge.sync_ledger where source_identity = %s", [identity_of([key])]
        ).fetchall()
        return int(found)

    def waiting(self) -> list[tuple[str, str, str | None]]:
        """(row key or item, state, reason) of what is not settled."""
        found = self.stage.sql.execute(
            "select source_identity, sp_item_id, state, reason_code from syncbridge.sync_backlog"
            " order by source_identity, sp_item_id"
        ).fetchall()
        return [
            (key_texts(identity)[0] if identity else f"item {item}", state, code)
            for identity, item, state, code in found
        ]

    def health(self) -> tuple[str, ...]:
        return health_of(self.record, surface=timedelta(minutes=15), untold=self.engine.untold(self.record))

    def untold(self) -> list[str]:
        """What the definition's health says of its cursor column."""
        return [sentence for sentence in self.health() if "cursor column" in sentence]

    def paused(self) -> dict[str, str]:
        """The paused fields, by source column, with their reasons."""
        return {m.source.name: m.paused.reason for m in self.record.fields if m.paused is not None}

    def shown(self, name: str) -> list[Any]:
        """What the items have in the list column of a source column, paused or not, in the order of their rows' keys."""
        keys, key_column = self._keys(), self.definition.target.key_column
        found = [one["fields"] for one in self.people("GET", "/items?top=5000")["items"]]
        found.sort(key=lambda fields: keys[fields[key_column]])
        return [plain(fields.get(self.column(name))) for fields in found]

    def explanations(self) -> list[str]:
        """What is told about parked subjects."""
        found = self.stage.sql.execute(
            "select reason_text from syncbridge.sync_backlog where state = 'PARKED' order by source_identity, sp_item_id"
        ).fetchall()
        return [text for (text,) in found]

    def versions(self) -> list[tuple[Any, ...]]:
        """(key, version) of every row: equal lists mean that no row was written."""
        return self.sql(f"select id, xmin::text from public.{self.table} order by id")

    def _names(self) -> list[str]:
        keys = {column.name for column in self.record.key.columns}
        going = [m.source.name for m in self.record.fields if m.paused is None]
        return list(dict.fromkeys(name for name in going if name not in keys))

    def _keys(self) -> dict[str, str]:
        """Sync key -> row key."""
        identities = [
            identity for (identity,) in self.stage.sql.execute("select source_identity from syncbridge.sync_ledger")
        ]
        identities += [identity_of([str(key)]) for (key,) in self.sql(f"select id from public.{self.table}")]
        return {sync_key(identity_hash(identity)): key_texts(identity)[0] for identity in identities}


def plain(value: Any) -> Any:
    """Numbers and blanks alike on both sides."""
    if isinstance(value, float | Decimal) and value == int(value):
        return int(value)
    return None if value == "" else value
