"""Runs: what they did and cost."""

from typing import Protocol

from shared.core.ids import RunId
from shared.core.runs import RunCounts


class Runs(Protocol):
    def add_counts(self, run: RunId, counts: RunCounts) -> None: ...

    def note(self, run: RunId, note: str) -> None:
        """A sentence that explains what the run did or why it did nothing."""
