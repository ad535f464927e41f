"""The capture of the whole list: ids and eTags of every item against the ledger, compared in the metastore at one moment.

For the first sync, after a token was refused, and for drift. The token that stands for now is taken before the first page,
so that nothing that happens while the pages are read is passed over, and stored with the last marks. Absence is judged
only when the list has ended: an item that was not seen makes settle look, and deletes nothing by itself. Guards speak
before a single mark is made. A step that is cut off goes on where it stopped, or begins anew.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from shared.captures.delta import delta_fingerprint
from shared.core.backlog import Lane
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.errors import ConfigurationError, DeltaExpired, GraphUnavailable
from shared.core.guards import judge_enumeration
from shared.core.ids import RunId
from shared.core.items import LATEST
from shared.core.runs import DeltaCursor
from shared.ports import (
    Backlog,
    CursorMove,
    EnumerationResult,
    Enumerations,
    HoldRequest,
    Holds,
    ListCursors,
    ListPosition,
    ListStore,
    request_of,
)

ATTEMPTS = 3
"""How often pages that cannot be followed to their end are begun anew within one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumerationReport:
    pages: int
    """Read by this call."""
    result: EnumerationResult | None = None
    """None: the list was not read to its end yet; the next call goes on."""
    marked: int = 0
    stored: bool = False
    """The token is stored: changes are told from it on."""
    without_token: bool = False
    """There was none to store: this cloud does not tell the changes of lists, or none was wanted."""
    holds: tuple[HoldRequest, ...] = ()

    @property
    def finished(self) -> bool:
        return self.result is not None

    @property
    def held(self) -> bool:
        """Whether the whole definition was stopped, and nothing marked."""
        return any(not hold.deletes_only for hold in self.holds)


def enumerate_list(
    definition: SyncDefinition,
    run: RunId,
    *,
    lists: ListStore,
    enumerations: Enumerations,
    cursors: ListCursors,
    backlog: Backlog,
    holds: Holds,
    lane: Lane = Lane.PEOPLE,
    take_token: bool = True,
    go_on: Callable[[], bool] = lambda: True,
) -> Generator[Boundary, None, EnumerationReport]:
    """Marks every item that the ledger does not have as it is, and every row whose item was not seen.

    `take_token` False (drift): the stored token stays as it is. `go_on` is asked after each page. Raises what the list
    raises; what was read stays for the next call of the same run.
    """
    expected = cursors.get_delta(definition.id, definition.target.list_id)
    pages, position = yield from _read(definition, run, lists, enumerations, backlog, take_token, go_on)
    if not position.complete:
        return EnumerationReport(pages=pages)
    move = None if position.cursor is None else CursorMove(expected=expected, new=position.cursor)
    result = enumerations.compare(definition, run, position)
    waived = holds.waived(definition.id)
    requests = tuple(
        request_of(verdict) for verdict in judge_enumeration(definition, result) if verdict.kind not in waived
    )
    for request in requests:
        holds.open(definition.id, request, run)
    yield Boundary.LIST_COMPARED
    marked, stored = 0, False
    if all(request.deletes_only for request in requests):
        for chunk in enumerations.mark(definition, run, lane=lane, hold_deletes=bool(requests), move=move):
            marked, stored = marked + chunk.marked, chunk.moved
            yield Boundary.LIST_MARKED
    enumerations.drop(run)
    return EnumerationReport(
        pages=pages, result=result, marked=marked, stored=stored, without_token=move is None, holds=requests
    )


def _read(
    definition: SyncDefinition,
    run: RunId,
    lists: ListStore,
    enumerations: Enumerations,
    backlog: Backlog,
    take_token: bool,
    go_on: Callable[[], bool],
) -> Generator[Boundary, None, tuple[int, ListPosition]]:
    """Pages into the run's table, from where an earlier call stopped; how many, and how far it came."""
    pages, attempts = 0, 0
    position = _usable(definition, enumerations.position(run), take_token)
    while True:
        if position is None:
            position = _beginning(definition, lists, backlog, take_token)
            enumerations.start(definition, run, position)
        while not position.complete:
            try:
                page = lists.enumerate(definition.target, position.next_page)
            except DeltaExpired:
                position = None
                break
            pages += 1
            position = ListPosition(
                cursor=position.cursor,
                since=position.since,
                next_page=None if page.complete else page.next_token,
                complete=page.complete,
            )
            enumerations.load(run, page.entries, position)
            yield Boundary.LIST_LOADED
            if not position.complete and not go_on():
                break
        if position is not None:
            return pages, position
        attempts += 1
        if attempts == ATTEMPTS:
            raise GraphUnavailable("The pages of the list cannot be followed to their end.", code="pages_lost")


def _beginning(definition: SyncDefinition, lists: ListStore, backlog: Backlog, take_token: bool) -> ListPosition:
    since = backlog.next_number()
    if not take_token:
        return ListPosition(cursor=None, since=since)
    try:
        token = lists.delta(definition.target, LATEST).next_token
    except ConfigurationError as error:
        if error.code != "delta_unavailable":
            raise
        return ListPosition(cursor=None, since=since)
    return ListPosition(cursor=DeltaCursor(token=token, fingerprint=delta_fingerprint(definition)), since=since)


def _usable(definition: SyncDefinition, position: ListPosition | None, take_token: bool) -> ListPosition | None:
    """A position whose token asks for other columns is of no use."""
    if position is None or not take_token or position.cursor is None:
        return position
    return position if position.cursor.fingerprint == delta_fingerprint(definition) else None
