"""Values of multi-choice columns: arrays as sets. Order and repetition of an array's elements are not kept."""

from shared.core.canonical import Canonical
from shared.core.definition import FieldMapping
from shared.core.errors import InvariantViolated
from shared.core.items import ItemFields
from shared.core.values.arrays import parse_array, print_array
from shared.core.values.forms import form_of
from shared.core.values.refusal import unfit_for_list, unfit_for_row
from shared.core.values.texts import check_for_list, check_for_row, lines

_LIMIT = 255
SEPARATOR = ";#"
"""SharePoint keeps a multi-choice as one text with this between the choices."""


def from_row(field: FieldMapping, text: str) -> Canonical:
    elements = parse_array(text)
    if elements is None:
        raise unfit_for_list(field, "an array with one dimension")
    form = form_of(field.source.type)
    found = set()
    for element in elements:
        if not element or SEPARATOR in element:
            raise unfit_for_list(field, f'an array of texts that are not null, not empty and without "{SEPARATOR}"')
        spelled = lines(element)
        found.add(check_for_list(field, form.normal(field.source.type, spelled) or spelled, _LIMIT))
    return tuple(sorted(found)) or None


def to_row(field: FieldMapping, value: Canonical) -> str:
    form = form_of(field.source.type)
    if not isinstance(value, tuple) or any(form.normal(field.source.type, element) != element for element in value):
        raise unfit_for_row(field, f"a choice of values, each of them {form.accepted}")
    return print_array([check_for_row(field, element) for element in value])


def from_item(field: FieldMapping, fields: ItemFields) -> Canonical:
    value = fields.get(field.target_column_name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(element, str) for element in value):
        raise unfit_for_row(field, "a list of texts: the list column is of another type than the mapping says")
    form = form_of(field.source.type)
    spelled = {lines(element) for element in value if element}
    return tuple(sorted(form.normal(field.source.type, element) or element for element in spelled)) or None


def to_item(field: FieldMapping, value: Canonical) -> list[str]:
    if not isinstance(value, tuple):
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is a set of texts")
    return list(value)
