"""What a definition may write and who wins, as one value: what a person agrees to, and what became of it since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.core.definition import (
    ConflictPolicy,
    DeletePolicy,
    Direction,
    FieldMapping,
    ForeignPolicy,
    LeftScope,
    SyncMode,
)
from shared.core.draft import DraftDefinition
from shared.core.ids import FieldNo
from shared.core.policies import policies_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledField:
    """A field that flows to the table."""

    no: FieldNo
    column: str
    direction: Direction
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Fields that are only pushed are no part of it: they write nothing but the list, which is what a definition is for."""

    mode: SyncMode
    row_deleted: DeletePolicy
    item_deleted: DeletePolicy
    left_scope: LeftScope
    foreign_items: ForeignPolicy
    conflict_policy: ConflictPolicy | None
    """None where nothing is merged both ways."""
    time_column: str | None
    """What LATEST_WINS compares."""
    pulled: tuple[PulledField, ...]


def terms_of(draft: DraftDefinition, fields: Sequence[FieldMapping]) -> Terms:
    policies = policies_of(draft)
    conflict = draft.conflict_policy if draft.mode is SyncMode.TWO_WAY else None
    return Terms(
        mode=draft.mode,
        row_deleted=policies.row_deleted,
        item_deleted=policies.item_deleted,
        left_scope=draft.left_scope,
        foreign_items=policies.foreign_items,
        conflict_policy=conflict,
        time_column=draft.cursor_column if conflict is ConflictPolicy.LATEST_WINS else None,
        pulled=tuple(
            PulledField(no=mapping.no, column=mapping.source.name, direction=mapping.direction, group=mapping.group)
            for mapping in sorted(fields, key=lambda mapping: mapping.no)
            if mapping.pulls
        ),
    )


_WORDS = {
    "mode": "the mode",
    "row_deleted": "row_deleted",
    "item_deleted": "item_deleted",
    "left_scope": "left_scope",
    "foreign_items": "foreign_items",
    "conflict_policy": "the conflict policy",
    "time_column": "the column that LATEST_WINS compares",
}


def changes(before: Terms | None, now: Terms) -> tuple[str, ...]:
    """What is different, each as a part of a sentence; nothing when they are equal."""
    if before is None:
        return ("nobody has agreed to anything yet",)
    return tuple(_changes(before, now))


def _changes(before: Terms, now: Terms) -> Iterator[str]:
    for name, words in _WORDS.items():
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            yield f"{words} was {old or 'not set'} and is {new or 'not set'}"
    was = {field.no: field for field in before.pulled}
    pulled = {field.no: field for field in now.pulled}
    came = {field.column for no, field in pulled.items() if no not in was}
    went = {field.column for no, field in was.items() if no not in pulled}
    moved, added, ended = sorted(came & went), sorted(came - went), sorted(went - came)
    if moved:
        yield f"the list writes {', '.join(moved)} from another list column, or another kind of one"
    if added:
        yield f"the list now writes {', '.join(added)}"
    if ended:
        yield f"the list does not write {', '.join(ended)} any more"
    for no, field in pulled.items():
        if no in was and was[no] != field:
            yield f"{field.column} is {field.direction} now" + (f", in the group {field.group}" if field.group else "")
