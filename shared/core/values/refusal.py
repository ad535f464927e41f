"""How a value that does not fit the other side is refused: column, type and accepted shape, never the value."""

from shared.core.definition import FieldMapping
from shared.core.errors import Unrepresentable


def unfit_for_list(field: FieldMapping, accepted: str) -> Unrepresentable:
    return Unrepresentable(
        f"{field.source.name} ({field.source.type.declared}) holds a value that the list column "
        f'"{field.target_display_name}" ({field.kind}) cannot keep: accepted is {accepted}',
        field=field.source.name,
    )


def unfit_for_row(field: FieldMapping, accepted: str) -> Unrepresentable:
    return Unrepresentable(
        f'the list column "{field.target_display_name}" ({field.kind}) holds a value that {field.source.name} '
        f"({field.source.type.declared}) cannot keep: accepted is {accepted}",
        field=field.source.name,
    )
