"""Changes of configuration, one row each, written in the transaction that makes them."""

from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.catalog import AuditEntry

SQL = load("catalog")


def record(connection: psycopg.Connection[TupleRow], entry: AuditEntry) -> None:
    connection.execute(
        SQL["put_audit"],
        {
            "actor": entry.actor,
            "action": entry.action,
            "kind": entry.subject_kind,
            "subject": entry.subject_id,
            "before": None if entry.before is None else dumps(entry.before),
            "after": None if entry.after is None else dumps(entry.after),
        },
    )


class AuditStore:
    """Satisfies the port Audit."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def record(self, entry: AuditEntry) -> None:
        with self._metastore.connection() as connection:
            record(connection, entry)

    def entries(self, *, subject_id: str | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["audit"], {"subject": subject_id, "limit": limit}).fetchall()
        return [
            AuditEntry(
                at=at, actor=actor, action=action, subject_kind=kind, subject_id=subject, before=before, after=after
            )
            for at, actor, action, kind, subject, before, after in rows
        ]
