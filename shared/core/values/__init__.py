"""Values on their way between a row's text forms, canonical values, and the JSON of Graph's `fields`.

    row text --from_row--> canonical --to_item--> JSON
    row text <--to_row---- canonical <-from_item- JSON

A field's source type and list column kind say how; which pairs there are is told by shared.core.columns. Whatever the
other side would cut, round or refuse raises Unrepresentable before anything is sent.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from typing import Any

from shared.core.canonical import Canonical
from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import InvariantViolated, Unrepresentable
from shared.core.families import Family, family_of
from shared.core.items import ItemFields
from shared.core.values import choices, moments, numbers, references, texts
from shared.core.values.forms import form_of
from shared.core.values.refusal import unfit_for_list, unfit_for_row

__all__ = ["Canonical", "create_fields", "from_item", "from_row", "patch_fields", "to_item", "to_row"]


def from_row(field: FieldMapping, text: str | None) -> Canonical:
    """The canonical value of a column's text form, as PostgreSQL prints it under the pinned session settings.

    Raises Unrepresentable when the list column cannot keep it. A field that is only pulled has nothing to keep:
    there the text itself stands for such a value, so that it differs from whatever the item says.
    """
    if text is None:
        return None
    try:
        return _FROM_ROW[field.kind](field, text)
    except Unrepresentable:
        if field.pushes:
            raise
        return text


def _flag_of_row(field: FieldMapping, text: str) -> bool:
    normal = form_of(field.source.type).normal(field.source.type, text)
    if normal is None:
        raise unfit_for_list(field, "true or false")
    return normal == "true"


def to_row(field: FieldMapping, value: Canonical) -> str | None:
    """The text form to write into the column; PostgreSQL reads it as the column's type. Raises Unrepresentable.

    No value becomes NULL, or for a column that is NOT NULL what stands for nothing there: "" in text, {} in arrays.
    """
    if value is None:
        return _nothing(field)
    match field.kind:
        case FieldKind.TEXT | FieldKind.NOTE | FieldKind.CHOICE:
            return texts.to_row(field, value)
        case FieldKind.NUMBER | FieldKind.CURRENCY:
            return numbers.to_row(field, value)
        case FieldKind.BOOLEAN:
            if not isinstance(value, bool):
                raise unfit_for_row(field, "true or false")
            return "true" if value else "false"
        case FieldKind.DATETIME:
            return moments.time_to_row(field, value)
        case FieldKind.DATE:
            return moments.date_to_row(field, value)
        case FieldKind.MULTICHOICE:
            return choices.to_row(field, value)
        case FieldKind.LOOKUP | FieldKind.PERSON | FieldKind.COUNTER:
            return references.to_row(field, value)
        case FieldKind.UNKNOWN:
            raise _unmapped(field)


def _nothing(field: FieldMapping) -> str | None:
    if field.source.nullable:
        return None
    match family_of(field.source.type):
        case Family.TEXT | Family.CHAR:
            return ""
        case Family.ARRAY:
            return "{}"
        case _:
            raise unfit_for_row(field, "a value: the column is NOT NULL")


def from_item(field: FieldMapping, fields: ItemFields, zone: tzinfo) -> Canonical:
    """The canonical value of a list column. `zone`: the site's. An absent member means no value.

    A yes/no column without a value is no for a column that is NOT NULL. Text that is no spelling of the column's type
    stays as it is: to_row refuses it. Raises Unrepresentable when the JSON is of another type than the mapping says.
    """
    match field.kind:
        case FieldKind.TEXT | FieldKind.NOTE | FieldKind.CHOICE:
            return texts.from_item(field, fields)
        case FieldKind.NUMBER | FieldKind.CURRENCY:
            return numbers.from_item(field, fields)
        case FieldKind.BOOLEAN:
            return _flag(field, fields)
        case FieldKind.DATETIME:
            return moments.time_from_item(field, fields)
        case FieldKind.DATE:
            return moments.date_from_item(field, fields, zone)
        case FieldKind.MULTICHOICE:
            return choices.from_item(field, fields)
        case FieldKind.LOOKUP | FieldKind.PERSON | FieldKind.COUNTER:
            return references.from_item(field, fields)
        case FieldKind.UNKNOWN:
            raise _unmapped(field)


def _flag(field: FieldMapping, fields: ItemFields) -> Canonical:
    value = fields.get(field.target_column_name)
    if value is None:
        return None if field.source.nullable else False
    if not isinstance(value, bool):
        raise unfit_for_row(field, "true or false: the list column is of another type than the mapping says")
    return value


def to_item(field: FieldMapping, value: Canonical, zone: tzinfo) -> dict[str, Any]:
    """What goes into `fields` of a PATCH: an explicit null clears. Raises InvariantViolated for a system field and for a
    value that is not this kind's."""
    if field.is_system_field:
        raise InvariantViolated(
            f"{field.source.name}: {field.target_column_name} is SharePoint's own, it is never written"
        )
    name = field.target_column_name
    match field.kind:
        case FieldKind.LOOKUP | FieldKind.PERSON:
            return {references.member(field): None if value is None else references.to_item(field, value)}
        case _ if value is None:
            return {name: None}
        case FieldKind.TEXT | FieldKind.NOTE | FieldKind.CHOICE:
            return {name: texts.to_item(field, value)}
        case FieldKind.NUMBER | FieldKind.CURRENCY:
            return {name: numbers.to_item(field, value)}
        case FieldKind.BOOLEAN:
            if not isinstance(value, bool):
                raise InvariantViolated(
                    f"{field.source.name}: the canonical value of a BOOLEAN column is true or false"
                )
            return {name: value}
        case FieldKind.DATETIME:
            return {name: moments.time_to_item(field, value)}
        case FieldKind.DATE:
            return {name: moments.date_to_item(field, value, zone)}
        case FieldKind.MULTICHOICE:
            # Without its type Graph refuses the array: https://github.com/microsoftgraph/microsoft-graph-docs/issues/2745
            return {f"{name}@odata.type": "Collection(Edm.String)", name: choices.to_item(field, value)}
        case FieldKind.COUNTER | FieldKind.UNKNOWN:
            raise _unmapped(field)


