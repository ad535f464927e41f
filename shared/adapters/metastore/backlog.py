"""The backlog: marks, claims, releases. What a mark does to a marked subject stands in sql/backlog.sql, `policy`."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import BacklogCounts, Claim, Claimed, Lane, Mark, Reason
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    ETag,
    Identity,
    ItemId,
    ItemSubject,
    ListId,
    MarkNumber,
    RowSubject,
    Subject,
    identity_hash,
)
from shared.core.renames import KeyChange

SQL = load("backlog")
RENAMES = load("renames")
MARK = SQL["mark"] + "\n" + SQL["policy"]
_NUMBERED = MARK + "\n" + SQL["numbers"]
CHUNK = 5000
"""Marks of one transaction: few enough that settle's claims and confirmations never wait long."""
DUE_LEFT_BOUND = 1000
_REASONS = {reason.value: reason for reason in Reason}


class BacklogStore:
    """Satisfies the port Backlog."""

    def __init__(self, metastore: Metastore, *, chunk: int = CHUNK) -> None:
        self._metastore = metastore
        self._chunk = chunk

    def mark(self, definition: DefinitionId, marks: Iterable[Mark], renames: Sequence[KeyChange] = ()) -> int:
        """Marks in the order of their hash, a chunk per transaction; how many were made or renumbered.

        Marks of one subject are merged first. A failure leaves the chunks before it marked, which is harmless: marking
        is repeatable, and a mark too many costs a reading. `renames` go on record with the first chunk: whoever claims
        one of these marks sees them."""
        merged = merge(marks)
        made = 0
        for start in range(0, len(merged), self._chunk):
            chunk = merged[start : start + self._chunk]
            told = renames if start == 0 else ()
            made += self._metastore.transact(partial(_mark, definition=definition, marks=chunk, renames=told))
        return made

    def next_number(self) -> MarkNumber:
        with self._metastore.connection() as connection:
            return MarkNumber(_one(connection.execute(SQL["next_number"]))[0])

    def claim(
        self, definition: DefinitionId, *, limit: int, lease: timedelta, token: ClaimToken, lanes: Sequence[Lane]
    ) -> Claim:
        """`due_left` is known, and counted up to 1,000, when fewer than `limit` could be claimed."""
        parameters = {"definition": definition, "lanes": [int(lane) for lane in lanes]}
        with self._metastore.connection() as connection:
            rows = connection.execute(
                SQL["claim"], {**parameters, "limit": limit, "lease": lease, "token": token}, binary=True
            ).fetchall()
            left = None
            if len(rows) < limit:
                left = _one(connection.execute(SQL["due_left"], {**parameters, "bound": DUE_LEFT_BOUND}))[0]
            if not rows:
                now = _one(connection.execute(SQL["now"]))[0]
                return Claim(token=token, subjects=(), now=now, until=now + lease, due_left=left)
        subjects = tuple(_claimed(row, token) for row in rows)
        *_, now, until = rows[0]
        return Claim(token=token, subjects=subjects, now=now, until=until, due_left=left)

    def peek(self, definition: DefinitionId, *, after: bytes | None, limit: int) -> Sequence[Claimed]:
        values = {"definition": definition, "after": after or b"", "limit": limit}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["peek"], values).fetchall()
        return [_claimed(row, ClaimToken(UUID(int=0))) for row in rows]

    def still_held(self, definition: DefinitionId, token: ClaimToken, subjects: Sequence[Claimed]) -> frozenset[bytes]:
        parameters = {"definition": definition, "token": token, "hashes": [claimed.subject.key for claimed in subjects]}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["still_held"], parameters, binary=True).fetchall()
        return frozenset(bytes(key) for (key,) in rows)

    def set_aside(self, definition: DefinitionId, keys: Sequence[bytes]) -> frozenset[bytes]:
        parameters = {"definition": definition, "hashes": list(keys)}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["set_aside"], parameters, binary=True).fetchall()
        return frozenset(bytes(key) for (key,) in rows)

    def release(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        subjects: Sequence[Claimed],
        *,
        due_in: timedelta | None = None,
    ) -> None:
        """Only claims that the token still holds are given back."""
        hashes = [claimed.subject.key for claimed in subjects]
        parameters = {"definition": definition, "token": token, "hashes": hashes, "due_in": due_in}
        self._metastore.transact(lambda connection: connection.execute(SQL["release"], parameters))

    def now(self) -> datetime:
        """The metastore's clock."""
        with self._metastore.connection() as connection:
            found: datetime = _one(connection.execute(SQL["now"]))[0]
        return found

    def counts(self, definition: DefinitionId) -> BacklogCounts:
        with self._metastore.connection() as connection:
            due, later, parked, waiting, held, next_due, oldest = _one(
                connection.execute(SQL["counts"], {"definition": definition})
            )
        return BacklogCounts(
            due=due,
            later=later,
            parked=parked,
            awaiting_approval=waiting,
            held=held,
            next_due_at=next_due,
            oldest_marked_at=oldest,
        )


