"""Reading the items that may have changed; all others are assumed, and If-Match makes the assumption safe."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.core.backlog import Observation, Reason
from shared.core.definition import TargetList
from shared.core.flows import Flow
from shared.core.ids import Digest, ETag, FieldNo, IdentityHash, sync_key
from shared.core.items import Item, Looked, Stopped, Unread
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry
from shared.core.paused import unseen_under
from shared.core.reconcile import Policy
from shared.ports import ListStore
from shared.settle.work import Work

DigestsOf = Callable[[Item], Mapping[FieldNo, Digest]]
"""Canonical digests of a version's values, by field; without values that cannot be read."""

LOOK_REASONS = frozenset({Reason.ITEM_GONE, Reason.DOUBT, Reason.AGAIN, Reason.DRIFT, Reason.SAMPLE})


def must_look(work: Work) -> bool:
    """Whether the ledger's word about the item is not enough.

    A row that the ledger never saw needs no look: intents are on record before anything is sent, so nothing was; and
    the unique key column turns a second create into an answer that says so. The same holds for a tombstone.
    """
    entry, claimed = work.known, work.claimed
    if claimed.takeover or work.doubts:
        return True
    never_landed = entry is not None and entry.state is EntryState.CREATING and entry.item_id is None
    if never_landed and not (LOOK_REASONS - {Reason.ITEM_GONE} | {Reason.ITEM}) & claimed.reasons:
        return False  # every create that was recorded had no effect: that a list does not show its item is no news
    if LOOK_REASONS & claimed.reasons:
        return True
    if Reason.ITEM in claimed.reasons and (entry is None or claimed.news is None or claimed.news != entry.etag):
        return True
    if entry is None or entry.state is EntryState.TOMBSTONE or never_landed:
        return False
    return entry.state is not EntryState.SETTLED or entry.etag is None


def knows_too_little(work: Work, policy: Policy) -> bool:
    """Whether the ledger cannot say what the item has: see `lacks_agreement`."""
    return work.known is not None and work.known.state is EntryState.SETTLED and lacks_agreement(work.known, policy)


def lacks_agreement(entry: LedgerEntry, policy: Policy) -> bool:
    """Whether the item may have values that nobody has looked at: in a field that may flow to the row, since it was mapped;
    in one that was paused when somebody edited the item; or in any, where the row's half has landed and both sides were never
    agreed on as a whole."""
    base = entry.base or {}
    if entry.mapping_fingerprint is None:
        return True
    if not unseen_under(entry.mapping_fingerprint).isdisjoint(policy.flows):
        return True
    return any(no not in base for no, flow in policy.flows.items() if flow is not Flow.TO_ITEM)


def unseen(work: Work) -> bool:
    """Whether the item may have edits in fields that were paused, which its eTag does not tell."""
    return work.known is not None and bool(unseen_under(work.known.mapping_fingerprint))


def observe(work: Work, observations: Mapping[bytes, Observation]) -> bool:
    """Takes what the capture had in hand for a reading, where that is as good as one: the mark is still the one that was
    made with it, and the agreement is older than the page. With a write in doubt only a look tells."""
    seen, entry = observations.get(work.key), work.known
    if seen is None or entry is None or work.item_read or work.probe:
        return False
    current = seen.number == work.claimed.number and entry.confirmed is not None and entry.confirmed < seen.since
    if not current or work.doubts or work.claimed.takeover or entry.item_id != seen.item.id or work.observed:
        return False
    work.observed = True
    _take(work, seen.item)
    return True


def still_typing(work: Work, quiet: timedelta, now: datetime) -> timedelta | None:
    """How long a person's edit has to rest before it moves; None: long enough."""
    if work.item is None or (work.known is not None and work.known.etag == work.item.etag):
        return None
    return resting(work.item, quiet, now)


def resting(item: Item, quiet: timedelta, now: datetime) -> timedelta | None:
    """The rest of the time of quiet that the definition asks for since the item was modified; None: it is over."""
    if not quiet or item.modified is None:
        return None
    left = item.modified + quiet - now
    return min(left, quiet) if left > timedelta(0) else None


