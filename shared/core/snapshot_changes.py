"""What became different between two snapshots of one table: the drift that pauses a field or a definition."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum

from shared.core.snapshot import Constraint, Index, TableSnapshot
from shared.core.source import SourceColumn


class ChangeKind(StrEnum):
    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


class Part(StrEnum):
    COLUMN = "COLUMN"
    CONSTRAINT = "CONSTRAINT"
    INDEX = "INDEX"
    TABLE = "TABLE"
    """What belongs to none of its parts: kind, replica identity, row-level security, comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    part: Part
    name: str
    kind: ChangeKind
    details: tuple[str, ...] = ()
    """Of what changed: which of its fields differ, as SourceColumn, Constraint, Index and TableSnapshot name them."""


def changes(before: TableSnapshot, after: TableSnapshot) -> tuple[Change, ...]:
    """The differences in structure, by part and name; estimates and column positions are none.

    A rename is a removal and an addition: the catalog does not tell it from one.
    """
    table = _differing(before, after, ignored={"table", "columns", "constraints", "indexes", "estimated_rows"})
    whole = [Change(part=Part.TABLE, name=str(after.table), kind=ChangeKind.CHANGED, details=table)] if table else []
    return (
        *_between(Part.COLUMN, before.columns, after.columns),
        *_between(Part.CONSTRAINT, before.constraints, after.constraints),
        *_between(Part.INDEX, before.indexes, after.indexes),
        *whole,
    )


_Named = SourceColumn | Constraint | Index


def _between(part: Part, before: Iterable[_Named], after: Iterable[_Named]) -> Iterator[Change]:
    old, new = {one.name: one for one in before}, {one.name: one for one in after}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield Change(part=part, name=name, kind=ChangeKind.REMOVED)
        elif name not in old:
            yield Change(part=part, name=name, kind=ChangeKind.ADDED)
        elif details := _differing(old[name], new[name], ignored={"position"}):
            yield Change(part=part, name=name, kind=ChangeKind.CHANGED, details=details)


def _differing(before: _Named | TableSnapshot, after: _Named | TableSnapshot, *, ignored: set[str]) -> tuple[str, ...]:
    names = [field.name for field in fields(before) if field.name not in ignored]
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))
