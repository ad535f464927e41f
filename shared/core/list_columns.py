"""The list's columns as Graph describes them, and what a mapping has to know of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.definition import FieldKind, FieldMapping

SYSTEM_COLUMNS: Mapping[str, FieldKind] = {
    "ID": FieldKind.COUNTER,
    "Created": FieldKind.DATETIME,
    "Modified": FieldKind.DATETIME,
    "Author": FieldKind.PERSON,
    "Editor": FieldKind.PERSON,
    "_UIVersionString": FieldKind.TEXT,
}
"""What SharePoint writes itself: pulled, never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListColumn:
    name: str
    """The internal name."""
    display_name: str
    kind: FieldKind
    read_only: bool = False
    hidden: bool = False
    indexed: bool = False
    unique: bool = False
    required: bool = False
    choices: tuple[str, ...] = ()
    """Empty where people may fill in their own."""
    max_length: int | None = None
    id: str | None = None
    """A GUID that no other column ever gets: https://learn.microsoft.com/graph/api/resources/columndefinition"""
    multiple: bool = False
    """A lookup or person column that holds several."""


def kind_of(column: Mapping[str, Any]) -> FieldKind:
    """What Graph's columnDefinition makes of a column. A column without a facet, or with one that holds no value of
    ours (calculated, hyperlink, managed metadata, rich text), is UNKNOWN: a listing leaves those facets out
    (https://learn.microsoft.com/graph/api/resources/columndefinition)."""
    if column.get("name") in SYSTEM_COLUMNS:
        return SYSTEM_COLUMNS[column["name"]]
    match column:
        case {"text": {"textType": "richText"}}:
            return FieldKind.UNKNOWN
        case {"text": {"allowMultipleLines": True}}:
            return FieldKind.NOTE
        case {"text": {}}:
            return FieldKind.TEXT
        case {"number": {}}:
            return FieldKind.NUMBER
        case {"currency": {}}:
            return FieldKind.CURRENCY
        case {"boolean": {}}:
            return FieldKind.BOOLEAN
        case {"dateTime": {"format": "dateOnly"}}:
            return FieldKind.DATE
        case {"dateTime": {}}:
            return FieldKind.DATETIME
        case {"choice": {"displayAs": "checkBoxes"}}:
            return FieldKind.MULTICHOICE
        case {"choice": {}}:
            return FieldKind.CHOICE
        case {"lookup": {}}:
            return FieldKind.LOOKUP
        case {"personOrGroup": {}}:
            return FieldKind.PERSON
        case _:
            return FieldKind.UNKNOWN


def list_column(column: Mapping[str, Any]) -> ListColumn:
    """From Graph's columnDefinition JSON; members that are left out count as false."""
    kind = kind_of(column)
    choice = column.get("choice") or {}
    lookup = column.get("lookup") or {}
    person = column.get("personOrGroup") or {}
    return ListColumn(
        name=column["name"],
        display_name=column.get("displayName") or column["name"],
        kind=kind,
        read_only=bool(column.get("readOnly")),
        hidden=bool(column.get("hidden")),
        indexed=bool(column.get("indexed")),
        unique=bool(column.get("enforceUniqueValues")),
        required=bool(column.get("required")),
        choices=() if choice.get("allowTextEntry") else tuple(choice.get("choices") or ()),
        max_length=(column.get("text") or {}).get("maxLength") if kind is FieldKind.TEXT else None,
        id=column.get("id"),
        multiple=bool(lookup.get("allowMultipleValues") or person.get("allowMultipleSelection")),
    )


def differences(fields: Iterable[FieldMapping], columns: Iterable[ListColumn]) -> tuple[str, ...]:
    """How a list's columns differ from what fields say of them: those that are not there, of another kind, or made anew."""
    there = {column.name: column for column in columns}
    return tuple(
        sentence
        for field in fields
        if not field.is_system_field and (sentence := _difference(field, there.get(field.target_column_name)))
    )


def _difference(field: FieldMapping, column: ListColumn | None) -> str | None:
    if column is None:
        return f"The list has no column {field.target_column_name} any more."
    if column.kind is not field.kind:
        return f"The list's column {column.name} is of the kind {column.kind} now; the definition says {field.kind}."
    if made_anew(field, column):
        return f"The list's column {column.name} is another one of the same name, which was made anew."
    return None


def made_anew(field: FieldMapping, column: ListColumn | None) -> bool:
    """Whether the list has another column than the one that was agreed about, under its name."""
    known = field.target_column_id
    return column is not None and None not in (known, column.id) and known != column.id
