"""Calculated columns: `=[A]`, `=[A]&" "&[B]` and the four operations on two operands. Other formulas have no value."""

import re
from typing import Any

from infra.simulator.columns import Column
from infra.simulator.lists import SharePointList
from infra.simulator.rows import Row

_TERM = r"(\[[^\]]+\]|\"[^\"]*\"|-?\d+(?:\.\d+)?)"
_ARITHMETIC = re.compile(rf"{_TERM}\s*([-+*/])\s*{_TERM}")
_JOINED = re.compile(rf"{_TERM}(?:\s*&\s*{_TERM})*")


def evaluate(column: Column, lst: SharePointList, row: Row) -> Any:
    """The value that the service would compute, None if there is none."""
    formula = str(column.options.get("formula", "")).strip().lstrip("=").strip()
    numeric = column.options.get("outputType") in ("number", "currency")
    arithmetic = _ARITHMETIC.fullmatch(formula)
    if arithmetic:
        left, operator, right = arithmetic.groups()
        return _operate(_term(left, lst, row), operator, _term(right, lst, row))
    if not _JOINED.fullmatch(formula):
        return None
    terms = [_term(text, lst, row) for text in re.findall(_TERM, formula)]
    if len(terms) == 1:
        value = terms[0]
        return value if numeric or value is None else str(value)
    return "".join("" if term is None else str(term) for term in terms)


def _term(text: str, lst: SharePointList, row: Row) -> Any:
    if text.startswith("["):
        name = text[1:-1]
        source = lst.columns.get(name) or next((entry for entry in lst.columns.values() if entry.title == name), None)
        return row.values.get(source.slot) if source and source.slot else None
    return text[1:-1] if text.startswith('"') else float(text)


def _operate(left: Any, operator: str, right: Any) -> float | None:
    numbers = [float(value) for value in (left, right) if isinstance(value, int | float)]
    if len(numbers) != 2:
        return None
    match operator:
        case "+":
            return numbers[0] + numbers[1]
        case "-":
            return numbers[0] - numbers[1]
        case "*":
            return numbers[0] * numbers[1]
        case _:
            return numbers[0] / numbers[1] if numbers[1] else None
