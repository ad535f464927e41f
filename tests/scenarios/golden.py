"""Golden request logs: what a scenario asked of the list, as a text file beside the tests.

UPDATE_GOLDEN=1 in the environment writes them anew; to be looked at before they are kept.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "golden"
_LIST = re.compile(r"^/v1\.0/sites/[^/]+/lists/[^/?]+/?")


def lines_of(requests: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each request of the simulator's log, with what was inside a batch below it, in no order of its own."""
    for entry in requests:
        yield f"  {_line(entry)}"
        yield from sorted(f"    {_line(inner)}" for inner in entry["inner"])


def _line(entry: Mapping[str, Any]) -> str:
    return f"{entry['method']} {shortened(entry['path'])} {entry['status'] or 'no answer'}"


def shortened(path: str) -> str:
    """A path below its list, without tokens and filters: "items/3", "items/delta", "items?$filter", "list"."""
    path, _, query = path.partition("?")
    below = _LIST.sub("", path)
    if below == path:
        return path.removeprefix("/v1.0/")
    if "filter=" in query:
        below += "?$filter"
    return re.sub(r"microsoft\.graph\.delta(\(\))?|delta\(.*\)", "delta", below) or "list"


def check(name: str, lines: Iterable[str]) -> None:
    """Compares with the log that is kept under this name."""
    path, text = FOLDER / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(text, "utf-8")
    assert path.exists(), f"there is no golden log {path.name}: UPDATE_GOLDEN=1 writes it"
    assert text == path.read_text("utf-8"), f"{path.name} has another log: UPDATE_GOLDEN=1 writes it anew"
