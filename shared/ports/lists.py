"""The list, through the governed client."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from shared.core.definition import FieldMapping, TargetList
from shared.core.ids import ETag, ItemId
from shared.core.items import DeltaPage, Item, ItemWrite, Look, Outcome


class ListStore(Protocol):
    """Items of one list through the governed client. One instance per definition, lane and run."""

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        """Read items by id. ListGone and missing rights come back as Stopped, never as an absent item."""

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        """Read items by their sync key (the unique hidden column)."""

    def reserve(self, writes: int) -> None:
        """The next reading takes the RU of so many writes along with its own, and is refused where they are not to be
        had: what was read can then be written, however much the others spend. Without that a small budget could go into
        readings for ever."""

    def release(self) -> None:
        """Gives back what no write has used of it."""

    def write(self, target: TargetList, writes: Sequence[ItemWrite]) -> Mapping[UUID, Outcome]:
        """At most 20 writes, in one $batch; an outcome for every op."""

    def versions_since(self, target: TargetList, item: ItemId, etag: ETag) -> Sequence[Item] | None:
        """The item as each version written after `etag` left it, oldest first; None where history cannot tell."""

    def drift(self, target: TargetList, fields: Sequence[FieldMapping]) -> tuple[str, ...]:
        """How the list's columns differ from what these fields say of them, a sentence each; (): they are as they say.

        A column that was removed shows in items as a value that is missing: only the list itself tells the two apart."""

    def delta(self, target: TargetList, token: str | None) -> DeltaPage: ...

    def enumerate(self, target: TargetList, token: str | None) -> DeltaPage:
        """Every item's id and eTag, and whether it has a key, by plain paging; `complete` at the end. Raises
        DeltaExpired when a page's link is not known any more: begin anew."""
