"""Holds and the deletes that wait: stopped states that only a person releases."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.audit import record
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import SubjectState
from shared.core.catalog import AuditEntry
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import DefinitionId, Identity, RunId
from shared.ports import HoldRequest

SQL = load("holds")


class HoldStore:
    """Satisfies the port Holds; the rest is what people do."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def open(self, definition: DefinitionId, request: HoldRequest, run: RunId | None) -> UUID:
        values = {
            "id": uuid4(),
            "definition": definition,
            "kind": str(request.kind),
            "deletes_only": request.deletes_only,
            "explanation": request.explanation,
            "details": dumps(request.details),
            "run": run,
        }
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["open"], values).fetchall()
        return UUID(str(rows[0][0]))

    def blocking(self, definition: DefinitionId) -> Sequence[HoldRequest]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["blocking"], {"definition": definition}).fetchall()
        return [HoldRequest(kind=kind, explanation=explanation, details=details) for kind, explanation, details in rows]

    def waived(self, definition: DefinitionId) -> frozenset[str]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["waived"], {"definition": definition}).fetchall()
        return frozenset(kind for (kind,) in rows)

    def allow_deletes(self, definition: DefinitionId, wanted: int, *, limit: int) -> int:
        def work(connection: psycopg.Connection[TupleRow]) -> int:
            connection.execute(SQL["lock_allowance"], {"definition": definition})
            [(used,)] = connection.execute(SQL["used_allowance"], {"definition": definition}).fetchall()
            taken: int = max(0, min(wanted, limit - used))
            if taken:
                connection.execute(SQL["take_allowance"], {"definition": definition, "taken": taken})
            return taken

        return self._metastore.transact(work)

    # ---- people

    def list(self, definition: DefinitionId | None, *, released: bool) -> Sequence[Mapping[str, Any]]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["list"], {"definition": definition, "released": released}).fetchall()
        names = [
            "id",
            "definition_id",
            "definition",
            "kind",
            "deletes_only",
            "explanation",
            "details",
            "run_id",
            "opened_at",
            "released_at",
            "released_by",
            "release_reason",
        ]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def get(self, hold: UUID) -> dict[str, Any]:
        """Raises NotFound."""
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["find"], {"id": hold}).fetchall()
        if not rows:
            raise NotFound(f"there is no hold {hold}")
        return dict(zip(("definition_id", "kind"), rows[0], strict=True))

    def release(self, hold: UUID, *, reason: str, actor: str) -> dict[str, Any]:
        """Raises NotFound; Conflicting for one that is released already."""

        def work(connection: psycopg.Connection[TupleRow]) -> TupleRow:
            rows = connection.execute(SQL["release"], {"id": hold, "reason": reason, "actor": actor}).fetchall()
            if not rows:
                if connection.execute(SQL["find"], {"id": hold}).fetchall():
                    raise Conflicting("this hold is released already")
                raise NotFound(f"there is no hold {hold}")
            _audit(connection, actor, "hold released", rows[0][1], {"kind": rows[0][2], "reason": reason})
            return rows[0]

        row = self._metastore.transact(work)
        names = ("id", "definition_id", "kind", "explanation", "details")
        return {**dict(zip(names, row, strict=True)), "reason": reason}

    def release_subjects(
        self,
        definition: DefinitionId,
        state: SubjectState,
        identities: Sequence[Identity] | None,
        *,
        approve: bool,
        actor: str,
    ) -> int:
        """Makes subjects that wait due; None: all of that state. How many."""
        values = {"definition": definition, "state": state.value, "approve": approve, "identities": _texts(identities)}

        def work(connection: psycopg.Connection[TupleRow]) -> int:
            made = connection.execute(SQL["release_subjects"], values).rowcount
            connection.execute(SQL["close_delete_guard"], {"definition": definition, "actor": actor})
            _audit(connection, actor, "deletes approved" if approve else "retried", definition, {"subjects": made})
            return made

        return self._metastore.transact(work)

    def reject_subjects(self, definition: DefinitionId, identities: Sequence[Identity] | None, *, actor: str) -> int:
        """What was to be deleted stays, and its other side counts as known to be gone. How many."""
        values = {"definition": definition, "identities": _texts(identities)}

        def work(connection: psycopg.Connection[TupleRow]) -> int:
            connection.execute(SQL["reject_ledger"], values)
            connection.execute(SQL["reject_row_deletes"], values)
            made = connection.execute(SQL["reject_doubtful"], values).rowcount
            made += connection.execute(SQL["reject_marks"], values).rowcount
            connection.execute(SQL["close_delete_guard"], {"definition": definition, "actor": actor})
            _audit(connection, actor, "deletes rejected", definition, {"subjects": made})
            return made

        return self._metastore.transact(work)


def _texts(identities: Sequence[Identity] | None) -> Sequence[str] | None:
    return None if identities is None else [str(identity) for identity in identities]


def _audit(
    connection: psycopg.Connection[TupleRow], actor: str, action: str, definition: object, after: Mapping[str, Any]
) -> None:
    record(
        connection,
        AuditEntry(actor=actor, action=action, subject_kind="sync_definition", subject_id=str(definition), after=after),
    )
