"""The push's world: a fresh list, an empty table, an empty metastore, and those who act on them."""

import json
from random import Random
from typing import Any
from uuid import UUID

from shared.core.definition import (
    ConflictPolicy,
    DefinitionState,
    FieldKind,
    FieldMapping,
    GuardSettings,
    SourceSpec,
    SyncDefinition,
    SyncMode,
    TargetList,
)
from shared.core.ids import (
    ConnectionId,
    DefinitionId,
    FieldNo,
    InstanceId,
    ListId,
    identity_hash,
    sync_key,
)
from shared.core.mapping import mapping_fingerprint
from shared.core.source import KeyStrategy, RelationKind, SourceKey, TableRef
from tests.simulation.ground import Ground, identity
from tests.simulation.model import COLUMNS, FIELDS, KEY, NOTE, Model, Seen, Value, canonical
from tests.simulation.stage import INSTANCE, Stage

KINDS = {"a": FieldKind.TEXT, "b": FieldKind.TEXT, "n": FieldKind.NUMBER}


class World(Ground):
    columns = tuple(COLUMNS[name] for name in FIELDS)

    def __init__(self, stage: Stage, seed: int, *, unique: bool = True, joins: tuple[str, str] | None = None) -> None:
        """`unique`: the list's key column enforces unique values. `joins`: another process' list and definition, instead
        of new ones."""
        super().__init__(stage, seed)
        self.unique = unique
        self.model = Model()
        self.keeps_versions = Random(f"{seed}/versions").random() < 0.8
        self.unique_values = 0
        if joins is None:
            stage.clear()
            self.list_id = self._list()
            self.definition = self._definition(self.list_id, DefinitionId(self.ids.uuid()))
            self.register(self.definition.id, "people_rows")
        else:
            self.list_id, known = joins
            self.definition = self._definition(self.list_id, DefinitionId(UUID(known)))

    def _list(self) -> str:
        columns = [
            {"name": KEY, "text": {}, "hidden": True, "indexed": True, "enforceUniqueValues": self.unique},
            {"name": COLUMNS["b"], "text": {}},
            {"name": COLUMNS["n"], "number": {}},
            {"name": NOTE, "text": {}},
        ]
        return self.make_list(columns, versions=self.keeps_versions)

    def _definition(self, list_id: str, known_as: DefinitionId) -> SyncDefinition:
        columns = self.stage.columns
        fields = tuple(
            FieldMapping(
                no=FieldNo(no),
                source=columns[name],
                target_column_name=COLUMNS[name],
                target_display_name=COLUMNS[name],
                kind=KINDS[name],
            )
            for no, name in enumerate(FIELDS, start=1)
        )
        return SyncDefinition(
            id=known_as,
            name="simulation",
            version=1,
            state=DefinitionState.ACTIVE,
            mode=SyncMode.ONE_WAY_PUSH,
            conflict_policy=ConflictPolicy.SOURCE_WINS,
            source=SourceSpec(
                instance_id=InstanceId(INSTANCE),
                table=TableRef(schema="public", name="people_rows"),
                relation=RelationKind.TABLE,
                key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(columns["id"],)),
                columns=tuple(mapping.source for mapping in fields),
            ),
            target=TargetList(
                connection_id=ConnectionId(UUID(int=2)),
                site_id=self.stage.site,
                list_id=ListId(list_id),
                key_column=KEY,
                keeps_versions=self.keeps_versions,
            ),
            fields=fields,
            mapping_fingerprint=mapping_fingerprint(fields, "UTC"),
            scope_fingerprint=b"s" * 16,
            guards=GuardSettings(max_writes_per_row=100_000),
        )

    # ---- users of the table

    def put(self, key: str, step: int, **values: object) -> None:
        """Insert or update; a new row gets no value where none is given."""
        full = dict.fromkeys(FIELDS) | self.model.rows.get(key, {}) | values
        self.stage.rows.execute(
            "insert into public.people_rows (id, a, b, n) values (%s, %s, %s, %s)"
            " on conflict (id) do update set a = excluded.a, b = excluded.b, n = excluded.n",
            [int(key), full["a"], full["b"], full["n"]],
        )
        self.model.put(key, full, step)

    def remove(self, key: str, step: int) -> None:
        self.stage.rows.execute("delete from public.people_rows where id = %s", [int(key)])
        self.model.remove(key, step)

    def rename(self, key: str, new: str, step: int, **values: object) -> None:
        """One UPDATE of the key, and of what else is given."""
        full = {**self.model.rows[key], **values}
        self.stage.rows.execute(
            "update public.people_rows set id = %s, a = %s, b = %s, n = %s where id = %s",
            [int(new), full["a"], full["b"], full["n"], int(key)],
        )
        self.model.rename(key, new, values, step)

    # ---- people at the list

    def items(self) -> list[Seen]:
        found = self.stage.ask("GET", f"people/lists/{self.list_id}/items?top=1000")["items"]
        return sorted((self._seen(item) for item in found), key=lambda seen: seen.item)

    def recycled(self) -> list[Seen]:
        found = self.stage.ask("GET", f"people/lists/{self.list_id}/recycle-bin")["items"]
        return sorted((self._seen(item) for item in found), key=lambda seen: seen.item)

    def person_edits(self, seen: Seen, name: str, value: Value, *, fresh: bool) -> None:
        body = {"fields": {COLUMNS[name]: value}}
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{seen.item}", body)
        self.model.person_typed(seen.item, seen.key, name, value, fresh=fresh)

    def person_remarks(self, seen: Seen, text: str) -> None:
        self.stage.ask("PATCH", f"people/lists/{self.list_id}/items/{seen.item}", {"fields": {NOTE: text}})
        self.model.remarks[seen.item] = text

    def person_deletes(self, seen: Seen) -> None:
        self.stage.ask("DELETE", f"people/lists/{self.list_id}/items/{seen.item}")
        self.model.person_deleted(seen.item, seen.key)

    def person_restores(self, seen: Seen) -> bool:
        done = self.stage.tried("POST", f"people/lists/{self.list_id}/recycle-bin/{seen.item}/restore")
        if done is not None:
            self.model.person_restored(seen.item, seen.key, seen.values)
        return done is not None

    def person_adds(self, values: dict[str, Value]) -> None:
        fields = {COLUMNS[name]: value for name, value in values.items()}
        item = int(self.stage.ask("POST", f"people/lists/{self.list_id}/items", {"fields": fields})["id"])
        self.model.foreign[item] = dict(values)

    def _seen(self, item: dict[str, Any]) -> Seen:
        fields = item["fields"]
        return Seen(
            item=int(item["id"]),
            key=self._row_of(fields.get(KEY)),
            values={name: canonical(fields.get(COLUMNS[name])) for name in FIELDS},
            remark=fields.get(NOTE),
        )

    def _row_of(self, hexadecimal: str | None) -> str | None:
        """The row key behind a sync key."""
        if not hexadecimal:
            return None
        for key in self.model.ever:
            if sync_key(identity_hash(identity(key))) == hexadecimal:
                return key
        return "?"

    # ---- what can be seen

    def fresh(self, side: str, name: str) -> Value:
        """A value that nobody has used before."""
        self.unique_values += 1
        return self.unique_values if name == "n" else f"{side}{self.unique_values}"

    def logged(self, state: str = "FINAL") -> set[tuple[str, str, Value]]:
        found = self.stage.sql.execute(
            "select source_identity, source_column_name, losing_value from syncbridge.conflicts where state = %s",
            [state],
        ).fetchall()
        return {
            (json.loads(who)[0], column, _number(column, canonical(None if value is None else json.loads(value))))
            for who, column, value in found
        }


def _number(column: str, value: Value) -> Value:
    return int(value) if column == "n" and value is not None else value