def _claimed(row: tuple[Any, ...], token: ClaimToken) -> Claimed:
    kind, identity, list_id, item_id, number, reasons, lane, takeover, attempts, news, approved, *_ = row
    return Claimed(
        subject=subject_of(kind, identity, list_id, item_id),
        number=MarkNumber(number),
        reasons=frozenset(map(_REASONS.__getitem__, reasons)),
        lane=Lane(lane),
        token=token,
        takeover=takeover,
        attempts=attempts,
        news=None if news is None else ETag(news),
        approved=approved,
    )


def _mark(
    connection: psycopg.Connection[tuple[Any, ...]],
    definition: DefinitionId,
    marks: Sequence[Mark],
    renames: Sequence[KeyChange],
) -> int:
    made = insert_marks(connection, definition, marks)
    told = list(dict.fromkeys(reversed(renames)))[::-1]  # one that is told twice counts when it was told last
    if told:
        connection.execute(
            RENAMES["record"],
            {
                "definition": definition,
                "former_hashes": [identity_hash(rename.former) for rename in told],
                "new_hashes": [identity_hash(rename.new) for rename in told],
                "formers": [rename.former for rename in told],
                "news": [rename.new for rename in told],
            },
        )
    return made


def insert_marks(
    connection: psycopg.Connection[tuple[Any, ...]], definition: DefinitionId, marks: Sequence[Mark]
) -> int:
    """Marks of different subjects, within the caller's transaction; how many were made or renumbered."""
    return connection.execute(MARK, _columns(definition, marks)).rowcount if marks else 0


def number_marks(
    connection: psycopg.Connection[tuple[Any, ...]], definition: DefinitionId, marks: Sequence[Mark]
) -> dict[bytes, MarkNumber]:
    """As `insert_marks`; the numbers of the marks that were made or renumbered, by subject key."""
    if not marks:
        return {}
    made = connection.execute(_NUMBERED, _columns(definition, marks), binary=True).fetchall()
    return {bytes(key): MarkNumber(number) for key, number in made}


def _columns(definition: DefinitionId, marks: Sequence[Mark]) -> dict[str, Any]:
    columns = [subject_columns(mark.subject) for mark in marks]
    return {
        "definition": definition,
        "hashes": [mark.subject.key for mark in marks],
        "kinds": [column[0] for column in columns],
        "identities": [column[1] for column in columns],
        "lists": [column[2] for column in columns],
        "items": [column[3] for column in columns],
        "reasons": [",".join(sorted(mark.reasons)) for mark in marks],
        "lanes": [int(mark.lane) for mark in marks],
        "news": [mark.news for mark in marks],
    }


def merge(marks: Iterable[Mark]) -> list[Mark]:
    """One mark per subject, in the order of their hash; an INSERT must not meet a subject twice.

    The same rule for news as in the database: two different eTags say that settle has to look."""
    merged: dict[bytes, Mark] = {}
    for mark in marks:
        key = mark.subject.key
        other = merged.get(key)
        merged[key] = mark if other is None else _both(other, mark)
    return [merged[key] for key in sorted(merged)]


def subject_columns(subject: Subject) -> tuple[str, str | None, str | None, int | None]:
    """Kind, identity, list and item as the tables hold them."""
    match subject:
        case RowSubject():
            return "ROW", subject.identity, None, None
        case ItemSubject():
            return "ITEM", None, subject.list_id, subject.item_id


def subject_of(kind: str, identity: str | None, list_id: str | None, item_id: int | None) -> Subject:
    if kind == "ROW" and identity is not None:
        return RowSubject(identity=Identity(identity))
    if list_id is None or item_id is None:  # pragma: no cover  a check constraint of the table
        raise AssertionError("a subject is a row or an item")
    return ItemSubject(list_id=ListId(list_id), item_id=ItemId(item_id))


def _both(one: Mark, other: Mark) -> Mark:
    carrying = [mark for mark in (one, other) if mark.news is not None or Reason.ITEM in mark.reasons]
    seen = {mark.news for mark in carrying}
    return Mark(
        subject=one.subject,
        reasons=one.reasons | other.reasons,
        lane=min(one.lane, other.lane),
        news=seen.pop() if len(seen) == 1 else None,
    )


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:  # pragma: no cover  aggregates and sequences always answer
        raise AssertionError("the statement answers with exactly one row")
    return row
