"""What of a table is not any more what a definition was made for."""

from collections.abc import Iterator

from shared.core.definition import SourceSpec
from shared.core.scope import columns_of
from shared.core.snapshot import TableSnapshot


def drift_of(spec: SourceSpec, now: TableSnapshot) -> tuple[str, ...]:
    """A sentence for each column that the definition uses and that is gone, was renamed, or is of another type."""
    return tuple(_drifts(spec, now))


def _drifts(spec: SourceSpec, now: TableSnapshot) -> Iterator[str]:
    used = {column.name: column for column in (*spec.key.columns, *spec.columns)}
    for extra in (spec.soft_delete_column, spec.cursor_column):
        if extra is not None:
            used[extra.name] = extra
    for name, column in used.items():
        found = now.column(name)
        if found is None:
            yield f"the column {name} is gone, or has another name now"
        elif (found.type.name, found.type.is_array) != (column.type.name, column.type.is_array):
            yield f"the column {name} was {column.type.declared} and is {found.type.declared} now"
    if spec.scope is not None:
        for name in columns_of(spec.scope):
            if name not in used and now.column(name) is None:
                yield f"the column {name} of the row filter is gone, or has another name now"
