"""Enumerations: the items of a whole list in the metastore, compared with ledger and claims by one statement.

What keeps a crash of the metastore's server from looking like an empty list stands in run_tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, LiteralString

from psycopg import sql

from shared.adapters.metastore.backlog import CHUNK
from shared.adapters.metastore.backlog import SQL as BACKLOG
from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.cursors import move_delta
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.run_tables import Connection, Page, RunTables, allow_long
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane
from shared.core.definition import SyncDefinition
from shared.core.ids import MarkNumber, RunId
from shared.core.items import DeltaEntry
from shared.core.runs import DeltaCursor
from shared.ports import CursorMove, EnumerationResult, ListPosition, MarkedChunk

SQL = load("enumerations")
_MARK = SQL["mark"] + "\n" + BACKLOG["policy"]
_TABLES = RunTables(
    kind="LIST",
    content="listed",
    prefix="list_differing",
    drop_statement=SQL["drop"],
    lost="items of this enumeration are missing in the metastore: its server was restarted, or the run's tables were "
    "removed; the next step reads the list again",
)


class EnumerationStore:
    """Satisfies the port Enumerations."""

    def __init__(self, metastore: Metastore, *, chunk: int = CHUNK) -> None:
        self._metastore = metastore
        self._chunk = chunk

    def position(self, run: RunId) -> ListPosition | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["position"], {"run": run}).fetchall()
            if not rows or rows[0][0] is None:
                return None
            document, loaded = rows[0]
            ((there,),) = connection.execute(_for_run("count_listed", run)).fetchall()
        return _position(document) if there == loaded else None

    def start(self, definition: SyncDefinition, run: RunId, position: ListPosition) -> None:
        """Removes the tables of runs that have ended, too."""
        _TABLES.sweep(self._metastore, run)

        def work(connection: Connection) -> None:
            _TABLES.remember(connection, run, definition.id)
            connection.execute(_for_run("create_listed", run))
            _move(connection, run, position)

        self._metastore.transact(work)

    def load(self, run: RunId, entries: Sequence[DeltaEntry], position: ListPosition) -> None:
        parameters = {
            "items": [entry.item_id for entry in entries],
            "etags": [entry.etag for entry in entries],
            "keyless": [entry.keyless for entry in entries],
        }

        def work(connection: Connection) -> None:
            if entries:
                ((fresh,),) = connection.execute(_for_run("load", run), parameters).fetchall()
                _TABLES.loaded(connection, run, fresh)
            _move(connection, run, position)

        self._metastore.transact(work)

    def compare(self, definition: SyncDefinition, run: RunId, position: ListPosition) -> EnumerationResult:
        """Finds what differs and keeps it for `mark`. Raises MetastoreUnavailable when rows of the list got lost."""

        def work(connection: Connection) -> EnumerationResult:
            allow_long(connection)
            connection.execute(_for_run("drop_differing", run))
            connection.execute(_for_run("create_differing", run))
            connection.execute(_for_run("analyze_listed", run))
            parameters = {
                "definition": definition.id,
                "list": definition.target.list_id,
                "since": position.since,
                "takes_foreign": definition.takes_foreign_items,
            }
            ((foreign,),) = connection.execute(_for_run("compare", run), parameters).fetchall()
            _TABLES.index_differing(connection, run)
            ((_, loaded),) = connection.execute(SQL["position"], {"run": run}).fetchall()
            ((listed, differing, new, changed, gone, claimed, anew),) = connection.execute(
                _for_run("totals", run)
            ).fetchall()
            if listed != loaded:
                raise _TABLES.missing()
            _TABLES.compared(connection, run, differing)
            # Every item that was listed stands for a row, but nobody's and the former ones of creations.
            known = listed - new - foreign - anew + gone
            return EnumerationResult(
                listed=listed, known=known, new=new, foreign=foreign, changed=changed, gone=gone, claimed=claimed
            )

        return self._metastore.transact(work)

    def mark(
        self, definition: SyncDefinition, run: RunId, *, lane: Lane, hold_deletes: bool, move: CursorMove | None
    ) -> Iterator[MarkedChunk]:
        """Raises MetastoreUnavailable when differences got lost: before the token is stored."""
        pages = _or_none(_TABLES.pages(self._metastore, run, self._chunk))
        for page in pages:
            parameters = {
                "definition": definition.id,
                "list": definition.target.list_id,
                "lane": int(lane),
                "hold_deletes": hold_deletes,
            }
            last = page is None or page.is_last
            yield self._metastore.transact(partial(_chunk, definition, run, page, parameters, move if last else None))

    def drop(self, run: RunId) -> None:
        self._metastore.transact(lambda connection: _TABLES.drop(connection, run))


def _or_none(pages: Iterator[Page]) -> Iterator[Page | None]:
    """The pages; where there is none, one that holds nothing: the token has to be stored all the same."""
    empty = True
    for page in pages:
        empty = False
        yield page
    if empty:
        yield None


def _chunk(
    definition: SyncDefinition,
    run: RunId,
    page: Page | None,
    parameters: Mapping[str, Any],
    move: CursorMove | None,
    connection: Connection,
) -> MarkedChunk:
    # The cursor is locked before the backlog, as a delta page does.
    moved = move is not None and move_delta(connection, definition, expected=move.expected, new=move.new)
    if page is None:
        return MarkedChunk(marked=0, moved=moved)
    values = {**parameters, "after": page.after, "last": page.last}
    return MarkedChunk(marked=connection.execute(_TABLES.compose(_MARK, run), values).rowcount, moved=moved)


def _for_run(name: LiteralString, run: RunId) -> sql.Composed:
    return _TABLES.compose(SQL[name], run)


def _move(connection: Connection, run: RunId, position: ListPosition) -> None:
    connection.execute(SQL["move"], {"run": run, "position": dumps(position)})


def _position(document: Mapping[str, Any]) -> ListPosition:
    cursor = document["cursor"]
    return ListPosition(
        cursor=None
        if cursor is None
        else DeltaCursor(token=cursor["token"], fingerprint=bytes.fromhex(cursor["fingerprint"])),
        since=MarkNumber(document["since"]),
        next_page=document["next_page"],
        complete=document["complete"],
    )
