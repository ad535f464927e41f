"""What becomes of deleted and unknown units where a draft leaves it to the mode."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.definition import DeletePolicy, ForeignPolicy, SyncMode
from shared.core.draft import DraftDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    row_deleted: DeletePolicy
    item_deleted: DeletePolicy
    foreign_items: ForeignPolicy


SUGGESTED: Mapping[SyncMode, Policies] = {
    # The database is the record: what people delete in the list comes back.
    SyncMode.ONE_WAY_PUSH: Policies(
        row_deleted=DeletePolicy.PROPAGATE, item_deleted=DeletePolicy.RECREATE, foreign_items=ForeignPolicy.IGNORE
    ),
    # The list is the record: what is deleted in the table comes back.
    SyncMode.ONE_WAY_PULL: Policies(
        row_deleted=DeletePolicy.RECREATE, item_deleted=DeletePolicy.PROPAGATE, foreign_items=ForeignPolicy.INSERT
    ),
    SyncMode.TWO_WAY: Policies(
        row_deleted=DeletePolicy.PROPAGATE, item_deleted=DeletePolicy.PROPAGATE, foreign_items=ForeignPolicy.INSERT
    ),
}


def policies_of(draft: DraftDefinition) -> Policies:
    """The draft's own choices, and the mode's for what it leaves open."""
    suggested = SUGGESTED[draft.mode]
    return Policies(
        row_deleted=draft.row_deleted or suggested.row_deleted,
        item_deleted=draft.item_deleted or suggested.item_deleted,
        foreign_items=draft.foreign_items or suggested.foreign_items,
    )
