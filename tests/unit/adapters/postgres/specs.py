"""Specs made by hand, for statements that no database has to run."""

from uuid import UUID

from shared.core.definition import SourceSpec
from shared.core.ids import InstanceId
from shared.core.scope_text import parse
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, SourceType, TableRef


def column(name: str, type_: str = "text", **changes) -> SourceColumn:
    return SourceColumn(name=name, type=SourceType(**{"name": type_, "declared": type_} | changes))


def spec(*columns: SourceColumn, key: int = 1, scope: str | None = None, **changes) -> SourceSpec:
    return SourceSpec(
        **{
            "instance_id": InstanceId(UUID(int=1)),
            "table": TableRef(schema="app", name="orders"),
            "relation": RelationKind.TABLE,
            "key": SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=columns[:key]),
            "columns": columns,
            "scope": None if scope is None else parse(scope),
        }
        | changes
    )
