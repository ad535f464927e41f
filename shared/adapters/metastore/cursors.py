"""Cursors: a page's marks and the cursor's move are one transaction, so that no cursor passes a row or an item."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.backlog import SQL as BACKLOG
from shared.adapters.metastore.backlog import insert_marks, merge, number_marks
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Echo, Mark
from shared.core.definition import SyncDefinition
from shared.core.ids import DefinitionId, Identity, InstanceId, ListId, MarkNumber
from shared.core.runs import DeltaCursor, WatermarkCursor

SQL = load("cursors")


class CursorStore:
    """Satisfies the ports Cursors and ListCursors."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def get_watermark(self, definition: DefinitionId, instance: InstanceId) -> WatermarkCursor | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["get"], {"definition": definition, "instance": instance}).fetchall()
        return _cursor(*rows[0]) if rows else None

    def advance_watermark(
        self,
        definition: SyncDefinition,
        *,
        expected: WatermarkCursor | None,
        new: WatermarkCursor | None,
        marks: Sequence[Mark],
    ) -> bool:
        """One page's marks: a few thousand at most, for they are one transaction."""
        place = {"definition": definition.id, "instance": definition.source.instance_id}

        def work(connection: psycopg.Connection[TupleRow]) -> bool:
            rows = connection.execute(SQL["lock"], place).fetchall()
            current = _cursor(*rows[0][1:]) if rows else None
            if current != expected:
                return False
            if new is not None and new != current:
                if rows:
                    connection.execute(SQL["move"], {"id": rows[0][0], **_values(new)})
                elif connection.execute(SQL["add"], {**place, **_values(new)}).rowcount != 1:
                    return False
            if marks:
                insert_marks(connection, definition.id, merge(marks))
            return True

        return self._metastore.transact(work)

    def get_delta(self, definition: DefinitionId, list_id: ListId) -> DeltaCursor | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["get_delta"], {"definition": definition, "list": list_id}).fetchall()
        return _delta(*rows[0]) if rows else None

    def advance_delta(
        self,
        definition: SyncDefinition,
        *,
        expected: DeltaCursor | None,
        new: DeltaCursor | None,
        marks: Sequence[Mark],
        echoes: Sequence[Echo] = (),
    ) -> Mapping[bytes, MarkNumber] | None:
        def work(connection: psycopg.Connection[TupleRow]) -> Mapping[bytes, MarkNumber] | None:
            if not move_delta(connection, definition, expected=expected, new=new):
                return None
            unseen = _under_way(connection, definition.id, echoes)
            return number_marks(connection, definition.id, merge([*marks, *unseen]))

        return self._metastore.transact(work)

    def forget_lists(self, definition: DefinitionId) -> None:
        """Forgets the tokens of a definition's lists: the next run compares them whole."""
        with self._metastore.connection() as connection:
            connection.execute(SQL["forget_lists"], {"definition": definition})

    def reset(self, definition: DefinitionId) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["reset"], {"definition": definition})


def move_delta(
    connection: psycopg.Connection[TupleRow],
    definition: SyncDefinition,
    *,
    expected: DeltaCursor | None,
    new: DeltaCursor | None,
) -> bool:
    """Within the caller's transaction, and before its marks; False: the token is not `expected` any more."""
    place = {"definition": definition.id, "list": definition.target.list_id}
    rows = connection.execute(SQL["lock_delta"], place).fetchall()
    if (_delta(*rows[0][1:]) if rows else None) != expected:
        return False
    if new is None:
        if rows:
            connection.execute(SQL["forget_delta"], {"id": rows[0][0]})
    elif rows:
        connection.execute(SQL["move_delta"], {"id": rows[0][0], "token": new.token, "fingerprint": new.fingerprint})
    else:
        values = {**place, "token": new.token, "fingerprint": new.fingerprint}
        return connection.execute(SQL["add_delta"], values).rowcount == 1
    return True


def _under_way(
    connection: psycopg.Connection[TupleRow], definition: DefinitionId, echoes: Sequence[Echo]
) -> list[Mark]:
    if not echoes:
        return []
    by_key = {echo.mark.subject.key: echo for echo in echoes}
    parameters = {
        "definition": definition,
        "hashes": list(by_key),
        "confirmed": [echo.confirmed for echo in by_key.values()],
    }
    found = connection.execute(BACKLOG["under_way"], parameters, binary=True).fetchall()
    return [by_key[bytes(key)].mark for (key,) in found]


def _delta(token: str, fingerprint: bytes) -> DeltaCursor:
    return DeltaCursor(token=token, fingerprint=bytes(fingerprint))


def _values(cursor: WatermarkCursor) -> dict[str, Any]:
    details = {"identity": cursor.identity, "details": dict(cursor.details)}
    return {"value": cursor.value, "details": dumps(details), "fingerprint": cursor.fingerprint}


def _cursor(value: str, details: Mapping[str, Any], fingerprint: bytes) -> WatermarkCursor:
    identity = details["identity"]
    return WatermarkCursor(
        value=value,
        identity=None if identity is None else Identity(identity),
        fingerprint=bytes(fingerprint),
        details=details["details"],
    )
