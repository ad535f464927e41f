"""Short ways to make the core's nouns in tests."""

from typing import Any

from shared.core.definition import Direction, FieldKind, FieldMapping
from shared.core.ids import FieldNo
from shared.core.source import SourceColumn, SourceType


def a_type(name: str = "text", **more: Any) -> SourceType:
    return SourceType(name=name, declared=more.pop("declared", name), **more)


def a_column(name: str = "col", type_: SourceType | str = "text", **more: Any) -> SourceColumn:
    return SourceColumn(name=name, type=a_type(type_) if isinstance(type_, str) else type_, **more)


def a_field(
    kind: FieldKind = FieldKind.TEXT,
    type_: SourceType | str = "text",
    *,
    no: int = 1,
    direction: Direction = Direction.BIDIRECTIONAL,
    nullable: bool = True,
    name: str = "col",
    target: str = "Col",
    **more: Any,
) -> FieldMapping:
    return FieldMapping(
        no=FieldNo(no),
        source=a_column(name, type_, nullable=nullable),
        target_column_name=target,
        target_display_name=more.pop("display", "Column"),
        kind=kind,
        direction=direction,
        **more,
    )
