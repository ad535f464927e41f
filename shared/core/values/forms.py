"""Text forms: how each type's values are spelled as text, and which spellings mean the same value."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.core.families import Family, element_family
from shared.core.source import SourceType
from shared.core.values import json_forms, number_forms, time_forms

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_NOT_IN_POSTGRES = re.compile("[\x00\ud800-\udfff]")
_INTEGER_BITS = {"int2": 15, "int4": 31, "int8": 63}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    normal: Callable[[SourceType, str], str | None]
    """The one spelling of what a text means for this type; None: it means nothing to it."""
    accepted: str
    """The accepted shape, as the end of a sentence."""


def _free(declared: SourceType, text: str) -> str | None:
    if _NOT_IN_POSTGRES.search(text) or (declared.length is not None and len(text) > declared.length):
        return None
    return text


def _padded(declared: SourceType, text: str) -> str | None:
    return _free(declared, text.rstrip(" "))


def _boolean(_: SourceType, text: str) -> str | None:
    return {"true": "true", "t": "true", "false": "false", "f": "false"}.get(text.lower())


def _uuid(_: SourceType, text: str) -> str | None:
    lowered = text.lower()
    return lowered if _UUID.fullmatch(lowered) else None


def _label(declared: SourceType, text: str) -> str | None:
    return text if text in declared.enum_labels else None


def _integer(declared: SourceType, text: str) -> str | None:
    plain = number_forms.plain_integer(text)
    bits = _INTEGER_BITS[declared.name]
    if plain is None or len(plain) > 20 or not -(2**bits) <= int(plain) < 2**bits:
        return None
    return plain


def _decimal(declared: SourceType, text: str) -> str | None:
    spelled = number_forms.decimal_or_special(text)
    if spelled is None or spelled == "NaN":
        return spelled
    return spelled if number_forms.fits_numeric(spelled, declared.precision, declared.scale) else None


def _float(declared: SourceType, text: str) -> str | None:
    return number_forms.single_text(text) if declared.name == "float4" else number_forms.double_text(text)


def _plain(form: Callable[[str], str | None]) -> Callable[[SourceType, str], str | None]:
    return lambda _, text: form(text)


_FORMS = {
    Family.TEXT: TextForm(normal=_free, accepted="text without NUL, no longer than the column"),
    Family.CHAR: TextForm(normal=_padded, accepted="text without NUL, no longer than the column"),
    Family.BOOLEAN: TextForm(normal=_boolean, accepted="true or false"),
    Family.UUID: TextForm(normal=_uuid, accepted="32 hexadecimal digits as 8-4-4-4-12"),
    Family.ENUM: TextForm(normal=_label, accepted="one of the type's labels"),
    Family.INTEGER: TextForm(normal=_integer, accepted="a whole number within the type's range"),
    Family.DECIMAL: TextForm(normal=_decimal, accepted="a decimal number within the type's precision and scale"),
    Family.FLOAT: TextForm(normal=_float, accepted="a number that the type holds without rounding"),
    Family.DATE: TextForm(normal=_plain(time_forms.date_text), accepted="a date as 2026-01-31"),
    Family.TIME: TextForm(normal=_plain(time_forms.time_text), accepted="a time of day as 12:30:00"),
    Family.TIMETZ: TextForm(normal=_plain(time_forms.zoned_time_text), accepted="a time of day as 12:30:00+00"),
    Family.TIMESTAMP: TextForm(normal=_plain(time_forms.timestamp_text), accepted="a time as 2026-01-31 12:30:00"),
    Family.TIMESTAMPTZ: TextForm(
        normal=_plain(time_forms.zoned_timestamp_text), accepted="a time as 2026-01-31 12:30:00+00"
    ),
    Family.INTERVAL: TextForm(normal=_plain(time_forms.interval_text), accepted="a duration as P1DT2H30M"),
    Family.JSON: TextForm(normal=_plain(json_forms.json_text), accepted="JSON"),
    Family.JSONB: TextForm(normal=_plain(json_forms.jsonb_text), accepted="JSON without NUL and lone surrogates"),
}
_UNKNOWN = TextForm(normal=lambda _, __: None, accepted="nothing: this type is only pushed")


def form_of(declared: SourceType) -> TextForm:
    """The text form of a type, for an array that of its elements."""
    return _FORMS.get(element_family(declared), _UNKNOWN)