def patch_fields(values: Iterable[tuple[FieldMapping, Canonical]], zone: tzinfo) -> dict[str, Any]:
    """The `fields` of a PATCH of these values."""
    fields: dict[str, Any] = {}
    for field, value in values:
        fields |= to_item(field, value, zone)
    return fields


def create_fields(values: Iterable[tuple[FieldMapping, Canonical]], zone: tzinfo) -> dict[str, Any]:
    """The `fields` of a POST: as in a PATCH, without nulls, which a creation has been reported to refuse
    (https://github.com/microsoftgraph/msgraph-sdk-dotnet-core/issues/656)."""
    return {name: value for name, value in patch_fields(values, zone).items() if value is not None}


def _unread(field: FieldMapping, _: str) -> Canonical:
    raise _unmapped(field)


_FROM_ROW: Mapping[FieldKind, Callable[[FieldMapping, str], Canonical]] = {
    FieldKind.TEXT: texts.from_row,
    FieldKind.NOTE: texts.from_row,
    FieldKind.CHOICE: texts.from_row,
    FieldKind.NUMBER: numbers.from_row,
    FieldKind.CURRENCY: numbers.from_row,
    FieldKind.BOOLEAN: _flag_of_row,
    FieldKind.DATETIME: moments.time_from_row,
    FieldKind.DATE: moments.date_from_row,
    FieldKind.MULTICHOICE: choices.from_row,
    FieldKind.LOOKUP: references.from_row,
    FieldKind.PERSON: references.from_row,
    FieldKind.COUNTER: references.from_row,
    FieldKind.UNKNOWN: _unread,
}
"""By look-up, not by match: this is asked for every value of every row, and a match compares kind after kind."""


def _unmapped(field: FieldMapping) -> InvariantViolated:
    return InvariantViolated(f"{field.source.name}: a {field.kind} list column is not written and not read as a value")
