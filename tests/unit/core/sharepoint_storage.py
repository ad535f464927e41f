"""What a SharePoint list makes of a written `fields` object, as pure functions: the other half of a journey."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, tzinfo
from typing import Any

from shared.core.definition import FieldKind, FieldMapping


def stored(field: FieldMapping, written: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """The `fields` that a read shows after `written` was sent for this one field."""
    reference = field.kind in {FieldKind.LOOKUP, FieldKind.PERSON}
    key = field.target_column_name + ("LookupId" if reference else "")
    value = written.get(key)
    if value is None or value in ("", []):
        return {}
    match field.kind:
        case FieldKind.TEXT | FieldKind.CHOICE:
            assert isinstance(value, str)
            assert len(value.encode("utf-16-le")) // 2 <= 255
        case FieldKind.NOTE:
            assert isinstance(value, str)
            assert len(value.encode("utf-16-le")) // 2 <= 63_999
            value = value.replace("\n", "\r\n")
        case FieldKind.NUMBER | FieldKind.CURRENCY:
            assert isinstance(value, int | float)
            value = float(value)
        case FieldKind.DATETIME:
            value = _whole(datetime.fromisoformat(value))
        case FieldKind.DATE:
            value = _whole(datetime.combine(datetime.fromisoformat(value).astimezone(zone).date(), time(), zone))
        case FieldKind.MULTICHOICE:
            assert written[f"{key}@odata.type"] == "Collection(Edm.String)"
            value = ";#".join(reversed(value)).split(";#")
        case FieldKind.LOOKUP | FieldKind.PERSON:
            value = str(value)
    return {key: value}


def _whole(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
