"""Values of lookup, person and ID columns: ids of items, whole numbers in the database, texts in Graph's answers."""

from shared.core.canonical import Canonical
from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import InvariantViolated
from shared.core.items import ItemFields
from shared.core.values.forms import form_of
from shared.core.values.number_forms import plain_integer
from shared.core.values.refusal import unfit_for_list, unfit_for_row

_LARGEST = 2**31 - 1
_ACCEPTED = f"the id of an item, from 1 to {_LARGEST}"


def member(field: FieldMapping) -> str:
    """The member of Graph's `fields` that carries the id: https://learn.microsoft.com/graph/api/resources/fieldvalueset."""
    return "id" if field.kind is FieldKind.COUNTER else f"{field.target_column_name}LookupId"


def _id(text: str) -> int | None:
    plain = plain_integer(text)
    if plain is None or len(plain) > 10 or not 0 < int(plain) <= _LARGEST:
        return None
    return int(plain)


def from_row(field: FieldMapping, text: str) -> Canonical:
    found = _id(text)
    if found is None:
        raise unfit_for_list(field, _ACCEPTED)
    return found


def to_row(field: FieldMapping, value: Canonical) -> str:
    form = form_of(field.source.type)
    if isinstance(value, bool) or not isinstance(value, int):
        raise unfit_for_row(field, _ACCEPTED)
    normal = form.normal(field.source.type, str(value))
    if normal is None:
        raise unfit_for_row(field, form.accepted)
    return normal


def from_item(field: FieldMapping, fields: ItemFields) -> Canonical:
    value = fields.get(member(field))
    if value is None or value == "":
        return None
    found = _id(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None:
        raise unfit_for_row(field, f"{_ACCEPTED}: the list column is of another type than the mapping says")
    return found


def to_item(field: FieldMapping, value: Canonical) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is an item's id")
    return value
