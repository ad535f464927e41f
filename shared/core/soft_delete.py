"""Rows that are marked as deleted instead of being deleted: what the marker holds."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.core.families import Family, family_of
from shared.core.source import SourceColumn


def marked(column: SourceColumn, now: datetime) -> Mapping[str, str | None]:
    """The text form that marks a row, by column name: true, or the time of the deletion in UTC."""
    time = now.astimezone(UTC).replace(tzinfo=None)
    match family_of(column.type):
        case Family.BOOLEAN:
            text = "true"
        case Family.DATE:
            text = time.date().isoformat()
        case Family.TIMESTAMPTZ:
            text = f"{time.isoformat(sep=' ')}+00"
        case _:
            text = time.isoformat(sep=" ")
    return {column.name: text}


def cleared(column: SourceColumn) -> Mapping[str, str | None]:
    """What takes the mark away again."""
    return {column.name: "false" if family_of(column.type) is Family.BOOLEAN else None}
