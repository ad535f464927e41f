"""Values of number and currency columns: doubles in SharePoint, compared at the 15 digits that every double keeps.

https://support.microsoft.com/office/column-types: numbers keep 15 significant digits. Whole numbers are exact to 2^53.
"""

import math
from decimal import Decimal

from shared.core.canonical import Canonical
from shared.core.definition import FieldMapping
from shared.core.errors import InvariantViolated
from shared.core.families import Family, family_of
from shared.core.items import ItemFields
from shared.core.values.forms import form_of
from shared.core.values.number_forms import EXACT, double_text, keeps_15_digits
from shared.core.values.refusal import unfit_for_list, unfit_for_row

_ACCEPTED = {
    Family.INTEGER: "whole numbers between -2^53 and 2^53; map the column to TEXT to keep larger ones",
    Family.DECIMAL: "numbers with 15 significant digits, not NaN or infinite; map the column to TEXT to keep others",
    Family.FLOAT: "zero and numbers from 2.3e-308 to 1.79e308 either side of it, not NaN or infinite",
}


def canonical_double(value: float) -> int | str:
    """A finite double as it is compared: an int when it is whole and exact, else 15 significant digits."""
    if value.is_integer() and abs(value) <= EXACT:
        return int(value)
    text = f"{value:.15g}"
    rounded = float(text)
    return int(rounded) if rounded.is_integer() and abs(rounded) <= EXACT else text


def from_row(field: FieldMapping, text: str) -> Canonical:
    family = family_of(field.source.type)
    normal = form_of(field.source.type).normal(field.source.type, text)
    if family is Family.INTEGER and normal is not None and abs(whole := int(normal)) <= EXACT:
        return whole
    value = math.nan if normal is None else float(normal)
    if normal is None or not keeps_15_digits(value):
        raise unfit_for_list(field, _ACCEPTED[family])
    canonical = canonical_double(value)
    # An int8 beyond 2^53 and a numeric with more than 15 digits come out of a double as another number.
    spelled = str(canonical)
    rounded = family is not Family.FLOAT and spelled != normal and Decimal(spelled) != Decimal(normal)
    if rounded or (family is Family.INTEGER and isinstance(canonical, str)):
        raise unfit_for_list(field, _ACCEPTED[family])
    return canonical


def to_row(field: FieldMapping, value: Canonical) -> str:
    form = form_of(field.source.type)
    whole = family_of(field.source.type) is Family.INTEGER
    if isinstance(value, bool) or not isinstance(value, int if whole else int | str):
        raise unfit_for_row(field, form.accepted)
    number = double_text(str(value))
    kept = number is not None and keeps_15_digits(float(number))
    normal = form.normal(field.source.type, f"{Decimal(number):f}") if number is not None and kept else None
    if normal is None:
        raise unfit_for_row(field, form.accepted)
    return normal


def from_item(field: FieldMapping, fields: ItemFields) -> Canonical:
    value = fields.get(field.target_column_name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unfit_for_row(field, "a number: the list column is of another type than the mapping says")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise unfit_for_row(field, "a number that a double can hold")
    return canonical_double(number)


def to_item(field: FieldMapping, value: Canonical) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is a number")
    return value if isinstance(value, int) else float(value)
