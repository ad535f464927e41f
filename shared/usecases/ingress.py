"""What an ingress activity does: the list's changes page by page, each settled while its values are at hand."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.captures.delta import DeltaReport, DeltaState, delta_page
from shared.captures.enumeration import EnumerationReport, enumerate_list
from shared.core.backlog import Lane, Observation
from shared.core.definition import SyncDefinition
from shared.core.errors import Throttled
from shared.core.ids import RunId
from shared.core.runs import RunCounts
from shared.ports import Enumerations, ListCursors
from shared.settle.job import Job, Limits, Tools
from shared.settle.page import settle_page
from shared.usecases.steps import drive

REFUSED_AGAIN = 60.0
"""Seconds to wait when a token that was just taken is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedList:
    numbers: Mapping[str, int]
    """What this step saw; the steps of one run add up. pages, entries, echoes, marked, enumerations, listed, gone, …"""
    notes: tuple[str, ...]
    """Sentences for a person."""
    counts: RunCounts
    """What was settled on the way."""
    held: bool
    """The definition was stopped: nothing more is to be done."""
    wait: float | None
    """Seconds that everybody has to wait."""
    more: bool
    """The list has more to tell now."""


@dataclass(slots=True, kw_only=True)
class _Step:
    """Mutable: one step's private state."""

    numbers: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    counts: RunCounts = field(default_factory=RunCounts)

    def result(self, *, held: bool = False, wait: float | None = None, more: bool = False) -> CapturedList:
        return CapturedList(
            numbers=dict(self.numbers),
            notes=tuple(dict.fromkeys(self.notes)),
            counts=self.counts,
            held=held,
            wait=wait,
            more=more,
        )


def capture_list(
    definition: SyncDefinition,
    run: RunId,
    tools: Tools,
    *,
    cursors: ListCursors,
    enumerations: Enumerations,
    limits: Limits,
    seconds: float,
    go_on: Callable[[], bool],
    lane: Lane = Lane.PEOPLE,
) -> CapturedList:
    """Reads the list's changes until there are no more, everybody has to wait, a hold is needed, or `seconds` are over.

    Without a token that can be used the whole list is read first. After each page of changes a page of the backlog is
    settled with what is at hand; what is left is for the run's settle steps. `go_on` is asked between two pages: False
    when the definition or the run is not what it was any more. Raises what the list, the source and the metastore raise.
    """
    until = tools.clock.monotonic() + seconds
    step = _Step()
    enumerated = False

    def in_time() -> bool:
        return tools.clock.monotonic() < until and go_on()

    try:
        while True:
            page = drive(
                delta_page(
                    definition,
                    lists=tools.lists,
                    cursors=cursors,
                    backlog=tools.backlog,
                    ledger=tools.ledger,
                    lane=lane,
                )
            )
            _tally(step, page)
            if page.state is DeltaState.ENUMERATE:
                if enumerated:
                    step.notes.append("A token that was just taken is refused; the list is read again in a minute.")
                    return step.result(wait=REFUSED_AGAIN, more=True)
                whole = drive(
                    enumerate_list(
                        definition,
                        run,
                        lists=tools.lists,
                        enumerations=enumerations,
                        cursors=cursors,
                        backlog=tools.backlog,
                        holds=tools.holds,
                        lane=lane,
                        go_on=in_time,
                    )
                )
                _tally_whole(step, whole)
                if whole.held:
                    return step.result(held=True)
                if not whole.finished:
                    return step.result(more=True)
                if whole.without_token:
                    return step.result()
                enumerated = True
            elif page.marked:
                hold, wait = _settle(definition, run, tools, limits, lane, page.observations, step)
                if hold or wait is not None:
                    return step.result(held=hold, wait=wait, more=page.state is not DeltaState.COMPLETE)
            if page.state is DeltaState.COMPLETE:
                return step.result()
            if not in_time():
                return step.result(more=True)
    except Throttled as throttled:
        return step.result(wait=throttled.retry_after or 1.0, more=True)


def _settle(
    definition: SyncDefinition,
    run: RunId,
    tools: Tools,
    limits: Limits,
    lane: Lane,
    observations: Mapping[bytes, Observation],
    step: _Step,
) -> tuple[bool, float | None]:
    """Whether the definition has to stop, and how long everybody has to wait."""
    job = Job(definition=definition, run=run, lanes=(lane,), limits=limits, observations=observations)
    page = drive(settle_page(job, tools))
    step.counts += page.counts
    step.numbers["settled"] += page.confirmed
    if page.hold is not None:
        tools.holds.open(definition.id, page.hold, run)
    return page.hold is not None, page.wait


def _tally(step: _Step, page: DeltaReport) -> None:
    if page.expired is not None:
        step.notes.append(
            f"The token of the list's changes was refused ({page.expired}): the whole list is read instead."
        )
    if page.state in (DeltaState.MORE, DeltaState.COMPLETE):
        step.numbers.update(pages=1, entries=page.entries, echoes=page.echoes, foreign=page.foreign, marked=page.marked)
    if page.state is DeltaState.COMPLETE and not step.numbers["enumerations"]:
        if not step.numbers["entries"]:
            step.notes.append("The list has not changed since it was last read.")
        elif not step.numbers["marked"]:
            step.notes.append(
                "All changes of the list were our own writes, or items that no row stands for: nothing to do."
            )


def _tally_whole(step: _Step, whole: EnumerationReport) -> None:
    step.numbers.update(pages=whole.pages, marked=whole.marked)
    found = whole.result
    if found is None:
        return
    step.numbers.update(
        enumerations=1,
        listed=found.listed,
        new=found.new,
        foreign=found.foreign,
        changed=found.changed,
        gone=found.gone,
        claimed=found.claimed,
    )
    step.notes += [hold.explanation for hold in whole.holds]
    if not whole.holds:
        step.notes.append(
            f"The whole list was read: {found.listed:,} items, of which {found.new:,} are new and {found.changed:,} changed; "
            f"{found.gone:,} that stood for rows are gone."
        )
    if whole.without_token:
        step.notes.append("This cloud does not tell the changes of lists: each run reads the whole list.")
