"""Settle: claim a page of subjects, look at both sides, reconcile, act, confirm. The only way to write to either side.

The way of one subject through a page is forward only:

    claimed -> changed keys followed -> writes without an answer told (recover) -> row read -> item read, where it may have
    changed -> judged -> its row written, with all others of the page in one transaction -> judged again -> its item
    written -> confirmed

A definite no (412, a row of another version, a duplicate) goes back to reading, at most `limits.rounds` times. A write
without an answer keeps its claim until the lease runs out: whoever takes over knows from the intents on record what to
ask for.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.errors import ConfigurationError, RowRejected, RowsHidden, SafetyStop, SyncError, Throttled, Transient
from shared.core.ids import ClaimToken, Digest, FieldNo, ItemSubject, RowSubject
from shared.core.items import Item
from shared.core.mapping import item_values, row_values
from shared.core.runs import RunCounts
from shared.core.source import Row
from shared.settle.decide import digests_of
from shared.settle.holds import hold_for
from shared.settle.job import BATCH, Job, PageResult, Tools
from shared.settle.judge import judge
from shared.settle.look import knows_too_little, learn, look, must_look, observe, still_typing
from shared.settle.page_state import PageState, Rounds, Steps
from shared.settle.recover import compare, recover
from shared.settle.renames import follow_renames, without_namesakes
from shared.settle.strays import settle_strays
from shared.settle.untold import position_of
from shared.settle.work import Work, start
from shared.settle.write_items import write_items
from shared.settle.write_rows import write_rows


def settle_page(job: Job, tools: Tools) -> Generator[Boundary, None, PageResult]:
    """Settles one page of due subjects of a definition; yields after each durable step.

    Raises Transient when the source or the metastore is away; claims that are not in doubt are given back first.
    """
    began = tools.clock.monotonic()
    token = ClaimToken(tools.ids.uuid())
    position = position_of(job.definition, tools)
    claim = tools.backlog.claim(
        job.definition.id, limit=job.limits.page, lease=job.limits.lease, token=token, lanes=job.lanes
    )
    if not claim.subjects:
        return PageResult(claimed=0)
    page = PageState(job, tools, claim, began, position=position)
    yield Boundary.CLAIMED
    try:
        yield from _settle(page)
    except SyncError:
        # The metastore may be what is away; what was written is then found again by its intents.
        with suppress(SyncError):
            yield from page.flush()
            page.tools.lists.release()
        page.give_back()
        raise
    page.tools.lists.release()
    return page.result()


def _settle(page: PageState) -> Steps:
    yield from follow_renames(page)
    rows = [c for c in page.claim.subjects if isinstance(c.subject, RowSubject) and c.subject.key in page.open]
    identities = [c.subject.identity for c in rows if isinstance(c.subject, RowSubject)]
    strays = [c for c in page.claim.subjects if isinstance(c.subject, ItemSubject)]
    if identities:
        entries = page.tools.ledger.entries(page.definition.id, identities)
        pending = []
        for claimed, identity in zip(rows, identities, strict=True):
            work = start(claimed, entries.get(identity))
            work.look = must_look(work) or knows_too_little(work, page.policy)
            pending.append(work)
        _wishes(page, pending)
        for _ in range(page.limits.rounds):
            if not pending or page.stopping:
                break
            pending = yield from _round(page, pending)
        for work in pending:
            page.later(work, timedelta(seconds=10), Reason.RETRY)
    if strays and not page.stopping:
        try:
            for conclusion in settle_strays(page, strays):
                page.conclude(conclusion, RunCounts(items_processed=1))
        except Throttled as throttled:
            page.wait = throttled.retry_after or 1.0
        except (SafetyStop, ConfigurationError) as stop:
            page.hold = hold_for(stop)
    yield from page.flush()
    page.give_back()


def _wishes(page: PageState, works: Sequence[Work]) -> None:
    asked = [work.identity for work in works if Reason.REVERSE in work.claimed.reasons]
    wishes = page.tools.wishes.open(page.definition.id, asked) if asked else {}
    for work in works:
        work.wishes = tuple(wishes.get(work.identity, ()))


def _round(page: PageState, works: Sequence[Work]) -> Rounds:
    """One look at each, and what follows from it; returns those that have to be looked at again."""
    try:
        works = recover(page, works)
        rows = page.tools.source.read_rows(page.definition.source, [work.identity for work in works])
    except RowsHidden as hidden:
        page.hold = hold_for(hidden)
        return []
    for work in works:
        work.row = rows.get(work.identity)
        compare(work, lambda row: _row_digests(page, row), page.definition.paused)
    yield Boundary.ROWS_READ
    readable = yield from _look(page, [work for work in works if work.look])
    if page.stopping:
        return []
    judged = judge(page, [work for work in works if not work.look or work.key in readable])
    half = yield from write_rows(page, judged.rows)
    left = judge(page, half.written, after_rows=True)
    again = yield from write_items(page, [*judged.items, *left.items])
    return [*judged.again, *half.again, *left.again, *again]


def _look(page: PageState, works: Sequence[Work]) -> Generator[Boundary, None, frozenset[bytes]]:
    """Reads items; returns the keys of those that were read and may be settled now."""
    if not works:
        return frozenset()
    target = page.definition.target
    unseen = [work for work in works if not observe(work, page.job.observations)]
    if unseen and page.policy.writes_items:
        page.tools.lists.reserve(min(len(unseen), BATCH))
    try:
        unread, said, stopped = look(page.tools.lists, target, unseen)
        without_namesakes(page, unseen)
        unclear = [] if stopped is not None else _learn(page, [work for work in works if work.made is None])
    except (SafetyStop, ConfigurationError) as stop:
        page.hold = hold_for(stop)
        return frozenset()
    if stopped is not None:
        page.hold = hold_for(stopped.error)
        return frozenset()
    yield Boundary.ITEMS_READ
    for work in works:
        if work.made is not None and work.item_read:
            page.hand_over(work)
    waits = [answer.retry_after for answer in said if answer.retry_after is not None]
    for work in unread:
        page.later(work, timedelta(seconds=max(waits, default=5.0)), Reason.DOUBT)
    for work, seconds in unclear:
        page.later(work, timedelta(seconds=seconds), Reason.DOUBT)
    readable = []
    for work in works:
        if not work.item_read or work.key not in page.open:
            continue
        wait = still_typing(work, page.definition.debounce, page.at().now)
        if wait is None:
            readable.append(work.key)
        else:
            page.later(work, wait, None)
    return frozenset(readable)


def _learn(page: PageState, works: Sequence[Work]) -> list[tuple[Work, float]]:
    """What the items tell about writes in doubt; returns the works whose item's history could not be read, with the
    seconds to wait. The others go on: a page that could not afford all of its readings has to use those that it has."""
    unclear = []
    for work in works:
        try:
            learn(work, page.tools.lists, page.definition.target, lambda item: _item_digests(page, item))
        except Transient as error:
            unclear.append((work, error.retry_after or 5.0))
    return unclear


def _item_digests(page: PageState, item: Item) -> Mapping[FieldNo, Digest]:
    """Of paused fields too: their columns are not as they were in the table, and the list has what a write of ours sent.
    Without those that cannot be read as values: nothing of ours is in them."""
    digests: dict[FieldNo, Digest] = {}
    for mapping in page.definition.fields:
        if mapping.no in page.policy.flows or mapping.paused is not None:
            with suppress(RowRejected):
                digests |= digests_of(item_values((mapping,), item, page.definition.target.site_zone))
    return digests


def _row_digests(page: PageState, row: Row) -> Mapping[FieldNo, Digest]:
    taking_part = tuple(mapping for mapping in page.definition.fields if mapping.no in page.policy.flows)
    return digests_of(row_values(taking_part, row))
