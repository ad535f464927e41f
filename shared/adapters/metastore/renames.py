"""Key changes on record, and the one transaction that lets an entry go over to another identity."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg

from shared.adapters.metastore.backlog import insert_marks, merge
from shared.adapters.metastore.ledger import entries_of, upsert
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane, Mark, Reason
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    Identity,
    IdentityHash,
    ItemSubject,
    MarkNumber,
    RowSubject,
    identity_hash,
)
from shared.core.ledger import EntryState, LedgerEntry
from shared.core.renames import Followed, Rename, follow, without_item

SQL = load("renames")
_LINKS: Final = 4
"""How many key changes one after the other are looked for from a page's rows, in both directions."""
_MOST: Final = 2_000
FRESH: Final = timedelta(seconds=10)
"""How long a key that changed on and on is waited for: the message with its next change may be on its way."""

_Connection = psycopg.Connection[tuple[Any, ...]]


class RenameStore:
    """Satisfies the port Renames."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def touching(self, definition: DefinitionId, identities: Sequence[Identity]) -> Sequence[Rename]:
        found: dict[MarkNumber, Rename] = {}
        asked: set[Identity] = set()
        wanted = set(identities)
        with self._metastore.connection() as connection:
            for _ in range(_LINKS):
                wanted -= asked
                if not wanted:
                    break
                hashes = [identity_hash(identity) for identity in sorted(wanted)]
                parameters = {"definition": definition, "hashes": hashes, "limit": _MOST, "fresh": FRESH}
                fresh = [
                    Rename(number=MarkNumber(number), former=Identity(former), new=Identity(new), fresh=fresh)
                    for number, former, new, fresh in connection.execute(
                        SQL["touching"], parameters, binary=True
                    ).fetchall()
                ]
                asked |= wanted
                found |= {rename.number: rename for rename in fresh}
                wanted = {identity for rename in fresh for identity in (rename.former, rename.new)}
        return [found[number] for number in sorted(found)]

    def follow(
        self, definition: DefinitionId, token: ClaimToken, renames: Sequence[Rename], *, present: Collection[Identity]
    ) -> Followed:
        def work(connection: _Connection) -> Followed:
            return _follow(connection, definition, token, renames, present)

        return self._metastore.transact(work)


def _follow(
    connection: _Connection,
    definition: DefinitionId,
    token: ClaimToken,
    renames: Sequence[Rename],
    present: Collection[Identity],
) -> Followed:
    """Backlog first, as whoever confirms does: an old holder of a claim finds it gone afterwards."""
    named = {identity_hash(i): i for rename in renames for i in (rename.former, rename.new)}
    asked = {"definition": definition, "token": token, "hashes": list(named)}
    locked = connection.execute(SQL["lock"], asked, binary=True).fetchall()
    mine = {named[IdentityHash(bytes(key))] for key, ours, _ in locked if ours}
    held = {named[IdentityHash(bytes(key))] for key, _, theirs in locked if theirs}
    # An identity without a mark could be given an item by somebody else meanwhile: its mark is its lock.
    unmarked = named.keys() - {bytes(key) for key, _, _ in locked}
    insert_marks(connection, definition, merge(_marks(named[key] for key in unmarked)))
    entries = {entry.identity: entry for entry in entries_of(connection, definition, list(named)).values()}
    followed = follow(renames, entries, present=present, held=held)
    _write(connection, definition, entries, followed)
    others = followed.entries.keys() - mine
    taken = {"definition": definition, "token": token, "hashes": [identity_hash(identity) for identity in others]}
    connection.execute(SQL["take_away"], taken)
    marks = [*_marks(others), *_strays(entries, followed)]
    insert_marks(connection, definition, merge(marks))
    connection.execute(SQL["forget"], {"definition": definition, "numbers": list(followed.done)})
    return followed


def _write(
    connection: _Connection, definition: DefinitionId, entries: Mapping[Identity, LedgerEntry], followed: Followed
) -> None:
    """Everybody gives away first, whoever gets something too: one item never stands for two rows, not between two
    statements either."""
    givers = [without_item(entries[identity]) for identity in followed.entries if identity in entries]
    for part in (givers, list(followed.entries.values())):
        upsert(connection, definition, part, quarrels=[0] * len(part))


def _marks(identities: Iterable[Identity]) -> list[Mark]:
    """Both sides of a rename are to be settled, whatever they waited for."""
    return [
        Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.STREAM}), lane=Lane.CDC)
        for identity in identities
    ]


def _strays(entries: Mapping[Identity, LedgerEntry], followed: Followed) -> list[Mark]:
    """The item that an heir had before it was buried becomes a subject of its own: a person may bring it back."""
    heirs = [entries[i] for i, entry in followed.entries.items() if entry.state is EntryState.SETTLED and i in entries]
    return [
        Mark(
            subject=ItemSubject(list_id=former.list_id, item_id=former.item_id),
            reasons=frozenset({Reason.ITEM}),
            lane=Lane.CDC,
        )
        for former in heirs
        if former.list_id is not None and former.item_id is not None
    ]
