"""Rows whose key changed: their item stands for the new key before anything is settled.

Until the item's key column is put right it still carries the former key. So an item that is found by a key is a row's only
if it does not stand for another one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.core.backlog import SCAN_LIKE, Reason
from shared.core.boundaries import Boundary
from shared.core.errors import RowsHidden
from shared.core.ids import ItemId, RowSubject, identity_hash
from shared.core.ledger import EntryState
from shared.settle.holds import hold_for
from shared.settle.page_state import PageState, Steps
from shared.settle.work import Work

BUSY = timedelta(seconds=1)
"""Until a row is tried again of which it could not be told yet where its item belongs."""
NAMESAKE = timedelta(seconds=5)
"""Until a row is tried again whose key another row's item still carries."""

KEPT_NAMESAKE = (
    "an item that stays in the list without its row, whose key had changed, still carries this row's key: delete that item,"
    " or bring its row back; this row gets an item of its own then"
)
WAITING_NAMESAKE = (
    "the item of another row, whose key had changed, still carries this row's key, and that other row is set aside or waits"
    " for a person: see to it first; this row gets an item of its own then"
)


def follow_renames(page: PageState) -> Steps:
    """Carries out the renames that concern claimed rows; those that cannot be settled yet are given back."""
    claimed = {c.subject.identity: c for c in page.claim.subjects if isinstance(c.subject, RowSubject)}
    told = page.tools.renames.touching(page.definition.id, list(claimed)) if claimed else ()
    if not told:
        return
    # A scan has compared everything: its run ends with both sides equal, and waits for no message.
    scanned = {identity for identity, one in claimed.items() if one.reasons & SCAN_LIKE}
    renames = [replace(one, fresh=one.fresh and not scanned & {one.former, one.new}) for one in told]
    named = {identity: None for rename in renames for identity in (rename.former, rename.new)}
    try:
        present = page.tools.source.read_rows(page.definition.source, list(named)).keys()
    except RowsHidden as hidden:
        page.hold = hold_for(hidden)
        return
    if not page.policy.writes_items:
        present = named.keys()  # nobody would put the item's key right: the row's item stays with its key
    followed = page.tools.renames.follow(page.definition.id, page.claim.token, renames, present=present)
    page.leave(followed.busy, BUSY)
    yield Boundary.RENAMED


def without_namesakes(page: PageState, works: Sequence[Work]) -> None:
    """An item that was found by its key and stands for another row is not this one's. A row that is there waits until the
    item has its own key; for one that is gone there is no item."""
    found: dict[ItemId, Work] = {}
    for work in works:
        item = work.made or work.item
        if item is not None and (work.known is None or work.known.item_id != item.id):
            found[item.id] = work
    if not found:
        return
    bound = page.tools.ledger.by_items(page.definition.id, page.definition.target.list_id, list(found))
    theirs = {item_id: entry for item_id, entry in bound.items() if entry.identity != found[item_id].identity}
    keys = [identity_hash(entry.identity) for item_id, entry in theirs.items() if found[item_id].row is not None]
    waiting = page.tools.backlog.set_aside(page.definition.id, keys) if keys else frozenset()
    for item_id, entry in theirs.items():
        work = found[item_id]
        work.made = None
        if work.item is not None and work.item.id == item_id:
            work.item = None
        if work.row is not None:
            work.item_read = False
            kept = entry.state is EntryState.SETTLED and entry.stamp is None and entry.mapping_fingerprint is not None
            if kept:  # nothing is written to it any more
                page.park(work, "key_taken", KEPT_NAMESAKE)
            elif identity_hash(entry.identity) in waiting:  # a person may take days
                page.park(work, "key_taken", WAITING_NAMESAKE)
            else:
                page.later(work, NAMESAKE, Reason.DOUBT)
