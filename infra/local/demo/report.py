"""What the demo prints: a table that grows by a line per step, and one JSON object at the end."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

_LINE = "  {step:<52}{count:>9}  {ru:>7}  {seconds:>7}  {rate:>9}"


@dataclass(slots=True)
class Step:
    """One line of the table; `count` is of rows or items, `ru` are SharePoint resource units."""

    step: str
    count: int | None = None
    ru: int | None = None
    note: str = ""


@dataclass(slots=True)
class Report:
    """Prints each step as it ends and remembers the acts' figures."""

    acts: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def heading(self, text: str) -> None:
        """A new act."""
        print(f"\n{text}")
        print(_LINE.format(step="step", count="count", ru="RU", seconds="seconds", rate="per s"), flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step and print its line, with what the caller put into it; nothing if it failed."""
        line, began = Step(name), time.monotonic()
        yield line
        seconds = time.monotonic() - began
        rate = f"{line.count / seconds:,.0f}" if line.count and line.count > 1 and seconds else ""
        texts = {
            "step": f"{line.step}{': ' if line.note else ''}{line.note}",
            "count": "" if line.count is None else f"{line.count:,}",
            "ru": "" if line.ru is None else f"{line.ru:,}",
            "seconds": f"{seconds:.1f}",
            "rate": rate,
        }
        print(_LINE.format(**texts).rstrip(), flush=True)

    def closing_line(self, outcome: str, **more: object) -> str:
        """The last line of the output, for machines."""
        return json.dumps({"demo": outcome, **more, "acts": self.acts}, default=str)
