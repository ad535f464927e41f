"""Compares rows as PostgreSQL prints them with items as Graph shows them.

Written apart from the product on purpose: if both had one idea of equality, the demo would prove nothing. What counts
as equal is what survives a SharePoint list: an empty text and none are one value, line ends are line feeds, numbers
have 15 significant digits, times are whole seconds in UTC.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

Kind = Literal["text", "number", "boolean", "datetime", "date", "json"]
Comparable = str | bool | Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A source column, the list column it is mapped to, and how their values are compared."""

    column: str
    field: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Counts, and the first few disagreements in words that name no values."""

    rows: int
    items: int
    missing: int
    surplus: int
    differing: int
    examples: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether each row has exactly one item and all mapped values agree."""
        return not (self.missing or self.surplus or self.differing)


def compare(
    rows: Sequence[Mapping[str, str | None]],
    items: Sequence[Mapping[str, object]],
    pairs: Sequence[Pair],
    *,
    key: Pair,
    zone: ZoneInfo,
) -> Difference:
    """Rows by column name in text form, items by field name as JSON; matched by the key's values.

    `zone` is the site's: a list keeps a date as the midnight there.
    """
    of_rows = {from_row(row[key.column], key.kind): row for row in rows}
    of_items: dict[Comparable, Mapping[str, object]] = {}
    surplus, differing, examples = 0, 0, []
    for item in items:
        value = from_item(item.get(key.field), key.kind, zone)
        if value in of_items or value not in of_rows:
            surplus += 1
            examples.append(f"an item too many with {key.column} {value}")
        else:
            of_items[value] = item
    missing = [value for value in of_rows if value not in of_items]
    examples += [f"no item for {key.column} {value}" for value in missing[:5]]
    for value, item in of_items.items():
        row = of_rows[value]
        wrong = [
            p.column for p in pairs if from_row(row[p.column], p.kind) != from_item(item.get(p.field), p.kind, zone)
        ]
        if wrong:
            differing += 1
            examples.append(f"{key.column} {value} differs in {', '.join(wrong)}")
    return Difference(
        rows=len(rows),
        items=len(items),
        missing=len(missing),
        surplus=surplus,
        differing=differing,
        examples=tuple(examples[:5]),
    )


def from_row(text: str | None, kind: Kind) -> Comparable:
    """PostgreSQL's text of a value (TimeZone UTC, DateStyle ISO) -> what is compared."""
    if text is None or text == "":
        return None
    match kind:
        case "text":
            return _text(text)
        case "number":
            return _number(text)
        case "boolean":
            return {"t": True, "f": False, "true": True, "false": False}[text]
        case "datetime":
            return _seconds(datetime.fromisoformat(text))
        case "date":
            return text
        case "json":
            return _json(text)


def from_item(value: object, kind: Kind, zone: ZoneInfo) -> Comparable:
    """Graph's JSON value -> what is compared."""
    if value is None or value == "":
        return None
    match kind:
        case "text":
            return _text(str(value))
        case "number":
            return _number(repr(value))
        case "boolean":
            return bool(value)
        case "datetime":
            return _seconds(datetime.fromisoformat(str(value)))
        case "date":
            return datetime.fromisoformat(str(value)).astimezone(zone).date().isoformat()
        case "json":
            return _json(str(value))


def _text(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _number(text: str) -> Decimal:
    # From the double, not from its shortest decimal form, which would round a second time.
    return Decimal(f"{float(text):.15g}").normalize()


def _seconds(moment: datetime) -> str:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)
