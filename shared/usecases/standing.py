"""What of a definition waits for a person, a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.core.backlog import BacklogCounts


def standing(holds: Sequence[Mapping[str, Any]], counts: BacklogCounts) -> tuple[str, ...]:
    """`holds`: the open ones. The worst comes first."""
    return tuple(_standing(holds, counts))


def _standing(holds: Sequence[Mapping[str, Any]], counts: BacklogCounts) -> Iterator[str]:
    for hold in sorted(holds, key=lambda hold: bool(hold["deletes_only"])):
        what = "Deletes are held" if hold["deletes_only"] else "Held"
        yield f"{what} ({hold['kind']}): {hold['explanation']}"
    if counts.parked:
        yield f"{_subjects(counts.parked)} set aside, each with its reason: see `parked`."
    if counts.awaiting_approval:
        deletes = "1 delete waits" if counts.awaiting_approval == 1 else f"{counts.awaiting_approval:,} deletes wait"
        yield f"{deletes} for a person: see `awaiting-approval`."


def _subjects(count: int) -> str:
    return "1 row or item is" if count == 1 else f"{count:,} rows and items are"
