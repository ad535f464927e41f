"""A figure is a measurement beside what limits it; alone it would say more about the machine than about the product."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = "{name:<34} {value:>12} {unit:<13} {against:>12} {ratio:>8}   {note}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` and `against` in `unit`, measured in one run; `note` says what `against` is."""

    name: str
    value: float
    unit: str
    against: float
    note: str

    @property
    def ratio(self) -> float:
        """value / against."""
        return self.value / self.against

    def line(self) -> str:
        """One line of the table."""
        return _LINE.format(
            name=self.name,
            value=f"{self.value:,.2f}",
            unit=self.unit,
            against=f"{self.against:,.2f}",
            ratio=f"{self.ratio:.2f}",
            note=self.note,
        )


def heading() -> str:
    """The table's first line."""
    return _LINE.format(
        name="figure", value="value", unit="unit", against="against", ratio="ratio", note="against what"
    )


def closing_line(figures: Iterable[Figure]) -> str:
    """The last line of the output, for machines."""
    shown = {
        figure.name: {
            "value": round(figure.value, 3),
            "unit": figure.unit,
            "against": round(figure.against, 3),
            "ratio": round(figure.ratio, 3),
        }
        for figure in figures
    }
    return json.dumps({"bench": shown})
