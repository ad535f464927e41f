"""Watermarks: a page's marks and the cursor's move are one transaction, so that no cursor passes a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.backlog import insert_marks, merge
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Mark
from shared.core.definition import SyncDefinition
from shared.core.ids import DefinitionId, Identity, InstanceId
from shared.core.runs import WatermarkCursor

SQL = load("cursors")


class CursorStore:
    """Satisfies the port Cursors."""

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

    def reset(self, definition: DefinitionId) -> None:
        with self._metastore.connection() as connection:
            connection.execute(SQL["reset"], {"definition": definition})


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
