"""What may be written into a column, and the form it is stored in.

Stored forms: text and choice as str, number and currency as int or float, yes/no as bool, times as epoch seconds, lookups
and persons as item ids, multi-values as lists of those, hyperlinks as {"Url", "Description"}. No value: no entry.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from typing import Any

from infra.simulator import errors
from infra.simulator.columns import LOOKUPS, SYSTEM_BY_NAME, Column
from infra.simulator.knobs import Knobs
from infra.simulator.lists import SharePointList
from infra.simulator.switchboard import Switchboard

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC).timestamp(), datetime(8900, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
_STRINGS, _INTEGERS = "Collection(Edm.String)", "Collection(Edm.Int32)"
# Taken and without an effect: every item here is of the content type Item.
_IGNORED = frozenset({"ContentType"})


@dataclass(frozen=True, slots=True)
class Writer:
    """What checking a value needs to know beside the column."""

    rules: Switchboard
    knobs: Knobs
    zone: tzinfo
    exists: Callable[[Column, int], bool]  # is there a lookup target with this id
    person: bool = False  # a person's edit is not bound by the API's oddities


def units(text: str) -> int:
    """Length as SharePoint counts it: UTF-16 code units."""
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def parse_fields(lst: SharePointList, fields: dict[str, Any], writer: Writer) -> dict[str, Any]:
    """Column slot -> stored value (None clears) of a `fields` object. Raises GraphError; nothing is half-read."""
    holds = writer.rules.holds
    kinds = {
        name[: -len("@odata.type")]: value
        for name, value in fields.items()
        if name.endswith("@odata.type") and name != "@odata.type"
    }
    changes: dict[str, Any] = {}
    for key, value in fields.items():
        if key.startswith("@") or key.endswith(("@odata.type", "@odata.context", "@odata.etag")):
            if key == "@odata.type" and not holds("ITEM-SDK-ANNOTATIONS"):
                raise _unknown(key)
            continue
        column = _find(lst, key, writer)
        if column is None:
            if holds("ITEM-UNKNOWN-FIELD"):
                raise _unknown(key)
            continue
        if column.system and column.name != "Title":
            if column.name == "Created" and not holds("ITEM-CREATED-NOT-SETTABLE"):
                changes["@created"] = _moment(column, value, writer)
            elif column.name not in _IGNORED:
                raise errors.invalid(f"Field '{key}' is read-only.")
            continue
        if value is None and not holds("ITEM-NULL-CLEARS"):
            continue
        changes[column.slot] = parse(column, value, kinds.get(key), writer)
    return {slot: value for slot, value in changes.items() if slot}


def _unknown(key: str) -> errors.GraphError:
    return errors.invalid(f"Field '{key[:200]}' is not recognized")


def _find(lst: SharePointList, key: str, writer: Writer) -> Column | None:
    column = lst.columns.get(key)
    if column is not None and (column.kind not in LOOKUPS or column.system):
        return column
    if key.endswith("LookupId"):
        column = lst.columns.get(key[: -len("LookupId")])
        if column is not None and column.kind in LOOKUPS:
            return column
        if key in ("AppAuthorLookupId", "AppEditorLookupId"):
            return SYSTEM_BY_NAME[key[: -len("LookupId")]]
    if key == "id":
        return SYSTEM_BY_NAME["ID"]
    if not writer.rules.holds("ITEM-DISPLAY-NAME-IS-NO-KEY"):
        return next((entry for entry in lst.columns.values() if entry.title == key), None)
    return None


def parse(column: Column, value: Any, annotated: Any, writer: Writer) -> Any:
    """The stored form of one written value, None for none. Raises GraphError."""
    holds = writer.rules.holds
    if column.kind == "calculated":
        if holds("VAL-CALCULATED-NOT-WRITABLE"):
            raise errors.invalid(f"Field '{column.name}' is read-only.")
        return None
    if column.kind == "url":
        return _hyperlink(value, writer)
    if value is None:
        return None
    match column.kind:
        case "text" | "note":
            return _text(column, value, writer)
        case "number" | "currency":
            return _number(column, value, writer)
        case "boolean":
            if not isinstance(value, bool):
                raise errors.bad_argument()
            return value
        case "dateTime":
            return _moment(column, value, writer)
        case "choice":
            return _choice(column, _text(column, value, writer), writer)
        case "multichoice":
            return _choices(column, value, annotated, writer)
        case "lookup" | "user":
            return _target(column, value, writer)
        case "multilookup" | "multiuser":
            return _targets(column, value, annotated, writer)
        case _:
            raise errors.invalid(f"Field '{column.name}' cannot be written.")


def _text(column: Column, value: Any, writer: Writer) -> str | None:
    holds = writer.rules.holds
    if not isinstance(value, str):
        raise errors.bad_argument()
    if value == "" and holds("VAL-TEXT-EMPTY-IS-NULL"):
        return None
    if _NOT_XML.search(value) and writer.knobs["xml_illegal"] == "refuse" and holds("VAL-TEXT-XML"):
        raise errors.bad_argument()
    if not holds("VAL-TEXT-AS-SENT") or (writer.knobs["trim_text"] and column.kind == "text"):
        value = value.strip()
    text: str = value
    length = units(text)
    if column.kind == "note":
        if length > 63_999 and holds("VAL-NOTE-63999"):
            raise errors.bad_argument()
    elif column.kind == "text":
        most = int(column.options.get("maxLength", 255)) if holds("VAL-TEXT-MAX-LENGTH") else 255
        if (length > most and most < 255) or (length > 255 and holds("VAL-TEXT-255")):
            raise errors.bad_argument()
    elif length > 255:
        raise errors.bad_argument()
    return text


def _number(column: Column, value: Any, writer: Writer) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        if writer.rules.holds("VAL-NUMBER-WRONG-TYPE"):
            raise errors.bad_argument()
        return value
    low, high = column.options.get("minimum"), column.options.get("maximum")
    try:
        number = float(value)
    except OverflowError:
        raise errors.bad_argument() from None
    if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
        raise errors.bad_argument()
    if number.is_integer() and abs(number) <= 2**53:
        return int(number)
    digits = int(writer.knobs["number_digits"])
    rounded = float(f"{number:.{max(1, min(17, digits))}g}")
    return rounded if math.isfinite(rounded) else number


def _moment(column: Column, value: Any, writer: Writer) -> Any:
    holds = writer.rules.holds
    if not isinstance(value, str):
        raise errors.bad_argument()
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        if not holds("VAL-DATETIME-WRONG-TYPE"):
            return value
        raise errors.bad_argument() from None
    if not holds("VAL-DATETIME-UTC"):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=writer.zone)
    try:
        if column.options.get("format") == "dateOnly" and column.facet == "dateTime" and not column.system:
            local = moment.date() if _DATE.fullmatch(value) else moment.astimezone(writer.zone).date()
            zone = writer.zone if holds("VAL-DATE-ONLY-SITE-MIDNIGHT") else UTC
            moment = datetime.combine(local, time(), tzinfo=zone)
        seconds = moment.timestamp()
    except (OverflowError, ValueError):
        raise errors.bad_argument() from None
    if not _FIRST <= seconds <= _LAST:
        raise errors.bad_argument()
    return math.floor(seconds) if holds("VAL-DATETIME-WHOLE-SECONDS") else seconds


def _choice(column: Column, value: str | None, writer: Writer) -> str | None:
    if value is None:
        return None
    refuse = writer.knobs["choice_outside"] == "refuse" or not writer.rules.holds("VAL-CHOICE-OUTSIDE-STORED")
    if refuse and value not in column.options.get("choices", ()) and not column.options.get("allowTextEntry"):
        raise errors.bad_argument()
    return value


def _choices(column: Column, value: Any, annotated: Any, writer: Writer) -> list[str] | str | None:
    if isinstance(value, str) and not writer.rules.holds("COL-CHECKBOXES-MULTI"):
        return value
    if not isinstance(value, list):
        raise errors.bad_argument()
    _want_type(column, annotated, (_STRINGS,), writer, "VAL-MULTI-CHOICE-NEEDS-TYPE")
    chosen = [_choice(column, _text(column, entry, writer), writer) for entry in value]
    return list(dict.fromkeys(entry for entry in chosen if entry is not None)) or None


def _want_type(column: Column, annotated: Any, accepted: tuple[str, ...], writer: Writer, rule: str) -> None:
    if writer.person or not writer.rules.holds(rule):
        return
    if annotated not in accepted:
        raise errors.invalid(
            "A value without a type name was found and no expected type is available. When the model is specified, "
            f"each value in the payload must have a type which can be either specified in the payload: '{column.name}'."
        )


def _target(column: Column, value: Any, writer: Writer) -> int | None:
    if value == "":
        return None
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdigit())
    ):
        raise errors.bad_argument()
    item = int(value)
    rule = "VAL-PERSON-UNKNOWN" if "user" in column.kind else "VAL-LOOKUP-TARGET"
    if not 0 < item < 2**31 or (not writer.exists(column, item) and writer.rules.holds(rule)):
        raise errors.bad_argument()
    return item


def _targets(column: Column, value: Any, annotated: Any, writer: Writer) -> list[int] | None:
    if not isinstance(value, list):
        raise errors.bad_argument()
    _want_type(column, annotated, (_INTEGERS, _STRINGS), writer, "VAL-LOOKUP-MULTI-NEEDS-TYPE")
    found = [_target(column, entry, writer) for entry in value]
    return list(dict.fromkeys(entry for entry in found if entry is not None)) or None


def _hyperlink(value: Any, writer: Writer) -> Any:
    if not writer.person and writer.rules.holds("VAL-HYPERLINK-NOT-WRITABLE"):
        raise errors.general() if writer.knobs["hyperlink_write"] == 500 else errors.invalid("Invalid request")
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("Url"), str):
        raise errors.bad_argument()
    return {"Description": str(value.get("Description") or value["Url"]), "Url": value["Url"]}


def default_of(column: Column, writer: Writer, now: int) -> Any:
    """The stored form of a column's default, None without one or when the default is a formula that is not a constant."""
    if column.default is None:
        return None
    text = column.default.get("value")
    if text is None:
        text = str(column.default.get("formula", "")).lstrip("=").strip('"')
    match column.kind:
        case "number" | "currency":
            try:
                return _number(column, float(text), writer)
            except ValueError:
                return None
        case "boolean":
            return str(text).lower() in ("1", "true", "yes")
        case "dateTime":
            if str(text).lower() in ("[today]", "today()"):
                return now
            try:
                return _moment(column, text, writer)
            except errors.GraphError:
                return None
        case "multichoice":
            return [str(text)] if text else None
        case "text" | "note" | "choice":
            return str(text) or None
        case _:
            return None
