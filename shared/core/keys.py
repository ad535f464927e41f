"""Where the key of a row comes from that a list's new item is to become."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from shared.core.definition import FieldMapping
from shared.core.families import Family, family_of
from shared.core.source import SourceColumn


class NewKey(StrEnum):
    PULLED = "PULLED"
    """From the item: every key column has a field that is read from it."""
    RESERVED = "RESERVED"
    """Made before the row is inserted: a number of the column's own sequence, or a UUID."""


def pulled_key(key: Iterable[SourceColumn], fields: Sequence[FieldMapping]) -> tuple[FieldMapping, ...] | None:
    """For each key column the field that takes it from an item; None: not every key column has one."""
    found = []
    for column in key:
        mapping = next((m for m in fields if m.source.name == column.name and m.pulls), None)
        if mapping is None:
            return None
        found.append(mapping)
    return tuple(found)


def can_be_reserved(key: Sequence[SourceColumn]) -> bool:
    """Whether values that no row has can be made for every column of the key."""
    return bool(key) and all(column.identity or family_of(column.type) is Family.UUID for column in key)


def new_key(key: Sequence[SourceColumn], fields: Sequence[FieldMapping]) -> NewKey | None:
    """None: nothing gives a new row its key."""
    if pulled_key(key, fields) is not None:
        return NewKey.PULLED
    return NewKey.RESERVED if can_be_reserved(key) else None
