"""What is limited or missing about a definition, a sentence each."""

from collections.abc import Iterator
from datetime import timedelta

from shared.core.definition import ChangeDetection, ConflictPolicy, DeletePolicy, ForeignPolicy, SyncMode
from shared.core.policies import policies_of
from shared.core.record import DefinitionRecord
from shared.core.untold import Untold

UNTOLD_FOR = timedelta(days=30)
"""How long a definition's health tells of rows that changed without their cursor column."""


def health_of(record: DefinitionRecord, *, surface: timedelta, untold: Untold) -> tuple[str, ...]:
    """`surface`: how long a write whose answer was lost may still take effect. `untold`: of the last `UNTOLD_FOR`. How the
    list's changes come to be known is told elsewhere."""
    return tuple(_health(record, surface, untold))


def _health(record: DefinitionRecord, surface: timedelta, untold: Untold) -> Iterator[str]:
    yield from _list(record, surface)
    yield from paused_sentences(record)
    yield from _cursor(record, untold)
    if record.draft.change_detection is ChangeDetection.WATERMARK:
        yield "The watermark does not see deletes: a scan finds them once a day."
    yield from _direction(record)
    if record.draft.debounce:
        yield f"A person's edit moves once it has rested for {_words(record.draft.debounce)}."
    if record.state_reason:
        yield f"{record.state.value.capitalize()}: {record.state_reason}"


def paused_sentences(record: DefinitionRecord) -> tuple[str, ...]:
    """What takes no part for now, and what a person may do about it."""
    return tuple(
        f"The field {mapping.target_display_name} is paused since {mapping.paused.since:%Y-%m-%d %H:%M} UTC: "
        f"{mapping.paused.reason}. It is written on neither side; the other fields go on. It goes on by itself once its column "
        "is as it was, from what was agreed before. Or map the field to another column, or take it out; a column that was made "
        "anew waits for a person to resume the field."
        for mapping in record.fields
        if mapping.paused is not None
    )


def _list(record: DefinitionRecord, surface: timedelta) -> Iterator[str]:
    if record.target.list_id is None:
        yield "The list is not provisioned yet."
    elif not record.target.provisioned:
        yield "The fields changed: provision the list again, no run starts before."
    elif not record.target.keeps_versions:
        yield (
            "The list keeps no version history, or not of every item: what became of a write whose answer was lost is told "
            "by comparing values. "
            f"For up to {_words(surface)} after such a write, somebody who types back exactly what it sent is not told apart "
            "from it. Switch versions on in the list's settings to close this window."
        )


def _cursor(record: DefinitionRecord, untold: Untold) -> Iterator[str]:
    detection, column = record.draft.change_detection, record.draft.cursor_column
    if detection not in (ChangeDetection.WATERMARK, ChangeDetection.AUTO) or column is None or not untold.rows:
        return
    rows = "1 row" if untold.rows == 1 else f"{untold.rows:,} rows"
    seen = "" if untold.seen is None else f" (last seen {untold.seen:%Y-%m-%d %H:%M} UTC)"
    yield (
        f"The cursor column {record.table}.{column} is not trustworthy: within {_words(UNTOLD_FOR)} {rows} changed without it"
        f"{seen}. The watermark never sees such a change; a scan, or an edit of the item, did. Let changes be found by SCAN or "
        "STREAM, or see to it that every writer sets the column by the database's clock: a trigger before insert and update "
        "does."
    )


def _direction(record: DefinitionRecord) -> Iterator[str]:
    draft, policies = record.draft, policies_of(record.draft)
    if draft.mode is SyncMode.ONE_WAY_PULL:
        yield "The list is the record: it is never written to, and rows that no item stands for are left alone."
    if draft.mode is SyncMode.ONE_WAY_PUSH:
        return
    if policies.foreign_items is ForeignPolicy.IGNORE:
        yield "New items make no rows: foreign_items is IGNORE."
    deletes = policies.item_deleted in (DeletePolicy.PROPAGATE, DeletePolicy.APPROVE)
    if deletes and record.soft_delete_column is not None:
        yield f"A row whose item is deleted is marked in {record.soft_delete_column.name}, and stays."
    if draft.mode is SyncMode.TWO_WAY and draft.conflict_policy is ConflictPolicy.LATEST_WINS:
        yield (
            f"LATEST_WINS compares {draft.cursor_column} with the item's Modified, in whole seconds of two clocks: an edit "
            "counts as later by what the clocks say."
        )
    if any(mapping.is_system_field for mapping in record.fields) and draft.mode is SyncMode.TWO_WAY:
        yield "Columns of SharePoint's own are pulled: each write to an item is followed by a reading of it, at 1 RU."


def _words(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {word}{'s' * (count != 1)}"
    return f"{seconds:g} seconds"