def look(
    lists: ListStore, target: TargetList, works: Sequence[Work]
) -> tuple[list[Work], list[Unread], Stopped | None]:
    """Reads the items of `works`: by id where one is known, else by sync key; by both where a create of ours may have made
    another one than is known, and the known one does not say whose it is.

    Returns the works whose item could not be read, with what was said about waiting, and what stops the definition.
    Works that were read have `item_read` set.
    """
    by_id = {
        work.known.item_id: work for work in works if work.known and work.known.item_id is not None and not work.probe
    }
    probes = [work for work in works if work.probe or work.known is None or work.known.item_id is None]
    unread: list[Work] = []
    said: list[Unread] = []
    if by_id:
        for item_id, answer in lists.look(target, list(by_id)).items():
            work = by_id[item_id]
            match answer:
                case Stopped():
                    return [], [], answer
                case Unread():
                    unread.append(work)
                    said.append(answer)
                case Looked(item=None) if work.state is not EntryState.SETTLED:
                    probes.append(work)
                case Looked(item=item):
                    _take(work, item)
                    if work.creates and work.lacks_key:
                        probes.append(work)
    if probes:
        by_key = {sync_key(IdentityHash(work.key)): work for work in probes}
        for key, answer in lists.find(target, list(by_key)).items():
            work = by_key[key]
            match answer:
                case Stopped():
                    return [], [], answer
                case Unread():
                    work.item_read = False
                    unread.append(work)
                    said.append(answer)
                case Looked(item=item):
                    _found(work, item)
    return unread, said, None


def _found(work: Work, item: Item | None) -> None:
    """By the row's key. A create that gets no answer may land after a person has brought the former item back: that one is
    found by its id, and does not have the key if it never got it, or has another one since. Of a row that is gone the item
    that has the key is looked at first: nobody has to stand for it."""
    known = work.known.item_id if work.known is not None else None
    another = item is not None and known is not None and item.id != known
    if another and work.creates and work.state is not EntryState.TOMBSTONE:
        work.made = item
    if not work.item_read or (another and work.state is EntryState.TOMBSTONE):
        _take(work, item)


def _take(work: Work, item: Item | None) -> None:
    work.item, work.item_read = item, True
    if item is not None and work.known is not None and item.id != work.known.item_id:
        work.base = None  # another item: nothing was agreed about it


def learn(work: Work, lists: ListStore, target: TargetList, digests_of: DigestsOf) -> None:
    """What an item tells about writes of ours whose answer was lost.

    A create: the item that carries the row's key is the one that it made, and what it sent was agreed on. A PATCH: the list's
    version history decides, where there is one; it was conditional on its eTag, so if it landed it made the very next
    version after that eTag.
    """
    if work.item is None:
        return
    if (creation := _creation_of(work)) is not None:
        work.base = dict(creation.digests)
        work.took_effect(creation)
    for intent in work.doubts:
        if intent.kind is not IntentKind.PATCH_ITEM or intent.guard is None or intent.item_id != work.item.id:
            continue
        if intent.guard == work.item.etag:
            continue  # its guard still holds: it has not landed
        versions = lists.versions_since(target, work.item.id, ETag(intent.guard))
        if not versions:
            continue  # no history: values have to be compared
        next_version = digests_of(versions[0])
        if all(next_version.get(no) == digest for no, digest in intent.digests.items()):
            work.base = {**(work.base or {}), **intent.digests}
            work.took_effect(intent)
        else:
            work.void(intent)


def _creation_of(work: Work) -> Intent | None:
    """The create that made the item as read, where only one can have. A row that had an item before may have got that one
    back: a person restored it, and what it holds was never sent by this create."""
    entry = work.known
    if entry is None or entry.state is not EntryState.CREATING or entry.item_id is not None or entry.generation > 1:
        return None
    creates = [intent for intent in work.doubts if intent.kind is IntentKind.CREATE_ITEM]
    return creates[0] if len(creates) == 1 and work.base is None else None
