"""Values of text columns: single line, multiple lines, choice."""

import re

from shared.core.canonical import Canonical
from shared.core.definition import FieldKind, FieldMapping
from shared.core.errors import InvariantViolated
from shared.core.families import Family, family_of
from shared.core.items import ItemFields
from shared.core.values.forms import form_of
from shared.core.values.number_forms import plain_decimal
from shared.core.values.refusal import unfit_for_list, unfit_for_row

LIMITS = {FieldKind.TEXT: 255, FieldKind.CHOICE: 255, FieldKind.NOTE: 63_999}
"""UTF-16 units: https://support.microsoft.com/office/column-types (single line 255, multiple lines 63,999)."""

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""SharePoint passes values through XML 1.0, which has none of these."""


def lines(text: str) -> str:
    """The text with LF line ends: SharePoint gives back CR LF for some of them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def units(text: str) -> int:
    """Length in UTF-16 units, as SharePoint counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def check_for_list(field: FieldMapping, text: str, limit: int) -> str:
    """The text, if a list column of this limit keeps it. Raises Unrepresentable."""
    if _NOT_XML.search(text):
        raise unfit_for_list(field, "text without control characters, lone surrogates, U+FFFE and U+FFFF")
    if len(text) * 2 > limit and units(text) > limit:
        longer = ", or map the column to NOTE" if limit == LIMITS[FieldKind.TEXT] else ""
        raise unfit_for_list(field, f"text of at most {limit:,} UTF-16 units{longer}")
    if field.choices and text not in field.choices:
        raise unfit_for_list(
            field, f"one of the {len(field.choices)} choices of the list column: add the new one to them"
        )
    return text


def check_for_row(field: FieldMapping, text: str) -> str:
    """The text, if a row that holds it can be shown in the list again: else the row could not be synchronised any more,
    whatever people type next. Raises Unrepresentable."""
    if field.pushes and _NOT_XML.search(text):
        raise unfit_for_row(field, "text without control characters, lone surrogates, U+FFFE and U+FFFF")
    if field.pushes and field.choices and text not in field.choices:
        raise unfit_for_row(
            field, f"one of the {len(field.choices)} choices that the definition has: add the new one to them"
        )
    return text


def from_row(field: FieldMapping, text: str) -> Canonical:
    spelled = lines(text) if family_of(field.source.type) in _LINED else text
    normal = form_of(field.source.type).normal(field.source.type, spelled) if not field.source.type.is_array else None
    canonical = spelled if normal is None else normal
    return check_for_list(field, canonical, LIMITS[field.kind]) if canonical else None


def to_row(field: FieldMapping, value: Canonical) -> str:
    form = form_of(field.source.type)
    normal = form.normal(field.source.type, value) if isinstance(value, str) else None
    if normal is None or normal != value or field.source.type.is_array:
        raise unfit_for_row(field, form.accepted)
    return check_for_row(field, normal)


def from_item(field: FieldMapping, fields: ItemFields) -> Canonical:
    value = fields.get(field.target_column_name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise unfit_for_row(field, "text: the list column is of another type than the mapping says")
    spelled = lines(value)
    if field.source.type.is_array:
        return spelled or None
    return form_of(field.source.type).normal(field.source.type, spelled) or spelled or None


def to_item(field: FieldMapping, value: Canonical) -> str:
    """Decimals with the places that the column declares: 12.5 of a numeric(10,2) is written 12.50."""
    if not isinstance(value, str):
        raise InvariantViolated(f"{field.source.name}: the canonical value of a {field.kind} column is text")
    scale = field.source.type.scale
    if family_of(field.source.type) is Family.DECIMAL and scale and scale > 0 and plain_decimal(value) == value:
        whole, _, fraction = value.partition(".")
        return f"{whole}.{fraction.ljust(scale, '0')}"
    return value


_LINED = frozenset({Family.TEXT, Family.CHAR, Family.JSON, Family.ENUM, Family.ARRAY, Family.OTHER})
