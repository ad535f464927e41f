"""The conflict log as people see it, and the values that they want back from it."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.audit import record as audit
from shared.adapters.metastore.backlog import insert_marks
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane, Mark, Reason
from shared.core.canonical import Canonical
from shared.core.catalog import AuditEntry
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import DefinitionId, FieldNo, Identity, RowSubject, identity_hash
from shared.core.mapping import value_of
from shared.core.reconcile import Side
from shared.core.wishes import Wish

SQL = load("conflicts")
_NAMES = (
    "id definition_id key field_no column losing_value winner policy state base_digest winning_digest list_id item_id"
    " item_modified item_editor row_time row_version run_id detected_at finalized_at reversal_by reversal_asked_at"
    " reversed_at reversal_note"
).split()


class ConflictStore:
    """Satisfies the port Wishes, and shows conflicts to people."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def open(self, definition: DefinitionId, identities: Sequence[Identity]) -> Mapping[Identity, Sequence[Wish]]:
        hashes = [identity_hash(identity) for identity in identities]
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["open_wishes"], {"definition": definition, "hashes": hashes}).fetchall()
        found: defaultdict[Identity, list[Wish]] = defaultdict(list)
        for identity, conflict, field_no, winner, losing in rows:
            side = Side.ITEM if winner == Side.ROW else Side.ROW
            wish = Wish(conflict=conflict, no=FieldNo(field_no), side=side, value=value_of(_canonical(losing)))
            found[Identity(identity)].append(wish)
        return found

    def get(self, conflict: UUID) -> Mapping[str, Any]:
        """Raises NotFound."""
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["columns"] + SQL["by_id"], {"id": conflict}).fetchall()
        if not rows:
            raise NotFound(f"there is no conflict {conflict}")
        return dict(zip(_NAMES, rows[0], strict=True))

    def list(
        self,
        definition: DefinitionId | None,
        *,
        state: str | None = None,
        column: str | None = None,
        winner: str | None = None,
        identity: str | None = None,
        limit: int,
    ) -> Sequence[Mapping[str, Any]]:
        values = {
            "definition": definition,
            "state": state,
            "column": column,
            "winner": winner,
            "identity": identity,
            "limit": limit,
        }
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["columns"] + SQL["log"], values).fetchall()
        return [dict(zip(_NAMES, row, strict=True)) for row in rows]

    def wish(self, conflict: UUID, fields: Collection[FieldNo], *, actor: str) -> Sequence[UUID]:
        """The losing values of these fields, of the write that the conflict is about, are wanted back; their row is due.
        The conflicts. Raises Conflicting for values that are on their way back already."""

        def change(connection: psycopg.Connection[TupleRow]) -> Sequence[UUID]:
            values = {"id": conflict, "fields": list(fields), "actor": actor}
            return [row[0] for row in connection.execute(SQL["wish"], values).fetchall()]

        return self._mark_and(conflict, "reversal asked for", actor, change)

    def withdraw(self, conflict: UUID, *, actor: str) -> Sequence[UUID]:
        """The losing values are not wanted back any more. Raises Conflicting when they are back."""

        def change(connection: psycopg.Connection[TupleRow]) -> Sequence[UUID]:
            values = {"id": conflict, "note": f"withdrawn by {actor}"}
            return [row[0] for row in connection.execute(SQL["withdraw"], values).fetchall()]

        return self._mark_and(conflict, "reversal withdrawn", actor, change)

    def _mark_and(self, conflict: UUID, action: str, actor: str, change: Any) -> Sequence[UUID]:
        """The wish and the mark in one transaction; the mark first, as settle locks."""
        shown = self.get(conflict)

        def work(connection: psycopg.Connection[TupleRow]) -> Sequence[UUID]:
            subject = RowSubject(identity=Identity(shown["key"]))
            mark = Mark(subject=subject, reasons=frozenset({Reason.REVERSE}), lane=Lane.PEOPLE)
            insert_marks(connection, DefinitionId(shown["definition_id"]), [mark])
            changed: Sequence[UUID] = change(connection)
            if not changed:
                raise Conflicting(
                    "this value is not to be brought back, or is on its way already: look at the conflict's state",
                    code="conflict_state",
                )
            audit(
                connection,
                AuditEntry(
                    actor=actor,
                    action=action,
                    subject_kind="sync_definition",
                    subject_id=str(shown["definition_id"]),
                    after={"conflicts": [str(changed_id) for changed_id in changed], "column": shown["column"]},
                ),
            )
            return changed

        return self._metastore.transact(work)


def _canonical(text: str) -> Canonical:
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value
