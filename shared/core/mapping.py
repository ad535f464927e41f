"""A definition's fields applied to whole rows and items, and the fingerprints of what decides their outcome."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from shared.core.canonical import Canonical
from shared.core.definition import FieldMapping
from shared.core.digests import digest
from shared.core.errors import InvariantViolated, Unrepresentable
from shared.core.ids import Digest, FieldNo
from shared.core.items import Item
from shared.core.scope import Scope
from shared.core.scope_text import render_text
from shared.core.source import Row, SourceColumn, SourceKey
from shared.core.values import from_item, from_row

_RULES = 1
"""Number of the rules of shared.core.values: another number makes every row be looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    canonical: Canonical = field(repr=False)
    digest: Digest


def value_of(canonical: Canonical) -> Value:
    return Value(canonical=canonical, digest=digest(canonical))


def row_values(fields: Sequence[FieldMapping], row: Row) -> Mapping[FieldNo, Value]:
    """The canonical values of a row's mapped columns. Raises one Unrepresentable naming every column that does not fit.

    A mapped column that the row was read without is an InvariantViolated.
    """
    return _collected(fields, lambda mapping: from_row(mapping, _text(mapping, row.values)))


def item_values(fields: Sequence[FieldMapping], item: Item, site_zone: str) -> Mapping[FieldNo, Value]:
    """The canonical values of an item's mapped list columns; columns that are absent have no value. Raises one
    Unrepresentable that names every list column whose JSON is of another type than the mapping says."""
    zone = ZoneInfo(site_zone)
    return _collected(fields, lambda mapping: from_item(mapping, item.fields, zone))


def _text(mapping: FieldMapping, values: Mapping[str, str | None]) -> str | None:
    try:
        return values[mapping.source.name]
    except KeyError:
        raise InvariantViolated(f"the row was read without its mapped column {mapping.source.name}") from None


def _collected(fields: Iterable[FieldMapping], read: Callable[[FieldMapping], Canonical]) -> Mapping[FieldNo, Value]:
    values: dict[FieldNo, Value] = {}
    problems: list[Unrepresentable] = []
    for mapping in fields:
        try:
            values[mapping.no] = value_of(read(mapping))
        except Unrepresentable as problem:
            problems.append(problem)
    match problems:
        case []:
            return values
        case [only]:
            raise only
        case _:
            raise Unrepresentable("; ".join(problem.message for problem in problems), field=problems[0].field)


def mapping_fingerprint(fields: Iterable[FieldMapping], site_zone: str) -> bytes:
    """16 bytes over everything that decides what an item must look like for a given row.

    Names shown to people, choices, labels and indexes are no part of it: they change no value.
    """
    entries = sorted(
        [
            mapping.no,
            mapping.source.name,
            *_type(mapping.source),
            mapping.source.nullable,
            mapping.target_column_name,
            mapping.kind.value,
            mapping.direction.value,
            mapping.is_system_field,
            mapping.transform_rule,
            mapping.group,
        ]
        for mapping in fields
    )
    return _hashed([_RULES, site_zone, entries])


def scope_fingerprint(key: SourceKey, scope: Scope | None, soft_delete_column: SourceColumn | None) -> bytes:
    """16 bytes over what decides which rows are meant, and by what they are known."""
    return _hashed(
        [
            key.strategy.value,
            [[column.name, *_type(column)] for column in key.columns],
            None if scope is None else render_text(scope),
            None if soft_delete_column is None else [soft_delete_column.name, *_type(soft_delete_column)],
        ]
    )


def _type(column: SourceColumn) -> list[str | int | bool | None]:
    declared = column.type
    return [declared.name, declared.is_array, declared.is_enum, declared.length, declared.precision, declared.scale]


def _hashed(document: object) -> bytes:
    return hashlib.blake2b(json.dumps(document).encode(), digest_size=16).digest()
