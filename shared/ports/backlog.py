"""The backlog: what may differ, and who is at it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Protocol

from shared.core.backlog import BacklogCounts, Claim, Claimed, Lane, Mark
from shared.core.ids import ClaimToken, DefinitionId, MarkNumber
from shared.core.renames import KeyChange


class Backlog(Protocol):
    def mark(self, definition: DefinitionId, marks: Iterable[Mark], renames: Sequence[KeyChange] = ()) -> int:
        """In chunks, in the order of their hash; how many were made or renumbered. `renames`, in their order, come with them."""

    def next_number(self) -> MarkNumber:
        """From the marks' sequence: put before a delta page is requested, it orders the page against confirmations."""

    def claim(
        self, definition: DefinitionId, *, limit: int, lease: timedelta, token: ClaimToken, lanes: Sequence[Lane]
    ) -> Claim: ...

    def still_held(self, definition: DefinitionId, token: ClaimToken, subjects: Sequence[Claimed]) -> frozenset[bytes]:
        """Keys of those subjects whose claim is still ours and has not run out."""

    def set_aside(self, definition: DefinitionId, keys: Sequence[bytes]) -> frozenset[bytes]:
        """Keys of those subjects that are parked, or wait for a person: nothing is done about them for now."""

    def release(
        self,
        definition: DefinitionId,
        token: ClaimToken,
        subjects: Sequence[Claimed],
        *,
        due_in: timedelta | None = None,
    ) -> None: ...

    def counts(self, definition: DefinitionId) -> BacklogCounts: ...

    def peek(self, definition: DefinitionId, *, after: bytes | None, limit: int) -> Sequence[Claimed]:
        """Subjects that are to be settled, now or later, in the order of their hash; claimed by nobody by this. Those that
        wait for a person are not among them."""
